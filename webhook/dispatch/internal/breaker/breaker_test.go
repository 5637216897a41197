package breaker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// fail records a failure of n deliveries each.
func fail(b *breaker.Breaker, now time.Time, first int64, n int, retry bool) {
	for i := range n {
		b.Record(now, breaker.Observation{Health: breaker.Unhealthy}, first+int64(i), retry, 1)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	var b breaker.Breaker
	now := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	for range 50 {
		fail(&b, now, 1, breaker.FailureThreshold-1, true)
	}
	assert.False(t, b.Tripped(),
		"deliveries that fail again and again say less about the endpoint than about themselves")
	b.Record(now, breaker.Observation{Health: breaker.Healthy}, 100, false, 1)
	fail(&b, now, 1, breaker.FailureThreshold-1, false)
	assert.False(t, b.Tripped(), "an answer ends the count")
	fail(&b, now, 200, 1, false)
	assert.True(t, b.Tripped())
	assert.True(t, b.BackingOff(now))

	for range 10 { // what has failed goes on failing
		now = b.BackingOffRetriesUntil()
		fail(&b, now, 1, 1, true)
	}
	assert.False(t, b.BackingOff(now), "that does not hold back what was never attempted")
	assert.True(t, b.BackingOffRetries(now))
	assert.Equal(t, now.Add(breaker.MaxBackoff), b.BackingOffRetriesUntil())
	for _, seconds := range []float64{2, 4, 8, 16, 32, 60, 60} {
		wait := time.Duration(seconds * float64(time.Second))
		fail(&b, now, 300, 5, false) // what was under way when the backoff began does not count
		assert.Equal(t, now.Add(wait), b.BackingOffUntil())
		assert.False(t, b.BackingOffRetriesUntil().Before(b.BackingOffUntil()))
		now = now.Add(wait)
	}

	b.Record(now, breaker.Observation{Health: breaker.Healthy}, 100, true, 1)
	assert.False(t, b.Tripped() || b.BackingOffRetries(now))
	b.Record(
		now,
		breaker.Observation{Health: breaker.Unhealthy, RetryAfter: time.Hour},
		400,
		false,
		1,
	)
	b.Record(now, breaker.Observation{Health: breaker.Healthy}, 401, false, 1)
	assert.Equal(t, now.Add(time.Hour), b.BackingOffUntil(),
		"an answer to an earlier request does not end the backoff that was asked for")
	now = now.Add(time.Hour)
	assert.False(t, b.BackingOff(now))
}

func TestAFewDeliveriesAreNotTheEndpoint(t *testing.T) {
	t.Parallel()
	var b breaker.Breaker
	now := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	failed := breaker.Observation{Health: breaker.Unhealthy}
	for range 50 {
		for id := range int64(breaker.FailureThreshold - 1) {
			b.Record(now, failed, id, true, 4)
		}
	}
	assert.True(t, b.Tripped())
	assert.False(t, b.FailsAsAWhole(), "the same deliveries fail again and again")
	b.Record(now, failed, 100, false, 4)
	assert.True(t, b.FailsAsAWhole())
	b.Record(now, breaker.Observation{Health: breaker.Healthy}, 101, false, 1)
	assert.False(t, b.FailsAsAWhole())
	asksForTime := breaker.Observation{Health: breaker.Unhealthy, RetryAfter: time.Second}
	for range breaker.FailureThreshold {
		b.Record(now, asksForTime, 1, true, 1)
	}
	assert.False(t, b.FailsAsAWhole(), "one delivery that is told to wait says little of the others")
	assert.True(t, b.Tripped(), "but the endpoint is left alone for longer and longer")
	for id := range int64(breaker.FailureThreshold - 1) {
		assert.False(t, b.FailsAsAWhole())
		b.Record(now, asksForTime, 200+id, false, 1)
	}
	assert.True(t, b.FailsAsAWhole())
}
