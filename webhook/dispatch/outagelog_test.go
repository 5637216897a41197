package dispatch

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
)

func TestOutageIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		outage := newOutage(slog.New(slog.NewTextHandler(&log, nil)), "test")
		begun := func() int { return strings.Count(log.String(), "the store fails") }
		ended := func() int { return strings.Count(log.String(), "works again") }

		for range 1000 { // every other call fails, for half a minute
			outage.failed(t.Context(), errors.New("full"))
			assert.True(t, outage.ongoing())
			outage.over(t.Context())
			assert.False(t, outage.ongoing())
			time.Sleep(30 * time.Millisecond)
		}
		assert.Equal(t, []int{1, 1}, []int{begun(), ended()})

		for range 40 { // and now every call
			outage.failed(t.Context(), errors.New("full"))
			time.Sleep(time.Second)
		}
		assert.Equal(t, []int{2, 1}, []int{begun(), ended()}, "what goes on is logged when the minute is over")
		outage.over(t.Context())
		outage.over(t.Context())
		assert.Equal(t, []int{2, 2}, []int{begun(), ended()})
		assert.Contains(t, log.String(), "after=40s")
	})
}

func TestOutageWaitsLongerAndLonger(t *testing.T) {
	t.Parallel()
	outage := newOutage(slog.New(slog.DiscardHandler), "test")
	var last time.Duration
	for range 20 {
		last = outage.failed(t.Context(), errors.New("down"))
	}
	assert.InDelta(t, 5*time.Second, last, float64(2500*time.Millisecond), "half as much more or less")
	outage.over(t.Context())
	assert.Less(t, outage.failed(t.Context(), errors.New("down")), 100*time.Millisecond)
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var th throttle
		var passed []int
		for range 600 { // ten a second, for a minute
			if skipped, ok := th.allow(time.Now()); ok {
				passed = append(passed, skipped)
			}
			time.Sleep(100 * time.Millisecond)
		}
		skipped, ok := th.allow(time.Now())
		assert.True(t, ok)
		assert.Equal(t, []int{0, 599}, append(passed, skipped))
	})
}

// However little an error says, the history says what failed.
func TestReasonIsNeverEmpty(t *testing.T) {
	t.Parallel()
	for status := range 1000 {
		if err := channel.Classify(status, nil, time.Time{}); err != nil {
			var a webhook.Attempt
			failed(&a, err)
			assert.NotEmpty(t, a.Error, status)
			assert.NotEmpty(t, a.Class, status)
		}
	}
	for want, err := range map[string]error{
		"the endpoint answered 503 Service Unavailable":                channel.Classify(503, nil, time.Time{}),
		"the endpoint answered 799":                                    channel.Classify(799, nil, time.Time{}),
		"the endpoint redirects with 302 Found, which is not followed": channel.Classify(302, nil, time.Time{}),
		"the attempt failed":                                           &channel.Error{},
		"no complete answer in time":                                   &channel.Error{Class: channel.ClassTimeout, StatusCode: 200, Err: errors.New("no complete answer in time")},
	} {
		var a webhook.Attempt
		failed(&a, err)
		assert.Equal(t, want, a.Error)
	}
}
