// Package breaker is a circuit breaker: it decides when an endpoint that keeps failing is left
// alone, and when it is tried again.
//
// A [Breaker] is closed at first. Once [FailureThreshold] deliveries have failed, with no answer of
// a living endpoint in between, it opens: it backs off for [FirstBackoff], twice as long after each
// further failure, and [MaxBackoff] at most. One failure can count for several deliveries: see
// [Breaker.Record]. When that time has passed the breaker is half-open, which is neither closed nor
// backing off: the caller makes one attempt at a time, and perhaps one of a fresh delivery during
// one of a retry, until an attempt is answered, which closes it. A breaker that is open or half-open
// is tripped. An endpoint that asks for time, with Retry-After, makes the breaker back off for that
// long even if it is closed.
//
// Retries, which are attempts of deliveries that have failed before, have a backoff of their own.
// It never ends before that of fresh deliveries, which were never attempted. Retries that fail
// double only their own. So an event that the endpoint cannot take holds back no fresh one.
//
// # What is where
//
//   - [Breaker] is the state of one endpoint.
//   - [Observation] is what an attempt says about its endpoint, with a [Health].
package breaker

import (
	"slices"
	"time"
)

const (
	// FailureThreshold is how many deliveries must fail, with no answer in between, before the
	// breaker opens.
	FailureThreshold = 8
	// FirstBackoff is how long the breaker is open at first.
	FirstBackoff = time.Second
	// MaxBackoff is how long it is open at most.
	MaxBackoff = time.Minute
)

// Observation is what an attempt says about its endpoint. The zero value says nothing.
type Observation struct {
	Health Health
	// RetryAfter is for how long an unhealthy endpoint has asked to be left alone (429 or 503 with
	// Retry-After). Zero means that it has not asked.
	RetryAfter time.Duration
}

// Health is how an endpoint is, as far as one attempt shows.
type Health int

const (
	// Unknown says nothing about the endpoint.
	Unknown Health = iota
	// Healthy says that the endpoint answers, if only to refuse this event.
	Healthy
	// Unhealthy says that it timed out, could not be reached, or failed as a whole.
	Unhealthy
)

// A Breaker remembers how an endpoint has been answering. The zero value is closed. It has no
// clock: its methods are told the time. It is not safe for concurrent use.
type Breaker struct {
	// weightedFailures are the ids of the deliveries that failed since the endpoint last answered,
	// until the breaker tripped, each as often as it counts (weight of Record). A delivery that fails
	// again is not added again, because that says less about the endpoint than about the delivery,
	// unless the endpoint asked for time.
	weightedFailures []int64
	// distinctFailures are the ids of the first FailureThreshold deliveries that failed since the
	// endpoint last answered, also after the breaker tripped, each once.
	distinctFailures []int64
	freshBackoff     backoff // of deliveries that were never attempted
	retryBackoff     backoff // of deliveries that have failed before
	// retryAfterUntil is until when the endpoint has asked to be left alone. An answer to an earlier
	// request does not end that.
	retryAfterUntil time.Time
}

// backoff is for how long, and until when, an endpoint is left alone.
type backoff struct {
	delay time.Duration
	until time.Time
}

// Record notes what an attempt of the delivery says about the endpoint. retry says that the
// delivery had failed before, and weight is how many deliveries it counts for if it has failed now.
func (b *Breaker) Record(
	now time.Time, o Observation, deliveryID int64, retry bool, weight int,
) {
	switch o.Health {
	case Unknown:
		return
	case Healthy:
		*b = Breaker{retryAfterUntil: b.retryAfterUntil}
		return
	case Unhealthy:
	}
	if asked := now.Add(o.RetryAfter); o.RetryAfter > 0 && asked.After(b.retryAfterUntil) {
		b.retryAfterUntil = asked
	}
	if len(b.distinctFailures) < FailureThreshold &&
		!slices.Contains(b.distinctFailures, deliveryID) {
		b.distinctFailures = append(b.distinctFailures, deliveryID)
	}
	// An endpoint that asks for time asks for all deliveries: such a failure counts each time.
	if !b.Tripped() && (o.RetryAfter > 0 || !slices.Contains(b.weightedFailures, deliveryID)) {
		for range weight {
			b.weightedFailures = append(b.weightedFailures, deliveryID)
		}
	}
	switch {
	case !b.Tripped():
	case retry:
		b.retryBackoff.startNext(now)
	default:
		b.freshBackoff.startNext(now)
	}
	if b.retryBackoff.until.Before(b.freshBackoff.until) {
		b.retryBackoff = b.freshBackoff
	}
}

// startNext begins a backoff twice as long as the last one, unless that goes on: an attempt that
// fails during a backoff began before it.
func (b *backoff) startNext(now time.Time) {
	if now.Before(b.until) {
		return
	}
	b.delay = min(max(2*b.delay, FirstBackoff), MaxBackoff)
	b.until = now.Add(b.delay)
}

// Tripped reports whether the breaker is open or half-open: the endpoint has to answer an attempt
// before it gets as many at a time as others.
func (b *Breaker) Tripped() bool { return len(b.weightedFailures) >= FailureThreshold }

// FailsAsAWhole reports whether FailureThreshold different deliveries have failed, with no answer
// in between: then it is the endpoint that fails, and not a few deliveries. Each counts once,
// whatever its weight, and however often it failed.
func (b *Breaker) FailsAsAWhole() bool { return len(b.distinctFailures) >= FailureThreshold }

// BackingOff reports whether the endpoint is to be left alone now.
func (b *Breaker) BackingOff(now time.Time) bool { return b.BackingOffUntil().After(now) }

// BackingOffRetries reports whether the endpoint is to be spared retries now.
func (b *Breaker) BackingOffRetries(now time.Time) bool {
	return b.BackingOffRetriesUntil().After(now)
}

// BackingOffUntil is when BackingOff ends, or a time that has passed.
func (b *Breaker) BackingOffUntil() time.Time {
	return later(b.retryAfterUntil, b.freshBackoff.until)
}

// BackingOffRetriesUntil is when BackingOffRetries ends, or a time that has passed.
func (b *Breaker) BackingOffRetriesUntil() time.Time {
	return later(b.retryAfterUntil, b.retryBackoff.until)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
