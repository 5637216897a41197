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
	countedAs      speed // in organization.queuedBySpeed

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

	linked      bool // in a run queue of its organization, or waiting for its host
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
	if e.breaker.NotClosed() {
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
	wasNotClosed := e.breaker.NotClosed()
	e.breaker.Record(observed, item.ID, item.Retry, weight)
	switch {
	case observed.Health == breaker.Healthy && wasNotClosed:
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
		if e.breakerOpened || !e.breaker.NotClosed() {
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
	if sp := e.speed(); sp != e.countedAs {
		n := e.len() + e.reservations
		e.organization.queuedBySpeed[e.countedAs] -= n
		e.organization.queuedBySpeed[sp] += n
		e.countedAs = sp
	}
}
