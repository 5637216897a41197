package fairqueue

import (
	"container/heap"
	"time"
)

// bufferThresholds are what one user may have of the buffer now: see the package documentation.
type bufferThresholds struct {
	organizationItems, endpointItems int // in endpoint queues, and prefetch reservations
	bytes                            int // of payloads, for an organization and for an endpoint
}

func (c *Core[T]) bufferThresholds() bufferThresholds {
	items := dynamicThreshold(c.limits.Buffered, c.buffered)
	return bufferThresholds{
		organizationItems: min(items, c.limits.Buffered),
		endpointItems:     min(items, c.limits.BufferedPerEndpoint),
		bytes:             dynamicThreshold(c.limits.BufferedBytes, c.bufferedBytes),
	}
}

// withinEndpointShare reports whether the endpoint may have n more items in the buffer, as far as
// its own share goes. A slow or neutral endpoint may have four times its window of fresh items:
// retries do not count there, so that they keep out no fresh ones. An endpoint with a rate limit
// may have its bufferLimit. Neither bound keeps out the first n.
func (e *endpointQueue[T]) withinEndpointShare(t bufferThresholds, n int) bool {
	if e.speed() != speedFast && len(e.fresh)+e.prefetchReservations > max(4*e.window-n, 0) {
		return false
	}
	buffered := e.len() + e.prefetchReservations
	if e.rateLimit.PerSecond > 0 && buffered > max(e.rateLimit.bufferLimit()-n, 0) {
		return false
	}
	return buffered+n <= t.endpointItems && e.bufferedBytes < t.bytes
}

// withinOrganizationShare reports whether the endpoint's organization may have n more items in the
// buffer for it. The organization's share of items is split by the speed of its endpoints: six
// eighths are for fast ones, which soon have them free again, one eighth is for neutral ones, and
// one eighth for slow ones. But:
//
//   - If the endpoint has no fresh items and no reservations, it is enough that one item fits into
//     the part of its speed, and not n: retries keep out no fresh items. If it has no retries
//     either, that part is one eighth larger for it.
//   - Neutral and slow endpoints together may have five eighths, into which all n have to fit. The
//     parts alone do not ensure this: a neutral endpoint that turns out to be slow keeps what it
//     has, so that slow ones can exceed their eighth again and again as new endpoints come.
//
// Of the bytes, neutral and slow endpoints get no more once the organization has half of its share.
func (e *endpointQueue[T]) withinOrganizationShare(t bufferThresholds, n int) bool {
	o, eighths, bytes := e.organization, 1, t.bytes/2
	if e.countedSpeed == speedFast {
		eighths, bytes = 6, t.bytes
	} else if !o.withinNeutralAndSlowShare(t, n) {
		return false
	}
	if len(e.fresh)+e.prefetchReservations == 0 {
		n = 1
		if len(e.retries) == 0 {
			eighths++
		}
	}
	return o.buffered < t.organizationItems &&
		o.bufferedBySpeed[e.countedSpeed]+n <= max(t.organizationItems*eighths/8, 1) &&
		o.bufferedBytes < max(bytes, 1)
}

// withinNeutralAndSlowShare reports whether the neutral and slow endpoints of the organization may
// have n more items in the buffer.
func (o *organization[T]) withinNeutralAndSlowShare(t bufferThresholds, n int) bool {
	return o.buffered-o.bufferedBySpeed[speedFast]+n <= max(t.organizationItems*5/8, 1)
}

// ReservePrefetch reserves capacity for one delivery that may be prefetched, and reports whether
// there is any. A reservation lasts until ReleasePrefetch.
func (c *Core[T]) ReservePrefetch(now time.Time, d Destination) bool {
	c.now = now
	if !c.accepting {
		return false
	}
	e, thresholds := c.ensureActive(d), c.bufferThresholds()
	fits := c.buffered+c.reservedForClaim < c.limits.Buffered &&
		c.bufferedBytes < c.limits.BufferedBytes && !e.breaker.BackingOff(c.now) &&
		e.withinEndpointShare(thresholds, 1) && e.withinOrganizationShare(thresholds, 1)
	if !fits {
		e.overflowPending = true
	}
	if !fits || e.prefetchBlocked {
		c.deactivateIfUnused(e)
		return false
	}
	e.prefetchReservations++
	c.adjustBuffered(e, 1)
	return true
}

// ReleasePrefetch ends a reservation for each destination. It is called before what was prefetched
// is pushed.
func (c *Core[T]) ReleasePrefetch(now time.Time, reserved []Destination) {
	c.now = now
	for _, d := range reserved {
		e := c.ensureActive(d)
		e.prefetchReservations--
		c.adjustBuffered(e, -1)
		c.deactivateIfUnused(e)
	}
}

// MarkBacklog notes endpoints with deliveries that were stored without being prefetched.
func (c *Core[T]) MarkBacklog(now time.Time, destinations []Destination) {
	c.now = now
	for _, d := range destinations {
		e := c.ensureActive(d)
		e.hasBacklog, e.backlogMarkedAfterPlan = true, c.lastPlan
		e.prefetchBlocked, e.overflowPending = e.prefetchBlocked || e.overflowPending, false
		c.signalClaimIfLow(e)
		c.deactivateIfUnused(e)
	}
}

// MarkBacklogSomewhere notes that deliveries were stored without being prefetched, for endpoints
// that the caller does not know, and signals a claim. Endpoints that this claim skips are taken to
// have a backlog, until a claim shows that they have none.
func (c *Core[T]) MarkBacklogSomewhere() {
	c.hasBacklogSomewhere = true
	c.actions.Claim = true
}

// adjustBuffered adds n to the counts of items and prefetch reservations of the endpoint. It asks
// for another claim if so few are left that what the last plan skipped may fit: see
// claimAgainBelow.
func (c *Core[T]) adjustBuffered(e *endpointQueue[T], n int) {
	o := e.organization
	c.buffered += n
	o.buffered += n
	o.bufferedBySpeed[e.countedSpeed] += n
	if n < 0 && c.lastPlan > 0 && (c.claimAgain.due(c.lastPlan, c.buffered) ||
		o.claimAgain.due(c.lastPlan, o.buffered)) {
		c.claimAgain, o.claimAgain = claimAgainBelow{}, claimAgainBelow{}
		c.actions.Claim = true
	}
}

// claimAgainBelow asks for another claim once the buffer has drained to half of what it held at a
// plan, because that plan skipped something for lack of room: a claim after each item that leaves
// the buffer would not be worth its cost. Core has one for the whole buffer, and each organization
// has one for its part of it. The zero value asks for none.
type claimAgainBelow struct {
	plan     int64 // its number; the next plan supersedes this
	buffered int   // the count of items and prefetch reservations, half of that at the plan
}

// due reports whether the claim is to be made, with the number of the last plan and the count of
// what is in the buffer now.
func (b claimAgainBelow) due(lastPlan int64, buffered int) bool {
	return b.plan == lastPlan && buffered <= b.buffered
}

// What is known of backlogs. The backlog of an endpoint consists of the deliveries that the store
// holds for it because they were not prefetched or not claimed, or were returned to the store when
// it began to back off. Some fields are flags:
//
//   - endpointQueue.hasBacklog: the endpoint has a backlog, or may have one.
//   - Core.hasBacklogSomewhere: there may be backlogs of endpoints that the caller could not name:
//     see MarkBacklogSomewhere.
//   - Core.hadBacklogSomewhere: the value of hasBacklogSomewhere just before the last plan, which
//     cleared it. hasBacklogSomewhere gets this value back if the claim fails or reaches its limit.
//   - endpointQueue.prefetchBlocked: no delivery may be prefetched until a claim has taken the
//     whole backlog, so that later deliveries do not overtake it.
//   - endpointQueue.overflowPending: a delivery did not fit, and MarkBacklog was not called since.
//     It may not be in the store yet, where a claim would find it. MarkBacklog then sets
//     prefetchBlocked.
//
// The others are numbers of plans, compared with Core.lastPlan; 0 stands for no plan:
//
//   - endpointQueue.backlogMarkedAfterPlan: the last plan before something was added to the
//     backlog. If it is that of a claim which has returned, the claim may have come too early to
//     find it.
//   - endpointQueue.skippedByPlan and organization.skippedByPlan: the last plan that skipped it.
//     The claim then says nothing about its backlog.
//   - organization.fastBacklogAtPlan: the last plan at which a fast endpoint of it had a backlog.

// countQueued counts an item that has come to the queue of its endpoint.
func (c *Core[T]) countQueued(item *Item[T]) {
	e, p := item.endpointQueue, item.PayloadSize
	c.adjustBuffered(e, 1)
	e.bufferedBytes += p.Bytes
	if p.queuedItems++; p.queuedItems == 1 {
		c.bufferedBytes += p.Bytes
		e.organization.bufferedBytes += p.Bytes
	}
}

// countDequeued counts items that have left the queue of their endpoint.
func (c *Core[T]) countDequeued(items ...*Item[T]) {
	for _, item := range items {
		e, p := item.endpointQueue, item.PayloadSize
		c.adjustBuffered(e, -1)
		e.bufferedBytes -= p.Bytes
		if p.queuedItems--; p.queuedItems == 0 {
			c.bufferedBytes -= p.Bytes
			e.organization.bufferedBytes -= p.Bytes
		}
	}
}

// ClaimBudget says how much a claim may take.
type ClaimBudget struct {
	// Limit is how many deliveries it may take, PerOrganization how many of them of one organization,
	// and PerEndpoint how many of one endpoint.
	Limit, PerOrganization, PerEndpoint int
	// SkipOrganizations and SkipEndpoints are those that it has to skip. Active endpoints that back
	// off are always listed, unless their organization is; resting ones only if they have a backlog.
	SkipOrganizations []string
	SkipEndpoints     []Endpoint
	// BufferEmpty says that nothing was queued or reserved, so that only endpoints that back off
	// are skipped.
	BufferEmpty bool
}

// PlanClaim returns what may be claimed now: the caller claims it, and calls RecordClaim, or
// AbandonClaim if the claim failed. If the Limit is 0, the caller claims nothing and calls neither;
// Actions.Claim says when there is capacity again.
func (c *Core[T]) PlanClaim(now time.Time) ClaimBudget {
	c.now, c.reservedForClaim = now, 0
	if !c.accepting {
		return ClaimBudget{}
	}
	if c.claimAwaitsCapacity = !c.enoughFreeToClaim(); c.claimAwaitsCapacity {
		return ClaimBudget{}
	}
	// Half of the items that are free stay for prefetching, so that a delivery which is stored now
	// need not wait until claimed ones are done.
	claimableItems := (c.limits.Buffered - c.buffered + 1) / 2
	freeBytes := c.limits.BufferedBytes - c.bufferedBytes
	b := ClaimBudget{Limit: min(max(min(claimableItems, freeBytes/c.expectedPayloadBytes), 1),
		c.limits.PerClaim)}
	c.reservedForClaim = b.Limit
	b.BufferEmpty = c.buffered == 0
	thresholds := c.bufferThresholds()
	itemsFittingBytes := thresholds.bytes / c.expectedPayloadBytes
	share := min(thresholds.organizationItems, itemsFittingBytes) * 3 / 8
	b.PerOrganization = min(max(share/min(max(len(c.organizations), 1), 3), 1), b.Limit)
	b.PerEndpoint = min(max(min(thresholds.endpointItems, itemsFittingBytes)/2, 1), b.PerOrganization)
	c.endRests()
	c.lastPlan++
	c.hasBacklogSomewhere, c.hadBacklogSomewhere = false, c.hasBacklogSomewhere
	for _, e := range c.activeEndpoints {
		if e.hasBacklog && e.countedSpeed == speedFast {
			e.organization.fastBacklogAtPlan = c.lastPlan
		}
	}
	for _, e := range c.activeEndpoints {
		o := e.organization
		switch {
		// A claim may also bring deliveries of endpoints that are not known here, and so not skipped.
		// They are not fast, and may not take the share of those that are.
		case o.buffered > thresholds.organizationItems-b.PerOrganization ||
			o.bufferedBytes >= thresholds.bytes ||
			o.fastBacklogAtPlan != c.lastPlan &&
				!o.withinNeutralAndSlowShare(thresholds, b.PerOrganization):
			if o.skippedByPlan != c.lastPlan {
				o.skippedByPlan = c.lastPlan
				b.SkipOrganizations = append(b.SkipOrganizations, o.id)
			}
		case e.breaker.BackingOff(c.now) || !e.withinEndpointShare(thresholds, b.PerEndpoint) ||
			!e.withinOrganizationShare(thresholds, b.PerOrganization):
			e.skippedByPlan = c.lastPlan
			b.SkipEndpoints = append(b.SkipEndpoints, e.endpoint)
		default:
			continue
		}
		if !e.breaker.BackingOff(c.now) {
			c.claimAgain = claimAgainBelow{c.lastPlan, c.buffered / 2}
			o.claimAgain = claimAgainBelow{c.lastPlan, o.buffered / 2}
		}
		// The claim skips the endpoint: what is in the store for it stays there.
		e.hasBacklog = e.hasBacklog || c.hadBacklogSomewhere
		e.prefetchBlocked = e.hasBacklog
	}
	b.SkipEndpoints = append(b.SkipEndpoints, c.resting.skip...)
	return b
}

// enoughFreeToClaim reports whether enough of the buffer is free for a claim to be worth its cost.
func (c *Core[T]) enoughFreeToClaim() bool {
	return c.limits.Buffered-c.buffered >= c.minFreeToClaim() &&
		c.limits.BufferedBytes-c.bufferedBytes >= c.limits.BufferedBytes/8
}

func (c *Core[T]) minFreeToClaim() int {
	return max(min(c.limits.Buffered/8, c.limits.PerClaim), 1)
}

// ClaimAt asks for a claim at that time, because a delivery in the store is due then.
func (c *Core[T]) ClaimAt(at time.Time) { heap.Push(&c.claimTimes, at) }

// timeHeap is a heap: the first of them is the earliest.
type timeHeap []time.Time

func (t timeHeap) Len() int           { return len(t) }
func (t timeHeap) Less(i, j int) bool { return t[i].Before(t[j]) }
func (t timeHeap) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push is what heap.Push calls.
func (t *timeHeap) Push(at any) { *t = append(*t, at.(time.Time)) }

// Pop is what heap.Pop calls.
func (t *timeHeap) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// signalClaimIfLow asks for a claim if the endpoint has a backlog and its queue runs low.
func (c *Core[T]) signalClaimIfLow(e *endpointQueue[T]) {
	lowWater := c.limits.BufferedPerEndpoint / 2
	if e.rateLimit.PerSecond > 0 {
		lowWater = min(lowWater, e.rateLimit.bufferLimit()/4)
	}
	if e.hasBacklog && e.len() <= lowWater && !e.breaker.BackingOff(c.now) &&
		e.organization.buffered < dynamicThreshold(c.limits.Buffered, c.buffered)/2 {
		c.actions.Claim = true
	}
}

// AbandonClaim is called when a planned claim has failed: what was reserved for it may be used for
// prefetching until the next one is planned.
func (c *Core[T]) AbandonClaim() {
	c.reservedForClaim = 0
	c.hasBacklogSomewhere = c.hasBacklogSomewhere || c.hadBacklogSomewhere
}

// RecordClaim notes what a claim with that budget says about the store: an endpoint of which it
// took less than it was allowed to has no backlog that is due. It is called before the items are
// pushed, and not if the claim failed.
func (c *Core[T]) RecordClaim(now time.Time, items []*Item[T], b ClaimBudget) {
	c.now, c.reservedForClaim = now, 0
	byEndpoint, byOrganization, bytes := make(map[Endpoint]int), make(map[string]int), 0
	for _, item := range items {
		byEndpoint[item.Endpoint]++
		byOrganization[item.OrganizationID]++
		bytes += item.PayloadSize.Bytes
	}
	if len(items) > 0 {
		// The expectation follows larger payloads at once, and smaller ones little by little: how large
		// they are is known only after they have been claimed.
		c.expectedPayloadBytes = max(bytes/len(items), c.expectedPayloadBytes/2, 1)
	}
	limitReached := len(items) >= b.Limit
	if limitReached { // there may be more of it
		c.hasBacklogSomewhere = c.hasBacklogSomewhere || c.hadBacklogSomewhere
	}
	for _, item := range items {
		if limitReached || byEndpoint[item.Endpoint] >= b.PerEndpoint ||
			byOrganization[item.OrganizationID] >= b.PerOrganization {
			e := c.ensureActive(item.Destination)
			e.hasBacklog, e.prefetchBlocked = true, true
		}
	}
	for i := len(c.activeEndpoints) - 1; i >= 0 && !limitReached; i-- {
		e := c.activeEndpoints[i]
		o := e.organization
		if e.skippedByPlan != c.lastPlan && o.skippedByPlan != c.lastPlan &&
			byEndpoint[e.endpoint] < b.PerEndpoint && byOrganization[o.id] < b.PerOrganization {
			// What was stored since the plan may have been too late for this claim: the next one takes
			// it, or leaves it in the store and sets prefetchBlocked again. Deliveries are
			// prefetched meanwhile, or else an endpoint whose events never pause would never get back to
			// prefetching.
			e.prefetchBlocked = false
			e.hasBacklog = e.hasBacklog && e.backlogMarkedAfterPlan == c.lastPlan
			c.actions.Claim = c.actions.Claim || e.hasBacklog
			c.deactivateIfUnused(e)
		}
	}
}
