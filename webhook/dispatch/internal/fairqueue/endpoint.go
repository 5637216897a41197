package fairqueue

import (
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// endpointQueue is the queue of one endpoint, and what is known of it. Deliveries that were never
// attempted are apart from those that have failed before, so that they need not wait for them.
type endpointQueue[T any] struct {
	speedRecord
	endpoint       Endpoint
	organization   *organization[T]
	host           *host[T] // nil while it is not known
	fresh, retries []*Item[T]
	bytes          int // of their payloads
	reservations   int
	countedSpeed   speed // in organization.queuedBySpeed

	inFlight        int
	retriesInFlight int // of those in flight, the ones that have failed before
	freshSinceRetry int // that went before a waiting retry, since the last one
	breaker         breaker.Breaker
	failingSince    time.Time // the first failed attempt since the last that was answered
	breakerOpened   bool      // by attempts, as BreakerChange has told
	window          int       // how many attempts at once it has earned
	lastFastAnswer  time.Time
	idleSince       time.Time // if it is idle
	// backlog says that the store holds deliveries that did not fit, so that later ones must not
	// overtake them by being prefetched.
	backlog bool

	inFIFO      bool // in a run queue of its organization, or waiting for its host
	next        *endpointQueue[T]
	activeIndex int // its place in Queue.activeEndpoints, from 1; 0 if it is idle
}

func (e *endpointQueue[T]) nextInFIFO() *endpointQueue[T]     { return e.next }
func (e *endpointQueue[T]) setNextInFIFO(n *endpointQueue[T]) { e.next = n }

// initialWindow is how many attempts an endpoint may have in flight that has not answered yet. Each
// answer earns it one more.
const initialWindow = 2

// freshPerRetry is how many deliveries that were never attempted go before one that has failed, as
// long as there are both.
const freshPerRetry = 3

func (e *endpointQueue[T]) len() int { return len(e.fresh) + len(e.retries) }

func (e *endpointQueue[T]) push(item *Item[T]) {
	if item.Retry {
		e.retries = append(e.retries, item)
	} else {
		e.fresh = append(e.fresh, item)
	}
}

// candidate is which of its items an endpoint may attempt next.
type candidate int

const (
	noCandidate candidate = iota
	freshCandidate
	retryCandidate
)

// candidate says what the endpoint may attempt next, if it may have no more than maxInFlight
// attempts in flight. A tripped breaker lets one through at a time, preferably one that was never
// attempted; beside one that keeps failing it lets one such. Otherwise those that have failed
// before get no more than half of the window: they may take long to fail again.
func (e *endpointQueue[T]) candidate(maxInFlight int) candidate {
	window := min(maxInFlight, e.window)
	// One that hangs again must not keep out what was never attempted.
	noFreshInFlight := e.inFlight == e.retriesInFlight
	fresh := len(e.fresh) > 0 && (e.inFlight < window || noFreshInFlight &&
		e.inFlight < maxInFlight) &&
		!e.breaker.BackingOff()
	retry := len(e.retries) > 0 && e.inFlight < window && e.retriesInFlight < max(window/2, 1) &&
		!e.breaker.BackingOffRetries()
	if e.breaker.Tripped() {
		fresh = fresh && noFreshInFlight
		retry = retry && e.inFlight == 0
		if fresh {
			return freshCandidate
		}
	}
	switch {
	case fresh && (!retry || e.freshSinceRetry < freshPerRetry):
		return freshCandidate
	case retry:
		return retryCandidate
	}
	return noCandidate
}

// pop takes the item out that candidate has returned, which is in flight then.
func (e *endpointQueue[T]) pop(c candidate) *Item[T] {
	list := &e.fresh
	if c == retryCandidate {
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

// attemptEnded counts an item that is no longer in flight.
func (e *endpointQueue[T]) attemptEnded(item *Item[T]) {
	e.inFlight--
	if item.Retry {
		e.retriesInFlight--
	}
}

// pushFront puts an item that was popped back to where it was.
func (e *endpointQueue[T]) pushFront(item *Item[T]) {
	list := &e.fresh
	if item.Retry {
		list = &e.retries
	}
	*list = slices.Insert(*list, 0, item)
}

// recordResult notes how an attempt has gone, or why there was none. It returns how an attempt has
// changed the breaker, nil if it has not.
func (e *endpointQueue[T]) recordResult(
	item *Item[T], observed breaker.Observation, maxInFlight int,
) *BreakerChange {
	weight := 1
	if item.slow && e.speed() != speedFast {
		weight = slowFailureWeight
	}
	wasTripped := e.breaker.Tripped()
	e.breaker.Record(observed, item.ID, item.Retry, weight)
	switch {
	case observed.Health == breaker.Healthy && wasTripped:
		e.window = maxInFlight
	case observed.Health == breaker.Healthy:
		e.window = min(e.window+1, maxInFlight)
	case observed.Health == breaker.Unhealthy && item.slow:
		e.window = max(e.window/2, 1)
	}
	if observed.Health == breaker.Healthy && !item.slow {
		e.lastFastAnswer = time.Now()
	}
	if item.started.IsZero() {
		return nil // what kept this process from an attempt is not the endpoint's doing
	}
	return e.breakerChange(observed)
}

// breakerChange returns how an attempt has changed the breaker, nil if it has not.
func (e *endpointQueue[T]) breakerChange(observed breaker.Observation) *BreakerChange {
	switch {
	case observed.Health == breaker.Unhealthy:
		now := time.Now()
		if e.failingSince.IsZero() {
			e.failingSince = now
		}
		if e.breakerOpened || !e.breaker.Tripped() {
			return nil
		}
		e.breakerOpened = true
		return &BreakerChange{Opened: true, At: now, FailingSince: e.failingSince,
			OpenUntil: e.breaker.BackingOffUntil()}
	case observed.Health == breaker.Healthy && !e.failingSince.IsZero():
		since, wasOpen := e.failingSince, e.breakerOpened
		e.failingSince, e.breakerOpened = time.Time{}, false
		if wasOpen {
			return &BreakerChange{At: time.Now(), FailingSince: since}
		}
	}
	return nil
}

// slowFailureWeight is how many failures one counts for that took long, of an endpoint that has no
// good record: it would take too long to wait for breaker.Threshold of them.
const slowFailureWeight = 4

// drain takes out all items, those that were never attempted first.
func (e *endpointQueue[T]) drain() []*Item[T] {
	items := slices.Concat(e.fresh, e.retries)
	e.fresh, e.retries = nil, nil
	return items
}

// updateSpeed is called after the record has changed.
func (e *endpointQueue[T]) updateSpeed() {
	if sp := e.speed(); sp != e.countedSpeed {
		n := e.len() + e.reservations
		e.organization.queuedBySpeed[e.countedSpeed] -= n
		e.organization.queuedBySpeed[sp] += n
		e.countedSpeed = sp
	}
}

// organization is one tenant's part of a Queue. Its endpoints have their turns within its own.
type organization[T any] struct {
	slotUser
	id            string
	queued, bytes int             // as Queue.queued and Queue.bytes
	queuedBySpeed [speedCount]int // queued, by the speed of the endpoints
	endpoints     int             // that are known

	// runQueues are its endpoints that have something to run, by their speed, and nextSpeed is
	// whose turn it is. Those that wait for a slot of their host are not in them.
	runQueues [speedCount]fifo[*endpointQueue[T]]
	nextSpeed speed
	scheduled bool // in Queue.runQueue
	next      *organization[T]

	skippedInGeneration int64 // the last of Queue.budgetGeneration that left it out
}

func (o *organization[T]) nextInFIFO() *organization[T]     { return o.next }
func (o *organization[T]) setNextInFIFO(n *organization[T]) { o.next = n }

// hasRunnable reports whether any endpoint of it may have something to run.
func (o *organization[T]) hasRunnable() bool {
	for sp := range o.runQueues {
		if !o.runQueues[sp].empty() {
			return true
		}
	}
	return false
}

// organization returns the organization of that id, which it makes when it is new.
func (q *Queue[T]) organization(id string) *organization[T] {
	o := q.organizations[id]
	if o == nil {
		o = &organization[T]{id: id}
		q.organizations[id] = o
	}
	return o
}

const (
	// idleTTL is how long the record of an idle endpoint is kept.
	idleTTL = 10 * time.Minute
	// maxIdleEndpoints bounds the idle endpoints.
	maxIdleEndpoints = 50_000
)

// activate returns the queue of the endpoint, which is active from then on. It makes one when there
// is none.
func (q *Queue[T]) activate(d Destination) *endpointQueue[T] {
	e, ok := q.endpoints[d.Endpoint]
	if !ok {
		o := q.organization(d.Organization)
		o.endpoints++
		e = &endpointQueue[T]{
			endpoint: d.Endpoint, organization: o, window: initialWindow, countedSpeed: speedUnknown,
		}
		q.endpoints[d.Endpoint] = e
		id := d.Endpoint.SubscriptionID
		q.bySubscription[id] = append(q.bySubscription[id], e)
	}
	if e.activeIndex == 0 {
		q.activeEndpoints = append(q.activeEndpoints, e)
		e.activeIndex = len(q.activeEndpoints)
	}
	return e
}

// deactivateIfIdle makes an endpoint idle that has nothing to do. Its record is kept: it is of use
// when there is more for it.
func (q *Queue[T]) deactivateIfIdle(e *endpointQueue[T]) {
	if e.activeIndex == 0 || e.len() > 0 || e.reservations > 0 || e.inFlight > 0 || e.backlog ||
		e.inFIFO || e.breaker.BackingOff() {
		return
	}
	last := q.activeEndpoints[len(q.activeEndpoints)-1]
	q.activeEndpoints[e.activeIndex-1], last.activeIndex = last, e.activeIndex
	q.activeEndpoints[len(q.activeEndpoints)-1] = nil
	q.activeEndpoints = q.activeEndpoints[:len(q.activeEndpoints)-1]
	e.activeIndex = 0
	e.idleSince = time.Now()
}

// evictIdle forgets endpoints that have been idle for long, or any idle ones if there are too many.
func (q *Queue[T]) evictIdle() {
	now := time.Now()
	idle := func() int { return len(q.endpoints) - len(q.activeEndpoints) }
	if now.Sub(q.lastEviction) < idleTTL/10 && idle() <= maxIdleEndpoints {
		return
	}
	q.lastEviction = now
	for id, e := range q.endpoints { // in no order
		if e.activeIndex > 0 || now.Sub(e.idleSince) <= idleTTL && idle() <= maxIdleEndpoints*9/10 {
			continue
		}
		delete(q.endpoints, id)
		all := q.bySubscription[id.SubscriptionID]
		all = slices.DeleteFunc(all, func(other *endpointQueue[T]) bool { return other == e })
		if len(all) == 0 {
			delete(q.bySubscription, id.SubscriptionID)
		} else {
			q.bySubscription[id.SubscriptionID] = all
		}
		q.setHost(e, Host{})
		if e.organization.endpoints--; e.organization.endpoints == 0 {
			delete(q.organizations, e.organization.id)
			delete(q.waitingForSlot, e.organization)
		}
	}
}

// fifo is a linked list whose nodes hold their own links, so that it allocates nothing. Popping the
// first node and pushing it again serves all of them round-robin. A node is in one fifo at a time.
// The zero value is empty.
type fifo[N fifoNode[N]] struct{ head, tail N }

// fifoNode is a pointer to what can be in a fifo.
type fifoNode[N any] interface {
	comparable
	nextInFIFO() N
	setNextInFIFO(next N)
}

func (f *fifo[N]) empty() bool {
	var none N
	return f.head == none
}

func (f *fifo[N]) push(n N) {
	var none N
	n.setNextInFIFO(none)
	if f.tail == none {
		f.head = n
	} else {
		f.tail.setNextInFIFO(n)
	}
	f.tail = n
}

// pop takes the first node out. The fifo must not be empty.
func (f *fifo[N]) pop() N {
	var none N
	n := f.head
	f.head = n.nextInFIFO()
	if f.head == none {
		f.tail = none
	}
	n.setNextInFIFO(none)
	return n
}
