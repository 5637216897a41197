package fairqueue

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

// signalIfLow signals when the endpoint has a backlog and its queue runs low.
func (q *Queue[T]) signalIfLow(e *endpointQueue[T]) {
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
