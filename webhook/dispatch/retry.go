package dispatch

import (
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/mixpeek/webhooks-go/event"
)

// RetryPolicy says when a failed delivery is tried again and when it is given
// up. The zero value is the default policy: 5 s after the first failure,
// doubling up to 1 h, for 3 days, which makes about 80 attempts.
//
// A receiver has to remember an event_id for longer than MaxElapsed; the
// receivers of this module remember for 7 days by default.
type RetryPolicy struct {
	// InitialInterval is the wait after the first failure. Defaults to 5 s.
	InitialInterval time.Duration
	// Multiplier is what each further wait grows by, at least 1. Defaults to 2.
	Multiplier float64
	// MaxInterval bounds the wait before jitter; it is at most a year.
	// Defaults to 1 h.
	MaxInterval time.Duration
	// Jitter spreads a wait evenly over ±Jitter of its length, so that
	// deliveries that failed together do not come back together. From 0
	// (which means the default) to 1; a negative one means none. Defaults to 0.2.
	Jitter float64
	// MaxAttempts bounds the attempts of a delivery, counted from zero after a
	// replay. Defaults to no bound.
	MaxAttempts int
	// MaxElapsed bounds the time from the emit, or the last replay, to the last
	// attempt. Defaults to 72 h; a negative one means no bound.
	MaxElapsed time.Duration
}

const maxWait = 365 * 24 * time.Hour

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.InitialInterval == 0 {
		p.InitialInterval = 5 * time.Second
	}
	if p.Multiplier == 0 {
		p.Multiplier = 2
	}
	if p.MaxInterval == 0 {
		p.MaxInterval = max(time.Hour, p.InitialInterval)
	}
	switch {
	case p.Jitter == 0:
		p.Jitter = 0.2
	case p.Jitter < 0:
		p.Jitter = 0
	}
	if p.MaxElapsed == 0 {
		p.MaxElapsed = 72 * time.Hour
	}
	return p
}

func (p RetryPolicy) validate(problems *event.Problems) {
	if p.InitialInterval < 0 {
		problems.Add("Retry.InitialInterval", "must not be negative")
	}
	if p.Multiplier < 1 || math.IsNaN(p.Multiplier) || math.IsInf(p.Multiplier, 0) {
		problems.Add("Retry.Multiplier", "must be at least 1")
	}
	if p.MaxInterval < p.InitialInterval {
		problems.Add("Retry.MaxInterval", "must not be less than InitialInterval")
	}
	if p.MaxInterval > maxWait {
		problems.Add("Retry.MaxInterval", "must be at most a year")
	}
	if p.Jitter > 1 || math.IsNaN(p.Jitter) {
		problems.Add("Retry.Jitter", "must be at most 1")
	}
	if p.MaxAttempts < 0 {
		problems.Add("Retry.MaxAttempts", "must not be negative")
	}
}

// next says when to try again after a failure at now, the tries-th since
// queuedAt. ok is false when the budget is spent. wait is what the endpoint
// asked for, zero if it did not ask.
func (p RetryPolicy) next(now, queuedAt time.Time, attempts int, wait time.Duration) (due time.Time, ok bool) {
	if p.MaxAttempts > 0 && attempts >= p.MaxAttempts {
		return time.Time{}, false
	}
	due = now.Add(max(p.delay(attempts), wait))
	if p.MaxElapsed > 0 && due.Sub(queuedAt) > p.MaxElapsed {
		return time.Time{}, false
	}
	return due, true
}

// delay is the wait after the tries-th failure, with jitter. A delivery outlives
// the process, so the interval is computed from the count; the library, which
// keeps the interval in memory, randomizes it.
func (p RetryPolicy) delay(attempts int) time.Duration {
	interval := float64(p.InitialInterval) * math.Pow(p.Multiplier, float64(attempts-1))
	one := backoff.ExponentialBackOff{
		InitialInterval:     time.Duration(min(interval, float64(p.MaxInterval))),
		RandomizationFactor: p.Jitter,
		Multiplier:          1,
		MaxInterval:         p.MaxInterval,
		Stop:                backoff.Stop,
		Clock:               backoff.SystemClock,
	}
	one.Reset()
	return one.NextBackOff()
}
