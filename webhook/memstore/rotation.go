package memstore

import (
	"container/list"

	"github.com/mixpeek/webhooks-go/webhook"
)

// endpoint is one channel of one webhook with its unfinished deliveries. Its
// rank is the time of the first of them.
type endpoint struct {
	rank
	key          webhook.Endpoint
	subscription *subscription
	due          dueHeap
	paused       bool
	// orphaned says that the webhook was deleted, or lost this channel.
	orphaned bool
	// turn is the place in the rotation; nil outside of it.
	turn *list.Element
	// claim is the last claim that was told to skip the endpoint.
	claim int64
	// hours has the figures that were recorded, the oldest hour first.
	hours []*hourly
}

// active reports whether the endpoint has deliveries that may be claimed, now or
// later. Only such endpoints are in the rotation.
func (e *endpoint) active() bool { return !e.paused && !e.orphaned && e.due.len() > 0 }

// ready reports whether an active endpoint has a delivery to be claimed now.
func (e *endpoint) ready(now int64) bool { return e.due.first() <= now }

// dueHeap has the unfinished deliveries of an endpoint: those that were attempted
// since they were queued are apart from those that were not.
type dueHeap struct{ fresh, retries heap[*delivery] }

func (h *dueHeap) len() int { return h.fresh.len() + h.retries.len() }

// first returns when the first delivery is due. There must be one.
func (h *dueHeap) first() int64 {
	switch {
	case h.fresh.len() == 0:
		return h.retries.head().at
	case h.retries.len() == 0:
		return h.fresh.head().at
	}
	return min(h.fresh.head().at, h.retries.head().at)
}

// next returns the delivery that is to be claimed. One must be due.
func (h *dueHeap) next(now int64) *delivery {
	if h.fresh.len() > 0 && h.fresh.head().at <= now {
		return h.fresh.head()
	}
	return h.retries.head()
}

// rotation decides whose turn it is. Endpoints with something due stand in
// line, and go to its end when they were served; the others wait for the time
// of their first delivery.
type rotation struct {
	line    list.List // of *endpoint
	waiting heap[*endpoint]
	claims  int64
}

// update puts the endpoint where it belongs after a change to it or to its
// deliveries. In the line it stays: whether it is still ready is asked when its
// turn comes.
func (r *rotation) update(e *endpoint) {
	active := e.active()
	switch {
	case !active && e.turn != nil:
		r.line.Remove(e.turn)
		e.turn = nil
	case !active && e.slot > 0:
		r.waiting.remove(e)
	case active && e.turn == nil && e.slot == 0:
		r.waiting.push(e, e.due.first())
	case active && e.turn == nil && e.at != e.due.first():
		r.waiting.move(e, e.due.first())
	}
}

// skip makes the coming claim pass over the endpoint.
func (r *rotation) skip(e *endpoint) { e.claim = r.claims + 1 }

// next begins a claim: it returns up to limit endpoints with something due, in
// the order of their turns.
func (r *rotation) next(now int64, limit int) []*endpoint {
	r.claims++
	for r.waiting.len() > 0 && r.waiting.head().at <= now {
		e := r.waiting.head()
		r.waiting.remove(e)
		e.turn = r.line.PushBack(e)
	}
	var served []*endpoint
	for element := r.line.Front(); element != nil && len(served) < limit; {
		e := element.Value.(*endpoint)
		element = element.Next()
		switch {
		case !e.ready(now):
			r.line.Remove(e.turn)
			e.turn = nil
			r.update(e)
		case e.claim != r.claims:
			served = append(served, e)
		}
	}
	for _, e := range served {
		r.line.MoveToBack(e.turn)
	}
	return served
}
