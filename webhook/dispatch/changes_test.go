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
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func TestAnIDUsedAgainIsAnotherSubscription(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		var mu sync.Mutex
		var sent []string
		driver := channel.DriverFunc(func(raw json.RawMessage) (channel.Channel, error) {
			cfg := string(raw)
			return channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, cfg)
				return channel.Result{StatusCode: 200}, nil
			}), nil
		})
		mk := func() *dispatch.Dispatcher {
			reg := channel.NewRegistry()
			require.NoError(t, reg.Register("webhook", driver))
			d, err := dispatch.New(store, dispatch.Config{Channels: reg,
				Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			return d
		}
		manager, worker := mk(), mk()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = worker.Run(ctx); close(done) }()
		w := func(org, url string) *webhook.Subscription {
			return &webhook.Subscription{ID: "wh_0123456789abcdef", OrganizationID: org, Name: "x",
				EventTypes: []event.Pattern{"*"},
				Channels:   []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: url})}}
		}
		require.NoError(t, manager.CreateSubscription(ctx, w("orgA", "https://a/")))
		ev := func(org string) *event.Event {
			e := newEvent(
				event.ObjectCreated)
			e.OrganizationID = org
			return e
		}
		require.NoError(t, errorOf(manager.Emit(ctx, ev("orgA"))))
		time.Sleep(2 * time.Second)
		require.NoError(t, manager.DeleteSubscription(ctx, "orgA", "wh_0123456789abcdef", 0))
		require.NoError(t, manager.CreateSubscription(ctx, w("orgB", "https://b/")))
		require.NoError(t, errorOf(manager.Emit(ctx, ev("orgB"))))
		time.Sleep(time.Hour)
		require.NoError(t, errorOf(manager.Emit(ctx, ev("orgB"))))
		time.Sleep(2 * time.Second)
		cancel()
		<-done
		assert.Equal(t, []string{`{"url":"https://a/"}`, `{"url":"https://b/"}`, `{"url":"https://b/"}`},
			sent)
	})
}

func TestAPauseInAnotherProcessStopsWhatIsQueued(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		var after, total atomic.Int32
		var paused atomic.Bool
		b := benchOn(t, store, dispatch.Config{},
			func(context.Context, *channel.Message) (channel.Result, error) {
				total.Add(1)
				if paused.Load() {
					after.Add(1)
				}
				time.Sleep(5 * time.Second)
				return channel.Result{StatusCode: 200}, nil
			})
		other := benchOn(t, store, dispatch.Config{}, accept)
		sub := b.subscribe(t, "*")
		b.run(t)
		for range 150 {
			b.emit(t, event.ObjectCreated)
		}
		time.Sleep(time.Second)
		sub.Paused = true
		require.NoError(t, other.UpdateSubscription(t.Context(), sub))
		paused.Store(true)
		time.Sleep(10 * time.Minute)
		assert.Zero(t, after.Load(), "of %d", total.Load())
	})
}

func TestAnAnswerOfTheOldURLDoesNotDisableTheNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{},
			func(context.Context, *channel.Message) (channel.Result, error) {
				time.Sleep(5 * time.Second)
				return channel.Result{StatusCode: 410}, status(410)
			})
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Second)
		sub.Channels = []webhook.ChannelConfig{webhook.Via(
			httpendpoint.Config{URL: "https://new.example.com/"})}
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		time.Sleep(10 * time.Second)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health,
			"the answer of the old URL disabled the endpoint with the new one")
	})
}

func TestCancelStopsWhatIsQueued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		b := newBench(t, dispatch.Config{MaxInFlightPerEndpoint: 1},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				sent = append(sent, m.DeliveryID)
				time.Sleep(time.Second)
				return channel.Result{StatusCode: 200}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		synctest.Wait() // so that Run takes both, in their order
		b.emit(t, event.ObjectCreated)
		b.emit(t, event.ObjectCreated)
		synctest.Wait()
		require.NoError(t, b.Cancel(t.Context(), "", 2))
		time.Sleep(5 * time.Second)
		assert.Equal(t, []string{"dlv_1"}, sent, "a delivery was sent after Cancel had returned")
	})
}

func TestPutSubscriptionNeedsAnID(t *testing.T) {
	t.Parallel()
	b := newBench(t, dispatch.Config{}, accept)
	put := func() error {
		return b.PutSubscription(t.Context(),
			&webhook.Subscription{Name: "x", EventTypes: []event.Pattern{"*"},
				Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}}})
	}
	_ = put()
	_ = put()
	list, err := b.Subscriptions(t.Context(), webhook.SubscriptionQuery{})
	require.NoError(t, err)
	assert.Empty(t, list)
}

// replayedMeanwhile is a store in which a cancelled delivery is replayed, and claimed again, before
// Cancel returns.
type replayedMeanwhile struct{ webhook.Store }

func (s replayedMeanwhile) Cancel(
	ctx context.Context, now time.Time, organizationID string, id webhook.DeliveryID,
) error {
	if err := s.Store.Cancel(ctx, now, organizationID, id); err != nil {
		return err
	}
	err := s.Store.Replay(ctx, now, organizationID, id)
	time.Sleep(2 * time.Second)
	return err
}

// Cancel ends the lease that it found, and not one that came after a replay.
func TestCancelLeavesALaterLeaseAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{takes: 5 * time.Second}
		b := benchOn(t, replayedMeanwhile{memstore.New()},
			dispatch.Config{MaxInFlightPerEndpoint: 1, PollInterval: time.Second}, endpoint.send)
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		require.NoError(t, b.Cancel(t.Context(), "", b.only(t).ID))
		elapse(20 * time.Second)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}
