package outage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

func TestKeyedThrottle(t *testing.T) {
	t.Parallel()
	b := outage.KeyedThrottle[int]{PerKey: 3, PerMinute: 5, MaxKeys: 4}
	at := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	passed := func(key, times int) (n int) {
		for range times {
			if b.Allow(at, key) {
				n++
			}
		}
		return n
	}
	held, some := b.EndMinute(at, true)
	assert.False(t, some, "nothing was held back: %v", held)
	assert.Equal(t, 3, passed(1, 10), "one key has its bound")
	assert.Equal(t, 2, passed(2, 10), "and all of them together")
	assert.Equal(t, 1, passed(3, 2), "the first message about a key always passes")
	assert.Equal(t, 1, passed(4, 1))
	assert.Zero(t, passed(5, 20), "as long as the keys are remembered")
	at = at.Add(time.Minute - time.Second)
	_, some = b.EndMinute(at, false)
	assert.False(t, some, "the minute is not over")
	at = at.Add(time.Second)
	held, some = b.EndMinute(at, false)
	assert.True(t, some)
	assert.Equal(t, outage.Held[int]{Messages: 7 + 8 + 1 + 20, MostKey: 2, MostMessages: 8}, held)
	assert.Equal(t, 3, passed(5, 20), "each minute has its own")
	held, _ = b.EndMinute(at, true)
	assert.Equal(t, outage.Held[int]{Messages: 17, MostKey: 5, MostMessages: 17}, held)
}
