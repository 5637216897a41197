package outage_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

func TestOutageIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := outage.NewLog(slog.New(slog.NewJSONHandler(&log, nil)), "test")
		begun := func() int { return strings.Count(log.String(), "the store fails") }
		ended := func() int { return strings.Count(log.String(), "works again") }

		for range 1000 { // every other call fails, for half a minute
			l.Failed(t.Context(), errors.New("full"))
			assert.True(t, l.Ongoing())
			l.Over(t.Context())
			assert.False(t, l.Ongoing())
			time.Sleep(30 * time.Millisecond)
		}
		assert.Equal(t, []int{1, 1}, []int{begun(), ended()})

		for range 40 { // and now every call
			l.Failed(t.Context(), errors.New("full"))
			time.Sleep(time.Second)
		}
		assert.Equal(t, []int{2, 1}, []int{begun(), ended()},
			"what goes on is logged when the minute is over")
		l.Over(t.Context())
		l.Over(t.Context())
		assert.Equal(t, []int{2, 2}, []int{begun(), ended()})
		assert.Contains(t, log.String(), `"outage":"40s"`)
	})
}

func TestOutageWaitsLongerAndLonger(t *testing.T) {
	t.Parallel()
	l := outage.NewLog(slog.New(slog.DiscardHandler), "test")
	var last time.Duration
	for range 20 {
		last = l.Failed(t.Context(), errors.New("down"))
	}
	assert.InDelta(t, 5*time.Second, last, float64(2500*time.Millisecond), "half as much more or less")
	l.Over(t.Context())
	assert.Less(t, l.Failed(t.Context(), errors.New("down")), 100*time.Millisecond)
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var th outage.Throttle
		var passed []int
		for range 600 { // ten a second, for a minute
			if skipped, ok := th.Allow(time.Now()); ok {
				passed = append(passed, skipped)
			}
			time.Sleep(100 * time.Millisecond)
		}
		skipped, ok := th.Allow(time.Now())
		assert.True(t, ok)
		assert.Equal(t, []int{0, 599}, append(passed, skipped))
	})
}
