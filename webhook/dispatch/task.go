package dispatch

import (
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// task is a claimed delivery in this process.
type task struct {
	webhook.Task
	item      fairqueue.Item[*task]
	ownSize   fairqueue.PayloadSize // unless it shares its payload
	heldSince time.Time             // by the clock of this process
	// storedProbe is Task.Probe, as it was stored last, until the result of the probe is stored.
	storedProbe atomic.Pointer[webhook.EndpointState]
	// storingProbe has a place for the goroutine that stores the state of the probe. Nil if there is
	// no probe.
	storingProbe chan struct{}
	// hasWaited says that an attempt has waited for a place to render.
	hasWaited atomic.Bool
	// names are those of the endpoint, set by the worker that makes the attempt.
	names names
	// leaseLost says that the store does not know the lease any more, and cancelled that the delivery
	// was cancelled here. They, Until, and the two below belong to heldLeases.
	leaseLost, cancelled bool
	// settling says that the result is being stored, and lostMeanwhile that the store does not know
	// the lease any more since: because it has the result, unless it refuses that.
	settling, lostMeanwhile bool
	// requeueOnly says that no attempt is to be made: the delivery goes back to the store.
	requeueOnly bool
}

// newItems makes queue items of deliveries that are held since at, by the clock of this process: when
// it called the store. Those of one event, which follow upon each other, share its payload.
func newItems(at time.Time, tasks []webhook.Task) []*fairqueue.Item[*task] {
	items := make([]*fairqueue.Item[*task], len(tasks))
	var size *fairqueue.PayloadSize
	for i := range tasks {
		// One by one: a slow delivery must not keep its neighbours in memory.
		t := &task{Task: tasks[i], heldSince: at}
		if t.storedProbe.Store(t.Probe); t.Probe != nil {
			t.storingProbe = make(chan struct{}, 1)
		}
		switch {
		case i > 0 && sameSlice(t.Payload, tasks[i-1].Payload): // size is that of the event
		case i+1 < len(tasks) && sameSlice(t.Payload, tasks[i+1].Payload):
			size = &fairqueue.PayloadSize{Bytes: len(t.Payload)}
		default:
			size = &t.ownSize
			size.Bytes = len(t.Payload)
		}
		t.item = fairqueue.Item[*task]{
			ID:          int64(t.DeliveryID),
			Destination: destination(t.OrganizationID, t.Endpoint),
			Retry:       t.AttemptsSinceQueued > 0,
			PayloadSize: size,
			Value:       t,
		}
		items[i] = &t.item
	}
	return items
}

func destination(organizationID string, e webhook.Endpoint) fairqueue.Destination {
	return fairqueue.Destination{OrganizationID: organizationID, Endpoint: fairqueue.Endpoint(e)}
}

// sameSlice reports whether two payloads are one in memory.
func sameSlice(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// push holds the leases of claimed deliveries and queues them, with Push of the queue or of an
// admission. It returns those that the queue rejected, because Run has ended.
func (d *Dispatcher) push(
	items []*fairqueue.Item[*task], push func([]*fairqueue.Item[*task]) []*task,
) (rejected []*task) {
	d.leases.hold(items)
	if rejected = push(items); len(rejected) > 0 {
		d.leases.release(leases(rejected))
	}
	return rejected
}

// idle reports whether no delivery is leased to this process, or about to be.
func (d *Dispatcher) idle() bool { return !d.leases.any() && d.queue.BufferEmpty() }

func leases(tasks []*task) []webhook.Lease {
	list := make([]webhook.Lease, len(tasks))
	for i, t := range tasks {
		list[i] = t.Lease
	}
	return list
}

func endpoints(list []fairqueue.Endpoint) []webhook.Endpoint {
	var converted []webhook.Endpoint
	for _, e := range list {
		converted = append(converted, webhook.Endpoint(e))
	}
	return converted
}
