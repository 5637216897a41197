package sqlstore

import (
	"context"
	varint "encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// An Enqueue stores firstPiece deliveries, and leaves the others of wide events to transactions of
// pieceSize, as the dialect says, so that no event keeps other writers waiting for longer than one of
// them takes. What they store is in rows of the table fanouts from the first transaction on, with the
// ids that they will have.
const (
	firstPiece = 128
	// narrow is how many deliveries of each event are stored with it in any case. They cost little
	// more than the event itself.
	narrow = 4
	// maxPrunedPieces is how many pieces one Prune stores. One organization decides how many there are,
	// and the retention of all others waits for the rest of the call.
	maxPrunedPieces = 100
	// maxPieces is how many pieces one Claim stores, and pages of leases it ends, before that which it
	// claims in. While enough else is due it stores fewPieces, because others wait for that.
	maxPieces = 32
	fewPieces = 2
)

type fanOutStatements struct {
	add                       *batch
	next, ended, remove       string
	oldestEvent, oldest, left string
	anyAhead, ahead, repair   string
}

func newFanOutStatements(x expander) fanOutStatements {
	const rows = `SELECT d.first_id, d.last_id, d.event_id, d.until, d.endpoints, e.created_at,
		d.lines FROM `
	return fanOutStatements{
		add: x.batch(`INSERT INTO {p}fanouts (first_id, last_id, event_id, endpoints, lines, until)
			WITH {v} SELECT first_id, last_id, event_id, endpoints, lines, ? FROM v`,
			column{"first_id", integer}, column{"last_id", integer}, column{"event_id", integer},
			column{"endpoints", binary}, column{"lines", binary}),
		next: x.sql(rows + `{p}events e {join} {p}fanouts d
				ON d.first_id > e.id AND d.first_id <= e.last_id AND d.event_id = e.id
			WHERE e.event_id = ? AND e.organization_id = ? AND d.first_id > ?
			ORDER BY d.first_id LIMIT 2 {forupdate}`),
		ended: x.sql(rows + `{p}fanouts d {join} {p}events e ON e.id = d.event_id
			WHERE d.until > ? AND d.until <= ? ORDER BY d.until LIMIT ? {skiplocked}`),
		remove:      x.sql(`DELETE FROM {p}fanouts WHERE first_id {in}`),
		oldestEvent: x.sql(`SELECT min(event_id) FROM {p}fanouts`),
		// It visits one row of each event, whose rows have ids up to its last_id.
		oldest: x.sql(`WITH RECURSIVE firsts (first_id, n) AS (
				SELECT (SELECT min(first_id) FROM {p}fanouts), 1
				UNION ALL
				SELECT (SELECT min(f.first_id) FROM {p}fanouts f WHERE f.first_id > (
					SELECT e.last_id FROM {p}fanouts g {join} {p}events e ON e.id = g.event_id
						WHERE g.first_id = firsts.first_id)), firsts.n + 1
				FROM firsts WHERE firsts.first_id IS NOT NULL AND firsts.n < ?
			)
			SELECT w.first_id, e.created_at, e.organization_id FROM firsts w
				{join} {p}fanouts d ON d.first_id = w.first_id {join} {p}events e ON e.id = d.event_id
			ORDER BY w.first_id`),
		left:     x.sql(`SELECT first_id FROM {p}fanouts WHERE first_id >= ? AND first_id <= ? LIMIT 1`),
		anyAhead: x.sql(`SELECT first_id FROM {p}fanouts WHERE until > ? LIMIT 1`),
		ahead:    x.sql(`SELECT d.first_id FROM {p}fanouts d WHERE d.until > ? LIMIT ? {skiplocked}`),
		repair:   x.sql(`UPDATE {p}fanouts SET until = ? WHERE first_id {in}`),
	}
}

// finished is true of an event of which all deliveries are stored.
const finished = `(SELECT f.first_id FROM {p}fanouts f
	WHERE f.first_id > {p}events.id AND f.first_id <= {p}events.last_id
		AND f.event_id = {p}events.id LIMIT 1) IS NULL`

// storedNow returns how many deliveries of each event this transaction stores, the first ones of
// each. It begins with the events that have the fewest, so that a wide event that shares a commit
// does not keep another one back.
func (e *enqueuing) storedNow() []int {
	counts := make([]int, len(e.events))
	total, wide := 0, []int(nil)
	for i, id := range e.ids {
		if id == 0 {
			continue // a duplicate
		}
		counts[i] = len(e.targets[i])
		total += counts[i]
		if counts[i] > narrow {
			wide = append(wide, i)
		}
	}
	if total <= firstPiece || e.callers {
		return counts
	}
	left := firstPiece
	slices.SortStableFunc(wide, func(i, j int) int { return counts[i] - counts[j] })
	for _, i := range wide {
		counts[i] = min(counts[i], left)
		left -= counts[i]
	}
	return counts
}

// postpone adds rows for the deliveries of an event that this transaction does not store.
func (e *enqueuing) postpone(i int, ids []int64, targets []match.Target, pieceSize int) {
	e.unfinished[i] = len(ids) > 0
	for len(ids) > 0 {
		n := 1
		for n < min(len(ids), pieceSize) && ids[n] == ids[n-1]+1 {
			n++
		}
		lines := make([]int64, n)
		for j := range lines {
			lines[j] = lineOfTarget(&targets[j], &e.events[i])
		}
		e.fanOuts = append(e.fanOuts, ids[0], ids[n-1], e.ids[i], encodeEndpoints(targets[:n]),
			encodeLines(lines))
		ids, targets = ids[n:], targets[n:]
	}
}

func (s *Store) insertFanOuts(ctx context.Context, q Querier, e *enqueuing) error {
	_, err := s.x.dialect.execBatch(ctx, q, s.fanOut.add, e.fanOuts, []any{e.fanOutUntil()})
	return err
}

// fanOutUntil is until when the other deliveries are left to the caller.
func (e *enqueuing) fanOutUntil() int64 { return e.now + webhook.FanOutLease.Microseconds() }

// encodeEndpoints writes each id as the difference to the one before, which is small.
func encodeEndpoints(targets []match.Target) []byte {
	var b []byte
	last := int64(0)
	for i := range targets {
		b = varint.AppendVarint(b, targets[i].EndpointID-last)
		last = targets[i].EndpointID
	}
	return b
}

// fanOutRow is a row of the table fanouts, with the time of its event.
type fanOutRow struct {
	firstID, lastID, eventID, until, createdAt int64
	encoded, lines                             []byte
	// event is the place of its event among those of the call.
	event int
}

func (r *fanOutRow) deliveries() int { return int(r.lastID - r.firstID + 1) }

// endpoints returns the endpoint of each delivery.
func (r *fanOutRow) endpoints() ([]int64, error) {
	ids := make([]int64, 0, r.deliveries())
	last := int64(0)
	for b := r.encoded; len(b) > 0; {
		difference, n := varint.Varint(b)
		if n <= 0 {
			break
		}
		last, b = last+difference, b[n:]
		ids = append(ids, last)
	}
	if len(ids) != r.deliveries() {
		return nil, fmt.Errorf("sqlstore: the fan-out that begins with %s has %d endpoints for %d "+
			"deliveries", webhook.DeliveryID(r.firstID), len(ids), r.deliveries())
	}
	return ids, nil
}

func (s *Store) fanOutRows(
	ctx context.Context, q Querier, query string, args ...any,
) (rows []fanOutRow, err error) {
	err = collect(ctx, q, func(row scanner) error {
		var r fanOutRow
		err := row.Scan(&r.firstID, &r.lastID, &r.eventID, &r.until, &r.encoded, &r.createdAt,
			&r.lines)
		rows = append(rows, r)
		return err
	}, query, args...)
	return rows, err
}

// FanOut implements [webhook.Queue]. A call stores up to 128 deliveries in one transaction,
// with SQLite 32.
func (s *Store) FanOut(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (finished int, tasks []webhook.Task, err error) {
	if len(events) == 0 {
		return 0, nil, ctx.Err()
	}
	e := newEnqueuing(now, events, prefetch)
	err = s.writeRouted(ctx, ofBackground, e, func(ctx context.Context, q Querier) (err error) {
		finished, err = s.fanOutIn(ctx, q, e)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	s.remember(e.storing)
	return finished, e.tasks, nil
}

// fanOutIn stores a piece of the first events, and returns how many are finished.
func (s *Store) fanOutIn(ctx context.Context, q Querier, e *enqueuing) (finished int, err error) {
	e.storing = newStoring(e.prefetch)
	rows, finished, err := s.nextPiece(ctx, q, e.events)
	if err != nil || len(rows) == 0 {
		return finished, err
	}
	if e.prefetch != nil { // what is paused, or fails, is not prefetched
		e.routes = s.routes.get(e.organizationIDs)
		versions, err := s.versions(ctx, q, e.organizationIDs)
		if err != nil {
			return 0, err
		}
		if _, err := s.follow(ctx, q, e, versions); err != nil {
			return 0, err
		}
	}
	return finished, s.storePiece(ctx, q, e, rows)
}

// nextPiece returns the rows of the next piece, and how many events are finished with it.
func (s *Store) nextPiece(
	ctx context.Context, q Querier, events []webhook.NewEvent,
) (rows []fanOutRow, finished int, err error) {
	n, pieceSize := 0, s.x.dialect.pieceSize()
	type key struct{ organizationID, id string }
	seen := make(map[key]bool, len(events))
	for i := range events {
		k := key{events[i].OrganizationID, events[i].ID}
		if seen[k] {
			continue // its rows are among those of the first one
		}
		seen[k] = true
		for after := int64(0); ; {
			if n >= pieceSize {
				return rows, i, nil
			}
			found, err := s.fanOutRows(ctx, q, s.fanOut.next, events[i].ID, events[i].OrganizationID, after)
			if err != nil {
				return nil, 0, err
			}
			if len(found) == 0 {
				break
			}
			row := found[0]
			if n > 0 && n+row.deliveries() > pieceSize {
				return rows, i, nil
			}
			row.event, after = i, row.lastID
			rows = append(rows, row)
			if n += row.deliveries(); len(found) == 1 {
				break
			}
		}
	}
	return rows, len(events), nil
}

// storePiece turns rows into deliveries. With a prefetch it needs the routes.
func (s *Store) storePiece(
	ctx context.Context, q Querier, e *enqueuing, rows []fanOutRow,
) error {
	firstIDs := make([]int64, len(rows))
	for i := range rows {
		row := &rows[i]
		firstIDs[i] = row.firstID
		endpointIDs, err := row.endpoints()
		if err != nil {
			return err
		}
		lines, err := decodeLines(row.lines, len(endpointIDs))
		if err != nil {
			return err
		}
		var targets []match.Target
		if e.prefetch != nil {
			event := &e.events[row.event]
			targets = e.routes[event.OrganizationID].targets(event.Type)
		}
		e.storing.cut = true // other ids may be between those of two rows
		found := findTargets(targets, endpointIDs)
		for j, endpointID := range endpointIDs {
			target := found[j]
			if target == nil { // it was removed, or no longer gets such events
				target = &match.Target{EndpointID: endpointID, Paused: true}
			}
			var event *webhook.NewEvent
			if e.prefetch != nil {
				event = &e.events[row.event]
			}
			s.place(&e.storing, event, row.createdAt, row.eventID, row.firstID+int64(j), target,
				lines[j])
		}
		if i+1 == len(rows) || rows[i+1].createdAt != row.createdAt {
			if err := s.insertPlaced(ctx, q, &e.storing, row.createdAt); err != nil {
				return err
			}
		}
	}
	if _, err := q.Exec(ctx, s.fanOut.remove, s.x.dialect.ints(firstIDs)); err != nil {
		return err
	}
	return s.insertStoring(ctx, q, &e.storing)
}

// findTargets returns the target for each of the endpoints, which are mostly in the order of the
// targets, or nil if there is none. It passes over the targets once: there may be 50,000.
func findTargets(targets []match.Target, endpointIDs []int64) []*match.Target {
	found := make([]*match.Target, len(endpointIDs))
	if len(targets) == 0 || len(endpointIDs) == 0 {
		return found
	}
	least, most := slices.Min(endpointIDs), slices.Max(endpointIDs)
	places := make(map[int64]int, len(endpointIDs))
	for i, id := range endpointIDs {
		places[id] = i
	}
	for i := range targets {
		id := targets[i].EndpointID
		if id < least || id > most { // most are, and the comparison costs less than the map
			continue
		}
		if place, ok := places[id]; ok {
			found[place] = &targets[i]
			if delete(places, id); len(places) == 0 {
				break
			}
		}
	}
	return found
}

// endedRows is how many rows are read for a piece.
const endedRows = 16

// fanOutEnded stores a piece of what callers have not gone on with: until is after from, and not
// after now. It returns the earliest such time, or math.MaxInt64 if there is none.
func (s *Store) fanOutEnded(
	ctx context.Context, q Querier, from, now int64,
) (st storing, until int64, err error) {
	rows, err := s.fanOutRows(ctx, q, s.fanOut.ended, from, now, endedRows)
	if err != nil || len(rows) == 0 {
		return st, math.MaxInt64, err
	}
	n, total := 1, rows[0].deliveries()
	for n < len(rows) && total+rows[n].deliveries() <= s.x.dialect.pieceSize() {
		total += rows[n].deliveries()
		n++
	}
	e := &enqueuing{storing: newStoring(nil)}
	err = s.storePiece(ctx, q, e, rows[:n])
	return e.storing, rows[0].until, err
}

// finishFanOuts stores up to maxPrunedPieces of what callers have not gone on with, and reports whether
// there may be more.
func (s *Store) finishFanOuts(ctx context.Context, now int64) (more bool, err error) {
	for range maxPrunedPieces {
		var st storing
		var until int64
		err := s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			st, until, err = s.fanOutEnded(ctx, q, math.MinInt64, now)
			return err
		})
		if err != nil || until == math.MaxInt64 {
			return false, err
		}
		s.remember(st)
	}
	return true, nil
}

// repairFanOuts lets up to r.Limit rows that claims would leave to their callers for too long be
// continued at r.Until.
func (s *Store) repairFanOuts(
	ctx context.Context, r webhook.RepairRequest,
) (repaired int, err error) {
	after := micros(r.LeasesAfter)
	ids, err := collectIDs(ctx, s.read, s.fanOut.anyAhead, after)
	if err != nil || len(ids) == 0 {
		return 0, s.mapped(err)
	}
	err = s.write(ctx, func(ctx context.Context, q Querier) error {
		ids, err := collectIDs(ctx, q, s.fanOut.ahead, after, r.Limit)
		if err != nil {
			return err
		}
		repaired = len(ids)
		_, err = q.Exec(ctx, s.fanOut.repair, micros(r.Until), s.x.dialect.ints(ids))
		return err
	})
	return repaired, err
}

// writeRouted runs fn in a transaction, and again after reading routes that it lacks.
func (s *Store) writeRouted(
	ctx context.Context, kind writeKind, e *enqueuing, fn func(context.Context, Querier) error,
) error {
	for e.loads = 0; ; e.loads++ {
		// The transaction finds remembered where the events go, unless routes change meanwhile. Otherwise
		// all others that write would wait while it is found out.
		e.routes = s.routes.get(e.organizationIDs)
		e.match()
		err := s.writeOf(ctx, kind, fn)
		if !errors.Is(err, errBehind) {
			return err
		}
		if err := s.loadRoutes(ctx, e.organizationIDs); err != nil {
			return s.mapped(err)
		}
	}
}
