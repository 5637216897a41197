package dispatch

import (
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// idleMemory is how long it is remembered how an endpoint has been answering that has nothing to do.
const idleMemory = 10 * time.Minute

// maxRemembered bounds the endpoints that are only remembered.
const maxRemembered = 50_000

// queue returns the endpoint's queue, which it makes when it is new.
func (s *scheduler) queue(organizationID string, e webhook.Endpoint) *endpointQueue {
	q, ok := s.queues[e]
	if !ok {
		o := s.organization(organizationID)
		o.endpoints++
		q = &endpointQueue{endpoint: e, organization: o, allowed: firstAllowed, counted: standsNew}
		s.queues[e] = q
		s.bySubscription[e.SubscriptionID] = append(s.bySubscription[e.SubscriptionID], q)
	}
	if q.activeAt == 0 {
		s.active = append(s.active, q)
		q.activeAt = len(s.active)
	}
	return q
}

// retire leaves an endpoint with nothing to do to memory: how it has been
// answering is of use when there is more for it.
func (s *scheduler) retire(q *endpointQueue) {
	if q.activeAt == 0 || q.len() > 0 || q.reserved > 0 || q.inFlight > 0 || q.backlog || q.listed || q.breaker.Open() {
		return
	}
	last := s.active[len(s.active)-1]
	s.active[q.activeAt-1], last.activeAt = last, q.activeAt
	s.active[len(s.active)-1] = nil
	s.active = s.active[:len(s.active)-1]
	q.activeAt = 0
	q.idleSince = time.Now()
}

// forget ends the memory of endpoints that had nothing to do for long, or of any
// if there are too many.
func (s *scheduler) forget() {
	now := time.Now()
	many := len(s.queues)-len(s.active) > maxRemembered
	if now.Sub(s.pruned) < idleMemory/10 && !many {
		return
	}
	s.pruned = now
	for e, q := range s.queues { // in no order
		if q.activeAt > 0 || now.Sub(q.idleSince) <= idleMemory && len(s.queues)-len(s.active) <= maxRemembered*9/10 {
			continue
		}
		delete(s.queues, e)
		all := s.bySubscription[e.SubscriptionID]
		if all = slices.DeleteFunc(all, func(other *endpointQueue) bool { return other == q }); len(all) == 0 {
			delete(s.bySubscription, e.SubscriptionID)
		} else {
			s.bySubscription[e.SubscriptionID] = all
		}
		s.setHost(q, hostKey{})
		if q.organization.endpoints--; q.organization.endpoints == 0 {
			delete(s.organizations, q.organization.id)
			delete(s.parked, q.organization)
		}
	}
}
