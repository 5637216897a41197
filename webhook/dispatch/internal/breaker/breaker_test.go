package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// fail records a failure of n deliveries each.
func fail(b *breaker.Breaker, first int64, n int, retry bool) {
	for i := range n {
		b.Record(breaker.Observation{Health: breaker.Unhealthy}, first+int64(i), retry, 1)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b breaker.Breaker
		for range 50 {
			fail(&b, 1, breaker.Threshold-1, true)
		}
		assert.False(t, b.Tripped(),
			"deliveries that fail again and again say less about the endpoint than about themselves")
		b.Record(breaker.Observation{Health: breaker.Healthy}, 100, false, 1)
		fail(&b, 1, breaker.Threshold-1, false)
		assert.False(t, b.Tripped(), "an answer ends the count")
		fail(&b, 200, 1, false)
		assert.True(t, b.Tripped())
		assert.True(t, b.BackingOff())

		for range 10 { // what has failed goes on failing
			time.Sleep(time.Until(b.BackingOffRetriesUntil()))
			fail(&b, 1, 1, true)
		}
		assert.False(t, b.BackingOff(), "that does not hold back what was never attempted")
		assert.True(t, b.BackingOffRetries())
		assert.Equal(t, time.Now().Add(breaker.MaxBackoff), b.BackingOffRetriesUntil())
		for _, wait := range []float64{2, 4, 8, 16, 32, 60, 60} {
			wait := time.Duration(wait * float64(time.Second))
			fail(&b, 300, 5, false) // what was under way when the backoff began does not count
			assert.Equal(t, time.Now().Add(wait), b.BackingOffUntil())
			assert.False(t, b.BackingOffRetriesUntil().Before(b.BackingOffUntil()))
			time.Sleep(wait)
		}

		b.Record(breaker.Observation{Health: breaker.Healthy}, 100, true, 1)
		assert.False(t, b.Tripped() || b.BackingOffRetries())
		b.Record(breaker.Observation{Health: breaker.Unhealthy, RetryAfter: time.Hour}, 400, false, 1)
		b.Record(breaker.Observation{Health: breaker.Healthy}, 401, false, 1)
		assert.Equal(t, time.Now().Add(time.Hour), b.BackingOffUntil(),
			"an answer to an earlier request does not end the backoff that was asked for")
		time.Sleep(time.Hour)
		assert.False(t, b.BackingOff())
	})
}
