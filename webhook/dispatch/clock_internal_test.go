package dispatch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// When the clock of a process is set ahead, all its leases seem to have ended. It gives back what is
// queued, and delivers it as soon as the store has told the time.
func TestAClockThatIsSetAheadLosesNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		channels := channel.NewRegistry()
		require.NoError(t, channels.Register("webhook",
			channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
				time.Sleep(300 * time.Millisecond)
				return channel.Result{}, nil
			})))
		d, err := New(memstore.New(), Config{Channels: channels, MaxInFlightPerEndpoint: 1,
			PollInterval: time.Second})
		require.NoError(t, err)
		require.NoError(t, d.CreateSubscription(t.Context(), &webhook.Subscription{Name: "a",
			EventTypes: []event.Pattern{"*"},
			Channels:   []webhook.ChannelConfig{{Channel: "webhook", Configs: []byte(`{}`)}}}))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		synctest.Wait()
		for range 5 {
			e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
			e.Namespace = "acme"
			_, err := d.Emit(t.Context(), e)
			require.NoError(t, err)
		}
		time.Sleep(100 * time.Millisecond)
		d.clock.mu.Lock()
		d.clock.known.wall = d.clock.known.wall.Add(-time.Hour)
		d.clock.mu.Unlock()

		time.Sleep(5 * time.Second)
		done, err := d.Deliveries(t.Context(), webhook.DeliveryQuery{Status: webhook.StatusSucceeded})
		require.NoError(t, err)
		assert.Len(t, done, 5, "none waits for the end of its lease")
		cancel()
		require.NoError(t, <-ended)
	})
}
