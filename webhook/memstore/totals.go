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
	t := totals{now: micros(now), limit: int64(q.CountLimit())}
	t.oldest = t.now + 1
	if q.AllOrganizations {
		for _, o := range s.organizations {
			t.add(o)
		}
	} else if o := s.organizations[q.OrganizationID]; o != nil {
		t.add(o)
	}
	t.MoreUnfinished, t.MoreDead = t.Unfinished() == t.limit, t.Dead == t.limit
	if t.oldest <= t.now {
		t.OldestDue = moment(t.oldest)
	}
	return t.Totals, nil
}

// totals adds up what organizations have.
type totals struct {
	webhook.Totals
	now, oldest, limit int64
}

func (t *totals) add(o *organization) {
	for _, sub := range o.subscriptions {
		for _, e := range sub.endpoints {
			t.addEndpoint(e)
		}
	}
	t.Dead = min(t.Dead+o.dead, t.limit)
	if n := int64(o.holding.len()); n > 0 {
		t.Holding = min(t.Holding+n, t.limit)
		if at := moment(o.holding.head().at); t.OldestHolding.IsZero() || at.Before(t.OldestHolding) {
			t.OldestHolding = at
		}
	}
}

func (t *totals) addEndpoint(e *endpoint) {
	switch e.state.Health {
	case webhook.Degraded:
		t.DegradedEndpoints++
	case webhook.Disabled:
		t.DisabledEndpoints++
	}
	if e.active() && e.state.Health != webhook.Degraded {
		t.oldest = min(t.oldest, e.due.first())
	}
	left := t.limit - t.Unfinished()
	pending := min(e.pending, left)
	t.CountUnfinished(e.reported(webhook.StatusPending), pending)
	t.CountUnfinished(e.reported(webhook.StatusInFlight), min(e.inFlight, left-pending))
	t.InLine += min(e.inLine, pending)
}
