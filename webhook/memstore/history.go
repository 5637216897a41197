package memstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Deliveries implements [webhook.History]. What changes meanwhile may be in the list as it was before
// or after that.
func (s *Store) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	var found []webhook.Delivery
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, more = s.listPiece(&q, found)
	}
	return found, nil
}

// listPiece looks at up to maxHeld deliveries, adds those that the query selects, and reports whether
// there are more to look at, from where it has moved the query.
func (s *Store) listPiece(
	q *webhook.DeliveryQuery, found []webhook.Delivery,
) (_ []webhook.Delivery, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	candidates := s.candidates(*q)
	if candidates == nil {
		return found, false
	}
	limit, looked := q.PageSize(), 0
	walk := candidates.newestBefore(q.Before)
	if q.OldestFirst {
		walk = candidates.oldestBetween(q.After, q.Before)
	}
	for d := range walk {
		if looked++; looked > maxHeld {
			return found, true
		}
		if fits(d, *q) {
			found = append(found, d.snapshot(!q.WithoutAttempts))
		}
		if q.OldestFirst {
			q.After = d.id
		} else {
			q.Before = d.id
		}
		if len(found) == limit {
			return found, false
		}
	}
	return found, false
}

// candidates returns the shortest log that has all that the query can select.
func (s *Store) candidates(q webhook.DeliveryQuery) *log {
	if q.EventID != "" {
		if e := s.events[eventKey{q.OrganizationID, q.EventID}]; e != nil {
			return &e.deliveries
		}
		return nil
	}
	if o := s.organizations[q.OrganizationID]; o != nil {
		return &o.deliveries
	}
	return nil
}

func fits(d *delivery, q webhook.DeliveryQuery) bool {
	return d.id > q.After && (q.EventType == "" || q.EventType == d.event.eventType) &&
		(q.SubscriptionID == "" || q.SubscriptionID == d.endpoint.key.SubscriptionID) &&
		(q.Status == "" || q.Status == d.reported()) &&
		(q.Since.IsZero() || d.event.createdAt >= micros(q.Since)) &&
		(q.AttemptsBelow <= 0 || len(d.attempts) < q.AttemptsBelow) &&
		(!q.Holding || d.holds()) &&
		(q.Until.IsZero() || d.event.createdAt < micros(q.Until))
}

// snapshot returns the delivery as callers see it.
func (d *delivery) snapshot(attempts bool) webhook.Delivery {
	out := webhook.Delivery{
		ID:             d.id,
		OrganizationID: d.event.organizationID,
		EventID:        d.event.id,
		EventType:      d.event.eventType,
		Endpoint:       d.endpoint.key,
		Status:         d.reported(),
		CreatedAt:      moment(d.event.createdAt),
		ExpiresAt:      d.expiresAt(),
	}
	if attempts {
		out.Attempts = slices.Clone(d.attempts)
	}
	switch {
	case d.status.Settled():
		out.SettledAt = moment(d.at)
	case !out.Status.Settled() && (d.turn != awaiting || d.line.next == d):
		out.DueAt = moment(d.at)
	}
	switch {
	case d.holds():
		out.Holds = true
		if d.skipAt != 0 {
			out.SkipAt = moment(d.skipAt)
		}
	case d.turn == awaiting && !out.Status.Settled():
		out.WaitsFor = d.line.front.id
	}
	return out
}

// expiresAt returns when the delivery expires, zero if it never does.
func (d *delivery) expiresAt() time.Time {
	if d.event.ttl == 0 {
		return time.Time{}
	}
	return moment(d.queuedAt).Add(d.event.ttl)
}

// Delivery implements [webhook.History].
func (s *Store) Delivery(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) (*webhook.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(organizationID, id)
	if err != nil {
		return nil, err
	}
	out := d.snapshot(true)
	return &out, nil
}

// find returns the organization's delivery, or ErrNotFound.
func (s *Store) find(organizationID string, id webhook.DeliveryID) (*delivery, error) {
	d := s.deliveries[id]
	if d == nil || d.event.organizationID != organizationID {
		return nil, webhook.ErrNotFound
	}
	return d, nil
}

// EventPayload implements [webhook.History].
func (s *Store) EventPayload(ctx context.Context, organizationID, eventID string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.events[eventKey{organizationID, eventID}]
	if e == nil {
		return nil, webhook.ErrNotFound
	}
	return bytes.Clone(e.payload), nil
}

// Events returns the stored events of all organizations, in the order in which they were stored. It
// is for tests of publishers: see package webhooktest.
func (s *Store) Events() []webhook.NewEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := slices.SortedFunc(maps.Values(s.events),
		func(a, b *storedEvent) int { return cmp.Compare(a.tie, b.tie) })
	events := make([]webhook.NewEvent, len(stored))
	for i, e := range stored {
		events[i] = webhook.NewEvent{OrganizationID: e.organizationID, ID: e.id, Type: e.eventType,
			Payload: bytes.Clone(e.payload)}
	}
	return events
}

// Replay implements [webhook.History].
func (s *Store) Replay(
	ctx context.Context, due time.Time, organizationID string, id webhook.DeliveryID,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(organizationID, id)
	if err != nil {
		return err
	}
	if !d.reported().Settled() {
		return webhook.ErrWrongStatus
	}
	// The endpoint may have been removed and added again since, or its id may
	// belong to another organization by now.
	e := s.endpoints[d.endpoint.key]
	if e == nil || e.subscription.subscription.OrganizationID != organizationID {
		return webhook.ErrNotFound
	}
	if !d.status.Settled() { // its subscription was deleted
		s.put(d, webhook.StatusCancelled, micros(due))
	}
	if d.status == webhook.StatusSucceeded {
		d.progress = nil
	}
	if d.endpoint != e {
		d.turn = noTurn // all of the line that it stood in is cancelled
	}
	d.endpoint = e
	d.queuedAt = micros(due)
	s.expires(d)
	d.sinceQueued, d.lost, d.startedAt = 0, 0, 0
	switch {
	case d.turn == inFront:
		s.toFront(d, d.queuedAt)
		s.schedule(d.line)
	case d.ordered:
		s.join(d, d.queuedAt)
	default:
		s.put(d, webhook.StatusPending, d.queuedAt)
	}
	s.results.add(d, webhook.StatusPending, 0, due)
	return nil
}

// Cancel implements [webhook.History].
func (s *Store) Cancel(
	ctx context.Context, now time.Time, organizationID string, id webhook.DeliveryID,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(organizationID, id)
	if err != nil {
		return err
	}
	if d.reported().Settled() {
		return webhook.ErrWrongStatus
	}
	s.leave(d, micros(now))
	s.put(d, webhook.StatusCancelled, micros(now))
	d.endpoint.recorded(now).Cancelled++
	s.results.add(d, webhook.StatusCancelled, 0, now)
	return nil
}

// hourly is what was recorded for an endpoint in an hour.
type hourly struct {
	hour    time.Time
	figures webhook.Statistics
}

// recorded returns the endpoint's figures of the hour, to be added to.
func (e *endpoint) recorded(now time.Time) *webhook.Statistics {
	hour := now.Truncate(time.Hour)
	i, found := slices.BinarySearchFunc(e.hours, hour,
		func(h *hourly, at time.Time) int { return h.hour.Compare(at) })
	if !found {
		e.hours = slices.Insert(e.hours, i, &hourly{hour: hour})
	}
	return &e.hours[i].figures
}

// Statistics implements [webhook.History].
func (s *Store) Statistics(
	ctx context.Context, q webhook.StatisticsQuery,
) (webhook.Statistics, error) {
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
		total.CountUnfinished(e.reported(webhook.StatusPending), e.pending)
		total.CountUnfinished(e.reported(webhook.StatusInFlight), e.inFlight)
	}
	return total, nil
}

// pruneStatistics removes the figures of hours that ended by then. It visits all endpoints, which
// are few compared with the deliveries.
func (s *Store) pruneStatistics(then time.Time) {
	for _, e := range s.endpoints {
		for len(e.hours) > 0 && !e.hours[0].hour.Add(time.Hour).After(then) {
			e.hours = e.hours[1:]
		}
	}
	for len(s.samples) > 0 && !s.samples[0].all.Hour.Add(time.Hour).After(then) {
		s.samples = s.samples[1:]
	}
}

// Prune implements [webhook.History].
func (s *Store) Prune(ctx context.Context, now time.Time, r webhook.PruneRequest) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if r.Limit < 1 {
		return 0, fmt.Errorf("memstore: pruning needs a Limit of at least 1, not %d", r.Limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pruneStatistics(now.Add(-webhook.StatisticsKept))
	s.pruneProcesses(now.Add(-webhook.ProcessKept))
	s.results.prune(r.SucceededBefore)

	n := s.pruneDeliveries(&s.finished, r.SucceededBefore, r.Limit)
	n += s.pruneDeliveries(&s.dead, r.DeadBefore, r.Limit-n)
	n += s.pruneEvents(r.SucceededBefore, r.Limit-n)
	if !s.cancelOrphaned(now, orphanedPerRow*min(r.Limit, math.MaxInt/orphanedPerRow)) {
		return r.Limit, nil
	}
	return n, nil
}

// orphanedPerRow times its Limit is how many deliveries of endpoints that were removed one call of
// Prune settles at most.
const orphanedPerRow = 4

// cancelOrphaned settles up to limit deliveries of endpoints that were removed, and reports whether
// these were all.
func (s *Store) cancelOrphaned(now time.Time, limit int) (all bool) {
	for len(s.orphans) > 0 {
		n, all := s.cancelAll(s.orphans[0], now, limit)
		if !all {
			return false
		}
		limit -= n
		s.orphans[0] = nil // releases the memory
		s.orphans = s.orphans[1:]
	}
	s.orphans = nil
	return true
}

// pruneDeliveries removes what was settled before the given time, up to limit.
// The zero time has nothing before it.
func (s *Store) pruneDeliveries(h *heap[*delivery], before time.Time, limit int) int {
	n := 0
	for ; n < limit && h.len() > 0 && h.head().at < micros(before); n++ {
		d := h.head()
		h.remove(d)
		s.count(d, -1)
		d.pruned = true
		delete(s.deliveries, d.id)
		s.organizations[d.event.organizationID].deliveries.forget()
		d.event.deliveries.forget()
		if d.event.deliveries.len() == 0 {
			if d.event.slot > 0 {
				s.expiring.remove(d.event)
			}
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
