package fairqueue

// bufferShares are what one user may have of the buffer now: see the package documentation.
type bufferShares struct {
	organizationItems, endpointItems int // in endpoint queues, and reservations
	bytes                            int // of payloads, of an organization and of an endpoint
}

func (q *Queue[T]) bufferShares() bufferShares {
	items := threshold(q.limits.Queued, q.queued)
	return bufferShares{
		organizationItems: min(items, q.limits.Queued),
		endpointItems:     min(items, q.limits.QueuedPerEndpoint),
		bytes:             threshold(q.limits.Bytes, q.bytes),
	}
}

// withinBufferShare reports whether the endpoint may have n more items in the buffer. One that is
// slow, or new, has no use for more that were never attempted than it can have in flight soon; if
// it has none of those, it may have n. Those that have failed before must not keep them out.
func (e *endpointQueue[T]) withinBufferShare(shares bufferShares, n int) bool {
	if e.speed() != speedFast && len(e.fresh)+e.reservations > max(4*e.window-n, 0) {
		return false
	}
	return e.len()+e.reservations+n <= shares.endpointItems
}

// organizationWithinBufferShare reports whether the endpoint's organization may have n more items
// in the buffer for it. Of its share, three eighths are for endpoints that have been answering at
// once, and one each for those that are new, for those that are slow, and for those of each kind
// that have nothing yet: none of them keeps out others.
func (e *endpointQueue[T]) organizationWithinBufferShare(shares bufferShares, n int) bool {
	o, eighths, bytes := e.organization, 1, shares.bytes/2
	if e.countedAs == speedFast {
		eighths, bytes = 3, shares.bytes
	}
	if e.len()+e.reservations == 0 {
		eighths, n = eighths+1, 1
	}
	return o.queued < shares.organizationItems &&
		o.queuedBySpeed[e.countedAs]+n <= max(shares.organizationItems*eighths/8, 1) &&
		o.bytes < max(bytes, 1) && e.bytes < shares.bytes
}

// Reserve reserves capacity for one delivery that may be prefetched, and reports whether there is
// any. A reservation lasts until Release.
func (q *Queue[T]) Reserve(d Destination) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open || q.queued >= q.limits.Queued || q.bytes >= q.limits.Bytes {
		return false
	}
	e, shares := q.activate(d), q.bufferShares()
	if e.backlog || e.breaker.BackingOff() || !e.withinBufferShare(shares, 1) ||
		!e.organizationWithinBufferShare(shares, 1) {
		q.deactivateIfIdle(e)
		return false
	}
	e.reservations++
	q.addQueued(e, 1)
	return true
}

// Release ends a reservation for each destination. It is called before what was prefetched is
// pushed.
func (q *Queue[T]) Release(reserved []Destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range reserved {
		e := q.activate(d)
		e.reservations--
		q.addQueued(e, -1)
		q.deactivateIfIdle(e)
	}
}

// MarkBacklog notes endpoints with deliveries that were stored without being prefetched.
func (q *Queue[T]) MarkBacklog(destinations []Destination) {
	if len(destinations) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range destinations {
		e := q.activate(d)
		e.backlog = true
		q.signalIfLow(e)
	}
}

// MarkUnknownBacklog notes that deliveries were stored without being prefetched, and that the caller
// does not know for which endpoints, and signals a claim. Endpoints that this claim leaves out are
// taken to have a backlog, until a claim shows that they have none.
func (q *Queue[T]) MarkUnknownBacklog() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unknownBacklog = true
	q.SignalClaim()
}

// addQueued counts items and reservations of the endpoint.
func (q *Queue[T]) addQueued(e *endpointQueue[T], n int) {
	q.queued += n
	e.organization.queued += n
	e.organization.queuedBySpeed[e.countedAs] += n
}

// countQueued counts an item that has come to the queue of its endpoint.
func (q *Queue[T]) countQueued(item *Item[T]) {
	e, p := item.queue, item.PayloadSize
	q.addQueued(e, 1)
	e.bytes += p.Bytes
	if p.queuedItems++; p.queuedItems == 1 {
		q.bytes += p.Bytes
		e.organization.bytes += p.Bytes
	}
}

// countDequeued counts items that have left the queue of their endpoint.
func (q *Queue[T]) countDequeued(items ...*Item[T]) {
	for _, item := range items {
		e, p := item.queue, item.PayloadSize
		q.addQueued(e, -1)
		e.bytes -= p.Bytes
		if p.queuedItems--; p.queuedItems == 0 {
			q.bytes -= p.Bytes
			e.organization.bytes -= p.Bytes
		}
	}
}
