package webhook

import "time"

// breaker remembers how an endpoint has been answering. After breakerThreshold
// failures in a row it opens: the endpoint is left alone for a while that
// doubles with each further failure, and is then tried with one attempt at a
// time until one succeeds. An endpoint that asks for time (429, 503 with
// Retry-After) gets it in the same way. Being left alone costs a delivery no
// attempt.
type breaker struct {
	failures     int // in a row, not counting those that ended while it was open
	lastFailure  time.Time
	blockedUntil time.Time
}

const (
	breakerThreshold = 8
	breakerFirstWait = time.Second
	breakerMaxWait   = time.Minute
	// breakerMemory is how long an idle endpoint's failures are remembered.
	breakerMemory = 10 * time.Minute
)

// health is what an attempt says about its endpoint.
type health struct {
	verdict healthVerdict
	// wait is what the endpoint asked for.
	wait time.Duration
}

type healthVerdict int

const (
	unknownHealth healthVerdict = iota // the attempt says nothing about the endpoint
	healthy
	unhealthy
)

func (b *breaker) record(h health) {
	switch h.verdict {
	case unknownHealth:
		return
	case healthy:
		*b = breaker{}
		return
	case unhealthy:
		if !b.open() {
			b.failures++
		}
		b.lastFailure = time.Now()
	}
	wait := h.wait
	if over := b.failures - breakerThreshold; over >= 0 {
		wait = max(wait, min(breakerFirstWait<<min(over, 16), breakerMaxWait))
	}
	if until := time.Now().Add(wait); wait > 0 && until.After(b.blockedUntil) {
		b.blockedUntil = until
	}
}

// open reports whether the endpoint is to be left alone now.
func (b *breaker) open() bool {
	return !b.blockedUntil.IsZero() && time.Now().Before(b.blockedUntil)
}

// forgettable reports whether nothing is held against the endpoint any more.
func (b *breaker) forgettable() bool {
	return !b.open() && time.Since(b.lastFailure) > breakerMemory
}

// limit is how many attempts may be in flight at once.
func (b *breaker) limit(full int) int {
	switch {
	case b.open():
		return 0
	case b.failures >= breakerThreshold:
		return 1
	}
	return full
}
