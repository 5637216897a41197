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
	if e.countedSpeed == speedFast {
		eighths, bytes = 3, shares.bytes
	}
	if e.len()+e.reservations == 0 {
		eighths, n = eighths+1, 1
	}
	return o.queued < shares.organizationItems &&
		o.queuedBySpeed[e.countedSpeed]+n <= max(shares.organizationItems*eighths/8, 1) &&
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
	q.adjustQueued(e, 1)
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
		q.adjustQueued(e, -1)
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
		q.signalClaimIfLow(e)
	}
}

// MarkUnknownBacklog notes that deliveries were stored without being prefetched, for endpoints that
// the caller does not know, and signals a claim. Endpoints that this claim leaves out are taken to
// have a backlog, until a claim shows that they have none.
func (q *Queue[T]) MarkUnknownBacklog() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unknownBacklog = true
	q.SignalClaim()
}

// adjustQueued counts items and reservations of the endpoint.
func (q *Queue[T]) adjustQueued(e *endpointQueue[T], n int) {
	q.queued += n
	e.organization.queued += n
	e.organization.queuedBySpeed[e.countedSpeed] += n
}

// countQueued counts an item that has come to the queue of its endpoint.
func (q *Queue[T]) countQueued(item *Item[T]) {
	e, p := item.queue, item.PayloadSize
	q.adjustQueued(e, 1)
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
		q.adjustQueued(e, -1)
		e.bytes -= p.Bytes
		if p.queuedItems--; p.queuedItems == 0 {
			q.bytes -= p.Bytes
			e.organization.bytes -= p.Bytes
		}
	}
}

// ClaimBudget says how much can be claimed, and for which organizations and endpoints nothing
// should be.
type ClaimBudget struct {
	Limit, PerOrganization, PerEndpoint int
	SkipOrganizations                   []string
	SkipEndpoints                       []Endpoint
	// BufferEmpty says that nothing is queued or reserved, so that only endpoints that back off
	// are skipped.
	BufferEmpty bool
}

// ClaimBudget returns what may be claimed now. A Limit of 0 means nothing; ClaimSignal says then
// when there is capacity again.
func (q *Queue[T]) ClaimBudget() ClaimBudget {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open {
		return ClaimBudget{}
	}
	if q.claimBlocked = !q.claimWorthwhile(); q.claimBlocked {
		return ClaimBudget{}
	}
	// Some of the buffer stays for prefetching, so that a new delivery need not wait until old ones
	// are done.
	freeItems := q.limits.Queued - q.queued - q.minFreeToClaim()/2
	freeBytes := q.limits.Bytes - q.bytes
	b := ClaimBudget{Limit: min(max(min(freeItems, freeBytes/q.expectedPayloadBytes), 1),
		q.limits.Claim)}
	b.BufferEmpty = q.queued == 0
	shares := q.bufferShares()
	itemsByBytes := shares.bytes / q.expectedPayloadBytes
	b.PerOrganization = min(max(min(shares.organizationItems, itemsByBytes)/8, 1), b.Limit)
	b.PerEndpoint = min(max(min(shares.endpointItems, itemsByBytes)/2, 1), b.Limit)
	q.budgetGeneration++
	unknownBacklog := q.unknownBacklog
	q.unknownBacklog = false
	for _, e := range q.activeEndpoints {
		o := e.organization
		switch {
		case o.queued > shares.organizationItems-b.PerOrganization || o.bytes >= shares.bytes:
			if o.skippedInGeneration != q.budgetGeneration {
				o.skippedInGeneration = q.budgetGeneration
				b.SkipOrganizations = append(b.SkipOrganizations, o.id)
			}
		case e.breaker.BackingOff() || !e.withinBufferShare(shares, b.PerEndpoint) ||
			!e.organizationWithinBufferShare(shares, b.PerOrganization):
			b.SkipEndpoints = append(b.SkipEndpoints, e.endpoint)
		default:
			continue
		}
		e.backlog = e.backlog || unknownBacklog
	}
	return b
}

// claimWorthwhile reports whether enough of the buffer is free to make a claim worth its cost.
func (q *Queue[T]) claimWorthwhile() bool {
	return q.limits.Queued-q.queued >= q.minFreeToClaim() && q.limits.Bytes-q.bytes >= q.limits.Bytes/8
}

func (q *Queue[T]) minFreeToClaim() int { return max(min(q.limits.Queued/8, q.limits.Claim), 1) }

// ClaimSignal receives when the store may hold due deliveries that fit now. It is the same channel
// for the life of the Queue, for one reader.
func (q *Queue[T]) ClaimSignal() <-chan struct{} { return q.claimSignal }

// SignalClaim sends to ClaimSignal, unless a signal waits there. It does not block.
func (q *Queue[T]) SignalClaim() {
	select {
	case q.claimSignal <- struct{}{}:
	default:
	}
}

// signalClaimIfLow signals when the endpoint has a backlog and its queue runs low.
func (q *Queue[T]) signalClaimIfLow(e *endpointQueue[T]) {
	if e.backlog && e.len() <= q.limits.QueuedPerEndpoint/4 && !e.breaker.BackingOff() &&
		e.organization.queued < threshold(q.limits.Queued, q.queued)/2 {
		q.SignalClaim()
	}
}

// Claimed notes what a claim with that budget says about the store: an endpoint that gave less than
// was asked for has no backlog that is due. It is called before the items are pushed.
func (q *Queue[T]) Claimed(items []*Item[T], b ClaimBudget) {
	byEndpoint, byOrganization, bytes := make(map[Endpoint]int), make(map[string]int), 0
	for _, item := range items {
		byEndpoint[item.Endpoint]++
		byOrganization[item.Organization]++
		bytes += item.PayloadSize.Bytes
	}
	skippedEndpoint := make(map[Endpoint]bool, len(b.SkipEndpoints))
	for _, endpoint := range b.SkipEndpoints {
		skippedEndpoint[endpoint] = true
	}
	skippedOrganization := make(map[string]bool, len(b.SkipOrganizations))
	for _, id := range b.SkipOrganizations {
		skippedOrganization[id] = true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(items) > 0 {
		// Larger ones are believed at once, smaller ones little by little: how large they are is known
		// only after they have been claimed.
		q.expectedPayloadBytes = max(bytes/len(items), q.expectedPayloadBytes/2, 1)
	}
	limitReached := len(items) >= b.Limit
	for _, item := range items {
		if limitReached || byEndpoint[item.Endpoint] >= b.PerEndpoint ||
			byOrganization[item.Organization] >= b.PerOrganization {
			q.activate(item.Destination).backlog = true
		}
	}
	for i := len(q.activeEndpoints) - 1; i >= 0 && !limitReached; i-- {
		e := q.activeEndpoints[i]
		id := e.organization.id
		if byEndpoint[e.endpoint] < b.PerEndpoint && byOrganization[id] < b.PerOrganization &&
			!skippedEndpoint[e.endpoint] && !skippedOrganization[id] {
			e.backlog = false
			q.deactivateIfIdle(e)
		}
	}
}
