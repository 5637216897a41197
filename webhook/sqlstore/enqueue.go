package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

type enqueueStatements struct {
	reserve            string
	events, deliveries *batch
	stored             string
	blocks             *batch
}

func newEnqueueStatements(x expander) enqueueStatements {
	return enqueueStatements{
		reserve: x.sql(x.dialect.reserveSQL()),
		// What is the same for all rows is no part of the rows: parameters cost.
		events: x.batch(`WITH v (id, organization_id, event_id, type, last_id, payload) AS ({rows})
			INSERT INTO {p}events (id, organization_id, event_id, type, last_id, payload, created_at)
			SELECT id, organization_id, event_id, type, last_id, payload, ? FROM v WHERE true
			ON CONFLICT DO NOTHING`,
			column{"id", integer}, column{"organization_id", text}, column{"event_id", text}, column{"type", text},
			column{"last_id", integer}, column{"payload", binary}),
		deliveries: x.batch(`WITH v (id, event_id, endpoint_id) AS ({rows})
			INSERT INTO {p}deliveries (id, event_id, endpoint_id, state, at, token)
			SELECT id, event_id, endpoint_id, ?, ?, ? FROM v`,
			column{"id", integer}, column{"event_id", integer}, column{"endpoint_id", integer}),
		stored: x.sql(`SELECT id FROM {p}events WHERE id >= ? AND id <= ?`),
		blocks: x.batch(`INSERT INTO {p}blocks (endpoint_id, block) {rows} ON CONFLICT DO NOTHING`,
			column{"endpoint_id", integer}, column{"block", integer}),
	}
}

// enqueuing is one call of Enqueue.
type enqueuing struct {
	now    int64
	events []webhook.NewEvent
	offer  *webhook.Offer

	routes *routes
	// For each event its id, 0 for one that is passed over, and where it goes.
	ids     []int64
	targets [][]match.Target
	// deliveries is how many there are, those of events passed over included.
	deliveries int

	tasks  []webhook.Task
	blocks []block // to be remembered once they are committed
}

// Enqueue implements [webhook.Queue].
func (s *Store) Enqueue(ctx context.Context, now time.Time, events []webhook.NewEvent, offer *webhook.Offer) ([]webhook.Task, error) {
	if len(events) == 0 {
		return nil, ctx.Err()
	}
	e := &enqueuing{now: micros(now), events: events, offer: offer}
	if err := s.write(ctx, func(ctx context.Context, q querier) error { return s.enqueueIn(ctx, q, e) }); err != nil {
		return nil, err
	}
	s.rememberBlocks(e.blocks)
	return e.tasks, nil
}

func (s *Store) enqueueIn(ctx context.Context, q querier, e *enqueuing) error {
	if err := s.reserve(ctx, q, e); err != nil {
		return err
	}
	if err := s.insertEvents(ctx, q, e); err != nil {
		return err
	}
	return s.insertDeliveries(ctx, q, e)
}

// reserve takes ids for the events and their deliveries, which takes knowing
// where the events go. The webhooks are most often those of the last call, and
// the answer says whether they are.
func (s *Store) reserve(ctx context.Context, q querier, e *enqueuing) error {
	e.routes = s.routes.Load()
	if e.routes.table == nil {
		var err error
		if e.routes, err = s.currentRoutes(ctx, q); err != nil {
			return err
		}
	}
	for {
		n := e.match()
		var next, version int64
		if _, err := one(ctx, q, s.enqueue.reserve, []any{n}, []any{&next, &version}); err != nil {
			return err
		}
		if version == e.routes.version {
			e.number(next - n)
			return nil
		}
		var err error
		if e.routes, err = s.routesAt(ctx, q, version); err != nil {
			return err
		}
	}
}

// match finds out where the events go, and returns how many ids that takes.
func (e *enqueuing) match() int64 {
	e.targets = make([][]match.Target, len(e.events))
	e.deliveries = 0
	for i := range e.events {
		e.targets[i] = e.routes.table.Targets(e.events[i].OrganizationID, e.events[i].Type)
		e.deliveries += len(e.targets[i])
	}
	return int64(len(e.events) + e.deliveries)
}

// number gives the events their ids, leaving those of the deliveries free.
func (e *enqueuing) number(next int64) {
	e.ids = make([]int64, len(e.events))
	for i := range e.ids {
		e.ids[i] = next
		next += 1 + int64(len(e.targets[i]))
	}
}

func (s *Store) insertEvents(ctx context.Context, q querier, e *enqueuing) error {
	rows := make([]any, 0, len(e.events)*len(s.enqueue.events.columns))
	for i := range e.events {
		event := &e.events[i]
		payload := event.Payload
		if payload == nil {
			payload = []byte{} // nil would be NULL
		}
		rows = append(rows, e.ids[i], event.OrganizationID, event.ID, event.Type, e.ids[i]+int64(len(e.targets[i])), payload)
	}
	inserted, err := s.x.dialect.execBatch(ctx, q, s.enqueue.events, rows, []any{e.now})
	if err != nil || inserted == int64(len(e.events)) {
		return err
	}
	// Some were stored before: the ids that are there now are those of the others.
	stored := make(map[int64]bool, inserted)
	err = collect(ctx, q, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		stored[id] = true
		return err
	}, s.enqueue.stored, e.ids[0], e.ids[len(e.ids)-1])
	for i, id := range e.ids {
		if !stored[id] {
			e.ids[i] = 0
		}
	}
	return err
}

func (s *Store) insertDeliveries(ctx context.Context, q querier, e *enqueuing) error {
	var pending, offered, blocks []any
	var until int64
	if e.offer != nil {
		until = micros(e.offer.Until)
	}
	for i, eventID := range e.ids {
		if eventID == 0 {
			continue
		}
		for j := range e.targets[i] {
			target := &e.targets[i][j]
			id, endpointID := eventID+1+int64(j), e.routes.ids[target.Endpoint]
			if e.offer != nil && !target.Paused && e.offer.Accept(target.Endpoint) {
				if e.tasks == nil { // who takes one mostly takes all
					e.tasks = make([]webhook.Task, 0, e.deliveries)
					offered = make([]any, 0, e.deliveries*len(s.enqueue.deliveries.columns))
				}
				offered = append(offered, id, eventID, endpointID)
				e.tasks = append(e.tasks, e.task(i, id, target, until))
			} else {
				pending = append(pending, id, eventID, endpointID)
			}
			if b := blockOf(endpointID, id); s.isNewBlock(b, e.blocks) {
				e.blocks = append(e.blocks, b)
				blocks = append(blocks, b.endpointID, b.number)
			}
		}
	}
	if _, err := s.x.dialect.execBatch(ctx, q, s.enqueue.deliveries, pending, []any{int64(statePending), e.now, int64(0)}); err != nil {
		return err
	}
	if _, err := s.x.dialect.execBatch(ctx, q, s.enqueue.deliveries, offered, []any{int64(stateInFlight), until, int64(1)}); err != nil {
		return err
	}
	_, err := s.x.dialect.execBatch(ctx, q, s.enqueue.blocks, blocks, nil)
	return err
}

// task is the delivery as the caller would have claimed it.
func (e *enqueuing) task(i int, id int64, target *match.Target, until int64) webhook.Task {
	event := &e.events[i]
	return webhook.Task{
		Lease:          webhook.Lease{DeliveryID: webhook.DeliveryID(id), Token: 1},
		Until:          moment(until),
		OrganizationID: event.OrganizationID,
		Endpoint:       target.Endpoint,
		Revision:       target.Revision,
		EventID:        event.ID,
		EventType:      event.Type,
		Payload:        event.Payload,
		QueuedAt:       moment(e.now),
	}
}
