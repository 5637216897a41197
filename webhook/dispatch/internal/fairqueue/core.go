package fairqueue

import (
	"container/heap"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// Core is the scheduler itself: it knows the state of all queues, and decides. It has no clock, no
// lock, no goroutine and no channel, and iterates over no map, so that the same calls with the same
// times have the same results. It is not safe for concurrent use: Queue is.
//
// A method that needs the time is told it as now, which never goes back from one call to the next.
// After each call the caller does what TakeActions returns.
type Core[T any] struct {
	limits Limits
	slots  slotCounts

	now             time.Time // as of the last call
	actions         Actions
	accepting       bool
	organizations   map[string]*organization[T]
	hosts           map[Host]*hostState[T]
	endpoints       map[Endpoint]*endpointQueue[T]
	bySubscription  map[string][]*endpointQueue[T]
	activeEndpoints []*endpointQueue[T]     // those that are neither idle nor resting
	resting         restingEndpoints[T]     // that back off, and have nothing to do meanwhile
	idleEndpoints   fifo[*endpointQueue[T]] // the one that has been idle for longest first
	runQueue        fifo[*organization[T]]  // those that may have something to run
	waitingForSlot  fifo[*organization[T]]  // those that found no slot in their last turn

	buffered             int // items in endpoint queues, and prefetch reservations
	bufferedBytes        int // of the payloads in endpoint queues: see PayloadSize
	expectedPayloadBytes int // of an item that the next claim brings: see Limits
	reservedForClaim     int // items that the planned claim may bring; not in buffered

	lastPlan            int64           // the number of the last plan of a claim; 0 before the first
	claimAgain          claimAgainBelow // for the whole buffer
	claimAwaitsCapacity bool            // PlanClaim planned none last time: too little was free
	// See "What is known of backlogs" in buffer.go.
	hasBacklogSomewhere, hadBacklogSomewhere bool

	permitRequesters []*organization[T] // that have permitDemands; it is the turn of the first
	permitWakeups    permitWakeupHeap[T]

	claimTimes      timeHeap // see ClaimAt
	slotsUsed       slotUsage
	notYetSlow      attemptList[T] // in flight, neither slow nor with a paused stopwatch
	workers         int            // with an attempt in flight, or about to call Next
	trippedBreakers int            // see Stats.TrippedBreakers
}

// Actions are what the caller of a Core has to do.
type Actions struct {
	// StartWorkers is how many workers to start: each calls Next until that returns nil.
	StartWorkers int
	// Claim says that the store may hold due deliveries that fit now.
	Claim bool
	// RequestPermits says that permits are needed: TakePermitDemands has something to return.
	RequestPermits bool
	// TickAt is when to call Tick next; zero is never. It replaces that of earlier Actions.
	TickAt time.Time
}

// tickBy makes TickAt no later than at.
func (a *Actions) tickBy(at time.Time) {
	if a.TickAt.IsZero() || at.Before(a.TickAt) {
		a.TickAt = at
	}
}

// TakeActions returns what the calls since the last TakeActions make necessary.
func (c *Core[T]) TakeActions() Actions {
	a := c.actions
	c.actions = Actions{}
	if c.claimAwaitsCapacity && c.enoughFreeToClaim() { // many calls free some
		c.claimAwaitsCapacity = false
		a.Claim = true
	}
	if first := c.notYetSlow.first; first != nil {
		a.tickBy(first.stopwatchStart.Add(slowAfter))
	}
	if len(c.permitWakeups) > 0 {
		a.tickBy(c.permitWakeups[0].at)
	}
	if len(c.claimTimes) > 0 {
		a.tickBy(c.claimTimes[0])
	}
	return a
}

// Tick does what has become due. It does no harm if it is called early.
func (c *Core[T]) Tick(now time.Time) {
	c.now = now
	c.runPermitWakeups()
	c.markSlow()
	for len(c.claimTimes) > 0 && !c.claimTimes[0].After(now) {
		heap.Pop(&c.claimTimes)
		c.actions.Claim = true
	}
}

// Limits are the capacities of a Queue or a Core. All must be positive.
type Limits struct {
	// InFlight is how many attempts may be in flight, and InFlightPerEndpoint how many of them to one
	// endpoint.
	InFlight, InFlightPerEndpoint int
	// Buffered is how many items may be queued, and BufferedPerEndpoint how many of them for one
	// endpoint. Items that TryBegin puts back may exceed both. What is prefetched while a claim is
	// under way, together with what the claim brings, may exceed BufferedPerEndpoint.
	Buffered, BufferedPerEndpoint int
	// BufferedBytes is how large the payloads of all queued items should be together. The items of one
	// claim, or of one prefetch, may exceed it: how large their payloads are is known only when they
	// are pushed.
	BufferedBytes int
	// PerClaim is how many items one claim may take.
	PerClaim int
	// ExpectedPayloadBytes is how large payloads are assumed to be, until claims show how large they
	// are.
	ExpectedPayloadBytes int
}

// Endpoint identifies what attempts are made to: one channel of one subscription.
type Endpoint struct{ SubscriptionID, Channel string }

// Destination is an endpoint and the organization that it belongs to.
type Destination struct {
	OrganizationID string
	Endpoint       Endpoint
}

// Item is a claimed delivery. The caller sets the exported fields before it pushes the item, and
// does not change them from then on. An item that has been taken out of the queue may be pushed
// again.
type Item[T any] struct {
	Destination
	// ID identifies the delivery.
	ID int64
	// PayloadSize is how much memory the payload takes while the item is queued. Items of one event
	// have the same.
	PayloadSize *PayloadSize
	// Value is the caller's.
	Value T
	// Retry says that the delivery has failed before.
	Retry bool

	// While it is in flight:
	slot                       slotKind
	slow                       bool             // it has lasted for slowAfter, without its pauses
	finished                   bool             // Finish was called
	preparing                  bool             // since Next, until it begins, waits again or finishes
	slotHost                   *hostState[T]    // the host that its slot is counted for
	stopwatchStart             time.Time        // when it began, plus its pauses; zero before
	stopwatchPauses            *stopwatchPauses // nil if there was none
	previousInList, nextInList *Item[T]         // in Core.notYetSlow

	endpointQueue *endpointQueue[T] // since it was pushed
}

// PayloadSize is the size of a payload that items of one organization share: those of one event.
// However many of them are queued, it counts once for the whole Queue and once for the
// organization. For an endpoint it counts with each item.
type PayloadSize struct {
	Bytes int

	queuedItems int // that share it
}

// Stats says how full a Queue is.
type Stats struct {
	Buffered      int // items that are queued, and prefetch reservations
	BufferedBytes int // of the payloads of queued items
	// FastSlotsUsed and GeneralSlotsUsed are the slots that attempts in flight have.
	FastSlotsUsed, GeneralSlotsUsed int
	// KnownEndpoints counts the endpoints that are remembered: active, resting or idle.
	KnownEndpoints int
	// EndpointsWaitingForPermits counts those that have something to run, but no permit for it now.
	EndpointsWaitingForPermits int
	// TrippedBreakers counts the endpoints at which attempts have failed and whose breaker is open or
	// half-open.
	TrippedBreakers int
	Workers         int // with an attempt in flight, or about to call Next
}

// NewCore makes a Core, which rejects items before Start.
func NewCore[T any](l Limits) *Core[T] {
	return &Core[T]{
		limits:               l,
		slots:                newSlotCounts(l.InFlight),
		organizations:        make(map[string]*organization[T]),
		hosts:                make(map[Host]*hostState[T]),
		endpoints:            make(map[Endpoint]*endpointQueue[T]),
		bySubscription:       make(map[string][]*endpointQueue[T]),
		expectedPayloadBytes: l.ExpectedPayloadBytes,
	}
}

// Start makes the Core accept items.
func (c *Core[T]) Start() { c.accepting = true }

// Stop makes the Core reject items, and returns the values of those that were queued. Attempts in
// flight go on. The Core can be started again.
func (c *Core[T]) Stop() []T {
	c.accepting = false
	c.dropPermitDemands()
	var unstarted []T
	for _, e := range c.activeEndpoints {
		unstarted = append(unstarted, values(c.removeQueued(e))...)
	}
	return unstarted
}

// NoWorkers reports whether no worker is left.
func (c *Core[T]) NoWorkers() bool { return c.workers == 0 }

// Stats returns how full the Core is.
func (c *Core[T]) Stats() Stats {
	return Stats{
		Buffered: c.buffered, BufferedBytes: c.bufferedBytes,
		FastSlotsUsed: c.slotsUsed.fast, GeneralSlotsUsed: c.slotsUsed.general,
		KnownEndpoints:             len(c.endpoints),
		EndpointsWaitingForPermits: c.endpointsWaitingForPermits(),
		TrippedBreakers:            c.trippedBreakers, Workers: c.workers,
	}
}

// BufferEmpty reports whether nothing is queued or reserved. Attempts may be in flight.
func (c *Core[T]) BufferEmpty() bool {
	return c.buffered == 0
}

// Push queues claimed items. It returns the values of those that it rejects: all of them before
// Start and after Stop.
func (c *Core[T]) Push(now time.Time, items []*Item[T]) (rejected []T) {
	c.now = now
	for _, item := range items {
		if !c.accepting {
			rejected = append(rejected, item.Value)
			continue
		}
		item.endpointQueue = c.ensureActive(item.Destination)
		item.endpointQueue.push(item)
		c.countQueued(item)
		c.schedule(item.endpointQueue)
	}
	c.ensureWorker()
	return rejected
}

// ensureWorker starts a worker if something can run and none is about to call Next. Each worker
// that gets an item from Next starts the one after it in this way.
func (c *Core[T]) ensureWorker() {
	if c.workers > c.slotsUsed.total() || !c.accepting {
		return
	}
	if e, _ := c.pick(); e != nil {
		c.workers++
		c.actions.StartWorkers++
	}
}

// Next returns the item whose turn it is, which is in flight from then on: the worker calls
// TryBegin and Finish, or Finish alone. Next returns nil when there is nothing to run; the worker
// that called it has to end then.
func (c *Core[T]) Next(now time.Time) *Item[T] {
	c.now = now
	e, kind := c.pick()
	if e == nil {
		c.workers--
		return nil
	}
	item := c.take(e, kind)
	c.ensureWorker()
	c.signalClaimIfLow(e)
	return item
}

// pick returns the endpoint whose turn it is, and the kind of slot that it may have. The endpoint
// is then the first in a run queue of its organization, and the organization is the first in
// c.runQueue. take takes the item out.
func (c *Core[T]) pick() (*endpointQueue[T], slotKind) {
	for !c.runQueue.empty() && c.slotsUsed.total() < c.slots.total {
		if e, kind := c.pickFrom(c.runQueue.head); e != nil {
			return e, kind
		}
		c.parkFirstOrganization()
	}
	return nil, noSlot
}

// pickFrom picks among the endpoints of an organization. Fast, neutral and slow ones take turns.
func (c *Core[T]) pickFrom(o *organization[T]) (*endpointQueue[T], slotKind) {
	for i := range speedCount {
		speed := (o.nextSpeed + i) % speedCount
		if !c.organizationMayRun(o, speed) {
			continue
		}
		if e, kind := c.advanceToRunnable(&o.runQueues[speed]); e != nil {
			o.nextSpeed = speed
			return e, kind
		}
	}
	return nil, noSlot
}

// advanceToRunnable brings the first endpoint of a run queue that can run something to its head,
// and returns it, if any can. Of those before it, it takes out the ones that have nothing to run or
// wait for a permit or their host, and moves the others to the end. Of those others, it moves
// maxBlockedSkipped at most.
func (c *Core[T]) advanceToRunnable(
	runQueue *fifo[*endpointQueue[T]],
) (*endpointQueue[T], slotKind) {
	for blocked := 0; !runQueue.empty() && blocked < maxBlockedSkipped; {
		e := runQueue.head
		if e.nextKind(c.now, c.limits.InFlightPerEndpoint) == noItem || !c.permitOrWait(e) {
			e.leaveFIFO()
			continue
		}
		kind, hostFull := c.slotFor(e)
		if kind != noSlot {
			return e, kind
		}
		e.leaveFIFO()
		if hostFull {
			e.host.addWaiter(e, c.now)
		} else {
			e.joinFIFO(runQueue)
			blocked++
		}
	}
	return nil, noSlot
}

// take gives a slot to the next item of an endpoint that was picked.
func (c *Core[T]) take(e *endpointQueue[T], kind slotKind) *Item[T] {
	o := e.organization
	e.leaveFIFO()
	c.runQueue.pop()
	o.scheduled = false
	o.nextSpeed = (o.nextSpeed + 1) % speedCount

	item := e.pop(e.nextKind(c.now, c.limits.InFlightPerEndpoint))
	c.countDequeued(item)
	item.slot, item.slotHost, item.stopwatchStart, item.slow = kind, e.host, time.Time{}, false
	item.stopwatchPauses, item.finished = nil, false
	item.preparing = true
	e.preparing++
	c.adjustSlots(item, 1)
	if e.host != nil {
		e.host.moveToBack(o)
	}
	c.schedule(e)
	if o.hasScheduledEndpoint() {
		c.scheduleOrganization(o)
	}
	return item
}

// BeginResult is what TryBegin has done with the item.
type BeginResult int

const (
	// Begun says that the attempt is to be made.
	Begun BeginResult = iota
	// PutBack says that the item has to wait, and is in the queue again: the worker calls Next, and
	// not Finish.
	PutBack
	// Rejected says that the item has to wait, but the Core has been stopped: the caller returns the
	// delivery to the store, and calls Finish.
	Rejected
)

// TryBegin is called before the attempt is made, once it is known where it goes and which rate
// limit the endpoint has. The zero Host means that the channel does not say. The item has to wait
// if too many are in flight to that host, or if there is no permit. It takes no slot while it
// waits.
func (c *Core[T]) TryBegin(now time.Time, item *Item[T], to Host, limit RateLimit) BeginResult {
	c.now = now
	e := item.endpointQueue
	c.setHost(e, to)
	hadLimit := e.rateLimit.PerSecond > 0
	c.setRateLimit(e, limit)
	if item.slotHost != e.host {
		c.adjustSlots(item, -1)
		if e.host != nil && c.accepting && !c.hostWithinSlotShare(e.host, item.slot, e) {
			c.putBack(item)
			return PutBack
		}
		if item.slotHost != nil { // a slot of that host is free again
			c.wakeWaiters(item.slotHost, maxWakeups)
			defer c.ensureWorker()
		}
		item.slotHost = e.host
		c.adjustSlots(item, 1)
	}
	if !c.usePermit(e) {
		if !c.accepting {
			return Rejected
		}
		c.adjustSlots(item, -1)
		c.putBack(item)
		return PutBack
	}
	e.endPreparing(item)
	if limit.PerSecond > 0 || hadLimit {
		c.schedule(e) // it may have a permit for another item, or need none any more
		c.ensureWorker()
	}
	item.stopwatchStart = now
	c.notYetSlow.add(item)
	return Begun
}

// putBack puts an item that was taken and has not begun back into the queue, before the others of
// its kind. Others may have the slot that it had.
func (c *Core[T]) putBack(item *Item[T]) {
	e := item.endpointQueue
	e.endPreparing(item)
	e.endInFlight(item)
	e.pushFront(item)
	c.countQueued(item)
	c.schedule(e)
	c.wakeForFreedSlot(item)
	c.ensureWorker()
}

// FinishResult is what follows from an attempt that is over.
type FinishResult[T any] struct {
	// Requeue has the values of the items that were queued for the endpoint, and that its breaker no
	// longer lets through: they have left the queue, and the caller returns the deliveries to the
	// store. Retries among them are not to be claimed again before RetriesNotBefore.
	Requeue          []T
	RetriesNotBefore time.Time
	// FailingAsAWholeSince is the time of the first failed attempt since the endpoint last answered,
	// if this attempt has failed too and the endpoint fails as a whole: see
	// [breaker.Breaker.FailsAsAWhole]. Zero otherwise.
	FailingAsAWholeSince time.Time
}

// Finish ends an attempt, or the turn of an item that was not attempted, because TryBegin was not
// called or has returned Rejected. Without an attempt, it does not change since when the
// endpoint counts as failing.
func (c *Core[T]) Finish(
	now time.Time, item *Item[T], observed breaker.Observation,
) (finished FinishResult[T]) {
	c.now = now
	e := item.endpointQueue
	e.endPreparing(item)
	e.endInFlight(item)
	c.adjustSlots(item, -1)
	item.finished = true
	if !item.stopwatchStart.IsZero() && !item.slow && !item.stopwatchPaused() {
		c.notYetSlow.remove(item)
		e.recordFast()
		c.updateCountedSpeed(e)
		e.organization.recordFast()
		if item.slotHost != nil {
			item.slotHost.recordFast()
		}
	}
	finished.FailingAsAWholeSince = e.recordResult(now, item, observed, c.limits.InFlightPerEndpoint)
	c.updateTrippedCount(e)
	switch {
	case e.breaker.BackingOff(now):
		// The delivery of an attempt is not due before the time that the endpoint has asked for. It may
		// be if the breaker has opened of itself, and one that was not attempted is due now.
		if e.len() > 0 || e.breaker.Tripped() || item.stopwatchStart.IsZero() {
			finished.Requeue = c.removeBackingOff(e)
		}
	case e.breaker.BackingOffRetries(now):
		c.countDequeued(e.retries...)
		finished.Requeue, e.retries = values(e.retries), nil
	}
	c.wakeForFreedSlot(item)
	c.schedule(e) // last, so that those that waited come first
	c.deactivateIfUnused(e)
	finished.RetriesNotBefore = e.breaker.BackingOffRetriesUntil()
	return finished
}

// ResetSubscription forgets how the endpoints of a subscription have been answering, and their rate
// limits. It takes out what is queued for them, and returns the values. Attempts in flight go on.
func (c *Core[T]) ResetSubscription(now time.Time, id string) (removed []T) {
	c.now = now
	for _, e := range append([]*endpointQueue[T](nil), c.bySubscription[id]...) {
		removed = append(removed, c.reset(e)...)
	}
	return removed
}

// ResetEndpoint is ResetSubscription for one endpoint.
func (c *Core[T]) ResetEndpoint(now time.Time, endpoint Endpoint) (removed []T) {
	c.now = now
	if e := c.endpoints[endpoint]; e != nil {
		return c.reset(e)
	}
	return nil
}

func (c *Core[T]) reset(e *endpointQueue[T]) []T {
	if e.restingPosition > 0 {
		c.makeActive(e)
	}
	removed := values(c.removeQueued(e))
	e.breaker, e.speedRecord, e.window = breaker.Breaker{}, speedRecord{}, initialWindow
	c.setRateLimit(e, RateLimit{})
	c.setHost(e, Host{}) // it may go to another one now
	c.clearFailingSince(e)
	c.updateCountedSpeed(e)
	c.deactivateIfUnused(e)
	return removed
}

// RescheduleAll schedules endpoints that no longer back off, and all endpoints and organizations
// that have found no slot. It also forgets endpoints that have been idle for long. It takes out
// what was pushed for endpoints that were backing off by then, and returns the values: the caller
// returns the deliveries to the store. It is called with each poll of the store.
func (c *Core[T]) RescheduleAll(now time.Time) (removed []T) {
	c.now = now
	if !c.accepting {
		return nil
	}
	c.endRests()
	for !c.waitingForSlot.empty() {
		c.scheduleOrganization(c.waitingForSlot.head)
	}
	for i := len(c.activeEndpoints) - 1; i >= 0; i-- { // deactivateIfUnused moves the last one
		e := c.activeEndpoints[i]
		if e.host != nil {
			c.wakeWaiters(e.host, len(c.activeEndpoints))
		}
		if e.len() > 0 && e.breaker.BackingOff(now) {
			removed = append(removed, c.removeBackingOff(e)...)
		}
		c.schedule(e)
		c.deactivateIfUnused(e)
	}
	c.ensureWorker()
	c.evictIdle()
	return removed
}

// removeBackingOff takes out what is queued for an endpoint that backs off, and returns the values.
// They are its backlog then.
func (c *Core[T]) removeBackingOff(e *endpointQueue[T]) []T {
	e.hasBacklog, e.backlogMarkedAfterPlan, e.prefetchBlocked = true, c.lastPlan, true
	return values(c.removeQueued(e))
}

// schedule puts the endpoint into a run queue of its organization, and that into c.runQueue, if the
// endpoint has something that it may run.
func (c *Core[T]) schedule(e *endpointQueue[T]) {
	if e.inList == nil && e.nextKind(c.now, c.limits.InFlightPerEndpoint) != noItem &&
		c.permitOrWait(e) {
		e.joinFIFO(&e.organization.runQueues[e.countedSpeed])
		c.scheduleOrganization(e.organization)
	}
}

// scheduleOrganization puts the organization at the end of c.runQueue, unless it is in there.
func (c *Core[T]) scheduleOrganization(o *organization[T]) {
	if o.scheduled {
		return
	}
	c.stopWaitingForSlot(o)
	o.scheduled = true
	c.runQueue.push(o)
}

// parkFirstOrganization takes the first organization out of c.runQueue: nothing of it can run for
// now.
func (c *Core[T]) parkFirstOrganization() {
	o := c.runQueue.pop()
	o.scheduled = false
	if o.hasScheduledEndpoint() {
		o.waitsForSlot = true
		c.waitingForSlot.push(o)
	}
}

func (c *Core[T]) stopWaitingForSlot(o *organization[T]) {
	if o.waitsForSlot {
		o.waitsForSlot = false
		c.waitingForSlot.remove(o)
	}
}

// removeQueued empties the queue of the endpoint, and returns what was in it.
func (c *Core[T]) removeQueued(e *endpointQueue[T]) []*Item[T] {
	items := e.popAll()
	c.countDequeued(items...)
	return items
}

func values[T any](items []*Item[T]) []T {
	if len(items) == 0 {
		return nil
	}
	list := make([]T, len(items))
	for i, item := range items {
		list[i] = item.Value
	}
	return list
}
