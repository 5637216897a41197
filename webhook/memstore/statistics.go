package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// hourly is what was recorded for an endpoint in an hour.
type hourly struct {
	hour    time.Time
	figures webhook.Statistics
}

// recorded returns the endpoint's figures of the hour, to be added to.
func (e *endpoint) recorded(now time.Time) *webhook.Statistics {
	hour := now.Truncate(time.Hour)
	i, found := slices.BinarySearchFunc(e.hours, hour, func(h *hourly, at time.Time) int { return h.hour.Compare(at) })
	if !found {
		e.hours = slices.Insert(e.hours, i, &hourly{hour: hour})
	}
	return &e.hours[i].figures
}

// Statistics implements [webhook.History].
func (s *Store) Statistics(ctx context.Context, q webhook.StatisticsQuery) (webhook.Statistics, error) {
	if err := ctx.Err(); err != nil {
		return webhook.Statistics{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(q.OrganizationID, q.SubscriptionID)
	if err != nil {
		return webhook.Statistics{}, err
	}
	total := webhook.Statistics{Since: q.Since.UTC().Truncate(time.Hour)}
	for _, e := range sub.endpoints {
		for _, h := range e.hours {
			if !h.hour.Before(total.Since) {
				total.Add(&h.figures)
			}
		}
		for _, d := range slices.Concat(e.due.fresh.items, e.due.retries.items) {
			total.CountUnfinished(d.reported(), 1)
		}
	}
	return total, nil
}

// pruneStatistics removes the figures of hours that ended by then. It looks at
// all endpoints, which are few beside the deliveries.
func (s *Store) pruneStatistics(then time.Time) {
	for _, e := range s.endpoints {
		for len(e.hours) > 0 && !e.hours[0].hour.Add(time.Hour).After(then) {
			e.hours = e.hours[1:]
		}
	}
}
