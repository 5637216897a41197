package sqlstore

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

type enqueueStatements struct {
	tables        string // may be empty
	take, reserve string // take may be empty
	reserveInTx   string // reserve, in a transaction of the caller
	notify        string
	events        *batch
	richEvents    *batch // has columns more than events
	deliveries    *batch
	ordered       *batch // those that stand in line
	stored        string
	blocks        *batch
}

// newEnqueueStatements leaves out what all rows share, because every parameter costs time. So do
// the trace and the time to live, which most events do not have.
func newEnqueueStatements(x expander) enqueueStatements {
	events := func(more ...column) *batch {
		columns := append([]column{{"id", integer}, {"organization_id", text}, {"event_id", text},
			{"type", text}, {"last_id", integer}, {"payload", binary}}, more...)
		return x.batch(`INSERT INTO {p}events (`+namesOf(columns)+`, created_at) WITH {v}
			SELECT `+namesOf(columns)+`, ? FROM v WHERE true {sorted}
			ON CONFLICT DO NOTHING`, columns...)
	}
	take, reserve := x.dialect.reserveSQL(false)
	_, reserveInTx := x.dialect.reserveSQL(true)
	return enqueueStatements{
		tables:      x.sql(x.dialect.emitTablesSQL()),
		take:        x.sql(take),
		reserve:     x.sql(reserve),
		reserveInTx: x.sql(reserveInTx),
		notify:      x.sql(x.dialect.notifySQL()),
		events:      events(),
		richEvents:  events(column{"trace", text}, column{"ttl", integer}),
		deliveries: x.batch(`INSERT INTO {p}deliveries
				(id, event_id, endpoint_id, state, due_at, token, history) WITH {v}
			SELECT id, event_id, endpoint_id, ?, ?, ?, {room} FROM v`,
			column{"id", integer}, column{"event_id", integer}, column{"endpoint_id", integer}),
		ordered: x.batch(`INSERT INTO {p}deliveries
				(id, event_id, endpoint_id, line, state, due_at, token, turn) WITH {v}
			SELECT id, event_id, endpoint_id, line, ?, ?, ?, ? FROM v`,
			column{"id", integer}, column{"event_id", integer}, column{"endpoint_id", integer},
			column{"line", integer}),
		stored: x.sql(`SELECT id FROM {p}events WHERE id >= ? AND id <= ?`),
		// Not ON CONFLICT, which would wait for an open transaction that has
		// stored the same block. A block that is stored twice does no harm.
		blocks: x.batch(`INSERT INTO {p}blocks (endpoint_id, block) WITH {v}
			SELECT v.endpoint_id, v.block FROM v WHERE NOT EXISTS (
				SELECT 1 FROM {p}blocks b WHERE b.endpoint_id = v.endpoint_id AND b.block = v.block)`,
			column{"endpoint_id", integer}, column{"block", integer}),
	}
}

// enqueuing is one call of Enqueue.
type enqueuing struct {
	now      int64
	events   []webhook.NewEvent
	prefetch *webhook.Prefetch

	// callers is true in a transaction of the caller.
	callers bool
	// loads is how often routes were read before the transaction.
	loads           int
	organizationIDs []string
	routes          map[string]*routes // by organization
	// For each event its id, which is 0 for a duplicate, and where it goes.
	ids     []int64
	targets [][]match.Target
	// deliveryIDs are those of all targets, one event's after the other's.
	deliveryIDs []int64

	breaks []int64 // ids that do not follow the one before
	storing
	// fanOuts are the values of rows for deliveries that are stored later, and unfinished the events
	// that have some.
	fanOuts    []any
	unfinished []bool
}

func newEnqueuing(now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch) *enqueuing {
	e := &enqueuing{now: micros(now), events: events, prefetch: prefetch}
	seen := make(map[string]bool)
	for i := range events {
		if id := events[i].OrganizationID; !seen[id] {
			seen[id] = true
			e.organizationIDs = append(e.organizationIDs, id)
		}
	}
	return e
}

// Enqueue implements [webhook.Queue].
func (s *Store) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	if len(events) == 0 {
		return webhook.Enqueued{}, ctx.Err()
	}
	e := newEnqueuing(now, events, prefetch)
	err := s.writeRouted(ctx, ofEmit, e, func(ctx context.Context, q Querier) error {
		if s.enqueue.tables != "" {
			if _, err := q.Exec(ctx, s.enqueue.tables); err != nil {
				return err
			}
		}
		return s.enqueueIn(ctx, q, e)
	})
	if err != nil {
		return webhook.Enqueued{}, err
	}
	s.remember(e.storing)
	if len(e.fanOuts) > 0 {
		s.leases.expect(e.fanOutUntil())
	}
	return webhook.Enqueued{Events: e.emitted(), Tasks: e.tasks}, nil
}

// EnqueueTx implements [webhook.TxQueue] for transactions on the store's database
// that [Tx] or [TxOf] makes.
func (s *Store) EnqueueTx(
	ctx context.Context, tx webhook.Tx, now time.Time, events []webhook.NewEvent,
) ([]webhook.Emitted, error) {
	q, err := s.callers(tx)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, ctx.Err()
	}
	if err := s.callGuard(); err != nil {
		return nil, err
	}
	// The blocks are not remembered: the caller may not commit.
	e := newEnqueuing(now, events, nil)
	e.callers = true
	if err := s.enqueueIn(ctx, q, e); err != nil {
		return nil, s.mapped(err)
	}
	return e.emitted(), nil
}

// emitted returns the results for the events.
func (e *enqueuing) emitted() []webhook.Emitted {
	out := make([]webhook.Emitted, len(e.events))
	for i := range e.events {
		out[i] = webhook.Emitted{EventID: e.events[i].ID, Duplicate: e.ids[i] == 0}
		if !out[i].Duplicate {
			out[i].Deliveries = len(e.targets[i])
			out[i].Unfinished = e.unfinished[i]
			out[i].Ordered = slices.ContainsFunc(e.targets[i],
				func(t match.Target) bool { return t.Ordered })
		}
	}
	return out
}

func (s *Store) enqueueIn(ctx context.Context, q Querier, e *enqueuing) error {
	if err := s.reserve(ctx, q, e); err != nil {
		return err
	}
	if err := s.insertEvents(ctx, q, e); err != nil {
		return err
	}
	if err := s.insertDeliveries(ctx, q, e); err != nil {
		return err
	}
	return s.insertFanOuts(ctx, q, e)
}

// reserve takes ids for the events and their deliveries, whose number depends on the routes. The
// routes in memory are usually up to date, and the answer says whether they are.
func (s *Store) reserve(ctx context.Context, q Querier, e *enqueuing) error {
	e.routes = s.routes.get(e.organizationIDs)
	n := e.match()
	ids, versions, err := s.takeIDs(ctx, q, e, n)
	if err != nil {
		return err
	}
	changed, err := s.follow(ctx, q, e, versions)
	if err != nil {
		return err
	}
	if changed {
		if m := e.match(); m > n {
			if ids, _, err = s.takeIDs(ctx, q, e, m); err != nil {
				return err
			}
		}
	}
	e.number(ids)
	return nil
}

// takeIDs returns n ids or more, in ascending order, and the versions of the
// organizations.
func (s *Store) takeIDs(
	ctx context.Context, q Querier, e *enqueuing, n int,
) (ids []int64, versions map[string]int64, err error) {
	parameter, span := s.x.dialect.reserveSpan(n)
	ids = make([]int64, 0, n+span)
	args := []any{parameter, s.x.dialect.texts(e.organizationIDs)}
	if s.enqueue.take != "" {
		if _, err := q.Exec(ctx, s.enqueue.take, parameter); err != nil {
			return nil, nil, err
		}
		args = args[1:]
	}
	statement := s.enqueue.reserve
	if e.callers {
		statement = s.enqueue.reserveInTx
	}
	var encoded []byte
	err = collect(ctx, q, func(row scanner) error {
		var end int64
		err := row.Scan(&end, &encoded)
		for id := end - int64(span); id < end; id++ {
			ids = append(ids, id)
		}
		return err
	}, statement, args...)
	if err != nil {
		return nil, nil, err
	}
	versions, err = decodeVersions(encoded)
	return ids, versions, err
}

// match sets where the events go, and returns how many ids they need.
func (e *enqueuing) match() int {
	e.targets = make([][]match.Target, len(e.events))
	n := len(e.events)
	for i := range e.events {
		e.targets[i] = e.routes[e.events[i].OrganizationID].targets(e.events[i].Type)
		n += len(e.targets[i])
	}
	return n
}

// number gives each event an id, and the following ids to its deliveries.
func (e *enqueuing) number(ids []int64) {
	e.ids = make([]int64, len(e.events))
	e.deliveryIDs = make([]int64, 0, len(ids))
	e.breaks = nil
	for i, id := range ids {
		if i > 0 && id != ids[i-1]+1 {
			e.breaks = append(e.breaks, id)
		}
	}
	for i := range e.ids {
		n := 1 + len(e.targets[i])
		e.ids[i] = ids[0]
		e.deliveryIDs = append(e.deliveryIDs, ids[1:n]...)
		ids = ids[n:]
	}
}

// isRich reports whether the event has what most do not have.
func isRich(e webhook.NewEvent) bool { return !e.Trace.IsZero() || e.TTL > 0 }

func (s *Store) insertEvents(ctx context.Context, q Querier, e *enqueuing) error {
	statement, rich := s.enqueue.events, slices.ContainsFunc(e.events, isRich)
	if rich {
		statement = s.enqueue.richEvents
	}
	rows := make([]any, 0, len(e.events)*len(statement.columns))
	last := 0 // of the deliveries
	for i := range e.events {
		event := &e.events[i]
		lastID := e.ids[i]
		if last += len(e.targets[i]); len(e.targets[i]) > 0 {
			lastID = e.deliveryIDs[last-1]
		}
		payload := event.Payload
		if payload == nil {
			payload = []byte{} // nil would be NULL
		}
		rows = append(rows, e.ids[i], event.OrganizationID, event.ID, event.Type, lastID, payload)
		if rich {
			trace, err := encodeTrace(event.Trace)
			if err != nil {
				return err
			}
			var ttl any
			if event.TTL > 0 {
				ttl = event.TTL.Microseconds()
			}
			rows = append(rows, trace, ttl)
		}
	}
	inserted, err := s.x.dialect.execBatch(ctx, q, statement, rows, []any{e.now})
	if err != nil || inserted == int64(len(e.events)) {
		return err
	}
	// Some events were stored before. The ids that are stored now are those of the others.
	stored := make(map[int64]bool, inserted)
	err = collect(ctx, q, func(rows scanner) error {
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

func (s *Store) insertDeliveries(ctx context.Context, q Querier, e *enqueuing) error {
	e.storing, e.fanOuts = newStoring(e.prefetch), nil
	e.unfinished = make([]bool, len(e.events))
	now := e.storedNow()
	ids := e.deliveryIDs
	for i, eventID := range e.ids {
		mine := ids[:len(e.targets[i])]
		ids = ids[len(mine):]
		if eventID == 0 {
			continue
		}
		for j := range now[i] {
			for len(e.breaks) > 0 && e.breaks[0] <= mine[j] {
				e.breaks, e.cut = e.breaks[1:], true
			}
			target := &e.targets[i][j]
			s.place(&e.storing, &e.events[i], e.now, eventID, mine[j], target,
				lineOfTarget(target, &e.events[i]))
		}
		e.postpone(i, mine[now[i]:], e.targets[i][now[i]:], s.x.dialect.pieceSize())
		if e.unfinished[i] {
			e.cut = true
		}
	}
	if err := s.insertPlaced(ctx, q, &e.storing, e.now); err != nil {
		return err
	}
	return s.insertStoring(ctx, q, &e.storing)
}

// storing is what one transaction stores of deliveries.
type storing struct {
	prefetch *webhook.Prefetch
	until    int64 // when the leases of the tasks end
	// pending, prefetched and ordered are the values of rows that are not inserted yet.
	pending, prefetched, ordered []any
	waiting                      bool  // some of those that were inserted are pending
	dueAt                        int64 // since when, the first of them

	tasks    []webhook.Task
	holdings []holding // of the tasks
	leases   []*leaseRow
	cut      bool               // the next id may not follow the one before
	blocks   map[block]struct{} // new ones, to be remembered once they are committed
}

func newStoring(prefetch *webhook.Prefetch) storing {
	st := storing{prefetch: prefetch, blocks: make(map[block]struct{})}
	if prefetch != nil {
		st.until = micros(prefetch.Until)
	}
	return st
}

// place adds a delivery of an event, which was emitted at the given time. The event may be nil
// without a prefetch. line is that of the delivery, 0 if it stands in none.
func (s *Store) place(
	st *storing, event *webhook.NewEvent, at, eventID, id int64, target *match.Target, line int64,
) {
	switch {
	case line != 0:
		st.ordered = append(st.ordered, id, eventID, target.EndpointID, line)
	case st.prefetch != nil && !target.Paused &&
		st.prefetch.Take(event.OrganizationID, target.Endpoint):
		st.prefetched = append(st.prefetched, id, eventID, target.EndpointID)
		st.tasks = append(st.tasks, st.task(event, at, id, target))
		st.holdings = append(st.holdings,
			holding{endpointID: target.EndpointID, number: 1, plain: true, row: st.lease(id)})
	default:
		st.pending = append(st.pending, id, eventID, target.EndpointID)
	}
	if b := blockOf(target.EndpointID, id); s.isNewBlock(b) {
		st.blocks[b] = struct{}{}
	}
}

// insertPlaced inserts the deliveries that were placed since the last call, for events that were
// emitted at the given time.
func (s *Store) insertPlaced(ctx context.Context, q Querier, st *storing, at int64) error {
	if _, err := s.x.dialect.execBatch(ctx, q, s.enqueue.deliveries, st.pending,
		[]any{int64(statePending), at, int64(firstToken)}); err != nil {
		return err
	}
	if _, err := s.x.dialect.execBatch(ctx, q, s.enqueue.deliveries, st.prefetched,
		[]any{int64(stateInFlight), nil, int64(firstToken)}); err != nil {
		return err
	}
	if _, err := s.x.dialect.execBatch(ctx, q, s.enqueue.ordered, st.ordered,
		[]any{int64(statePending), at, int64(firstToken), int64(waits)}); err != nil {
		return err
	}
	if len(st.pending)+len(st.ordered) > 0 {
		if !st.waiting || at < st.dueAt {
			st.waiting, st.dueAt = true, at
		}
		s.starts.written(at)
	}
	st.pending, st.prefetched, st.ordered = nil, nil, nil
	return nil
}

// insertStoring inserts what belongs to the deliveries that were inserted, and tells other
// processes of them.
func (s *Store) insertStoring(ctx context.Context, q Querier, st *storing) error {
	if err := s.insertLeases(ctx, q, st.leases); err != nil {
		return err
	}
	var blocks []any
	for b := range st.blocks {
		blocks = append(blocks, b.endpointID, b.number)
	}
	if _, err := s.x.dialect.execBatch(ctx, q, s.enqueue.blocks, blocks, nil); err != nil {
		return err
	}
	// A caller that prefetches delivers itself, and claims more when it is done. Otherwise the
	// processes that deliver are notified.
	if st.prefetch == nil && st.waiting && s.enqueue.notify != "" {
		return collect(ctx, q, func(scanner) error { return nil }, s.enqueue.notify,
			notification(st.dueAt))
	}
	return nil
}

// remember notes what was committed.
func (s *Store) remember(st storing) {
	s.rememberBlocks(st.blocks)
	s.leases.remember(st.tasks, st.holdings)
}

// lease adds a delivery to the lease of the one before, or to a new one if ids between them may be
// those of another transaction.
func (st *storing) lease(id int64) *leaseRow {
	if len(st.leases) == 0 || st.cut {
		st.leases = append(st.leases, &leaseRow{until: st.until, firstID: id, token: firstToken})
	}
	st.cut = false
	row := st.leases[len(st.leases)-1]
	row.lastID = id
	row.held++
	return row
}

// task is the delivery as the caller would have claimed it.
func (st *storing) task(
	event *webhook.NewEvent, at, id int64, target *match.Target,
) webhook.Task {
	return webhook.Task{
		Lease:          webhook.Lease{DeliveryID: webhook.DeliveryID(id), Token: firstToken},
		Until:          moment(st.until),
		OrganizationID: event.OrganizationID,
		Endpoint:       target.Endpoint,
		Revision:       target.Revision,
		EventID:        event.ID,
		EventType:      event.Type,
		Payload:        event.Payload,
		Trace:          event.Trace,
		QueuedAt:       moment(at),
		ExpiresAt:      expiry(at, event.TTL.Microseconds()),
		DueAt:          moment(at),
	}
}

// block says that an endpoint has had deliveries in a range of ids: see the package comment.
type block struct {
	endpointID, number int64
}

// blockBits makes a block 16384 ids: reading one takes milliseconds, and most
// batches begin none.
const blockBits = 14

func blockOf(endpointID, deliveryID int64) block {
	return block{endpointID,
		deliveryID >> blockBits}
}

// maxBlocks bounds how many blocks are remembered. After they are forgotten, statements that change
// nothing store them again.
const maxBlocks = 100_000

// isNewBlock reports whether the block is not known to be stored.
func (s *Store) isNewBlock(b block) bool {
	s.blocksMu.Lock()
	defer s.blocksMu.Unlock()
	_, stored := s.blocks[b]
	return !stored
}

func (s *Store) rememberBlocks(blocks map[block]struct{}) {
	if len(blocks) == 0 {
		return
	}
	s.blocksMu.Lock()
	defer s.blocksMu.Unlock()
	if len(s.blocks) >= maxBlocks {
		clear(s.blocks)
	}
	maps.Copy(s.blocks, blocks)
}
