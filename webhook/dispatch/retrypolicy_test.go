package dispatch_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

func TestRetryScheduleDecides(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{time.Minute, 10 * time.Minute}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{},
					status(500)
			})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(20 * time.Minute)
		delivery := b.only(t)
		assert.Equal(t, webhook.StatusDead, delivery.Status)
		if assert.Len(t, delivery.Attempts, 3) {
			for i, wait := range []time.Duration{time.Minute, 10 * time.Minute} {
				waited := delivery.Attempts[i+1].StartedAt.Sub(delivery.Attempts[i].StartedAt)
				assert.GreaterOrEqual(t, waited, wait)
				assert.LessOrEqual(t, waited, wait+500*time.Millisecond, "the next poll finds it")
			}
		}
	})
}

// The endpoint's Retry-After is kept, up to its maximum, whatever the policy says.
func TestRetryPolicyCannotShortenRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{time.Second}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{}, &channel.Error{Action: channel.Wait, StatusCode: 429,
					RetryAfter: 1000 * time.Hour}
			})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		delivery := b.only(t)
		assert.Equal(t, channel.MaxRetryAfter, delivery.DueAt.Sub(delivery.CreatedAt))
	})
}

// brokenPolicy is what a caller may write.
type brokenPolicy struct {
	dispatch.RetrySchedule
	next func() (time.Duration, bool)
}

func (p brokenPolicy) Next(dispatch.Failure) (time.Duration, bool) { return p.next() }

func (brokenPolicy) MaxWait() time.Duration { return dispatch.Forever }

func TestBrokenRetryPolicyIsHarmless(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for name, c := range map[string]struct {
		next   func() (time.Duration, bool)
		inDays float64
		logged string
	}{
		"negative": {next: func() (time.Duration, bool) { return -time.Hour, true }},
		"too long": {next: func() (time.Duration, bool) { return dispatch.Forever, true }, inDays: 365},
		"panic": {next: func() (time.Duration, bool) { panic("secret") },
			logged: "the retry policy panicked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var b *testBench
				fails := true
				b = newBench(t, dispatch.Config{
					Retry:  brokenPolicy{RetrySchedule: dispatch.RetrySchedule{0}, next: c.next},
					Logger: slog.New(slog.NewTextHandler(&log, nil)),
				}, func(context.Context, *channel.Message) (channel.Result, error) {
					if fails {
						fails = false
						return channel.Result{}, status(500)
					}
					return channel.Result{}, nil
				})
				b.subscribe(t, "*")
				stop := b.run(t)
				b.emit(t, event.ObjectCreated)
				elapse(time.Minute)
				stop()
				delivery := b.only(t)
				if c.inDays > 0 {
					assert.Equal(t, webhook.StatusPending, delivery.Status)
					assert.InDelta(t, c.inDays, delivery.DueAt.Sub(delivery.CreatedAt).Hours()/24, 0.01)
				} else {
					assert.Equal(t, webhook.StatusSucceeded, delivery.Status)
				}
				assert.Contains(t, log.String(), c.logged)
				assert.NotContains(t, log.String(), "msg=secret")
			})
		})
	}
}
