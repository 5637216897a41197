package fairqueue

import "container/heap"

// restingEndpoints are endpoints that back off and have nothing queued, reserved or in flight. One
// organization can have very many of them, each for a day, and plans hold the lock of the queue: so
// a plan examines none of them, and copies the list of those to skip, which is kept up to date
// between plans. As long as an endpoint rests, neither its breaker nor its backlog changes: what
// changes them makes it active before. The zero value has none.
type restingEndpoints[T any] struct {
	byBackoffEnd restingHeap[T]
	// withBacklog are those that have a backlog, and skip are their identifiers, in the same order,
	// for ClaimBudget.SkipEndpoints. What is due for an endpoint that is not skipped is claimed, only
	// to be returned to the store. For endpoints without a backlog, the store has nothing due: what
	// has failed there is due when they no longer back off. If another process stores something for
	// one of those, a claim brings it, RescheduleAll returns it, and the endpoint has a backlog from
	// then on.
	withBacklog []*endpointQueue[T]
	skip        []Endpoint
}

func (r *restingEndpoints[T]) add(e *endpointQueue[T]) {
	heap.Push(&r.byBackoffEnd, e)
	if e.hasBacklog {
		r.withBacklog, r.skip = append(r.withBacklog, e), append(r.skip, e.endpoint)
		e.skipPosition = len(r.skip)
	}
}

func (r *restingEndpoints[T]) remove(e *endpointQueue[T]) {
	heap.Remove(&r.byBackoffEnd, e.restingPosition-1)
	if e.skipPosition == 0 {
		return
	}
	end := len(r.skip) - 1
	last := r.withBacklog[end]
	r.withBacklog[e.skipPosition-1], r.skip[e.skipPosition-1] = last, last.endpoint
	last.skipPosition = e.skipPosition
	r.withBacklog[end], r.skip[end] = nil, Endpoint{}
	r.withBacklog, r.skip = r.withBacklog[:end], r.skip[:end]
	e.skipPosition = 0
}

// endRests makes resting endpoints active whose backoff has ended, or idle if they have no backlog.
func (c *Core[T]) endRests() {
	for len(c.resting.byBackoffEnd) > 0 && !c.resting.byBackoffEnd[0].breaker.BackingOff(c.now) {
		e := c.resting.byBackoffEnd[0]
		c.makeActive(e)
		c.deactivateIfUnused(e)
	}
}

// restingHeap is a heap: the backoff of the first of them ends first.
type restingHeap[T any] []*endpointQueue[T]

func (h restingHeap[T]) Len() int { return len(h) }

func (h restingHeap[T]) Less(i, j int) bool {
	return h[i].breaker.BackingOffUntil().Before(h[j].breaker.BackingOffUntil())
}

func (h restingHeap[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].restingPosition, h[j].restingPosition = i+1, j+1
}

// Push is what heap.Push calls.
func (h *restingHeap[T]) Push(x any) {
	e := x.(*endpointQueue[T])
	*h = append(*h, e)
	e.restingPosition = len(*h)
}

// Pop is what heap.Pop and heap.Remove call.
func (h *restingHeap[T]) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	last.restingPosition = 0
	return last
}
