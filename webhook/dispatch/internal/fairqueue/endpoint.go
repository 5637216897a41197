package fairqueue

import (
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// endpointQueue is the queue of one endpoint, and what is known of it. Fresh items, which were
// never attempted, are apart from retries, which have failed before, so that they need not wait for
// those.
type endpointQueue[T any] struct {
	speedRecord
	fifoLinks[*endpointQueue[T]]
	rateState
	endpoint             Endpoint
	organization         *organization[T]
	host                 *hostState[T] // nil while it is not known
	fresh, retries       []*Item[T]
	bufferedBytes        int // of their payloads: see PayloadSize
	prefetchReservations int
	countedSpeed         speed // by which its organization counts it: see updateCountedSpeed

	inFlight         int
	retriesInFlight  int // the part of inFlight that are retries
	freshSinceRetry  int // fresh items that went before a waiting retry, since the last retry
	breaker          breaker.Breaker
	failingSince     time.Time // the first failed attempt since the last answer; zero if none failed
	countedAsTripped bool      // in Core.trippedBreakers
	window           int       // how many attempts in flight it has earned
	lastFastAnswer   time.Time
	idleSince        time.Time // if it is idle
	// See "What is known of backlogs" in buffer.go. For a resting endpoint, skippedByPlan is set only
	// when it becomes active.
	hasBacklog, prefetchBlocked, overflowPending bool
	backlogMarkedAfterPlan, skippedByPlan        int64

	// inList is the list that it stands in: a run queue of its organization, or the endpoints of
	// its organization that wait for its host; nil if it is in none.
	inList *fifo[*endpointQueue[T]]
	// activePosition is its place in Core.activeEndpoints, restingPosition that in
	// Core.resting.byBackoffEnd, and skipPosition that in Core.resting.skip. They count from 1; 0
	// means that it is not there.
	activePosition, restingPosition, skipPosition int
}

// initialWindow is how many attempts an endpoint may have in flight that has not answered yet. Each
// answer earns it one more.
const initialWindow = 2

// freshPerRetry is how many fresh items go before one retry, as long as there are both.
const freshPerRetry = 3

func (e *endpointQueue[T]) joinFIFO(f *fifo[*endpointQueue[T]]) {
	e.inList = f
	f.push(e)
}

func (e *endpointQueue[T]) leaveFIFO() {
	e.inList.remove(e)
	e.inList = nil
}

func (e *endpointQueue[T]) len() int { return len(e.fresh) + len(e.retries) }

func (e *endpointQueue[T]) push(item *Item[T]) {
	if item.Retry {
		e.retries = append(e.retries, item)
	} else {
		e.fresh = append(e.fresh, item)
	}
}

// itemKind is which of its items an endpoint may attempt next. The zero value is none of them.
type itemKind int

const (
	noItem itemKind = iota
	freshItem
	retryItem
)

// nextKind says what the endpoint may attempt next, if it may have no more than maxInFlight
// attempts in flight. A tripped breaker lets one item through at a time, a fresh one if there is
// any, and a fresh one also while a retry is in flight. Otherwise retries get no more than half of
// the window: they may take long to fail again.
func (e *endpointQueue[T]) nextKind(now time.Time, maxInFlight int) itemKind {
	window := min(maxInFlight, e.window)
	// A retry that hangs again must not keep out fresh items.
	noFreshInFlight := e.inFlight == e.retriesInFlight
	fresh := len(e.fresh) > 0 && (e.inFlight < window || noFreshInFlight &&
		e.inFlight < maxInFlight) &&
		!e.breaker.BackingOff(now)
	retry := len(e.retries) > 0 && e.inFlight < window && e.retriesInFlight < max(window/2, 1) &&
		!e.breaker.BackingOffRetries(now)
	if e.breaker.Tripped() {
		fresh = fresh && noFreshInFlight
		retry = retry && e.inFlight == 0 && !fresh
	}
	switch {
	case fresh && (!retry || e.freshSinceRetry < freshPerRetry):
		return freshItem
	case retry:
		return retryItem
	}
	return noItem
}

// pop takes out the next item of the kind that nextKind has returned. It is in flight then.
func (e *endpointQueue[T]) pop(kind itemKind) *Item[T] {
	list := &e.fresh
	if kind == retryItem {
		list = &e.retries
		e.retriesInFlight++
		e.freshSinceRetry = 0
	} else if len(e.retries) > 0 {
		e.freshSinceRetry++
	}
	e.inFlight++
	item := (*list)[0]
	(*list)[0] = nil
	*list = (*list)[1:]
	return item
}

// endInFlight takes an item that is no longer in flight out of the counts of those that are.
func (e *endpointQueue[T]) endInFlight(item *Item[T]) {
	e.inFlight--
	if item.Retry {
		e.retriesInFlight--
	}
}

// endPreparing takes an item out of the count of those that are preparing, if it is in there: it
// has begun, or will not begin.
func (e *endpointQueue[T]) endPreparing(item *Item[T]) {
	if item.preparing {
		item.preparing = false
		e.preparing--
	}
}

// pushFront puts an item that was popped back before the others of its kind.
func (e *endpointQueue[T]) pushFront(item *Item[T]) {
	list := &e.fresh
	if item.Retry {
		list = &e.retries
	}
	*list = slices.Insert(*list, 0, item)
}

// recordResult notes what an attempt, or the reason why there was none, says about the endpoint. It
// returns FinishResult.FailingAsAWholeSince.
func (e *endpointQueue[T]) recordResult(
	now time.Time, item *Item[T], observed breaker.Observation, maxInFlight int,
) (failingAsAWholeSince time.Time) {
	weight := 1
	if item.slow && e.speed() != speedFast {
		weight = slowFailureWeight
	}
	wasTripped := e.breaker.Tripped()
	e.breaker.Record(now, observed, item.ID, item.Retry, weight)
	switch {
	case observed.Health == breaker.Healthy && wasTripped:
		e.window = initialWindow
	case observed.Health == breaker.Healthy:
		e.window = min(e.window+1, maxInFlight)
	case observed.Health == breaker.Unhealthy && item.slow:
		e.window = max(e.window/2, 1)
	}
	if observed.Health == breaker.Healthy && !item.slow {
		e.lastFastAnswer = now
	}
	if item.stopwatchStart.IsZero() {
		return time.Time{} // what kept this process from an attempt is not the endpoint's doing
	}
	switch observed.Health {
	case breaker.Unhealthy:
		if e.failingSince.IsZero() {
			e.failingSince = now
		}
		if e.breaker.FailsAsAWhole() {
			return e.failingSince
		}
	case breaker.Healthy:
		e.failingSince = time.Time{}
	case breaker.Unknown:
	}
	return time.Time{}
}

// clearFailingSince makes an endpoint count as one that has not failed.
func (c *Core[T]) clearFailingSince(e *endpointQueue[T]) {
	e.failingSince = time.Time{}
	c.updateTrippedCount(e)
}

// updateTrippedCount has Core.trippedBreakers include the endpoint if its breaker is tripped and an
// attempt has failed: without one, it is this process that cannot make attempts.
func (c *Core[T]) updateTrippedCount(e *endpointQueue[T]) {
	tripped := !e.failingSince.IsZero() && e.breaker.Tripped()
	switch {
	case tripped && !e.countedAsTripped:
		c.trippedBreakers++
	case !tripped && e.countedAsTripped:
		c.trippedBreakers--
	}
	e.countedAsTripped = tripped
}

// slowFailureWeight is how many deliveries a slow attempt that failed counts for, if its endpoint
// is not fast: it would take too long to wait for breaker.FailureThreshold of them.
const slowFailureWeight = 4

// popAll takes out all items, fresh ones first.
func (e *endpointQueue[T]) popAll() []*Item[T] {
	items := slices.Concat(e.fresh, e.retries)
	e.fresh, e.retries = nil, nil
	return items
}

// updateCountedSpeed is called after the record has changed: from then on the endpoint counts as
// one of its new speed, and stands in the run queue of that, if it stands in one.
func (c *Core[T]) updateCountedSpeed(e *endpointQueue[T]) {
	o, was, speed := e.organization, e.countedSpeed, e.speed()
	if speed == was {
		return
	}
	e.countedSpeed = speed
	n := e.len() + e.prefetchReservations
	o.bufferedBySpeed[was] -= n
	o.bufferedBySpeed[speed] += n
	if e.inList == &o.runQueues[was] {
		e.leaveFIFO()
		e.joinFIFO(&o.runQueues[speed])
		c.scheduleOrganization(o) // it may have a slot of another kind now
	}
}

// organization is one tenant's part of a Core. Its endpoints take turns when it has its own turn.
type organization[T any] struct {
	slotUser
	fifoLinks[*organization[T]]
	id                      string
	buffered, bufferedBytes int             // as Core.buffered and Core.bufferedBytes
	bufferedBySpeed         [speedCount]int // buffered, by the speed of the endpoints
	endpointCount           int             // that are known

	// runQueues are its endpoints that have something to run, by their speed, and nextSpeed is the
	// speed whose turn it is. Endpoints that wait for a slot of their host are not in them.
	runQueues    [speedCount]fifo[*endpointQueue[T]]
	nextSpeed    speed
	scheduled    bool // in Core.runQueue
	waitsForSlot bool // in Core.waitingForSlot

	// permitDemands are its endpoints whose PermitDemand was not taken yet: see TakePermitDemands.
	permitDemands []*endpointQueue[T]

	claimAgain                       claimAgainBelow // for organization.buffered
	skippedByPlan, fastBacklogAtPlan int64           // see "What is known of backlogs" in buffer.go
}

// hasScheduledEndpoint reports whether any endpoint stands in its run queues.
func (o *organization[T]) hasScheduledEndpoint() bool {
	for speed := range o.runQueues {
		if !o.runQueues[speed].empty() {
			return true
		}
	}
	return false
}

// organization returns the organization of that id, which it makes when it is new.
func (c *Core[T]) organization(id string) *organization[T] {
	o := c.organizations[id]
	if o == nil {
		o = &organization[T]{id: id}
		c.organizations[id] = o
	}
	return o
}

const (
	// idleTTL is how long the record of an idle endpoint is kept.
	idleTTL = 10 * time.Minute
	// maxIdleEndpoints bounds the idle endpoints.
	maxIdleEndpoints = 50_000
)

// ensureActive returns the queue of the endpoint, which is active from then on. It makes a queue
// for an endpoint that is not known.
func (c *Core[T]) ensureActive(d Destination) *endpointQueue[T] {
	e, ok := c.endpoints[d.Endpoint]
	if !ok {
		o := c.organization(d.OrganizationID)
		o.endpointCount++
		e = &endpointQueue[T]{
			endpoint: d.Endpoint, organization: o, window: initialWindow, countedSpeed: speedNeutral,
		}
		c.endpoints[d.Endpoint] = e
		id := d.Endpoint.SubscriptionID
		c.bySubscription[id] = append(c.bySubscription[id], e)
		c.idleEndpoints.push(e)
	}
	if e.activePosition == 0 {
		c.makeActive(e)
	}
	return e
}

// makeActive makes an endpoint active that is resting or idle.
func (c *Core[T]) makeActive(e *endpointQueue[T]) {
	if e.restingPosition == 0 {
		c.idleEndpoints.remove(e)
	} else {
		c.resting.remove(e)
		if e.hasBacklog {
			e.skippedByPlan = c.lastPlan
		}
	}
	c.activeEndpoints = append(c.activeEndpoints, e)
	e.activePosition = len(c.activeEndpoints)
}

// deactivateIfUnused makes an active endpoint idle that has nothing to do, or resting if it backs
// off. What is known of an idle one is kept for its next delivery, until evictIdle.
func (c *Core[T]) deactivateIfUnused(e *endpointQueue[T]) {
	backingOff := e.breaker.BackingOff(c.now)
	if e.activePosition == 0 || e.len() > 0 || e.prefetchReservations > 0 || e.inFlight > 0 ||
		e.inList != nil || e.hasBacklog && !backingOff {
		return
	}
	last := c.activeEndpoints[len(c.activeEndpoints)-1]
	c.activeEndpoints[e.activePosition-1], last.activePosition = last, e.activePosition
	c.activeEndpoints[len(c.activeEndpoints)-1] = nil
	c.activeEndpoints = c.activeEndpoints[:len(c.activeEndpoints)-1]
	e.activePosition = 0
	if backingOff {
		e.prefetchBlocked = e.hasBacklog // claims skip it
		c.resting.add(e)
		return
	}
	e.idleSince = c.now
	c.idleEndpoints.push(e)
}

// evictIdle forgets endpoints that have been idle for longer than idleTTL, and those that have been
// idle for longest if there are more than maxIdleEndpoints.
func (c *Core[T]) evictIdle() {
	for !c.idleEndpoints.empty() {
		e := c.idleEndpoints.head
		idle := len(c.endpoints) - len(c.activeEndpoints) - len(c.resting.byBackoffEnd)
		if c.now.Sub(e.idleSince) <= idleTTL && idle <= maxIdleEndpoints {
			return
		}
		c.idleEndpoints.pop()
		c.clearFailingSince(e)
		delete(c.endpoints, e.endpoint)
		id := e.endpoint.SubscriptionID
		all := c.bySubscription[id]
		all = slices.DeleteFunc(all, func(other *endpointQueue[T]) bool { return other == e })
		if len(all) == 0 {
			delete(c.bySubscription, id)
		} else {
			c.bySubscription[id] = all
		}
		c.setHost(e, Host{})
		if e.organization.endpointCount--; e.organization.endpointCount == 0 {
			delete(c.organizations, e.organization.id)
			c.stopWaitingForSlot(e.organization)
		}
	}
}

// fifo is an intrusive linked list: its nodes hold their own links, so that it allocates nothing.
// Popping the first node and pushing it again serves all of them round-robin. A node is in one fifo
// at a time. The zero value is empty.
type fifo[N fifoNode[N]] struct{ head, tail N }

// fifoNode is a pointer to a struct that embeds fifoLinks, so that it can be in a fifo.
type fifoNode[N any] interface {
	comparable
	links() *fifoLinks[N]
}

type fifoLinks[N any] struct{ previous, next N }

func (l *fifoLinks[N]) links() *fifoLinks[N] { return l }

func (f *fifo[N]) empty() bool {
	var none N
	return f.head == none
}

func (f *fifo[N]) push(n N) {
	var none N
	if f.tail == none {
		f.head = n
	} else {
		f.tail.links().next = n
		n.links().previous = f.tail
	}
	f.tail = n
}

// pop takes the first node out. The fifo must not be empty.
func (f *fifo[N]) pop() N {
	n := f.head
	f.remove(n)
	return n
}

// remove takes out a node, which must be in this fifo.
func (f *fifo[N]) remove(n N) {
	var none N
	l := n.links()
	if l.previous == none {
		f.head = l.next
	} else {
		l.previous.links().next = l.next
	}
	if l.next == none {
		f.tail = l.previous
	} else {
		l.next.links().previous = l.previous
	}
	*l = fifoLinks[N]{}
}
