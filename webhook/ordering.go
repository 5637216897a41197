package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// Ordering asks for the deliveries of a subscription to be made in order: at each of its endpoints,
// one event about a subject after the other. Its JSON is
//
//	{"skip_after_seconds": 3600}
//
// A subject is the type and the id of [event.Event].Subject. The deliveries of one subject at one
// endpoint form a line, which is a FIFO queue. Only the delivery at its front is attempted, and tried
// again, until it has succeeded. All others wait, and use up no attempt. Other subjects have lines of
// their own, and what fails in one holds up none of the others.
//
// The order is that of the emits that follow upon each other: of two events, the one whose Emit had
// returned, or whose EmitTx had been committed, before the other was emitted is delivered first. So
// are earlier events of one call, or one transaction. Emits that overlap, in goroutines, processes
// or open transactions, have no order among themselves. An Emit that returned with
// [Emitted].Unfinished has not finished: it overlaps with those that follow it.
//
// What is in order is when each event is delivered successfully for the first time. If a process
// dies after the endpoint has answered, or loses its lease, the attempt is repeated, and that may come
// when the next events have been delivered. A receiver recognizes it by its event_id.
//
// The front leaves the line, and the next one has its turn, when it has
//
//   - succeeded;
//   - been cancelled by a person, even if an attempt is still in flight;
//   - become dead because its event had expired, so that it is no longer worth delivering. A
//     delivery that waits expires when its turn comes;
//   - become dead for another reason, and SkipAfter has passed since then;
//   - become dead, and a person skips it ([OrderingStore].Skip).
//
// Until then, a dead delivery holds its subject: see [Delivery].Holds. A replay of it attempts it
// again, and what follows waits on. A replay of any other delivery comes before all that wait in the
// line, whatever has been delivered since. Replays of several are made in the order of their emits,
// as far as they stand in line at the same time.
//
// A paused, degraded or disabled endpoint delivers nothing, or probes, and its lines stay as they
// are. A rate limit and the bounds of concurrency apply as usual. Prune keeps a dead delivery for as
// long as it holds its subject.
//
// How much waits behind a delivery that holds its subject is not bounded: nothing bounds the pending
// deliveries of an organization, which wait in the store. [Totals] count what waits, and what holds,
// with the age of the oldest: without a SkipAfter, watch that.
//
// An event that is emitted while the subscription is ordered stands in line, whatever happens
// later. A subscription that becomes ordered does not wait for earlier events, and one that becomes
// unordered still delivers what stands in line in its order, while later events no longer wait.
type Ordering struct {
	// SkipAfter is how long after a delivery has died the next one of its subject has its turn, in
	// whole seconds. It counts for deliveries that die after it was set. 0 means that a person decides.
	SkipAfter time.Duration
}

// MaxSkipAfter is the longest Ordering.SkipAfter.
const MaxSkipAfter = 30 * 24 * time.Hour

// Validate returns an [*event.ValidationError] that lists every invalid field by its JSON name. A
// nil Ordering is valid.
func (o *Ordering) Validate() error {
	if o == nil {
		return nil
	}
	var p event.Problems
	checkSeconds(&p, "skip_after_seconds", o.SkipAfter, MaxSkipAfter)
	return p.Err()
}

// Clone returns a copy.
func (o *Ordering) Clone() *Ordering {
	if o == nil {
		return nil
	}
	c := *o
	return &c
}

type orderingJSON struct {
	SkipAfter int64 `json:"skip_after_seconds,omitempty"`
}

// MarshalJSON writes durations as seconds, and leaves out what is zero.
func (o Ordering) MarshalJSON() ([]byte, error) {
	return json.Marshal(orderingJSON{int64(o.SkipAfter / time.Second)})
}

// UnmarshalJSON reads what MarshalJSON writes. It does not validate.
func (o *Ordering) UnmarshalJSON(data []byte) error {
	var in orderingJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("webhook: decoding an ordering: %w", err)
	}
	*o = Ordering{SkipAfter: seconds(in.SkipAfter)}
	return nil
}

// OrderingStore is what a Store that delivers in order does beyond the others. Such a store keeps
// the rules of [Ordering] in the methods of its other parts:
//
//   - Enqueue never prefetches what stands in line. It sets Emitted.Ordered.
//   - Claim hands out no delivery that waits. In each line at most one is in flight, or due for its
//     next attempt. If nothing of a line is in flight, dead or due, the one with the smallest id of
//     those that are stored has the next turn.
//   - Settle lets the next one of the line have its turn, in its own transaction: at once or, after
//     a delivery that died, at Settlement.SkipAt and not before, unless the dead one is replayed or
//     skipped until then.
//   - Cancel does the same. Replay puts a delivery in line again, unless it holds its line.
//   - An update or a deletion of the subscription changes no line. Prune keeps what holds its line.
//
// What waits does not slow down claims, however much that is.
type OrderingStore interface {
	// Skip lets the next delivery of the line have its turn, at now, in place of one that is dead and
	// holds the line. The skipped one stays dead. Skip returns ErrWrongStatus if it does not hold its
	// line, and ErrNotFound if the organization has no such delivery.
	Skip(ctx context.Context, now time.Time, organizationID string, id DeliveryID) error
}
