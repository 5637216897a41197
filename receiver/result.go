package receiver

import (
	"time"
)

// An Outcome is the outcome of a request that passed the checks, in a form that serves as
// the label of a metric.
type Outcome string

// The outcomes, and how each is answered.
const (
	// Handled means that the handler succeeded. The answer is 200, or the handler's own 2xx.
	Handled Outcome = "handled"
	// Unhandled means that there is no handler for the event's type. The event is recorded as handled,
	// and the answer is 200.
	Unhandled Outcome = "unhandled"
	// Duplicate means that the event was handled, or given up, before. The Invalidator ran once more.
	// The answer is 200.
	Duplicate Outcome = "duplicate"
	// Busy means that another request with the event is being handled, and may still fail. The answer
	// is 409 with Retry-After.
	Busy Outcome = "busy"
	// Failed means that the handler or the Invalidator failed. The event is released, unless the
	// handler has settled the claim. The answer is 503, or the handler's own status if it is not 2xx.
	Failed Outcome = "failed"
	// GivenUp means that the handler returned a [Permanent] error. The event is recorded as dead, and
	// the answer is 200.
	GivenUp Outcome = "given_up"
	// Panicked means that the handler or the Invalidator panicked. The event is released, unless the
	// handler has settled the claim. The answer is 500.
	Panicked Outcome = "panicked"
	// Lost means that the lease ended and another process has claimed the event. The answer is 409
	// with Retry-After.
	Lost Outcome = "lost"
	// Unavailable means that the event could not be claimed, because the store failed. The answer is
	// 503 with Retry-After.
	Unavailable Outcome = "unavailable"
)

// A Result is the outcome of one request.
type Result struct {
	// Delivery is the request, decoded.
	Delivery *Delivery
	// Outcome is the outcome of the request.
	Outcome Outcome
	// Status is the HTTP status of the answer.
	Status int
	// Err is the error behind an outcome other than Handled, Unhandled, Duplicate and
	// Busy. With Handled, Unhandled and Duplicate it is set if the outcome could not be
	// recorded, so that the event may be handled again.
	Err error
	// Duration is how long claiming, handling and settling took together.
	Duration time.Duration
}
