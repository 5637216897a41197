package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// Now implements [webhook.Queue] with the time of this machine.
func (s *Store) Now(ctx context.Context) (time.Time, error) { return time.Now(), ctx.Err() }

// Enqueue implements [webhook.Queue].
func (s *Store) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	if err := ctx.Err(); err != nil {
		return webhook.Enqueued{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enqueue(now, events, prefetch), nil
}

func (s *Store) enqueue(
	now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) webhook.Enqueued {
	done := webhook.Enqueued{Events: make([]webhook.Emitted, len(events))}
	if prefetch != nil {
		done.Tasks = make([]webhook.Task, 0, len(events))
	}
	for i := range events {
		e := &events[i]
		key := eventKey{e.OrganizationID, e.ID}
		done.Events[i].EventID = e.ID
		if s.events[key] != nil {
			done.Events[i].Duplicate = true
			continue
		}
		stored := &storedEvent{
			eventKey:  key,
			eventType: e.Type,
			payload:   e.Payload,
			trace:     e.Trace,
			subject:   event.Subject{Type: e.Subject.Type, ID: e.Subject.ID},
			ttl:       e.TTL,
			createdAt: micros(now),
		}
		s.lastEvent++
		stored.tie = s.lastEvent
		s.events[key] = stored

		o := s.organization(e.OrganizationID)
		targets := o.routes.Targets(e.Type)
		done.Events[i].Deliveries = len(targets)
		switch {
		case len(targets) == 0:
			s.idle.push(stored, stored.createdAt)
		case stored.ttl != 0:
			s.expiring.push(stored, micros(now.Add(stored.ttl)))
		}
		for _, target := range targets {
			d := s.add(o, stored, s.endpoints[target.Endpoint])
			if target.Ordered {
				done.Events[i].Ordered, d.ordered = true, true
				s.join(d, d.queuedAt)
				continue
			}
			if prefetch != nil && !target.Paused && prefetch.Take(e.OrganizationID, target.Endpoint) {
				done.Tasks = append(done.Tasks, s.lease(d, prefetch.Until))
			} else {
				s.put(d, webhook.StatusPending, d.queuedAt)
			}
		}
	}
	return done
}

// FanOut implements [webhook.Queue]. Enqueue leaves nothing to it.
func (s *Store) FanOut(
	ctx context.Context, _ time.Time, events []webhook.NewEvent, _ *webhook.Prefetch,
) (finished int, tasks []webhook.Task, err error) {
	return len(events), nil, ctx.Err()
}

// add makes a delivery of the event to the endpoint. It is in no heap yet.
func (s *Store) add(o *organization, event *storedEvent, e *endpoint) *delivery {
	s.lastID++
	d := &delivery{
		id:       s.lastID,
		event:    event,
		endpoint: e,
		status:   webhook.StatusPending,
		queuedAt: event.createdAt,
	}
	d.at, d.tie = event.createdAt, int64(d.id)
	s.deliveries[d.id] = d
	o.deliveries.add(d)
	event.deliveries.add(d)
	return d
}

// lease claims the delivery: it is in flight until the lease ends.
func (s *Store) lease(d *delivery, until time.Time) webhook.Task {
	due := moment(d.at)
	if d.turn == awaiting {
		s.takeTurn(d)
	}
	var lostAt time.Time
	if d.status == webhook.StatusInFlight && (d.lost == 0 || d.startedAt > 0) {
		d.lost++
		d.startedAt = -d.startedAt
	}
	if d.startedAt < 0 {
		lostAt = moment(-d.startedAt)
	}
	d.token++
	s.put(d, webhook.StatusInFlight, micros(until))
	var healthySince time.Time
	if d.endpoint.state.Health == webhook.Healthy {
		healthySince = d.endpoint.state.Since
	}
	return webhook.Task{
		Lease:               webhook.Lease{DeliveryID: d.id, Token: d.token},
		Until:               moment(d.at),
		OrganizationID:      d.event.organizationID,
		Endpoint:            d.endpoint.key,
		Revision:            d.endpoint.subscription.subscription.Revision,
		EventID:             d.event.id,
		EventType:           d.event.eventType,
		Payload:             d.event.payload,
		Trace:               d.event.trace,
		Attempts:            len(d.attempts),
		AttemptsSinceQueued: d.sinceQueued,
		QueuedAt:            moment(d.queuedAt),
		ExpiresAt:           d.expiresAt(),
		DueAt:               due,
		Progress:            bytes.Clone(d.progress),
		HealthySince:        healthySince,
		Lost:                d.lost,
		Ordered:             d.turn == inFront,
		LostAt:              lostAt,
	}
}

// Claim implements [webhook.Queue].
func (s *Store) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.Limit < 1 || r.PerEndpoint < 1 {
		return nil, fmt.Errorf("memstore: a claim needs Limit and PerEndpoint of at least 1, "+
			"not %d and %d", r.Limit, r.PerEndpoint)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range r.Skip {
		if e := s.endpoints[key]; e != nil {
			s.rotation.skip(e)
		}
	}
	for _, id := range r.SkipOrganizations {
		if o := s.organizations[id]; o != nil {
			s.rotation.skipAll(&o.lane)
		}
	}
	at := micros(now)
	var tasks []webhook.Task
	s.rotation.claim(at, r, func(e *endpoint) {
		tasks = append(tasks, s.lease(e.due.next(at), r.Until))
		if e.state.Health == webhook.Degraded {
			tasks[len(tasks)-1].Probe = s.probing(e, micros(r.Until))
		}
	})
	return tasks, nil
}

// Extend implements [webhook.Queue].
func (s *Store) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) (lost []webhook.Lease, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, lease := range leases {
		if d := s.held(lease); d != nil {
			s.put(d, webhook.StatusInFlight, max(d.at, micros(until)))
		} else {
			lost = append(lost, lease)
		}
	}
	return lost, nil
}

// Start implements [webhook.Queue].
func (s *Store) Start(
	ctx context.Context, now time.Time, leases []webhook.Lease,
) (lost []webhook.Lease, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, lease := range leases {
		if d := s.held(lease); d != nil {
			d.startedAt = micros(now)
		} else {
			lost = append(lost, lease)
		}
	}
	return lost, nil
}

// Repair implements [webhook.Queue].
func (s *Store) Repair(ctx context.Context, now time.Time, r webhook.RepairRequest) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if r.Limit < 1 {
		return 0, fmt.Errorf("memstore: repairing needs a Limit of at least 1, not %d", r.Limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var wrong []*delivery
	for _, e := range s.endpoints {
		for _, h := range []*heap[*delivery]{&e.due.fresh, &e.due.retries} {
			for _, d := range h.items {
				if len(wrong) < r.Limit && d.ahead(&r) {
					wrong = append(wrong, d)
				}
			}
		}
	}
	for _, d := range wrong {
		at := now
		if d.status == webhook.StatusInFlight {
			at = r.Until
		}
		s.put(d, d.status, micros(at))
	}
	n := len(wrong) + s.repairProbes(micros(now), &r, r.Limit-len(wrong))
	return n + s.repairExpiries(now, &r, r.Limit-n), nil
}

// ahead reports whether the time of an unfinished delivery is too far in the future.
func (d *delivery) ahead(r *webhook.RepairRequest) bool {
	switch {
	case d.turn == awaiting:
		return false
	case d.status == webhook.StatusInFlight:
		return d.at > micros(r.LeasesAfter)
	case d.sinceQueued > 0:
		return d.at > micros(r.RetriesAfter)
	default:
		return d.queuedAt == d.event.createdAt && d.at > micros(r.FreshAfter)
	}
}

// Settle implements [webhook.Queue].
func (s *Store) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) (refused []webhook.Lease, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range settlements {
		switch status := settlements[i].Status; status {
		case webhook.StatusSucceeded, webhook.StatusDead, webhook.StatusPending:
		default:
			return nil, fmt.Errorf("memstore: a delivery cannot be settled as %q", status)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range settlements {
		v := &settlements[i]
		d := s.held(v.Lease)
		if d == nil {
			refused = append(refused, v.Lease)
			continue
		}
		d.endpoint.recorded(now).Count(v)
		number := 0
		if v.Attempt != nil {
			attempt := *v.Attempt
			attempt.Number = len(d.attempts) + 1
			attempt.StartedAt = moment(micros(attempt.StartedAt))
			attempt.Duration = attempt.Duration.Truncate(time.Microsecond)
			d.attempts, number = append(d.attempts, attempt), attempt.Number
			if !v.Probe {
				d.sinceQueued++
			}
			if !v.Lost {
				d.lost = 0
			}
		}
		if v.Attempt != nil || d.startedAt > 0 {
			d.startedAt = 0
		}
		if v.Progress != nil {
			d.progress = bytes.Clone(v.Progress)
		}
		at := now
		if v.Status == webhook.StatusPending {
			at = v.DueAt
		}
		if v.Status == webhook.StatusSucceeded || v.Status == webhook.StatusDead &&
			!v.SkipAt.IsZero() && !v.SkipAt.After(now) {
			s.leave(d, micros(now))
		}
		s.put(d, v.Status, micros(at))
		if d.holds() && !v.SkipAt.IsZero() {
			d.skipAt = micros(v.SkipAt)
			s.schedule(d.line)
		}
		if v.Attempt != nil || v.Status != webhook.StatusPending {
			s.results.add(d, v.Status, number, now)
		}
	}
	return refused, nil
}

// held returns the delivery if the lease is its latest and still open, or nil.
// A lease that has ended is still held until the delivery is claimed again.
func (s *Store) held(lease webhook.Lease) *delivery {
	d := s.deliveries[lease.DeliveryID]
	if d == nil || d.token != lease.Token || d.status != webhook.StatusInFlight ||
		d.endpoint.orphaned {
		return nil
	}
	return d
}

// ErrTxDone means that a transaction was committed or rolled back before.
var ErrTxDone = errors.New("memstore: the transaction was committed or rolled back already")

// Tx is a transaction that stores events, for tests of code that publishes in a transaction. It is
// a [webhook.Tx]. Make one with [Store.Begin], and use it with that Store only. It is safe for
// concurrent use.
type Tx struct {
	store *Store
	mu    sync.Mutex
	done  bool
	calls []enqueueCall
}

type enqueueCall struct {
	now    time.Time
	events []webhook.NewEvent
}

// Begin starts a transaction. It holds no lock.
func (s *Store) Begin() *Tx { return &Tx{store: s} }

// TxKind implements [webhook.Tx].
func (t *Tx) TxKind() string { return "memstore" }

// EnqueueTx implements [webhook.TxQueue] for transactions of this store's Begin.
func (s *Store) EnqueueTx(
	ctx context.Context, tx webhook.Tx, now time.Time, events []webhook.NewEvent,
) ([]webhook.Emitted, error) {
	t, ok := tx.(*Tx)
	if !ok || t == nil {
		return nil, webhook.WrongTx(tx, "memstore")
	}
	if t.store != s {
		return nil, webhook.WrongTx(tx, "this memstore.Store")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return nil, ErrTxDone
	}
	emitted := t.preview(events)
	t.calls = append(t.calls, enqueueCall{now, events})
	return emitted, nil
}

// preview returns the results for the events if nothing changes before the commit.
func (t *Tx) preview(events []webhook.NewEvent) []webhook.Emitted {
	seen := make(map[eventKey]bool)
	for _, call := range t.calls {
		for i := range call.events {
			seen[eventKey{call.events[i].OrganizationID, call.events[i].ID}] = true
		}
	}
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	out := make([]webhook.Emitted, len(events))
	for i := range events {
		e := &events[i]
		key := eventKey{e.OrganizationID, e.ID}
		out[i] = webhook.Emitted{EventID: e.ID, Duplicate: seen[key] || t.store.events[key] != nil}
		if !out[i].Duplicate {
			targets := t.store.organization(e.OrganizationID).routes.Targets(e.Type)
			out[i].Deliveries = len(targets)
			out[i].Ordered = slices.ContainsFunc(targets,
				func(target match.Target) bool { return target.Ordered })
		}
		seen[key] = true
	}
	return out
}

// Commit stores the events, all at once. It returns ErrTxDone if the transaction was
// committed or rolled back before.
func (t *Tx) Commit() error {
	calls, err := t.end()
	if err != nil {
		return err
	}
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	for _, call := range calls {
		t.store.enqueue(call.now, call.events, nil)
	}
	return nil
}

// Rollback forgets the events. It returns ErrTxDone if the transaction was committed
// or rolled back before, so that it can be deferred, as with database/sql.
func (t *Tx) Rollback() error {
	_, err := t.end()
	return err
}

func (t *Tx) end() ([]enqueueCall, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return nil, ErrTxDone
	}
	t.done = true
	return t.calls, nil
}
