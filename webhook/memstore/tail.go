package memstore

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// maxTailed bounds how many deliveries one call of Tail looks at while it holds the lock.
const maxTailed = 10_000

// Tail implements [webhook.TailStore]. Ids are given out under the lock, so nothing is kept back.
func (s *Store) Tail(ctx context.Context, q webhook.TailQuery) (webhook.TailPage, error) {
	if err := ctx.Err(); err != nil {
		return webhook.TailPage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Results {
		return s.tailResults(q)
	}
	page := webhook.TailPage{Next: max(q.After, 0)}
	if err := s.checkPosition(q.After); err != nil {
		return page, err
	}
	o := s.organizations[q.OrganizationID]
	if o == nil {
		page.Next = webhook.Position(s.lastID)
		return page, nil
	}
	limit, looked := q.PageSize(), 0
	for d := range o.deliveries.after(webhook.DeliveryID(q.After)) {
		if looked == maxTailed || len(page.Records) == limit {
			page.More = true
			return page, nil
		}
		looked++
		page.Next = webhook.Position(d.id)
		if d.tailed(&q) {
			page.Records = append(page.Records, d.record(&q))
		}
	}
	page.Next = webhook.Position(s.lastID)
	return page, nil
}

// tailed reports whether the delivery is a record of the tail.
func (d *delivery) tailed(q *webhook.TailQuery) bool {
	return (q.SubscriptionID == "" || q.SubscriptionID == d.endpoint.key.SubscriptionID) &&
		q.MatchesType(d.event.eventType) &&
		(q.Since.IsZero() || d.event.createdAt >= micros(q.Since)) &&
		(q.Deliveries || d.isFirst())
}

// isFirst reports whether the delivery is the first one of its event to its subscription. Those to
// one subscription follow each other.
func (d *delivery) isFirst() bool {
	for before := range d.event.deliveries.newestBefore(d.id) {
		return before.endpoint.key.SubscriptionID != d.endpoint.key.SubscriptionID
	}
	return true
}

func (d *delivery) record(q *webhook.TailQuery) webhook.TailRecord {
	r := webhook.TailRecord{Position: webhook.Position(d.id), Delivery: d.snapshot(q.Deliveries)}
	if !q.WithoutPayload {
		r.Payload = slices.Clone(d.event.payload)
	}
	return r
}

// after walks the deliveries with ids above the cursor, the oldest first.
func (l *log) after(cursor webhook.DeliveryID) iter.Seq[*delivery] {
	n, found := slices.BinarySearchFunc(l.entries, cursor,
		func(d *delivery, id webhook.DeliveryID) int { return cmp.Compare(d.id, id) })
	if found {
		n++
	}
	return func(yield func(*delivery) bool) {
		for _, d := range l.entries[n:] {
			if !d.pruned && !yield(d) {
				return
			}
		}
	}
}

func (s *Store) checkPosition(p webhook.Position) error {
	if p > webhook.Position(s.lastID) {
		return webhook.ErrPosition
	}
	return nil
}

// TailEnd implements [webhook.TailStore].
func (s *Store) TailEnd(ctx context.Context) (webhook.TailEnd, error) {
	if err := ctx.Err(); err != nil {
		return webhook.TailEnd{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return webhook.TailEnd{Position: webhook.Position(s.lastID)}, nil
}

// TailNews implements [webhook.TailStore].
func (s *Store) TailNews(
	ctx context.Context, after webhook.Position,
) (webhook.TailNews, error) {
	if err := ctx.Err(); err != nil {
		return webhook.TailNews{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if after >= webhook.ResultPosition {
		return s.resultNews(after)
	}
	if err := s.checkPosition(after); err != nil {
		return webhook.TailNews{}, err
	}
	last := min(webhook.Position(s.lastID), after+maxTailed)
	news := webhook.TailNews{Next: last, More: last < webhook.Position(s.lastID)}
	seen := make(map[webhook.SubscriptionKey]bool)
	for id := after + 1; id <= last; id++ {
		d := s.deliveries[webhook.DeliveryID(id)]
		if d == nil {
			continue // pruned
		}
		key := webhook.SubscriptionKey{OrganizationID: d.event.organizationID,
			SubscriptionID: d.endpoint.key.SubscriptionID}
		if !seen[key] {
			seen[key] = true
			news.Subscriptions = append(news.Subscriptions, key)
		}
	}
	return news, nil
}

// Positions implements [webhook.TailStore].
func (s *Store) Positions(
	ctx context.Context, organizationID, subscriptionID string,
) ([]webhook.NamedPosition, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(organizationID, subscriptionID)
	if err != nil {
		return nil, err
	}
	return slices.Clone(sub.positions), nil
}

// SetPosition implements [webhook.TailStore].
func (s *Store) SetPosition(
	ctx context.Context, now time.Time, organizationID, subscriptionID string,
	p webhook.NamedPosition,
) (webhook.NamedPosition, error) {
	if err := ctx.Err(); err != nil {
		return webhook.NamedPosition{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(organizationID, subscriptionID)
	if err == nil && p.Position >= webhook.ResultPosition {
		_, err = s.results.after(p.Position)
	} else if err == nil {
		err = s.checkPosition(p.Position)
	}
	if err != nil {
		return webhook.NamedPosition{}, err
	}
	p.UpdatedAt = moment(micros(now))
	i, found := sub.position(p.Name)
	switch {
	case found && sub.positions[i].Position >= p.Position:
	case found:
		sub.positions[i] = p
	case len(sub.positions) >= webhook.MaxPositions:
		return webhook.NamedPosition{}, webhook.TooManyPositions()
	default:
		sub.positions = slices.Insert(sub.positions, i, p)
	}
	return sub.positions[i], nil
}

// position returns where the named position is, or belongs.
func (sub *subscription) position(name string) (i int, found bool) {
	return slices.BinarySearchFunc(sub.positions, name,
		func(p webhook.NamedPosition, name string) int { return cmp.Compare(p.Name, name) })
}

// DeletePosition implements [webhook.TailStore].
func (s *Store) DeletePosition(
	ctx context.Context, organizationID, subscriptionID, name string,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(organizationID, subscriptionID)
	if err != nil {
		return err
	}
	i, found := sub.position(name)
	if !found {
		return webhook.ErrNotFound
	}
	sub.positions = slices.Delete(sub.positions, i, i+1)
	return nil
}
