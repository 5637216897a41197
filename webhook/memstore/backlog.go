package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// sample is how much was waiting within an hour. An organization of which nothing was waiting is
// not in organizations.
type sample struct {
	takenAt       time.Time // the last time
	all           webhook.HourlyBacklog
	organizations map[string]*webhook.HourlyBacklog
}

// SampleBacklog implements [webhook.BacklogStore]. Its cost grows with the number of endpoints.
func (s *Store) SampleBacklog(ctx context.Context, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	hour := now.UTC().Truncate(time.Hour)
	i, found := slices.BinarySearchFunc(s.samples, hour,
		func(h *sample, at time.Time) int { return h.all.Hour.Compare(at) })
	if last := s.lastSample(i, found); last != nil {
		if since := now.Sub(last.takenAt); since >= 0 && since < webhook.BacklogSampleGap {
			return nil
		}
	}
	if !found {
		s.samples = slices.Insert(s.samples, i, &sample{all: webhook.HourlyBacklog{Hour: hour},
			organizations: make(map[string]*webhook.HourlyBacklog)})
	}
	into := s.samples[i]
	into.takenAt = now
	all := webhook.HourlyBacklog{}
	for organizationID, b := range s.backlogs(now) {
		all.Waiting += b.Waiting
		all.OldestDueAge = max(all.OldestDueAge, b.OldestDueAge)
		if into.organizations[organizationID] == nil {
			into.organizations[organizationID] = &webhook.HourlyBacklog{Hour: hour}
		}
		into.organizations[organizationID].Add(b)
	}
	into.all.Add(&all)
	return nil
}

// lastSample returns the sample at i, which is that of an hour if it was found, or the one before.
func (s *Store) lastSample(i int, found bool) *sample {
	switch {
	case found:
		return s.samples[i]
	case i > 0:
		return s.samples[i-1]
	}
	return nil
}

// backlogs counts what is waiting of each organization that has any of it.
func (s *Store) backlogs(now time.Time) map[string]*webhook.HourlyBacklog {
	found := make(map[string]*webhook.HourlyBacklog)
	for _, e := range s.endpoints {
		var age time.Duration
		if e.active() && e.state.Health != webhook.Degraded {
			age = max(0, now.Sub(moment(e.due.first())))
		}
		if e.pending == 0 && age == 0 {
			continue
		}
		organizationID := e.subscription.subscription.OrganizationID
		b := found[organizationID]
		if b == nil {
			b = &webhook.HourlyBacklog{}
			found[organizationID] = b
		}
		b.Waiting += e.pending
		b.OldestDueAge = max(b.OldestDueAge, age)
	}
	return found
}

// HourlyBacklog implements [webhook.BacklogStore].
func (s *Store) HourlyBacklog(
	ctx context.Context, q webhook.BacklogQuery,
) (list []webhook.HourlyBacklog, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	since := q.Since.UTC().Truncate(time.Hour)
	for _, h := range s.samples {
		if h.all.Hour.Before(since) {
			continue
		}
		switch b := h.organizations[q.OrganizationID]; {
		case q.AllOrganizations:
			list = append(list, h.all)
		case b != nil:
			list = append(list, *b)
		default:
			list = append(list, webhook.HourlyBacklog{Hour: h.all.Hour})
		}
	}
	return list, nil
}
