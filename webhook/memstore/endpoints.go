package memstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// EndpointState implements [webhook.EndpointStore].
func (s *Store) EndpointState(
	ctx context.Context, organizationID string, key webhook.Endpoint,
) (webhook.EndpointState, error) {
	if err := ctx.Err(); err != nil {
		return webhook.EndpointState{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.endpoint(organizationID, key)
	if err != nil {
		return webhook.EndpointState{}, err
	}
	return *e.state.Clone(), nil
}

// EndpointStates implements [webhook.EndpointStore].
func (s *Store) EndpointStates(
	ctx context.Context, q webhook.EndpointQuery,
) ([]webhook.EndpointState, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []webhook.EndpointState
	for key, e := range s.unhealthy {
		after := compareEndpoints(key, q.After)
		organization := cmp.Compare(e.state.OrganizationID, q.OrganizationID)
		if q.AllOrganizations {
			after, organization = cmp.Or(organization, after), 0
		} else if q.SubscriptionID != "" && q.SubscriptionID != key.SubscriptionID {
			continue
		}
		if organization == 0 && after > 0 && (q.Health == "" || q.Health == e.state.Health) {
			found = append(found, *e.state.Clone())
		}
	}
	slices.SortFunc(found, func(a, b webhook.EndpointState) int {
		return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID),
			compareEndpoints(a.Endpoint, b.Endpoint))
	})
	return found[:min(q.PageSize(), len(found))], nil
}

// TakePermits implements [webhook.RateStore].
func (s *Store) TakePermits(
	ctx context.Context, now time.Time, requests []webhook.PermitRequest,
) ([]webhook.PermitGrant, error) {
	if err := ctx.Err(); err != nil || len(requests) == 0 {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	grants := make([]webhook.PermitGrant, len(requests))
	for i := range requests {
		if e := s.endpoints[requests[i].Endpoint]; e != nil {
			grants[i] = e.rate.Take(now, &requests[i])
		}
	}
	return grants, nil
}

func compareEndpoints(a, b webhook.Endpoint) int {
	return cmp.Or(cmp.Compare(a.SubscriptionID, b.SubscriptionID), cmp.Compare(a.Channel, b.Channel))
}

// SetEndpointStates implements [webhook.EndpointStore].
func (s *Store) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range changes {
		switch health := changes[i].State.Health; health {
		case webhook.Healthy, webhook.Degraded, webhook.Disabled:
		default:
			return nil, fmt.Errorf("memstore: an endpoint cannot be %q", health)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]error, len(changes))
	for i := range changes {
		results[i] = s.setState(changes[i].State, changes[i].SubscriptionRevision)
	}
	return results, nil
}

func (s *Store) setState(state *webhook.EndpointState, subscriptionRevision int64) error {
	e, err := s.endpoint(state.OrganizationID, state.Endpoint)
	if err != nil {
		return err
	}
	sub := e.subscription.subscription
	if state.Revision != e.state.Revision ||
		subscriptionRevision != 0 && subscriptionRevision != sub.Revision {
		return webhook.ErrConflict
	}
	state.Revision++
	e.state = *state.Clone()
	e.state.Since, e.state.FailingSince = moment(micros(state.Since)), moment(micros(state.FailingSince))
	e.state.NextProbe = moment(micros(state.NextProbe))
	if last := e.state.LastFailure; last != nil {
		last.Since, last.Until = moment(micros(last.Since)), moment(micros(last.Until))
	}
	if delete(s.unhealthy, e.key); state.Health != webhook.Healthy {
		s.unhealthy[e.key] = e
	}
	e.paused = sub.Paused || state.Health == webhook.Disabled
	s.rotation.update(e)
	s.route(e.subscription)
	return nil
}

// endpoint returns an endpoint of the organization, or ErrNotFound.
func (s *Store) endpoint(organizationID string, key webhook.Endpoint) (*endpoint, error) {
	if _, err := s.subscription(organizationID, key.SubscriptionID); err != nil {
		return nil, err
	}
	e := s.endpoints[key]
	if e == nil {
		return nil, webhook.ErrNotFound
	}
	return e, nil
}

// route lets Enqueue know where the events of the subscription go now.
func (s *Store) route(sub *subscription) {
	given := sub.subscription
	route := match.Route{At: given.Cursor(), EventTypes: given.EventTypes}
	for _, e := range sub.endpoints {
		route.Targets = append(route.Targets, match.Target{Endpoint: e.key, Revision: given.Revision,
			Paused:  given.Paused || e.state.Health != webhook.Healthy,
			Ordered: given.Ordering != nil})
	}
	o := s.organizations[given.OrganizationID]
	o.routes = o.routes.With(route)
}

// probing moves the next probe of a degraded endpoint to a time, such as the end of the lease of the
// one that is claimed.
func (s *Store) probing(e *endpoint, next int64) *webhook.EndpointState {
	e.state.NextProbe = moment(next)
	e.state.Revision++
	s.rotation.update(e)
	return e.state.Clone()
}

// repairProbes has up to limit degraded endpoints probed now whose next probe is too far ahead.
func (s *Store) repairProbes(now int64, r *webhook.RepairRequest, limit int) (n int) {
	for _, e := range s.unhealthy {
		if n < limit && !r.ProbesAfter.IsZero() && e.state.Health == webhook.Degraded &&
			e.notBefore() > micros(r.ProbesAfter) {
			s.probing(e, now)
			n++
		}
	}
	return n
}

// notBefore is when the next delivery of the endpoint may be claimed, whatever it is due.
func (e *endpoint) notBefore() int64 {
	if e.state.Health != webhook.Degraded {
		return math.MinInt64
	}
	return micros(e.state.NextProbe)
}
