package dispatch

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
)

// RetryPolicy says when a failed delivery is tried again and when it is given up:
// [ExponentialRetry], [RetrySchedule], or one of the caller's own. Its methods are safe
// for concurrent use and do not block. Deliveries outlive the process, so a policy
// decides by the Failure alone and keeps nothing.
//
// A receiver has to remember an event_id for longer than a policy goes on; the
// receivers of this module remember for 7 days by default.
type RetryPolicy interface {
	// Next returns how long to wait after the failure, or false to give up. The Dispatcher waits for
	// at least Failure.RetryAfter, and at most a year. If Next panics, the Dispatcher logs it and uses
	// the default policy for that failure.
	Next(f Failure) (wait time.Duration, again bool)
	// MaxWait returns the longest wait that Next can return. A delivery that waits much longer was
	// stored under a wrong clock, and the Dispatcher makes it due at once.
	MaxWait() time.Duration
	// Validate returns an error if the policy is invalid. New then returns an error that contains it.
	Validate() error
}

// Failure is what a RetryPolicy decides by.
type Failure struct {
	// Attempts is how many attempts have failed since the event was emitted or last replayed, at
	// least 1. Probes of a degraded endpoint that it did not answer do not count.
	Attempts int
	// QueuedAt is when the event was emitted or, if later, last replayed, or when the endpoint became
	// healthy after it had been degraded or disabled. In a probe of a degraded endpoint it is At.
	QueuedAt time.Time
	// At is when the last attempt failed, by the store's clock, as QueuedAt is.
	At time.Time
	// RetryAfter is the wait that the endpoint asked for; zero if it did not ask.
	RetryAfter time.Duration
}

// Forever is the value of [ExponentialRetry.MaxElapsed], or of a field of [Retention] or
// [HealthConfig], that means that there is no end.
const Forever time.Duration = math.MaxInt64

// Values of [ExponentialRetry.Jitter] that are no share of the wait.
const (
	// NoJitter means that waits are exact.
	NoJitter = -1
	// FullJitter means that a wait is anything from nothing to the whole interval, evenly: half of the
	// interval on average. Where thousands of deliveries have failed together, this keeps them apart
	// best (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015).
	FullJitter = -2
)

const maxWait = 365 * 24 * time.Hour

// ExponentialRetry waits longer after each failure. The zero value is the default
// policy: 5 s after the first failure, doubling up to 1 h, for 3 days, which makes
// about 80 attempts.
type ExponentialRetry struct {
	// InitialInterval is the wait after the first failure. Defaults to 5 s.
	InitialInterval time.Duration
	// Multiplier is the factor by which each further wait grows, at least 1. Defaults to 2.
	Multiplier float64
	// MaxInterval bounds the wait before jitter; it is at most a year.
	// Defaults to 1 h, or InitialInterval if that is longer.
	MaxInterval time.Duration
	// Jitter spreads a wait evenly over ±Jitter of its length, so that deliveries that failed together
	// do not come back together. At most 1. Defaults to 0.2. [NoJitter] means that waits are exact,
	// and [FullJitter] that they are spread from zero.
	Jitter float64
	// MaxAttempts bounds the attempts of a delivery, counted from zero after a
	// replay: 1 makes one and no retry. Defaults to [NoLimit].
	MaxAttempts int
	// MaxElapsed bounds the time from the emit, or the last replay, to the last attempt. Defaults to
	// 72 h; [Forever] means no bound.
	MaxElapsed time.Duration
}

func (p ExponentialRetry) withDefaults() ExponentialRetry {
	settings.Default(&p.InitialInterval, 5*time.Second)
	settings.Default(&p.Multiplier, 2)
	settings.Default(&p.MaxInterval, max(time.Hour, p.InitialInterval))
	settings.Default(&p.Jitter, 0.2)
	settings.Default(&p.MaxAttempts, NoLimit)
	settings.Default(&p.MaxElapsed, 72*time.Hour)
	return p
}

// Validate returns an [*event.ValidationError] that lists every invalid field.
func (p ExponentialRetry) Validate() error {
	p = p.withDefaults()
	var problems event.Problems
	settings.AtLeast(&problems, "InitialInterval", p.InitialInterval, 0)
	settings.AtLeast(&problems, "Multiplier", p.Multiplier, 1)
	if math.IsInf(p.Multiplier, 1) {
		problems.Add("Multiplier", "must be finite")
	}
	if p.MaxInterval < p.InitialInterval {
		problems.Add("MaxInterval", "must not be less than InitialInterval")
	}
	if p.MaxInterval > maxWait {
		problems.Add("MaxInterval", "must be at most a year")
	}
	if p.Jitter != NoJitter && p.Jitter != FullJitter && !(p.Jitter > 0 && p.Jitter <= 1) {
		problems.Add("Jitter", "must be from 0 to 1, NoJitter or FullJitter")
	}
	settings.AtLeast(&problems, "MaxAttempts", p.MaxAttempts, 1)
	settings.AtLeast(&problems, "MaxElapsed", p.MaxElapsed, 0)
	return problems.Err()
}

// MaxWait returns MaxInterval with the most jitter.
func (p ExponentialRetry) MaxWait() time.Duration {
	p = p.withDefaults()
	return time.Duration(float64(p.MaxInterval) * (1 + max(p.Jitter, 0)))
}

// Next returns the wait before the next attempt: the interval with jitter, or f.RetryAfter if that
// is longer. It returns false after MaxAttempts attempts, and if the next attempt would be later
// than MaxElapsed after f.QueuedAt.
func (p ExponentialRetry) Next(f Failure) (time.Duration, bool) {
	p = p.withDefaults()
	wait := max(p.interval(f.Attempts), f.RetryAfter)
	if f.Attempts >= p.MaxAttempts || f.At.Add(wait).Sub(f.QueuedAt) > p.MaxElapsed {
		return 0, false
	}
	return wait, true
}

// interval is the wait after so many failures, with jitter. A delivery outlives the
// process, so it is computed from the count; the library, which keeps the interval in
// memory, randomizes it.
func (p ExponentialRetry) interval(attempts int) time.Duration {
	interval := time.Duration(min(float64(p.MaxInterval),
		float64(p.InitialInterval)*math.Pow(p.Multiplier, float64(attempts-1))))
	jitter := max(p.Jitter, 0)
	if p.Jitter == FullJitter {
		interval, jitter = interval/2, 1 // half of it ± the same
	}
	one := backoff.ExponentialBackOff{
		InitialInterval:     interval,
		RandomizationFactor: jitter,
		Multiplier:          1,
		MaxInterval:         p.MaxInterval,
		Stop:                backoff.Stop,
		Clock:               backoff.SystemClock,
	}
	one.Reset()
	return one.NextBackOff()
}

// RetrySchedule is a list of waits: the first is the one after the first failure. The delivery is
// given up after one attempt more than there are waits. As Config.Retry, each wait is made a little
// longer: see [Config].ScheduleJitter. A policy of your own that wraps a RetrySchedule gets no such
// jitter: it returns exactly what it waits for. A wait of zero retries at once. There must be at
// least one wait, and each may be at most a year. [webhook.StandardRetryDelays] is the list that
// Standard Webhooks recommends.
type RetrySchedule []time.Duration

// Next returns the wait after f.Attempts failures. It returns false after the last wait.
func (s RetrySchedule) Next(f Failure) (time.Duration, bool) {
	if f.Attempts < 1 || f.Attempts > len(s) {
		return 0, false
	}
	return s[f.Attempts-1], true
}

// MaxWait returns the longest of the waits.
func (s RetrySchedule) MaxWait() time.Duration {
	longest := time.Duration(0)
	for _, wait := range s {
		longest = max(longest, wait)
	}
	return longest
}

// Validate returns an [*event.ValidationError] that lists every invalid wait.
func (s RetrySchedule) Validate() error {
	var problems event.Problems
	if len(s) == 0 {
		problems.Add("", "needs at least one wait; ExponentialRetry{MaxAttempts: 1} makes no retries")
	}
	for i, wait := range s {
		if wait < 0 || wait > maxWait {
			problems.Add(fmt.Sprintf("[%d]", i), "must be from 0 to a year, is %v", wait)
		}
	}
	return problems.Err()
}

// jitteredSchedule is a list whose waits are longer by a random share of them, up to jitter.
type jitteredSchedule struct {
	RetrySchedule
	jitter float64
}

// Next returns the wait of the list, and more.
func (s jitteredSchedule) Next(f Failure) (time.Duration, bool) {
	wait, again := s.RetrySchedule.Next(f)
	return s.longer(wait, rand.Float64()), again //nolint:gosec // nothing secret depends on it
}

// MaxWait returns the longest wait with the most jitter.
func (s jitteredSchedule) MaxWait() time.Duration { return s.longer(s.RetrySchedule.MaxWait(), 1) }

func (s jitteredSchedule) longer(wait time.Duration, share float64) time.Duration {
	return wait + time.Duration(share*max(s.jitter, 0)*float64(wait))
}

// guardedRetry is a RetryPolicy that is replaced by the default one for a failure at which it
// panics.
type guardedRetry struct {
	RetryPolicy
	logger *slog.Logger
}

// Next asks the policy.
func (g guardedRetry) Next(f Failure) (wait time.Duration, again bool) {
	defer func() {
		if p := recover(); p != nil {
			g.logger.Error("webhook: the retry policy panicked, the default one is used",
				"panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			wait, again = ExponentialRetry{}.Next(f)
		}
	}()
	return g.RetryPolicy.Next(f)
}
