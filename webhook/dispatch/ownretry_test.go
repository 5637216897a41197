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
	const minute = time.Minute
	for name, test := range map[string]struct {
		own  *webhook.Retry
		asks time.Duration   // what the endpoint asks for
		want []time.Duration // when attempts are made; the last one is that of the death
	}{
		"none":         {nil, 0, []time.Duration{0, minute, 3 * minute, 7 * minute}},
		"zero":         {&webhook.Retry{}, 0, []time.Duration{0, minute, 3 * minute, 7 * minute}},
		"no retry":     {&webhook.Retry{MaxAttempts: 1}, 0, []time.Duration{0}},
		"max attempts": {&webhook.Retry{MaxAttempts: 3}, 0, []time.Duration{0, minute, 3 * minute}},
		"max age": {&webhook.Retry{MaxAge: 3*minute + time.Second}, 0,
			[]time.Duration{0, minute, 3 * minute}},
		"delays": {&webhook.Retry{Delays: []time.Duration{5 * minute, 0, minute}}, 0,
			[]time.Duration{0, 5 * minute, 5 * minute, 6 * minute}},
		"delays and max attempts": {&webhook.Retry{
			Delays: []time.Duration{5 * minute, minute}, MaxAttempts: 2,
		}, 0, []time.Duration{0, 5 * minute}},
		"delays and max age": {&webhook.Retry{
			Delays: []time.Duration{5 * minute, minute}, MaxAge: 5*minute + time.Second,
		}, 0, []time.Duration{0, 5 * minute}},
		"asked for more": {&webhook.Retry{
			Delays: []time.Duration{minute, minute, minute}, MaxAge: time.Hour,
		}, 25 * minute, []time.Duration{0, 25 * minute, 50 * minute}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var made []time.Duration
				b := newBench(t, dispatch.Config{
					Retry: dispatch.RetrySchedule{minute, 2 * minute, 4 * minute},
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
				elapse(3 * time.Hour)
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
