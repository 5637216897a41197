package dispatch_test

import (
	"context"
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
)

// emitTTL emits an event with a time to live.
func (b *testBench) emitTTL(t *testing.T, ttl time.Duration) {
	t.Helper()
	e := newEvent(event.ObjectCreated)
	e.TTL = ttl
	require.NoError(t, errorOf(b.Emit(t.Context(), e)))
}

// failing is a channel whose attempts fail, which counts them.
func failing(made *atomic.Int64) func(context.Context, *channel.Message) (channel.Result, error) {
	return func(context.Context, *channel.Message) (channel.Result, error) {
		made.Add(1)
		return channel.Result{}, status(503)
	}
}

// A delivery is dead as soon as its next attempt would come after the time to live.
func TestRetriesNeverGoBeyondTheTimeToLive(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for name, test := range map[string]struct {
		ttl  time.Duration
		want int // attempts
	}{
		"before the first retry":  {time.Minute, 1},
		"after the first retry":   {2 * time.Minute, 2},
		"after all retries":       {time.Hour, 3},
		"no time to live":         {0, 3},
		"long after the last one": {webhook.MaxTTL, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var made atomic.Int64
				b := newBench(t, dispatch.Config{
					PollInterval: slowPoll,
					Retry:        dispatch.RetrySchedule{time.Minute, 10 * time.Minute},
				}, failing(&made))
				b.subscribe(t, "*")
				b.run(t)
				synctest.Wait()
				b.emitTTL(t, test.ttl)
				elapse(30 * time.Second)
				assert.Equal(t, test.want > 1, b.only(t).Status == webhook.StatusPending,
					"it is dead at once, and does not wait for the end")
				elapse(20 * time.Minute)
				assert.EqualValues(t, test.want, made.Load())
				got := b.only(t)
				assert.Equal(t, webhook.StatusDead, got.Status)
				require.Len(t, got.Attempts, test.want, "nothing but attempts is in the history")
				last := got.Attempts[test.want-1].Error
				if test.want < 3 {
					assert.Contains(t, last, "time to live ends before the next attempt")
				} else {
					assert.NotContains(t, last, "time to live")
				}
			})
		})
	}
}

// What waited for too long is not attempted, and says why it is dead. A replay begins again.
func TestADeliveryThatWaitsTooLongExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int64
		b := newBench(t, dispatch.Config{}, func(
			context.Context, *channel.Message,
		) (channel.Result, error) {
			made.Add(1)
			return channel.Result{StatusCode: 200}, nil
		})
		sub := b.subscribe(t, "*")
		b.run(t)
		synctest.Wait()
		sub.Paused = true
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		b.emitTTL(t, time.Minute)
		elapse(time.Minute)
		assert.Equal(t, webhook.StatusPaused, b.only(t).Status)
		sub.Paused = false
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		elapse(2 * time.Second)
		got := b.only(t)
		assert.Zero(t, made.Load())
		assert.Equal(t, webhook.StatusDead, got.Status)
		require.Len(t, got.Attempts, 1)
		assert.Equal(t, string(dispatch.ClassExpired), got.Attempts[0].Class)
		assert.Equal(t, got.CreatedAt.Add(time.Minute), got.ExpiresAt)

		require.NoError(t, b.Replay(t.Context(), "", got.ID))
		elapse(2 * time.Second)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
		assert.EqualValues(t, 1, made.Load())
	})
}

// An expired delivery uses up no probe of an endpoint that is degraded.
func TestAnExpiredDeliveryIsNoProbe(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		broken := true
		b := newBench(t, dispatch.Config{PollInterval: slowPoll}, func(
			context.Context, *channel.Message,
		) (channel.Result, error) {
			if broken {
				return channel.Result{}, status(503)
			}
			return channel.Result{StatusCode: 200}, nil
		})
		b.subscribe(t, "*")
		b.run(t)
		synctest.Wait()
		for range 20 {
			b.emitTTL(t, 30*time.Minute)
		}
		elapse(5 * time.Minute)
		states, err := b.EndpointStates(t.Context(), webhook.EndpointQuery{})
		require.NoError(t, err)
		require.Len(t, states, 1)
		require.Equal(t, webhook.Degraded, states[0].Health)
		elapse(30 * time.Minute) // all but what comes now has expired
		broken = false
		b.emit(t, event.ObjectUpdated)
		elapse(31 * time.Minute)
		dead, succeeded := 0, 0
		for _, d := range b.deliveries(t, webhook.DeliveryQuery{}) {
			switch d.Status {
			case webhook.StatusDead:
				dead++
				assert.Equal(t, string(dispatch.ClassExpired), d.Attempts[len(d.Attempts)-1].Class)
			case webhook.StatusSucceeded:
				succeeded++
			default:
				t.Errorf("%s is %s", d.ID, d.Status)
			}
		}
		assert.Equal(t, 20, dead)
		assert.Equal(t, 1, succeeded)
	})
}

func TestAWrongTimeToLiveIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		for _, ttl := range []time.Duration{-1, time.Millisecond - 1, webhook.MaxTTL + 1} {
			e := newEvent(event.ObjectCreated)
			e.TTL = ttl
			_, err := b.Emit(t.Context(), e)
			var invalid *event.ValidationError
			require.ErrorAs(t, err, &invalid, "%v", ttl)
			assert.Equal(t, "TTL", invalid.Problems[0].Field)
		}
	})
}
