package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// HourlyStatistics implements [webhook.History].
func (s *Store) HourlyStatistics(
	ctx context.Context, q webhook.HourlyQuery,
) (page webhook.HourlyPage, err error) {
	if err := ctx.Err(); err != nil {
		return page, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.organizations[q.OrganizationID]
	if o == nil {
		return page, nil
	}
	from, limit := q.After, q.PageSize()
	if q.SubscriptionID != "" {
		from, limit = q.SubscriptionID, 1
	}
	i, found := slices.BinarySearchFunc(o.byID, from,
		func(sub *subscription, id string) int { return cmp.Compare(sub.subscription.ID, id) })
	switch {
	case q.SubscriptionID != "" && !found:
		return page, nil
	case q.SubscriptionID == "" && found:
		i++
	}
	subscriptions := o.byID[i:]
	if len(subscriptions) > limit {
		subscriptions = subscriptions[:limit]
		if q.SubscriptionID == "" {
			page.Next = subscriptions[limit-1].subscription.ID
		}
	}
	since := q.Since.UTC().Truncate(time.Hour)
	for _, sub := range subscriptions {
		page.Hours = append(page.Hours, sub.hourly(since)...)
	}
	return page, nil
}

// hourly adds up the figures of the endpoints.
func (sub *subscription) hourly(since time.Time) (list []webhook.HourlyStatistics) {
	hours := map[time.Time]*webhook.HourlyStatistics{}
	for _, e := range sub.endpoints {
		for _, h := range e.hours {
			if h.hour.Before(since) {
				continue
			}
			f := hours[h.hour]
			if f == nil {
				f = &webhook.HourlyStatistics{SubscriptionID: sub.subscription.ID, Hour: h.hour.UTC()}
				hours[h.hour] = f
			}
			f.Succeeded += h.figures.Succeeded
			f.Failed += h.figures.Failed
			f.Dead += h.figures.Dead
			f.Cancelled += h.figures.Cancelled
			f.Duration += h.figures.Duration
			f.Durations.Add(&h.figures.Durations)
			f.LastSuccess = latest(f.LastSuccess, h.figures.LastSuccess)
			f.LastFailure = latest(f.LastFailure, h.figures.LastFailure)
		}
	}
	for _, hour := range slices.SortedFunc(maps.Keys(hours), time.Time.Compare) {
		list = append(list, *hours[hour])
	}
	return list
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
