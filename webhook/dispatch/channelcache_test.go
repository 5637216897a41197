package dispatch_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// readingStore counts how often each subscription is read.
type readingStore struct {
	webhook.Store
	mu   sync.Mutex
	read map[string]int
}

func (s *readingStore) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	s.mu.Lock()
	s.read[id]++
	s.mu.Unlock()
	return s.Store.Subscription(ctx, organizationID, id)
}

// take returns the counts since the last call.
func (s *readingStore) take() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	read := s.read
	s.read = make(map[string]int)
	return read
}

func TestAChangeReadsAndOpensOneSubscription(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &readingStore{Store: memstore.New(), read: make(map[string]int)}
		var opened atomic.Int64
		registry := channel.NewRegistry()
		require.NoError(t, registry.Register("webhook",
			channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) {
				opened.Add(1)
				return channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
					time.Sleep(time.Second)
					return channel.Result{StatusCode: 200}, nil
				}), nil
			})))
		d, err := dispatch.New(store, dispatch.Config{Channels: registry,
			Logger: slog.New(slog.DiscardHandler), MaxInFlightPerEndpoint: 1})
		require.NoError(t, err)
		other, err := dispatch.New(store,
			dispatch.Config{Channels: registry, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		var hooks []*webhook.Subscription
		for range 50 {
			sub := &webhook.Subscription{Name: "x", EventTypes: []event.Pattern{"*"},
				Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}}}
			require.NoError(t, d.CreateSubscription(t.Context(), sub))
			hooks = append(hooks, sub)
		}
		b := &testBench{Dispatcher: d}
		b.run(t)
		opened.Store(0)
		b.emit(t, event.ObjectCreated)
		time.Sleep(2 * time.Second)
		assert.Len(t, store.take(), len(hooks))
		assert.EqualValues(t, len(hooks), opened.Load())

		// Deliveries that wait for seconds have their subscriptions read again, and
		// one that has not changed is not opened again.
		opened.Store(0)
		for range 5 {
			b.emit(t, event.ObjectCreated)
		}
		time.Sleep(10 * time.Second)
		assert.Len(t, store.take(), len(hooks))
		assert.Zero(t, opened.Load())

		require.NoError(t, other.UpdateSubscription(t.Context(), hooks[7]))
		opened.Store(0)
		b.emit(t, event.ObjectCreated)
		time.Sleep(2 * time.Second)
		assert.Equal(t, map[string]int{hooks[7].ID: 1}, store.take(),
			"a change reads the subscription that changed, and no other")
		assert.EqualValues(t, 1, opened.Load())
	})
}
