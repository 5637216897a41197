package memstore

import (
	"container/list"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/bucket"
)

// endpoint is one channel of one subscription with its unfinished deliveries. Its
// rank is when the first of them may be claimed.
type endpoint struct {
	rank
	key          webhook.Endpoint
	subscription *subscription
	due          dueHeap
	// pending and inFlight are how many of them are, and inLine how many of those that are pending
	// wait in line.
	pending, inFlight, inLine int64
	state                     webhook.EndpointState
	rate                      bucket.Bucket
	// paused says that the subscription is, or that the endpoint is disabled.
	paused bool
	// orphaned says that the subscription was deleted, or lost this channel.
	orphaned bool
	// turn is the place in the rotation; nil outside of it.
	turn *list.Element
	lane *lane
	// claim is the last claim that looked at the endpoint, or was told to skip
	// it, and left is how many deliveries it may still give to that one.
	claim int64
	left  int
	// lines are those that have anything in them.
	lines map[lineKey]*line
	// hours has the figures that were recorded, the oldest hour first.
	hours []*hourly
}

// active reports whether the endpoint has deliveries that may be claimed, now or
// later. Only such endpoints are in the rotation.
func (e *endpoint) active() bool { return !e.paused && !e.orphaned && e.due.len() > 0 }

// reported returns what callers see as the status of deliveries that have one.
func (e *endpoint) reported(status webhook.Status) webhook.Status {
	return status.Reported(e.paused, e.orphaned)
}

// first returns when a delivery of an active endpoint may be claimed.
func (e *endpoint) first() int64 { return max(e.due.first(), e.notBefore()) }

// ready reports whether an active endpoint has a delivery to be claimed now.
func (e *endpoint) ready(now int64) bool { return e.first() <= now }

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

// rotation decides whose turn it is. Organizations with something due are in a line, and so are the
// endpoints of each organization. Those that were served go to the end. The other endpoints wait
// for the time of their first delivery.
type rotation struct {
	lanes   list.List // of *lane
	waiting heap[*endpoint]
	claims  int64
}

// lane is one organization's part of the rotation.
type lane struct {
	line list.List // of *endpoint
	// turn is the place in the rotation, or nil while the line is empty.
	turn *list.Element
	// skipped is the last claim that was told to skip the organization.
	skipped int64
	// at is where the claim continues.
	at *list.Element
}

// update puts the endpoint where it belongs after a change to it or to its
// deliveries. In the line it stays: whether it is still ready is asked when its
// turn comes.
func (r *rotation) update(e *endpoint) {
	active := e.active()
	switch {
	case !active && e.turn != nil:
		r.leave(e)
	case !active && e.slot > 0:
		r.waiting.remove(e)
	case active && e.turn == nil && e.slot == 0:
		r.waiting.push(e, e.first())
	case active && e.turn == nil && e.at != e.first():
		r.waiting.move(e, e.first())
	}
}

// enter and leave let an endpoint into the line, and take it out.
func (r *rotation) enter(e *endpoint) {
	e.turn = e.lane.line.PushBack(e)
	if e.lane.turn == nil {
		e.lane.turn = r.lanes.PushBack(e.lane)
	}
}

func (r *rotation) leave(e *endpoint) {
	e.lane.line.Remove(e.turn)
	e.turn = nil
	if e.lane.line.Len() == 0 {
		r.lanes.Remove(e.lane.turn)
		e.lane.turn = nil
	}
}

// skip and skipAll make the coming claim pass over the endpoint, and over the
// organization.
func (r *rotation) skip(e *endpoint) { e.claim, e.left = r.claims+1, 0 }
func (r *rotation) skipAll(l *lane)  { l.skipped = r.claims + 1 }

// claim calls take with the endpoints whose turn it is, once for each delivery
// that the request allows. An endpoint that is not ready any more after that has
// nothing left to give.
func (r *rotation) claim(now int64, req webhook.ClaimRequest, take func(*endpoint)) {
	r.claims++
	for r.waiting.len() > 0 && r.waiting.head().at <= now {
		e := r.waiting.head()
		r.waiting.remove(e)
		r.enter(e)
	}
	left := make(map[*lane]int) // for those that were served
	most := req.Limit
	if req.PerOrganization > 0 {
		most = min(most, req.PerOrganization)
	}
	// Each round serves every organization that has something left once.
	var lanes []*lane
	for element := r.lanes.Front(); element != nil; element = element.Next() {
		if l := element.Value.(*lane); l.skipped != r.claims {
			l.at = l.line.Front()
			lanes = append(lanes, l)
		}
	}
	for taken := 0; taken < req.Limit && len(lanes) > 0; {
		again := lanes[:0]
		for _, l := range lanes {
			if taken == req.Limit {
				break
			}
			e := r.nextOf(l, now, req.PerEndpoint)
			if e == nil {
				continue
			}
			take(e)
			taken++
			e.left--
			if l.line.MoveToBack(e.turn); l.at == nil {
				l.at = e.turn
			}
			if _, served := left[l]; !served {
				left[l] = most
				r.lanes.MoveToBack(l.turn)
			}
			if left[l]--; left[l] > 0 {
				again = append(again, l)
			}
		}
		lanes = again
	}
}

// nextOf returns the next endpoint of the lane that may give a delivery to this
// claim. Those that may not keep their place; those that have nothing due go back
// to wait.
func (r *rotation) nextOf(l *lane, now int64, perEndpoint int) *endpoint {
	for l.at != nil {
		e := l.at.Value.(*endpoint)
		l.at = l.at.Next()
		if !e.ready(now) {
			r.leave(e)
			r.update(e)
			continue
		}
		if e.claim != r.claims {
			e.claim, e.left = r.claims, perEndpoint
		}
		if e.left > 0 {
			return e
		}
	}
	return nil
}
