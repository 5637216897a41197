package fairqueue

import "container/heap"

// restingEndpoints are endpoints that back off and have nothing queued, reserved or in flight. One
// organization can have very many of them, each for a day, so no plan may walk over them. As long
// as an endpoint rests, neither its breaker nor its backlog changes: what changes them makes it
// active before.
type restingEndpoints[T any] struct {
	byEnd restingHeap[T]
	// withBacklog are those that claims have to leave out, and names what these are called, in the
	// same order. A plan names all of them: one that was not named would be claimed and given back by
	// each claim. The store has nothing due for the others: what has failed there is not due before
	// the endpoint wants to be asked again. Should another process store something for one of those,
	// a claim brings it, RescheduleAll gives it back, and the endpoint has a backlog from then on.
	withBacklog []*endpointQueue[T]
	names       []Endpoint
}

func (r *restingEndpoints[T]) add(e *endpointQueue[T]) {
	heap.Push(&r.byEnd, e)
	if e.hasBacklog {
		r.withBacklog, r.names = append(r.withBacklog, e), append(r.names, e.endpoint)
		e.namePosition = len(r.names)
	}
}

func (r *restingEndpoints[T]) remove(e *endpointQueue[T]) {
	heap.Remove(&r.byEnd, e.restingPosition-1)
	if e.namePosition == 0 {
		return
	}
	end := len(r.names) - 1
	last := r.withBacklog[end]
	r.withBacklog[e.namePosition-1], r.names[e.namePosition-1] = last, last.endpoint
	last.namePosition = e.namePosition
	r.withBacklog[end], r.names[end] = nil, Endpoint{}
	r.withBacklog, r.names = r.withBacklog[:end], r.names[:end]
	e.namePosition = 0
}

// wakeRested makes endpoints active whose backoff has ended, or idle if they have nothing to do.
func (c *Core[T]) wakeRested() {
	for len(c.resting.byEnd) > 0 && !c.resting.byEnd[0].breaker.BackingOff(c.now) {
		e := c.resting.byEnd[0]
		c.makeActive(e)
		c.deactivateIfIdle(e)
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
