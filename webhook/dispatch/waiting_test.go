package dispatch_test

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
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// A delivery that is not settled says why, and until when, whatever it waits for.
func TestWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer, began := 200, make(chan struct{})
		b := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{time.Hour}},
			func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
				switch answer {
				case 0:
					close(began)
					<-ctx.Done()
					return channel.Result{}, channel.ContextError(ctx)
				case 200:
					return channel.Result{StatusCode: 200}, nil
				}
				return channel.Result{}, status(answer)
			})
		sub := b.subscribe(t, "*")
		e := webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}
		of := func(id webhook.DeliveryID) *dispatch.Waiting {
			d, err := b.Delivery(t.Context(), "", id)
			require.NoError(t, err)
			w, err := b.Waiting(t.Context(), d)
			require.NoError(t, err)
			return w
		}
		want := func(reason dispatch.WaitReason, since, until time.Time, says string) {
			t.Helper()
			w := of(1)
			require.NotNil(t, w)
			assert.Equal(t, reason, w.Reason)
			assert.WithinDuration(t, since, w.Since, 0, "since")
			assert.WithinDuration(t, until, w.Until, 0, "until")
			assert.Contains(t, w.Detail, says)
		}
		never := time.Time{}
		start := time.Now()
		b.emit(t, event.ObjectCreated)
		want(dispatch.WaitTurn, start, never, "It is due, and waits for a process")

		sub.RateLimit = &webhook.RateLimit{PerSecond: 0.1}
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		b.emit(t, event.ObjectCreated)
		want(dispatch.WaitRateLimit, start, start.Add(20*time.Second),
			"has a rate limit of 0.1 a second, less for a while after a 429. Deliveries of the webhook that "+
				"wait or are in flight: 2.")
		require.NoError(t, b.Cancel(t.Context(), "", 2))
		sub.RateLimit, sub.Paused = nil, true
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		want(dispatch.WaitPaused, never, never, "until a person resumes it")
		sub.Paused = false
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))

		time.Sleep(time.Minute)
		disabledAt := time.Now()
		require.NoError(t, b.DisableEndpoint(t.Context(), "", e, "ann"))
		want(dispatch.WaitDisabled, disabledAt, never, "Its endpoint is disabled by ann. Nothing")
		require.NoError(t, b.EnableEndpoint(t.Context(), "", e, "ann"))

		answer = 422
		stop := b.run(t)
		elapse(time.Second)
		stop()
		w := of(1)
		assert.Equal(t, dispatch.WaitRetry, w.Reason)
		assert.WithinDuration(t, disabledAt.Add(time.Hour), w.Until, time.Second)

		state, err := b.EndpointState(t.Context(), "", e)
		require.NoError(t, err)
		since := time.Now()
		state.Health, state.Since, state.NextProbe = webhook.Degraded, since, since.Add(time.Minute)
		state.Cause = &webhook.EndpointCause{Class: "status", StatusCode: 503, Error: "it answered 503"}
		require.NoError(t, webhook.SetEndpointState(t.Context(), b.store, &state, 0))
		want(dispatch.WaitDegraded, since, since.Add(time.Minute),
			"Its endpoint is degraded: it answered 503. One delivery at a time probes it")
		require.NoError(t, b.EnableEndpoint(t.Context(), "", e, "ann"))

		answer = 0
		time.Sleep(time.Hour)
		stop = b.run(t)
		<-began
		w = of(1)
		assert.Equal(t, dispatch.WaitInFlight, w.Reason)
		assert.True(t, w.Until.After(time.Now()), "when the lease ends")
		stop()
		require.NoError(t, b.Cancel(t.Context(), "", 1))
		assert.Nil(t, of(1), "it is settled")

		answer = 200
		require.NoError(t, b.Replay(t.Context(), "", 1))
		require.NoError(t, b.DeleteSubscription(t.Context(), "", sub.ID, 0))
		assert.Nil(t, of(1), "its subscription is gone")
	})
}

// A delivery in a line names the one that has its turn, and one that was replayed for later when it
// is due.
func TestWaitingInLineAndForAReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		sub := b.subscribe(t, "*")
		sub.Ordering = &webhook.Ordering{}
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		b.emit(t, event.ObjectCreated)
		b.emit(t, event.ObjectCreated)
		list := b.deliveries(t, webhook.DeliveryQuery{})
		w, err := b.Waiting(t.Context(), &list[0])
		require.NoError(t, err)
		assert.Equal(t, &dispatch.Waiting{Reason: dispatch.WaitInLine,
			Detail: "dlv_1, an earlier event about the same subject, has its turn."}, w)

		require.NoError(t, b.Drain(t.Context()))
		due := time.Now().Add(time.Hour)
		require.NoError(t, b.store.Replay(t.Context(), due, "", 1))
		d, err := b.Delivery(t.Context(), "", 1)
		require.NoError(t, err)
		w, err = b.Waiting(t.Context(), d)
		require.NoError(t, err)
		assert.Equal(t, dispatch.WaitScheduled, w.Reason)
		assert.WithinDuration(t, due, w.Until, time.Microsecond)
		assert.Equal(t, "It was replayed, and is not due yet.", w.Detail)
	})
}
