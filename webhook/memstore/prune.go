package memstore

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Prune implements [webhook.History].
func (s *Store) Prune(ctx context.Context, now time.Time, r webhook.PruneRequest) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.orphans {
		s.cancelAll(e, now)
	}
	s.orphans = nil
	s.pruneStatistics(now.Add(-webhook.StatisticsKept))

	n := s.pruneDeliveries(&s.finished, r.SucceededBefore, r.Limit)
	n += s.pruneDeliveries(&s.dead, r.DeadBefore, r.Limit-n)
	return n + s.pruneEvents(r.SucceededBefore, r.Limit-n), nil
}

// pruneDeliveries removes what was settled before the given time, up to limit.
// The zero time has nothing before it.
func (s *Store) pruneDeliveries(h *heap[*delivery], before time.Time, limit int) int {
	n := 0
	for ; n < limit && h.len() > 0 && h.head().at < micros(before); n++ {
		d := h.head()
		h.remove(d)
		d.pruned = true
		delete(s.deliveries, d.id)
		s.organizations[d.event.organizationID].deliveries.forget()
		d.event.deliveries.forget()
		if d.event.deliveries.len() == 0 {
			s.idle.push(d.event, d.event.createdAt)
		}
	}
	return n
}

// pruneEvents removes events without deliveries in the same way.
func (s *Store) pruneEvents(before time.Time, limit int) int {
	n := 0
	for ; n < limit && s.idle.len() > 0 && s.idle.head().at < micros(before); n++ {
		e := s.idle.head()
		s.idle.remove(e)
		delete(s.events, e.eventKey)
	}
	return n
}
