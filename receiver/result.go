package receiver

import (
	"time"
)

// An Outcome is what became of a request that passed the checks. It is a good
// label for a metric.
type Outcome string

// The outcomes, and how each is answered.
const (
	// Handled: the handler succeeded. 200, or the handler's own 2xx.
	Handled Outcome = "handled"
	// Unhandled: no handler is there for the event's type. Recorded as
	// handled. 200.
	Unhandled Outcome = "unhandled"
	// Duplicate: the event was handled, or given up, before, and what it makes
	// stale is invalidated once more. 200.
	Duplicate Outcome = "duplicate"
	// Busy: the event is being handled by another call at this moment.
	// 409 with Retry-After, since that handler may still fail.
	Busy Outcome = "busy"
	// Failed: the handler, or the invalidation, did not succeed; the event is
	// given back, unless the handler has settled it. 503, or the handler's own
	// status if that is no 2xx.
	Failed Outcome = "failed"
	// GivenUp: the handler failed with a [Permanent] error; the event is
	// recorded as dead. 200.
	GivenUp Outcome = "given_up"
	// Panicked: the handler or the Invalidator panicked; otherwise as Failed.
	// 500.
	Panicked Outcome = "panicked"
	// Lost: the lease ended and another process has the event now; what they
	// make of it counts. 409 with Retry-After.
	Lost Outcome = "lost"
	// Unavailable: the event could not be claimed. 503 with Retry-After.
	Unavailable Outcome = "unavailable"
)

// A Result is the outcome of one request.
type Result struct {
	// Delivery is what was asked for.
	Delivery *Delivery
	// Outcome is what became of it.
	Outcome Outcome
	// Status is what the sender is answered.
	Status int
	// Err says more about an outcome that is not Handled, Unhandled, Duplicate
	// or Busy. With Handled, Unhandled and GivenUp it is set if that could not
	// be recorded: the event may be handled again.
	Err error
	// Duration is how long claiming, handling and settling took together.
	Duration time.Duration
}
