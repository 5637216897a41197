package dispatch_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// Deliveries that failed together come back one by one, none before the wait of the list, and none
// much later.
func TestWaitsOfAListHaveJitter(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	const wait, n = 1000 * time.Second, 60
	own := &webhook.Retry{Delays: []time.Duration{wait}}
	for name, test := range map[string]struct {
		cfg  dispatch.Config
		own  *webhook.Retry
		most time.Duration
	}{
		"of the Dispatcher":    {dispatch.Config{ScheduleJitter: 0.1}, nil, wait / 10},
		"of a subscription":    {dispatch.Config{ScheduleJitter: 0.1}, own, wait / 10},
		"as much as the list":  {dispatch.Config{ScheduleJitter: 1}, own, wait},
		"none":                 {dispatch.Config{ScheduleJitter: dispatch.NoJitter}, nil, 0},
		"none, a subscription": {dispatch.Config{ScheduleJitter: dispatch.NoJitter}, own, 0},
	} {
		if testing.Short() && test.own == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test.cfg.PollInterval = slowPoll
				test.cfg.Retry = dispatch.RetrySchedule{wait}
				if test.own != nil {
					test.cfg.Retry = dispatch.RetrySchedule{1}
				}
				var made atomic.Int64
				b := newBench(t, test.cfg, failing(&made))
				for range n {
					sub := b.subscribe(t, "*")
					sub.Retry = test.own
					require.NoError(t, b.UpdateSubscription(t.Context(), sub))
				}
				b.run(t)
				b.emit(t, event.ObjectCreated)
				elapse(time.Second)
				seen := map[time.Duration]bool{}
				least, most := 3*wait, time.Duration(0)
				for _, d := range b.deliveries(t, webhook.DeliveryQuery{}) {
					require.Len(t, d.Attempts, 1)
					waits := d.DueAt.Sub(d.Attempts[0].StartedAt)
					least, most, seen[waits] = min(least, waits), max(most, waits), true
				}
				assert.GreaterOrEqual(t, least, wait)
				assert.LessOrEqual(t, most, wait+test.most)
				if test.most == 0 {
					assert.Len(t, seen, 1)
					return
				}
				assert.GreaterOrEqual(t, len(seen), n-2, "two may be the same by chance")
				assert.Greater(t, most-least, test.most/2, "they are spread over all of it")
				elapse(3 * wait)
				assert.EqualValues(t, 2*n, made.Load())
			})
		})
	}
}

// What is no share of a wait is refused.
func TestScheduleJitterIsChecked(t *testing.T) {
	t.Parallel()
	for _, wrong := range []float64{-0.5, dispatch.FullJitter, 1.1} {
		_, err := dispatch.New(memstore.New(), dispatch.Config{ScheduleJitter: wrong})
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, "ScheduleJitter", invalid.Problems[0].Field)
	}
}
