package sqlstore

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Prune goes through the ids. What was settled before a time was stored before it, too, so it is in
// a range of ids, and nearly all of that range can go: Prune deletes it as a whole, and needs no
// index of times. What has to stay, because it is not settled, was settled much later, or is dead
// and kept for longer, is marked in the column kept, and an index finds it when its time comes.
const (
	keptOpen    = 1 // not settled; becomes keptSettled or keptDead
	keptSettled = 2 // succeeded or cancelled, at kept_at
	keptDead    = 3 // dead, at kept_at; this is set when it dies, whether Prune has passed or not
)

// keepAs sets kept and kept_at of a delivery that succeeds or is cancelled. Its parameter is when.
func keepAs(prefix string) string {
	return fmt.Sprintf(`kept_at = CASE WHEN %[1]skept IS NULL THEN %[1]skept_at ELSE ? END,
		kept = CASE WHEN %[1]skept IS NULL THEN NULL ELSE %[2]d END`, prefix, keptSettled)
}

type pruneStatements struct {
	// To find the range.
	eventFrom, lastEvent, events string
	// Of a range.
	remove, removeSome, keep, left, removeEvents, removeEmptied, idle string
	// Of what is kept.
	settled, dead, removeKept, removeEventsOf, idleOf, removeIdle string
}

func newPruneStatements(x expander) pruneStatements {
	const inRange = `id >= ? AND id <= ?`
	const old = `state >= 2 AND turn = 0 AND (state <> 3 AND settled_at < ? OR state = 3 AND settled_at < ?)`
	// In this form PostgreSQL checks each event instead of joining all deliveries.
	const empty = `(SELECT d.id FROM {p}deliveries d
		WHERE d.id > {p}events.id AND d.id <= {p}events.last_id AND d.event_id = {p}events.id
			LIMIT 1) IS NULL AND ` + finished
	// A parameter would have SQLite plan this again for each call, because the state is compared with
	// the conditions of indexes.
	kept := func(as int) string {
		return x.sql(fmt.Sprintf(`SELECT id, event_id FROM {p}deliveries d WHERE kept = %d AND kept >= 2
			AND kept_at < ? AND turn = 0 ORDER BY kept_at LIMIT ? {skiplocked}`, as))
	}
	const setIdle = `UPDATE {p}events SET last_id = id WHERE `
	return pruneStatements{
		eventFrom: x.sql(`SELECT id, created_at FROM {p}events WHERE id >= ? ORDER BY id LIMIT 1`),
		lastEvent: x.sql(`SELECT id, created_at FROM {p}events WHERE id < ? ORDER BY id DESC LIMIT 1`),
		events: x.sql(`SELECT id, last_id FROM {p}events WHERE id >= ? AND id < ?
			ORDER BY id LIMIT ?`),
		remove: x.sql(`DELETE FROM {p}deliveries WHERE ` + inRange + ` AND ` + old),
		removeSome: x.sql(`DELETE FROM {p}deliveries WHERE id IN (SELECT id FROM (
			SELECT id FROM {p}deliveries d WHERE ` + inRange + ` AND ` + old + ` ORDER BY id LIMIT ?
				{forupdate}) found)`),
		keep: x.sql(`UPDATE {p}deliveries SET kept = CASE WHEN state < 2 THEN 1 ELSE 2 END,
			kept_at = settled_at WHERE ` + inRange + ` AND kept IS NULL`),
		left:         x.sql(`SELECT id FROM {p}deliveries WHERE ` + inRange + ` LIMIT 1`),
		removeEvents: x.sql(`DELETE FROM {p}events WHERE ` + inRange + ` AND created_at < ?`),
		removeEmptied: x.sql(`DELETE FROM {p}events WHERE ` + inRange + ` AND created_at < ?
			AND ` + empty),
		idle:           x.sql(setIdle + inRange + ` AND last_id > id AND ` + empty),
		settled:        kept(keptSettled),
		dead:           kept(keptDead),
		removeKept:     x.sql(`DELETE FROM {p}deliveries WHERE id {in}`),
		removeEventsOf: x.sql(`DELETE FROM {p}events WHERE created_at < ? AND id {in} AND ` + empty),
		idleOf:         x.sql(setIdle + `id {in} AND last_id > id AND ` + empty),
		removeIdle: x.sql(`DELETE FROM {p}events WHERE id IN (SELECT id FROM (
			SELECT id FROM {p}events WHERE last_id = id AND created_at < ? ORDER BY created_at LIMIT ?
			) found)`),
	}
}

// Prune implements [webhook.History]. It settles the deliveries of deleted subscriptions, and
// removes old figures and deleted endpoints, in transactions of r.Limit rows or 500 endpoints. It
// visits a deleted endpoint once, and then once a day for as long as deliveries of it are kept. So
// deliveries of a transaction that was open when the endpoint was deleted are settled a day later.
// What a transaction stored that was still open when Prune passed its ids is removed within a day.
//
// Deleted subscriptions come last, and in pieces, because one organization decides how many there
// are: the retention of all others does not wait for them, and the caller pauses between the pieces.
func (s *Store) Prune(ctx context.Context, now time.Time, r webhook.PruneRequest) (int, error) {
	if r.Limit < 1 {
		return 0, fmt.Errorf("sqlstore: pruning needs a Limit of at least 1, not %d", r.Limit)
	}
	more, err := s.finishFanOuts(ctx, micros(now))
	if err != nil {
		return 0, err
	}
	if err := s.endLeasesBetween(ctx, math.MinInt64, micros(now)); err != nil {
		return 0, err
	}
	p := &pruning{limit: r.Limit, left: stepsPerCall * min(r.Limit, math.MaxInt/stepsPerCall),
		settled: beforeOf(r.SucceededBefore), dead: beforeOf(r.DeadBefore)}
	if err := s.pruneRanges(ctx, micros(now), p); err != nil {
		return 0, err
	}
	if err := s.pruneKept(ctx, p); err != nil {
		return 0, err
	}
	if err := s.pruneResults(ctx, p.settled); err != nil {
		return 0, err
	}
	if err := s.removeBlocks(ctx, p); err != nil {
		return 0, err
	}
	oldest := hourOf(now.Add(-webhook.StatisticsKept))
	whole := &pruning{limit: r.Limit, left: math.MaxInt} // these are always removed
	if err := s.inSteps(ctx, whole, s.housekeeping.oldFigures, oldest); err != nil {
		return 0, err
	}
	if err := s.pruneBacklog(ctx, oldest, whole); err != nil {
		return 0, err
	}
	if err := s.pruneProcesses(ctx, now.Add(-webhook.ProcessKept)); err != nil {
		return 0, err
	}
	if err := s.pruneDeleted(ctx, now, p); err != nil {
		return 0, err
	}
	if p.left == 0 || more {
		return r.Limit, nil
	}
	return p.removed, nil
}

// stepsPerCall times the limit is how many rows of deleted subscriptions, and blocks, one call of
// Prune changes at most.
const stepsPerCall = 4

// pruning is one call of Prune.
type pruning struct {
	limit, removed int
	// left is how many rows of deleted subscriptions, and blocks, may still change. At 0 there may be
	// more of them, for the next call.
	left int
	// settled and dead are the times before which deliveries go that were settled, or died.
	settled, dead int64
}

func (p *pruning) remaining() int { return p.limit - p.removed }

// beforeOf returns the time, or one before everything.
func beforeOf(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return micros(t)
}

// pruneProgress is how far Prune has passed the ids. The zero value is ready to use.
type pruneProgress struct {
	mu        sync.Mutex
	next      int64 // the first id that it has not passed
	passStart int64 // when it began with the first id
}

// prunePassInterval is after how long Prune begins again with the first id, for what was not
// committed when it passed.
const prunePassInterval = int64(24 * time.Hour / time.Microsecond)

func (p *pruneProgress) resume(now int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now < p.passStart || now-p.passStart >= prunePassInterval {
		p.next, p.passStart = 0, now
	}
	return p.next
}

func (p *pruneProgress) advance(next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = max(p.next, next)
}

// pruneRanges removes what is old from the ranges that were not passed yet.
func (s *Store) pruneRanges(ctx context.Context, now int64, p *pruning) error {
	if p.settled == math.MinInt64 {
		return nil // nothing becomes old, except what is dead
	}
	from := s.pruneProgress.resume(now)
	for bound := int64(-1); p.remaining() > 0; {
		var r idRange
		var n int
		err := s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			n = 0
			if bound < 0 {
				if bound, err = s.boundOf(ctx, q, from, p.settled); err != nil {
					return err
				}
				if bound, err = s.finishedBelow(ctx, q, bound); err != nil {
					return err
				}
			}
			if r, err = s.nextRange(ctx, q, from, bound, p.remaining()); err != nil || r.events == 0 {
				return err
			}
			n, err = s.removeRange(ctx, q, &r, p)
			return err
		})
		if err != nil || r.events == 0 {
			return err
		}
		p.removed += n
		if !r.passed {
			return nil
		}
		from = r.lastEvent + 1
		s.pruneProgress.advance(from)
	}
	return nil
}

// boundOf returns the id of the first event that is not older than the time, or one that no event
// has yet. Clocks are never quite the same, so some before it may be younger, too.
func (s *Store) boundOf(
	ctx context.Context, q Querier, from, before int64,
) (bound int64, err error) {
	var id, createdAt int64
	into := []any{&id, &createdAt}
	found, err := one(ctx, q, s.prune.lastEvent, []any{int64(math.MaxInt64)}, into)
	if err != nil || !found {
		return from, err
	}
	if createdAt < before {
		return id + 1, nil
	}
	for bound = id; from < bound; {
		middle := from + (bound-from)/2
		found, err := one(ctx, q, s.prune.eventFrom, []any{middle}, into)
		if err != nil {
			return 0, err
		}
		if found && createdAt < before {
			from = id + 1
		} else {
			bound = middle
		}
	}
	return bound, nil
}

// finishedBelow returns the bound, or the id of the first event before it of which deliveries are
// not stored yet: once Prune has passed their ids, it would not find them for a day.
func (s *Store) finishedBelow(ctx context.Context, q Querier, bound int64) (int64, error) {
	var first *int64
	_, err := one(ctx, q, s.fanOut.oldestEvent, nil, []any{&first})
	if first != nil {
		bound = min(bound, *first)
	}
	return bound, err
}

// idRange is a range of events with their deliveries.
type idRange struct {
	firstEvent, lastEvent, lastID int64
	events                        int
	// maxRows is how many rows there are at most.
	maxRows int64
	// passed says that nothing is left in it that is old.
	passed bool
}

// nextRange returns the next events from an id to a bound that have up to limit rows, but at least
// one event.
func (s *Store) nextRange(
	ctx context.Context, q Querier, from, bound int64, limit int,
) (r idRange, err error) {
	full := false
	err = collect(ctx, q, func(row scanner) error {
		var id, last int64
		if err := row.Scan(&id, &last); err != nil {
			return err
		}
		most := r.maxRows + 1 + last - id
		if full = full || r.events > 0 && most > int64(limit); full {
			return nil
		}
		if r.events == 0 {
			r.firstEvent = id
		}
		r.lastEvent, r.lastID, r.maxRows = id, max(r.lastID, last), most
		r.events++
		return nil
	}, s.prune.events, from, bound, (limit+1)/2)
	return r, err
}

// removeRange removes what is old from a range, and marks what stays.
func (s *Store) removeRange(
	ctx context.Context, q Querier, r *idRange, p *pruning,
) (removed int, err error) {
	statement, args := s.prune.remove, []any{r.firstEvent, r.lastID, p.settled, p.dead}
	if r.maxRows > int64(p.remaining()) {
		// One event has more deliveries than may be removed at once.
		statement, args = s.prune.removeSome, append(args, p.remaining())
	}
	n, err := q.Exec(ctx, statement, args...)
	if removed = int(n); err != nil || removed >= p.remaining() {
		return removed, err
	}
	r.passed = true
	if _, err := q.Exec(ctx, s.prune.keep, r.firstEvent, r.lastID); err != nil {
		return 0, err
	}
	some := false
	for _, left := range []string{s.prune.left, s.fanOut.left} {
		if !some {
			if some, err = one(ctx, q, left, []any{r.firstEvent, r.lastID}, []any{new(int64)}); err != nil {
				return 0, err
			}
		}
	}
	if statement = s.prune.removeEvents; some {
		statement = s.prune.removeEmptied
	}
	n, err = q.Exec(ctx, statement, r.firstEvent, r.lastEvent, p.settled)
	if err != nil || int(n) == r.events {
		return removed + int(n), err
	}
	// An event may be younger than those around it, and than its deliveries.
	_, err = q.Exec(ctx, s.prune.idle, r.firstEvent, r.lastEvent)
	return removed + int(n), err
}

// pruneKept removes what Prune has passed before and is old now, and events without deliveries.
func (s *Store) pruneKept(ctx context.Context, p *pruning) error {
	before := p.removed
	return s.write(ctx, func(ctx context.Context, q Querier) error {
		p.removed = before
		for _, old := range []struct {
			find   string
			before int64
		}{{s.prune.settled, p.settled}, {s.prune.dead, p.dead}} {
			if err := s.removeKept(ctx, q, p, old.find, old.before); err != nil {
				return err
			}
		}
		if p.remaining() == 0 {
			return nil
		}
		n, err := q.Exec(ctx, s.prune.removeIdle, p.settled, p.remaining())
		p.removed += int(n)
		return err
	})
}

// removeKept removes the deliveries that the statement finds, which were kept and settled before the
// time, and their events if they have no other deliveries and are old enough. In each of a few
// rounds it leaves half of the limit for events.
func (s *Store) removeKept(
	ctx context.Context, q Querier, p *pruning, find string, before int64,
) error {
	for p.remaining() > 0 {
		var ids, events []int64
		err := collect(ctx, q, func(rows scanner) error {
			var id, event int64
			err := rows.Scan(&id, &event)
			ids, events = append(ids, id), append(events, event)
			return err
		}, find, before, (p.remaining()+1)/2)
		if err != nil || len(ids) == 0 {
			return err
		}
		n, err := q.Exec(ctx, s.prune.removeKept, s.x.dialect.ints(ids))
		if err != nil {
			return err
		}
		p.removed += int(n)
		n, err = q.Exec(ctx, s.prune.removeEventsOf, p.settled,
			s.x.dialect.ints(events[:min(p.remaining(), len(events))]))
		if err != nil {
			return err
		}
		p.removed += int(n)
		// Younger ones are marked for later.
		if _, err := q.Exec(ctx, s.prune.idleOf, s.x.dialect.ints(events)); err != nil {
			return err
		}
	}
	return nil
}
