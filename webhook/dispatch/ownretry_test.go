package dispatch_test

import (
	"context"
	"errors"
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

func TestASubscriptionHasItsOwnRetryPolicy(t *testing.T) {
	t.Parallel()
	const unit = 10 * time.Second
	for name, test := range map[string]struct {
		own  *webhook.Retry
		asks time.Duration   // what the endpoint asks for
		want []time.Duration // when attempts are made; the last one is that of the death
	}{
		"none":         {nil, 0, []time.Duration{0, unit, 3 * unit, 7 * unit}},
		"zero":         {&webhook.Retry{}, 0, []time.Duration{0, unit, 3 * unit, 7 * unit}},
		"no retry":     {&webhook.Retry{MaxAttempts: 1}, 0, []time.Duration{0}},
		"max attempts": {&webhook.Retry{MaxAttempts: 3}, 0, []time.Duration{0, unit, 3 * unit}},
		"max age": {&webhook.Retry{MaxAge: 3*unit + time.Second}, 0,
			[]time.Duration{0, unit, 3 * unit}},
		"delays": {&webhook.Retry{Delays: []time.Duration{5 * unit, 0, unit}}, 0,
			[]time.Duration{0, 5 * unit, 5 * unit, 6 * unit}},
		"delays and max attempts": {&webhook.Retry{
			Delays: []time.Duration{5 * unit, unit}, MaxAttempts: 2,
		}, 0, []time.Duration{0, 5 * unit}},
		"delays and max age": {&webhook.Retry{
			Delays: []time.Duration{5 * unit, unit}, MaxAge: 5*unit + time.Second,
		}, 0, []time.Duration{0, 5 * unit}},
		"asked for more": {&webhook.Retry{
			Delays: []time.Duration{unit, unit, unit}, MaxAge: 60 * unit,
		}, 25 * unit, []time.Duration{0, 25 * unit, 50 * unit}},
	} {
		if testing.Short() && name != "none" && name != "delays and max attempts" && name != "max age" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, lasts := time.Now(), 20*unit
				if test.asks > 0 {
					lasts = 100 * unit
				}
				var made []time.Duration
				b := newBench(t, dispatch.Config{
					Retry: dispatch.RetrySchedule{unit, 2 * unit, 4 * unit},
				}, func(context.Context, *channel.Message) (channel.Result, error) {
					made = append(made, time.Since(start))
					if test.asks > 0 {
						return channel.Result{}, &channel.Error{
							Action: channel.Wait, RetryAfter: test.asks, StatusCode: 503,
						}
					}
					return channel.Result{}, errors.New("no connection")
				})
				sub := b.subscribe(t, "*")
				sub.Retry = test.own
				require.NoError(t, b.UpdateSubscription(t.Context(), sub))
				b.run(t)
				synctest.Wait()
				b.emit(t, event.ObjectCreated)
				elapse(lasts)
				require.Len(t, made, len(test.want), "%v", made)
				for i, want := range test.want {
					late := made[i] - want // each retry waits for a poll
					assert.True(t, 0 <= late && late <= time.Duration(i)*time.Second/2, "%v", made)
				}
				assert.Equal(t, webhook.StatusDead, b.only(t).Status)
			})
		})
	}
}

func TestAWrongRetryPolicyOfASubscriptionIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		sub := b.subscribe(t, "*")
		sub.Retry = &webhook.Retry{MaxAttempts: -1}
		var invalid *event.ValidationError
		require.ErrorAs(t, b.UpdateSubscription(t.Context(), sub), &invalid)
		require.Len(t, invalid.Problems, 1)
		assert.Equal(t, "retry.max_attempts", invalid.Problems[0].Field)
	})
}
