package memstore

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// subscription is a stored subscription. Its value is never changed, but replaced by a changed
// copy.
type subscription struct {
	subscription *webhook.Subscription
	endpoints    []*endpoint
	positions    []webhook.NamedPosition // of its readers, by name
}

// CreateSubscription implements [webhook.SubscriptionStore].
func (s *Store) CreateSubscription(
	ctx context.Context, given *webhook.Subscription, quota webhook.Quota,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subscriptions[given.ID] != nil {
		return webhook.ErrExists
	}
	if err := s.checkQuota(given, 1, len(given.Channels), quota); err != nil {
		return err
	}
	if err := s.checkEventTypes(given, quota); err != nil {
		return err
	}
	given.Revision = micros(given.CreatedAt)
	sub := &subscription{}
	s.subscriptions[given.ID] = sub
	o := s.organization(given.OrganizationID)
	s.replace(sub, given.Clone())
	o.subscriptions = inserted(o.subscriptions, sub, inLists)
	o.byID = inserted(o.byID, sub, inIDs)
	return nil
}

// Subscription implements [webhook.SubscriptionStore].
func (s *Store) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(organizationID, id)
	if err != nil {
		return nil, err
	}
	return sub.subscription.Clone(), nil
}

// Subscriptions implements [webhook.SubscriptionStore].
func (s *Store) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.organizations[q.OrganizationID]
	if o == nil {
		return nil, nil
	}
	var found []*webhook.Subscription
	skip := q.Offset
	from, at := slices.BinarySearchFunc(o.subscriptions, q.After,
		func(sub *subscription, after webhook.SubscriptionCursor) int {
			return order(sub.subscription.Cursor(), after)
		})
	if at {
		from++
	}
	for _, sub := range o.subscriptions[from:] {
		given := sub.subscription
		if !q.Fits(given) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		found = append(found, given.Clone())
		if len(found) == q.Limit {
			break
		}
	}
	return found, nil
}

// CountSubscriptions implements [webhook.SubscriptionStore].
func (s *Store) CountSubscriptions(ctx context.Context, q webhook.SubscriptionQuery) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.organizations[q.OrganizationID]
	if o == nil {
		return 0, nil
	}
	n := 0
	for _, sub := range o.subscriptions {
		if q.Fits(sub.subscription) {
			n++
		}
	}
	return n, nil
}

// UpdateSubscription implements [webhook.SubscriptionStore].
func (s *Store) UpdateSubscription(
	ctx context.Context, given *webhook.Subscription, quota webhook.Quota,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(given.OrganizationID, given.ID)
	if err != nil {
		return err
	}
	if sub.subscription.Revision != given.Revision {
		return webhook.ErrConflict
	}
	if more := len(given.Channels) - len(sub.subscription.Channels); more > 0 {
		if err := s.checkQuota(given, 0, more, webhook.Quota{Channels: quota.Channels}); err != nil {
			return err
		}
	}
	if err := s.checkEventTypes(given, quota); err != nil {
		return err
	}
	given.Revision++
	updated := given.Clone()
	updated.CreatedAt = sub.subscription.CreatedAt
	s.replace(sub, updated)
	return nil
}

// DeleteSubscription implements [webhook.SubscriptionStore].
func (s *Store) DeleteSubscription(
	ctx context.Context, organizationID, id string, revision int64,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(organizationID, id)
	if err != nil {
		return err
	}
	if revision != 0 && revision != sub.subscription.Revision {
		return webhook.ErrConflict
	}
	o := s.organizations[organizationID]
	delete(s.subscriptions, id)
	o.subscriptions = removed(o.subscriptions, sub, inLists)
	o.byID = removed(o.byID, sub, inIDs)
	o.routes = o.routes.With(match.Route{At: sub.subscription.Cursor()})
	for _, e := range sub.endpoints {
		s.orphan(e)
	}
	return nil
}

// checkQuota returns an error if the organization may not have so many more.
func (s *Store) checkQuota(
	given *webhook.Subscription, subscriptions, channels int, quota webhook.Quota,
) error {
	if quota == (webhook.Quota{}) {
		return nil
	}
	if o := s.organizations[given.OrganizationID]; o != nil {
		subscriptions += len(o.subscriptions)
		for _, sub := range o.subscriptions {
			channels += len(sub.subscription.Channels)
		}
	}
	return quota.Check(subscriptions, channels)
}

// checkEventTypes returns an error if the subscription gets more event types than the quota allows.
func (s *Store) checkEventTypes(given *webhook.Subscription, quota webhook.Quota) error {
	n := len(given.EventTypes)
	if o := s.organizations[given.OrganizationID]; o != nil && quota.Subscriptions > 0 {
		if own, others := o.routes.EventTypes(given.ID); n > own {
			return quota.CheckEventTypes(n, n+others)
		}
	}
	return nil
}

// subscription returns the organization's subscription, or ErrNotFound.
func (s *Store) subscription(organizationID, id string) (*subscription, error) {
	sub := s.subscriptions[id]
	if sub == nil || sub.subscription.OrganizationID != organizationID {
		return nil, webhook.ErrNotFound
	}
	return sub, nil
}

// replace stores the new value of a subscription, which the caller must not keep.
func (s *Store) replace(sub *subscription, given *webhook.Subscription) {
	given.CreatedAt, given.UpdatedAt = moment(micros(given.CreatedAt)), moment(micros(given.UpdatedAt))
	sub.subscription = given

	keys := given.ChannelKeys()
	for _, e := range sub.endpoints {
		if !slices.Contains(keys, e.key.Channel) {
			s.orphan(e)
		}
	}
	sub.endpoints = sub.endpoints[:0]
	for _, channel := range keys {
		key := webhook.Endpoint{SubscriptionID: given.ID, Channel: channel}
		e := s.endpoints[key]
		if e == nil {
			e = &endpoint{key: key, subscription: sub, lane: &s.organizations[given.OrganizationID].lane,
				state: webhook.EndpointState{OrganizationID: given.OrganizationID, Endpoint: key,
					Health: webhook.Healthy}}
			s.endpoints[key] = e
		}
		e.paused = given.Paused || e.state.Health == webhook.Disabled
		s.rotation.update(e)
		sub.endpoints = append(sub.endpoints, e)
	}
	s.route(sub)
}

// orphan takes the endpoint out of service. Its deliveries still point to it, and are cancelled. Prune
// settles them, because there can be any number.
func (s *Store) orphan(e *endpoint) {
	e.orphaned = true
	s.orphans = append(s.orphans, e)
	s.rotation.update(e)
	delete(s.endpoints, e.key)
	delete(s.unhealthy, e.key)
}

// cancelAll settles up to limit of the endpoint's unfinished deliveries as cancelled, and reports
// whether these were all.
func (s *Store) cancelAll(e *endpoint, at time.Time, limit int) (n int, all bool) {
	cancel := func(d *delivery) {
		d.turn = noTurn
		s.put(d, webhook.StatusCancelled, micros(at))
		n++
	}
	for key, l := range e.lines {
		for l.waiting.len() > 0 {
			if n == limit {
				return n, false
			}
			cancel(l.waiting.head())
		}
		if n == limit {
			return n, false
		}
		// Since it was replayed, it may hold a line of an endpoint that has the same key.
		if d := l.front; d != nil && d.line == l && d.holds() {
			s.leaveDead(d)
		}
		delete(e.lines, key)
		n++
	}
	e.lines = nil
	for e.due.len() > 0 {
		if n == limit {
			return n, false
		}
		cancel(e.due.next(math.MaxInt64))
	}
	return n, true
}

// inserted returns the subscriptions with one more at its place, and removed without it.
func inserted(
	all []*subscription, sub *subscription, order func(a, b *subscription) int,
) []*subscription {
	i, _ := slices.BinarySearchFunc(all, sub, order)
	return slices.Insert(all, i, sub)
}

func removed(
	all []*subscription, sub *subscription, order func(a, b *subscription) int,
) []*subscription {
	i, _ := slices.BinarySearchFunc(all, sub, order)
	return slices.Delete(all, i, i+1)
}

func inLists(a, b *subscription) int {
	return order(a.subscription.Cursor(), b.subscription.Cursor())
}

func inIDs(a, b *subscription) int { return cmp.Compare(a.subscription.ID, b.subscription.ID) }

// order compares places in listings.
func order(a, b webhook.SubscriptionCursor) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}
