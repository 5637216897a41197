package dispatch_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
)

// TestRendersAtOnceAreBounded sends through 20 channels whose renders take a second each, by
// Dispatchers that share what bounds them.
func TestRendersAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const places, channels = 3, 10
		gate, err := template.NewGate(places)
		require.NoError(t, err)
		var mu sync.Mutex
		inside, most, all := 0, 0, 0
		enter := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			inside += n
			most = max(most, inside)
			all += max(n, 0)
		}
		rendering := channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
			return channel.Result{}, template.Pass(ctx, func(context.Context) error {
				enter(1)
				defer enter(-1)
				time.Sleep(time.Second)
				return nil
			})
		})
		done := make(chan error)
		const dispatchers = 2
		for range dispatchers {
			b := newBench(t, dispatch.Config{Renders: gate}, accept)
			require.NoError(t, b.Channels().Register("rendering", channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) { return rendering, nil })))
			sub := &webhook.Subscription{ID: webhook.NewID(), Name: "renders", EventTypes: []event.Pattern{"*"}}
			for range channels {
				sub.Channels = append(sub.Channels, webhook.ChannelConfig{Channel: "rendering", Configs: json.RawMessage(`{}`)})
			}
			go func() {
				_, err := b.SendTest(t.Context(), sub, &event.Event{Type: "object.created", Subject: event.Subject{Type: "o", ID: "1"}, Namespace: "n"})
				done <- err
			}()
		}
		for range dispatchers {
			require.NoError(t, <-done)
		}
		assert.Equal(t, places, most)
		assert.Equal(t, dispatchers*channels, all)
	})
}

func TestADispatcherHasAGateOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := newBench(t, dispatch.Config{}, accept), newBench(t, dispatch.Config{}, accept)
	assert.NotNil(t, one.Renders())
	assert.NotSame(t, one.Renders(), other.Renders())
}
