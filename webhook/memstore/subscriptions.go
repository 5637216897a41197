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

// subscription is a stored webhook. The webhook is never changed, but replaced
// by a changed copy.
type subscription struct {
	webhook   *webhook.Webhook
	endpoints []*endpoint
}

// CreateWebhook implements [webhook.Subscriptions].
func (s *Store) CreateWebhook(ctx context.Context, w *webhook.Webhook, quota webhook.Quota) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webhooks[w.ID] != nil {
		return webhook.ErrExists
	}
	if err := s.checkQuota(w, 1, len(w.Channels), quota); err != nil {
		return err
	}
	w.Revision = micros(w.CreatedAt)
	sub := &subscription{}
	s.webhooks[w.ID] = sub
	s.organization(w.OrganizationID).webhooks[w.ID] = sub
	s.replace(sub, w.Clone())
	return nil
}

// Webhook implements [webhook.Subscriptions].
func (s *Store) Webhook(ctx context.Context, organizationID, id string) (*webhook.Webhook, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(organizationID, id)
	if err != nil {
		return nil, err
	}
	return sub.webhook.Clone(), nil
}

// Webhooks implements [webhook.Subscriptions].
func (s *Store) Webhooks(ctx context.Context, q webhook.WebhookQuery) ([]*webhook.Webhook, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.organizations[q.OrganizationID]
	if o == nil {
		return nil, nil
	}
	var found []*webhook.Webhook
	skip := q.Offset
	for _, sub := range sorted(o.webhooks) {
		w := sub.webhook
		if order(w.Cursor(), q.After) <= 0 || !q.Fits(w) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		found = append(found, w.Clone())
		if len(found) == q.Limit {
			break
		}
	}
	return found, nil
}

// CountWebhooks implements [webhook.Subscriptions].
func (s *Store) CountWebhooks(ctx context.Context, q webhook.WebhookQuery) (int, error) {
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
	for _, sub := range o.webhooks {
		if q.Fits(sub.webhook) {
			n++
		}
	}
	return n, nil
}

// UpdateWebhook implements [webhook.Subscriptions].
func (s *Store) UpdateWebhook(ctx context.Context, w *webhook.Webhook, quota webhook.Quota) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(w.OrganizationID, w.ID)
	if err != nil {
		return err
	}
	if sub.webhook.Revision != w.Revision {
		return webhook.ErrConflict
	}
	if more := len(w.Channels) - len(sub.webhook.Channels); more > 0 {
		if err := s.checkQuota(w, 0, more, webhook.Quota{Channels: quota.Channels}); err != nil {
			return err
		}
	}
	w.Revision++
	updated := w.Clone()
	updated.CreatedAt = sub.webhook.CreatedAt
	s.replace(sub, updated)
	return nil
}

// DeleteWebhook implements [webhook.Subscriptions].
func (s *Store) DeleteWebhook(ctx context.Context, organizationID, id string, revision int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(organizationID, id)
	if err != nil {
		return err
	}
	if revision != 0 && revision != sub.webhook.Revision {
		return webhook.ErrConflict
	}
	o := s.organizations[organizationID]
	delete(s.webhooks, id)
	delete(o.webhooks, id)
	o.routes = o.routes.With(match.Route{At: sub.webhook.Cursor()})
	for _, e := range sub.endpoints {
		s.orphan(e)
		// No time came with the call. Prune settles what is left here.
		s.orphans = append(s.orphans, e)
	}
	return nil
}

// checkQuota says whether the organization of w may have so many more.
func (s *Store) checkQuota(w *webhook.Webhook, webhooks, channels int, quota webhook.Quota) error {
	if quota == (webhook.Quota{}) {
		return nil
	}
	if o := s.organizations[w.OrganizationID]; o != nil {
		webhooks += len(o.webhooks)
		for _, sub := range o.webhooks {
			channels += len(sub.webhook.Channels)
		}
	}
	return quota.Check(webhooks, channels)
}

// subscription returns the organization's webhook, or ErrNotFound.
func (s *Store) subscription(organizationID, id string) (*subscription, error) {
	sub := s.webhooks[id]
	if sub == nil || sub.webhook.OrganizationID != organizationID {
		return nil, webhook.ErrNotFound
	}
	return sub, nil
}

// replace stores w, which nobody else has, as what the subscription now is.
func (s *Store) replace(sub *subscription, w *webhook.Webhook) {
	w.CreatedAt, w.UpdatedAt = moment(micros(w.CreatedAt)), moment(micros(w.UpdatedAt))
	sub.webhook = w

	keys := w.ChannelKeys()
	for _, e := range sub.endpoints {
		if !slices.Contains(keys, e.key.Channel) {
			s.orphan(e)
			s.cancelAll(e, w.UpdatedAt)
		}
	}
	sub.endpoints = sub.endpoints[:0]
	route := match.Route{At: w.Cursor(), EventTypes: w.EventTypes}
	for _, channel := range keys {
		key := webhook.Endpoint{WebhookID: w.ID, Channel: channel}
		e := s.endpoints[key]
		if e == nil {
			e = &endpoint{key: key, subscription: sub, lane: &s.organizations[w.OrganizationID].lane}
			s.endpoints[key] = e
		}
		e.paused = w.Paused
		s.rotation.update(e)
		sub.endpoints = append(sub.endpoints, e)
		route.Targets = append(route.Targets, match.Target{Endpoint: key, Revision: w.Revision, Paused: w.Paused})
	}
	o := s.organizations[w.OrganizationID]
	o.routes = o.routes.With(route)
}

// orphan takes the endpoint out of service. Its deliveries still point to it.
func (s *Store) orphan(e *endpoint) {
	e.orphaned = true
	s.rotation.update(e)
	delete(s.endpoints, e.key)
}

// cancelAll settles the endpoint's unfinished deliveries as cancelled.
func (s *Store) cancelAll(e *endpoint, at time.Time) {
	for e.due.len() > 0 {
		s.put(e.due.next(math.MaxInt64), webhook.StatusCancelled, micros(at))
	}
}

// sorted returns the subscriptions in the order of listings.
func sorted(webhooks map[string]*subscription) []*subscription {
	all := make([]*subscription, 0, len(webhooks))
	for _, sub := range webhooks {
		all = append(all, sub)
	}
	slices.SortFunc(all, func(a, b *subscription) int { return order(a.webhook.Cursor(), b.webhook.Cursor()) })
	return all
}

// order compares places in listings.
func order(a, b webhook.WebhookCursor) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}
