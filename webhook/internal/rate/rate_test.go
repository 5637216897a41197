package rate_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook/internal/rate"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	l := rate.Limiter{PerMinute: 6, Burst: 2}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.Zero(t, l.Take("a", now))
	assert.Zero(t, l.Take("a", now))
	assert.Equal(t, 10*time.Second, l.Take("a", now))
	for i := range 2000 { // others, of whom those that have a full bucket are dropped
		assert.Zero(t, l.Take(strconv.Itoa(i), now))
	}
	assert.Equal(t, 5*time.Second, l.Take("a", now.Add(5*time.Second)))
	assert.Zero(t, l.Take("a", now.Add(10*time.Second)))
	assert.Equal(t, 10*time.Second, l.Take("a", now.Add(10*time.Second)))
	assert.Equal(t, 10*time.Second, l.Take("a", now), "a clock that goes back earns nothing")
	assert.Zero(t, l.Take("a", now.Add(time.Hour)))
	assert.Zero(t, l.Take("a", now.Add(time.Hour)))
	assert.NotZero(t, l.Take("a", now.Add(time.Hour)), "not more than the burst is saved up")
}
