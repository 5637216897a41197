package sqlstore

import (
	"context"
	"math"
	"sync"
	"time"
)

// A claim walks from endpoint to endpoint over an index of deliveries in the queue. Those of
// endpoints that may not be attempted, because they are paused, disabled, or degraded without a probe
// that is due, would be visited by every claim. So deliveries of such endpoints are parked: the index
// of the walk has them no more. The endpoint then has a time at which a claim looks at it again,
// wake_at, and each change of its state moves that to 0. A transaction that parks or unparks
// deliveries has locked the row of the endpoint, and a wake_at of NULL says that none is parked.
//
// The walk only says which endpoints have something. What is claimed of them is read from the index
// of the whole queue, parked or not, so that one delivery that is not parked is enough.

type parkStatements struct {
	waiting, lock, rows, park, sleep string
	woken, first, unpark, parked     string
	next, emptied                    string
}

func newParkStatements(x expander) parkStatements {
	const next = `(SELECT endpoint_id FROM {p}deliveries WHERE due_at IS NOT NULL AND parked = 0
		AND endpoint_id > `
	// unclaimable is true of endpoints of which nothing may be claimed now.
	const unclaimable = `(d.state = 1 OR d.state = 0 AND d.probe_at > ?)`
	return parkStatements{
		// The endpoints of the walk after one that may not be claimed, and the last one that was visited.
		waiting: x.sql(`WITH RECURSIVE unparked (endpoint_id, n) AS (
				SELECT ` + next + `? ORDER BY endpoint_id LIMIT 1), 1
				UNION ALL
				SELECT ` + next + `unparked.endpoint_id ORDER BY endpoint_id LIMIT 1), unparked.n + 1
				FROM unparked WHERE unparked.endpoint_id IS NOT NULL AND unparked.n < ?
			)
			SELECT w.endpoint_id, w.n, w.unclaimable FROM (
				SELECT unparked.endpoint_id, unparked.n, (SELECT count(*) FROM {p}endpoints d
					WHERE d.id = unparked.endpoint_id AND ` + unclaimable + `) AS unclaimable
				FROM unparked WHERE unparked.endpoint_id IS NOT NULL) w
			WHERE w.unclaimable > 0 OR w.n = ?`),
		lock: x.sql(`SELECT d.id FROM {p}endpoints d WHERE d.id {in} AND ` + unclaimable + ` {skiplocked}`),
		rows: x.sql(`SELECT d.id FROM {p}deliveries d WHERE d.due_at IS NOT NULL AND d.parked = 0
			AND d.endpoint_id {in} LIMIT ? {skiplocked}`),
		park: x.sql(`UPDATE {p}deliveries SET parked = 1 WHERE id {in}`),
		// An endpoint that is not degraded sleeps until its state changes.
		sleep: x.sql(`UPDATE {p}endpoints SET wake_at = CASE WHEN state = 0 THEN coalesce(probe_at, 0)
			ELSE {int} END WHERE id {in}`),
		woken: x.sql(`SELECT d.id, d.state, d.probe_at FROM {p}endpoints d WHERE d.wake_at <= ?
			ORDER BY d.wake_at LIMIT ? {skiplocked}`),
		first: x.sql(`SELECT id, due_at FROM {p}deliveries WHERE due_at IS NOT NULL AND endpoint_id = ?
			AND {attempted} = ? AND due_at >= ? ORDER BY due_at, id LIMIT 1`),
		unpark: x.sql(`UPDATE {p}deliveries SET parked = 0 WHERE id {in}`),
		parked: x.sql(`SELECT d.id FROM {p}deliveries d WHERE d.due_at IS NOT NULL AND d.parked = 1
			AND d.endpoint_id = ? LIMIT ? {skiplocked}`),
		next: x.sql(`UPDATE {p}endpoints SET wake_at = ? WHERE id = ?`),
		emptied: x.sql(`UPDATE {p}endpoints SET wake_at = CASE WHEN EXISTS (
				SELECT 1 FROM {p}deliveries d WHERE d.due_at IS NOT NULL AND d.parked = 1
					AND d.endpoint_id = {p}endpoints.id) THEN {int} END WHERE id {in}`),
	}
}

const (
	// maxVisited bounds how many endpoints are visited in search of those to be parked, and maxParked
	// how many deliveries one transaction parks or unparks. A claim parks up to parkSteps times as many.
	maxVisited, maxParked, parkSteps = 1000, 1000, 4
	// maxWoken bounds how many endpoints one claim wakes, and unparkedOfOne how many deliveries of one
	// it unparks.
	maxWoken, unparkedOfOne = 256, 100
	// parkEvery is how often a process looks for what to park if there was nothing, and probeSoon for
	// how long a delivery that may be probed is left in the walk, in microseconds.
	parkEvery, probeSoon = int64(1_000_000), int64(60_000_000)
	// asleep is the wake_at of endpoints that wait for a change of their state.
	asleep = math.MaxInt64
)

// parking is where a process looks for what to park. The zero value is ready to use.
type parking struct {
	mu   sync.Mutex
	from int64 // the endpoint after which it goes on
	at   int64 // when
	// next is when at the earliest, by the clock of this machine.
	next time.Time
}

// park parks deliveries, if this process has not just looked for some in vain.
func (s *Store) park(ctx context.Context, now int64) error {
	p := &s.parking
	if !p.mu.TryLock() {
		return nil // another claim does it
	}
	defer p.mu.Unlock()
	if now < p.at && p.at-now <= parkEvery {
		return nil
	}
	p.at = now + parkEvery
	// Searching reads dead entries, too.
	if s.starts.skips() && time.Now().Before(p.next) {
		return nil
	}
	defer func(began time.Time) { p.next = time.Now().Add(searchShare * time.Since(began)) }(time.Now())
	for range parkSteps {
		parked, err := s.parkStep(ctx, now)
		if err != nil || parked == 0 {
			return err
		}
		p.at = now // there may be more
		if parked < maxParked/2 {
			return nil
		}
	}
	return nil
}

// parkStep looks for endpoints that may not be claimed, and parks deliveries of those. The caller has
// locked s.parking.
func (s *Store) parkStep(ctx context.Context, now int64) (parked int, err error) {
	p := &s.parking
	var ids []int64
	next := int64(0)
	err = collect(ctx, s.read, func(row scanner) error {
		var id, n, unclaimable int64
		err := row.Scan(&id, &n, &unclaimable)
		if unclaimable > 0 {
			ids = append(ids, id)
		}
		if n == maxVisited {
			next = id
		}
		return err
	}, s.parks.waiting, p.from, maxVisited, now, maxVisited)
	if err != nil {
		return 0, err
	}
	if len(ids) > 0 {
		err = s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			parked, err = s.parkOf(ctx, q, ids, now)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	if parked < maxParked {
		p.from = next
	}
	return parked, nil
}

// parkOf parks deliveries of endpoints that may not be claimed now.
func (s *Store) parkOf(ctx context.Context, q Querier, ids []int64, now int64) (int, error) {
	locked, err := collectIDs(ctx, q, s.parks.lock, s.x.dialect.ints(ids), now)
	if err != nil || len(locked) == 0 {
		return 0, err
	}
	rows, err := collectIDs(ctx, q, s.parks.rows, s.x.dialect.ints(locked), maxParked)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	if _, err := q.Exec(ctx, s.parks.park, s.x.dialect.ints(rows)); err != nil {
		return 0, err
	}
	return len(rows), s.sleep(ctx, q, locked)
}

// sleep lets endpoints that may not be claimed wait for their probe, or for a change of their state.
func (s *Store) sleep(ctx context.Context, q Querier, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := q.Exec(ctx, s.parks.sleep, int64(asleep), s.x.dialect.ints(ids))
	return err
}

// wake lets the walk see endpoints again that may be claimed now.
func (s *Store) wake(ctx context.Context, q Querier, now int64) error {
	type endpoint struct {
		id, state int64
		probeAt   *int64
	}
	var woken []endpoint
	err := collect(ctx, q, func(row scanner) error {
		var e endpoint
		err := row.Scan(&e.id, &e.state, &e.probeAt)
		woken = append(woken, e)
		return err
	}, s.parks.woken, now, maxWoken)
	if err != nil || len(woken) == 0 {
		return err
	}
	var unclaimable, healthy []int64
	left := maxParked
	for i, e := range woken {
		switch {
		case e.state != endpointActive || e.probeAt != nil && *e.probeAt > now:
			unclaimable = append(unclaimable, e.id)
		case e.probeAt != nil:
			if err := s.unparkProbe(ctx, q, e.id, now); err != nil {
				return err
			}
		default:
			n := max(1, min(unparkedOfOne, left/(len(woken)-i)))
			ids, err := collectIDs(ctx, q, s.parks.parked, e.id, n)
			if err != nil {
				return err
			}
			if err := s.unparkIDs(ctx, q, ids); err != nil {
				return err
			}
			left -= len(ids)
			healthy = append(healthy, e.id)
		}
	}
	if len(healthy) > 0 {
		if _, err := q.Exec(ctx, s.parks.emptied, now, s.x.dialect.ints(healthy)); err != nil {
			return err
		}
	}
	return s.sleep(ctx, q, unclaimable)
}

func (s *Store) unparkIDs(ctx context.Context, q Querier, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := q.Exec(ctx, s.parks.unpark, s.x.dialect.ints(ids))
	return err
}

// unparkProbe lets the walk see one delivery of a degraded endpoint that may be probed, or has a
// claim look again when the first one is due.
func (s *Store) unparkProbe(ctx context.Context, q Querier, id, now int64) error {
	var next any
	starts := s.starts.current().of(id)
	for attempted, from := range starts {
		var delivery, dueAt int64
		found, err := one(ctx, q, s.parks.first, []any{id, attempted, from}, []any{&delivery, &dueAt})
		switch {
		case err != nil:
			return err
		case !found:
		case dueAt <= now:
			if err := s.unparkIDs(ctx, q, []int64{delivery}); err != nil {
				return err
			}
			// Taking the probe changes the state before that.
			_, err = q.Exec(ctx, s.parks.next, now+probeSoon, id)
			return err
		case next == nil || dueAt < next.(int64):
			next = dueAt
		}
	}
	if next == nil { // or it lies before the starts
		_, err := q.Exec(ctx, s.parks.emptied, now, s.x.dialect.ints([]int64{id}))
		return err
	}
	_, err := q.Exec(ctx, s.parks.next, next, id)
	return err
}

// wakes is the assignment that every change of the state of endpoints has: the next claim looks at
// those of which deliveries are parked.
const wakes = `wake_at = CASE WHEN wake_at IS NULL THEN NULL ELSE 0 END`
