package memstore

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Totals implements [webhook.History].
func (s *Store) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	if err := ctx.Err(); err != nil {
		return webhook.Totals{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := int64(q.CountLimit())
	var t webhook.Totals
	oldest := micros(now) + 1
	for _, e := range s.endpoints {
		if !q.AllOrganizations && e.subscription.subscription.OrganizationID != q.OrganizationID {
			continue
		}
		switch e.state.Health {
		case webhook.Degraded:
			t.DegradedEndpoints++
		case webhook.Disabled:
			t.DisabledEndpoints++
		}
		if e.active() && e.state.Health != webhook.Degraded {
			oldest = min(oldest, e.due.first())
		}
		e.unfinished(func(d *delivery) bool {
			if t.Unfinished() == limit {
				return false
			}
			t.CountUnfinished(d.reported(), 1)
			if d.turn == awaiting {
				t.InLine++
			}
			return true
		})
	}
	t.MoreUnfinished = t.Unfinished() == limit
	if oldest <= micros(now) {
		t.OldestDue = moment(oldest)
	}
	t.Dead = s.countDead(q, limit)
	for _, d := range s.holding.items {
		if at := moment(d.at); t.Holding < limit &&
			(q.AllOrganizations || d.event.organizationID == q.OrganizationID) {
			if t.Holding++; t.OldestHolding.IsZero() || at.Before(t.OldestHolding) {
				t.OldestHolding = at
			}
		}
	}
	t.MoreDead = t.Dead == limit
	return t, nil
}

// countDead counts the dead deliveries, up to the limit.
func (s *Store) countDead(q webhook.TotalsQuery, limit int64) (n int64) {
	if q.AllOrganizations {
		return min(int64(s.dead.len()+s.holding.len()), limit)
	}
	for _, dead := range []*heap[*delivery]{&s.dead, &s.holding} {
		for _, d := range dead.items {
			if n < limit && d.event.organizationID == q.OrganizationID {
				n++
			}
		}
	}
	return n
}
