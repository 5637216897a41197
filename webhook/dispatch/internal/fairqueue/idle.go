package fairqueue

import (
	"slices"
	"time"
)

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
			endpoint: d.Endpoint, organization: o, window: initialWindow, countedAs: speedUnknown,
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
		e.linked || e.breaker.BackingOff() {
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
