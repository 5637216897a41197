package fairqueue

import (
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// A Queue holds claimed deliveries, each with a value of type T, until they are attempted. Its
// methods are safe for concurrent use.
type Queue[T any] struct {
	limits Limits
	slots  slotLimits
	// spawnWorker starts a worker, which calls Next until that returns nil.
	spawnWorker func()
	claimSignal chan struct{}

	mu              sync.Mutex
	open            bool
	organizations   map[string]*organization[T]
	hosts           map[Host]*host[T]
	endpoints       map[Endpoint]*endpointQueue[T]
	bySubscription  map[string][]*endpointQueue[T]
	activeEndpoints []*endpointQueue[T]       // those that are not idle
	lastEviction    time.Time                 // of idle endpoints
	runQueue        fifo[*organization[T]]    // those that may have something to run
	waitingForSlot  map[*organization[T]]bool // those that found no slot when they had their turn

	queued               int   // items in endpoint queues, and reservations
	bytes                int   // of the payloads in endpoint queues, each counted once
	expectedPayloadBytes int   // bytes that the payload of the next claimed item is expected to have
	budgetGeneration     int64 // calls of ClaimBudget
	unknownBacklog       bool  // see MarkUnknownBacklog
	claimBlocked         bool  // there was no capacity for the last claim

	slotsUsed      slotUsage
	slowWatch      slowWatchList[T]
	slowTimer      *time.Timer // calls markSlow
	slowTimerArmed bool
	workers        int        // with an attempt in flight, or about to call Next
	noWorkers      *sync.Cond // workers == 0
}

// Limits are the capacities of a Queue. All must be positive.
type Limits struct {
	// InFlight is how many attempts may be in flight, and InFlightPerEndpoint how many of them to one
	// endpoint.
	InFlight, InFlightPerEndpoint int
	// Queued is how many items may wait, and QueuedPerEndpoint how many of them for one endpoint.
	Queued, QueuedPerEndpoint int
	// Bytes is how large the payloads of all items that wait may be together.
	Bytes int
	// Claim is how many items one claim may take.
	Claim int
	// ExpectedPayloadBytes is how many bytes the payload of an item is expected to have before any was
	// claimed. From then on it follows from those that were.
	ExpectedPayloadBytes int
}

// Endpoint identifies what attempts are made to: one channel of one subscription.
type Endpoint struct{ SubscriptionID, Channel string }

// Destination is an endpoint and the organization that it belongs to.
type Destination struct {
	Organization string
	Endpoint     Endpoint
}

// Item is a claimed delivery. The caller sets the exported fields before it pushes the item, and
// does not change them from then on. What PurgeSubscription has taken out may be pushed again.
type Item[T any] struct {
	Destination
	// ID identifies the delivery.
	ID int64
	// PayloadSize is how much memory the payload takes while the item is queued. Items of one event
	// have the same.
	PayloadSize *SharedSize
	// Value is the caller's.
	Value T
	// Retry says that the delivery has failed before.
	Retry bool

	// While it is in flight:
	slot           slotKind
	slow           bool         // it has lasted longer than slowAfter, without clockPauses
	finished       bool         // the attempt is over
	host           *host[T]     // that the slot is counted for
	started        time.Time    // zero until Begin; later by what it has waited since
	clockPauses    *clockPauses // nil if it has not waited
	previous, next *Item[T]     // in Queue.slowWatch, unless it is slow or waits

	queue *endpointQueue[T] // since it was pushed
}

// SharedSize is the size of a payload that items share: those of one event. It counts once for the
// whole Queue and for an organization, however many of them are queued, and once for each of them
// at its endpoint.
type SharedSize struct {
	Bytes int

	queuedItems int
}

// Stats says how full a Queue is.
type Stats struct {
	Queued      int // items that wait, and reservations
	QueuedBytes int // of the payloads of those that wait
	// FastSlots and GeneralSlots are the slots that attempts in flight have.
	FastSlots, GeneralSlots int
	// Endpoints is how many endpoints are known: those with something to do, and those whose
	// record is kept.
	Endpoints int
}

// New makes a Queue, which takes in nothing before Start.
func New[T any](l Limits) *Queue[T] {
	q := &Queue[T]{
		limits:               l,
		slots:                newSlotLimits(l.InFlight),
		claimSignal:          make(chan struct{}, 1),
		organizations:        make(map[string]*organization[T]),
		hosts:                make(map[Host]*host[T]),
		endpoints:            make(map[Endpoint]*endpointQueue[T]),
		bySubscription:       make(map[string][]*endpointQueue[T]),
		waitingForSlot:       make(map[*organization[T]]bool),
		expectedPayloadBytes: l.ExpectedPayloadBytes,
	}
	q.noWorkers = sync.NewCond(&q.mu)
	return q
}

// Start lets items in. spawnWorker is called whenever there is something to run and no worker on
// its way. It must start a goroutine that calls Next until that returns nil, and return at once.
func (q *Queue[T]) Start(spawnWorker func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spawnWorker = spawnWorker
	q.open = true
}

// Stop lets nothing more in, and returns what was queued. Attempts in flight go on: see WaitWorkers.
// The Queue can be started again.
func (q *Queue[T]) Stop() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = false
	var unstarted []T
	for _, e := range q.activeEndpoints {
		unstarted = append(unstarted, values(q.drain(e))...)
	}
	return unstarted
}

// WaitWorkers returns when no worker is left.
func (q *Queue[T]) WaitWorkers() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.workers > 0 {
		q.noWorkers.Wait()
	}
}

// Stats returns how full the Queue is.
func (q *Queue[T]) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{
		Queued: q.queued, QueuedBytes: q.bytes,
		FastSlots: q.slotsUsed.fast, GeneralSlots: q.slotsUsed.general,
		Endpoints: len(q.endpoints),
	}
}

// Empty reports whether nothing is queued or reserved. Attempts may be in flight.
func (q *Queue[T]) Empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queued == 0
}

// Push queues claimed items. It returns the values of those that came too late, after Stop.
func (q *Queue[T]) Push(items []*Item[T]) (late []T) {
	if len(items) == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, item := range items {
		if !q.open {
			late = append(late, item.Value)
			continue
		}
		item.queue = q.activate(item.Destination)
		item.queue.push(item)
		q.countQueued(item)
		q.schedule(item.queue)
	}
	q.ensureWorker()
	return late
}

// ensureWorker sees to it that a worker is on its way when something can run. Each worker that
// finds something does the same for the next.
func (q *Queue[T]) ensureWorker() {
	if q.workers > q.slotsUsed.total() || !q.open {
		return
	}
	if e, _ := q.pick(); e != nil {
		q.workers++
		q.spawnWorker()
	}
}

// Next returns the item whose turn it is, which is in flight from then on: the worker calls Begin
// and Finish, or Finish alone. Next returns nil when there is nothing to run; the worker that
// called it has to end then.
func (q *Queue[T]) Next() *Item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, kind := q.pick()
	if e == nil {
		q.workers--
		if q.workers == 0 {
			q.noWorkers.Broadcast()
		}
		return nil
	}
	item := q.assignSlot(e, kind)
	q.ensureWorker()
	q.signalClaimIfLow(e)
	if q.claimBlocked && q.claimWorthwhile() {
		q.claimBlocked = false
		q.SignalClaim()
	}
	return item
}

// pick returns the endpoint whose turn it is, and the kind of slot that it may have. It is the
// first in a run queue of its organization, and that is the first in q.runQueue.
func (q *Queue[T]) pick() (*endpointQueue[T], slotKind) {
	for !q.runQueue.empty() && q.slotsUsed.total() < q.slots.all {
		if e, kind := q.pickFrom(q.runQueue.head); e != nil {
			return e, kind
		}
		q.unscheduleFirstOrganization()
	}
	return nil, noSlot
}

// pickFrom picks among the endpoints of an organization. Those that have been answering at once,
// those that have not answered yet and those that are slow take turns.
func (q *Queue[T]) pickFrom(o *organization[T]) (*endpointQueue[T], slotKind) {
	for again := true; again; {
		again = false
		for i := range speedCount {
			sp := (o.nextSpeed + i) % speedCount
			if !q.organizationMayRun(o, sp) {
				continue
			}
			e, kind, moved := q.firstRunnable(o, sp)
			if e != nil {
				o.nextSpeed = sp
				return e, kind
			}
			again = again || moved
		}
	}
	return nil, noSlot
}

// firstRunnable returns the first endpoint of that speed that can run something, if any can, and
// takes those before it out of the run queue. It reports whether one of them has moved to another
// run queue of the organization, because its speed has changed.
func (q *Queue[T]) firstRunnable(
	o *organization[T], sp speed,
) (first *endpointQueue[T], kind slotKind, moved bool) {
	runQueue := &o.runQueues[sp]
	for blocked := 0; !runQueue.empty() && blocked < maxBlockedPassed; {
		e := runQueue.head
		if e.candidate(q.limits.InFlightPerEndpoint) == noCandidate {
			runQueue.pop()
			e.inFIFO = false
			continue
		}
		if e.speed() != sp {
			runQueue.pop()
			e.inFIFO = false
			q.schedule(e)
			moved = true
			continue
		}
		kind, hostFull := q.slotFor(e)
		switch {
		case kind != noSlot:
			return e, kind, moved
		case hostFull:
			e.host.addWaiter(runQueue.pop())
		default:
			runQueue.push(runQueue.pop())
			blocked++
		}
	}
	return nil, noSlot, moved
}

// assignSlot gives a slot to the next item of an endpoint that was picked.
func (q *Queue[T]) assignSlot(e *endpointQueue[T], kind slotKind) *Item[T] {
	o := e.organization
	o.runQueues[o.nextSpeed].pop()
	e.inFIFO = false
	q.runQueue.pop()
	o.scheduled = false
	o.nextSpeed = (o.nextSpeed + 1) % speedCount

	item := e.pop(e.candidate(q.limits.InFlightPerEndpoint))
	q.countDequeued(item)
	item.slot, item.host, item.started, item.slow = kind, e.host, time.Time{}, false
	item.clockPauses, item.finished = nil, false
	q.adjustSlots(item, 1)
	if e.host != nil {
		e.host.moveToBack(o)
	}
	q.schedule(e)
	if o.hasRunnable() {
		q.scheduleOrganization(o)
	}
	return item
}

// Begin is called before the attempt is made, once it is known where it goes; the zero Host is not
// known. If too many are in flight to that host it returns false: the item is queued again, and the
// worker goes on with Next.
func (q *Queue[T]) Begin(item *Item[T], to Host) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := item.queue
	q.setHost(e, to)
	if item.host != e.host {
		q.adjustSlots(item, -1)
		if item.host != nil { // which has a slot again
			q.wakeWaiters(item.host, maxWakeups)
			defer q.ensureWorker()
		}
		if e.host != nil && q.open && !q.hostWithinSlotShare(e.host, item.slot, e.speed()) {
			e.attemptEnded(item)
			e.pushFront(item)
			q.countQueued(item)
			q.schedule(e)
			return false
		}
		item.host = e.host
		q.adjustSlots(item, 1)
	}
	item.started = time.Now()
	q.slowWatch.add(item)
	q.armSlowTimer()
	return true
}

// Finished is what follows from an attempt that is over.
type Finished[T any] struct {
	// Unstarted is what the endpoint's breaker keeps from being attempted, which has to be requeued.
	// Of that, deliveries that have failed before are not to be claimed again before RetriesAt.
	Unstarted []T
	RetriesAt time.Time
	// Change is how the attempt has changed the endpoint's breaker, nil if it has not.
	Change *BreakerChange
}

// BreakerChange is a breaker that attempts have opened, or closed again.
type BreakerChange struct {
	Opened bool // and not closed
	At     time.Time
	// FailingSince is when the first of the failures happened that opened it.
	FailingSince time.Time
	// OpenUntil is when the next attempt can be made of a delivery that was never attempted, if it
	// was opened.
	OpenUntil time.Time
}

// Finish ends an attempt, or the turn of an item that was not attempted because Begin was not
// called. The latter never changes whether the endpoint counts as failing: see BreakerChange.
func (q *Queue[T]) Finish(item *Item[T], observed breaker.Observation) (finished Finished[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := item.queue
	e.attemptEnded(item)
	q.adjustSlots(item, -1)
	item.finished = true
	if !item.started.IsZero() && !item.slow && !item.clockPaused() {
		q.slowWatch.remove(item)
		e.recordFast()
		e.updateSpeed()
		e.organization.recordFast()
		if item.host != nil {
			item.host.recordFast()
		}
	}
	finished.Change = e.recordResult(item, observed, q.limits.InFlightPerEndpoint)
	switch {
	case e.breaker.BackingOff():
		finished.Unstarted = values(q.drain(e))
		e.backlog = true
	case e.breaker.BackingOffRetries():
		q.countDequeued(e.retries...)
		finished.Unstarted, e.retries = values(e.retries), nil
	}
	q.wakeForFreedSlot(item)
	q.schedule(e) // behind those that waited
	q.deactivateIfIdle(e)
	finished.RetriesAt = e.breaker.BackingOffRetriesUntil()
	return finished
}

// PurgeSubscription takes out what is queued for a subscription's endpoints, returns it, and
// forgets the record of the endpoints.
func (q *Queue[T]) PurgeSubscription(id string) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	var unstarted []T
	for _, e := range append([]*endpointQueue[T](nil), q.bySubscription[id]...) {
		unstarted = append(unstarted, values(q.drain(e))...)
		e.breaker, e.speedRecord, e.window = breaker.Breaker{}, speedRecord{}, initialWindow
		e.failingSince, e.breakerOpened = time.Time{}, false
		e.updateSpeed()
		q.deactivateIfIdle(e)
	}
	return unstarted
}

// WakeBlocked serves endpoints again whose breaker is no longer open, and lets everything look for
// a slot again that had found none. It is called with each poll of the store.
func (q *Queue[T]) WakeBlocked() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open {
		return
	}
	for o := range q.waitingForSlot {
		q.scheduleOrganization(o)
	}
	for i := len(q.activeEndpoints) - 1; i >= 0; i-- { // deactivateIfIdle moves the last one
		e := q.activeEndpoints[i]
		if e.host != nil {
			q.wakeWaiters(e.host, len(q.activeEndpoints))
		}
		q.schedule(e)
		q.deactivateIfIdle(e)
	}
	q.ensureWorker()
	q.evictIdle()
}

// schedule puts the endpoint into the run queue if it has something to run.
func (q *Queue[T]) schedule(e *endpointQueue[T]) {
	if !e.inFIFO && e.candidate(q.limits.InFlightPerEndpoint) != noCandidate {
		e.inFIFO = true
		e.organization.runQueues[e.speed()].push(e)
		q.scheduleOrganization(e.organization)
	}
}

// scheduleOrganization puts the organization at the end of the run queue.
func (q *Queue[T]) scheduleOrganization(o *organization[T]) {
	if o.scheduled {
		return
	}
	delete(q.waitingForSlot, o)
	o.scheduled = true
	q.runQueue.push(o)
}

// unscheduleFirstOrganization takes the first organization out of the run queue: nothing of it can
// run for now.
func (q *Queue[T]) unscheduleFirstOrganization() {
	o := q.runQueue.pop()
	o.scheduled = false
	if o.hasRunnable() {
		q.waitingForSlot[o] = true
	}
}

// drain empties the endpoint's queue.
func (q *Queue[T]) drain(e *endpointQueue[T]) []*Item[T] {
	items := e.drain()
	q.countDequeued(items...)
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
