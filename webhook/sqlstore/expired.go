package sqlstore

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// What has expired is found by its events. An event with a time to live is in an index by the time at
// which ClaimExpired looks at it: first when that time ends, and again as long as something of it is
// unfinished. Usually all has been delivered by then, and the event leaves the index.
//
// The deliveries of a wide event are read in pages, one in each transaction. How far that is, only this
// process knows: another one, and this one after a restart, begins with the first page. What was taken
// is leased then, and not taken twice. Until the last page has been read, the event stays where it is
// in the index. So n deliveries cost n/500 transactions each time that the event is looked at, for each
// process that does so at the same time.

type expiredStatements struct {
	anyEvent, events, deliveries, lock, left, tasks string
	look                                            *batch
	again                                           string
	walks                                           *expiredWalks
	scan                                            *expiryScan // of Repair
}

// lookAt is when ClaimExpired looks at an event.
const lookAt = `coalesce(d.expire_at, d.created_at + d.ttl)`

func newExpiredStatements(x expander) expiredStatements {
	const due = ` FROM {p}events d WHERE d.ttl IS NOT NULL AND coalesce(d.expire_at, 0) >= 0
		AND ` + lookAt + ` <= ? ORDER BY ` + lookAt + ` LIMIT ?`
	const unfinished = `SELECT d.id, d.state, coalesce(d.due_at, ?), d.turn, coalesce(d.queued_at, 0),
			p.state + p.health
		FROM {p}deliveries d {join} {p}endpoints p ON p.id = d.endpoint_id
		WHERE d.state < 2 AND p.state < 2 AND `
	return expiredStatements{
		anyEvent: x.sql(`SELECT d.id` + due),
		events: x.sql(`SELECT d.id, d.last_id, d.created_at, d.ttl, ` + lookAt + `,
				(SELECT count(*) FROM {p}fanouts f
					WHERE f.first_id > d.id AND f.first_id <= d.last_id AND f.event_id = d.id)` + due +
			` {skiplocked}`),
		deliveries: x.sql(unfinished + `d.id > ? AND d.id <= ? AND d.event_id = ? ORDER BY d.id`),
		lock:       x.sql(unfinished + `d.id {in} ORDER BY d.id LIMIT ? {skiplocked}`),
		left: x.sql(`SELECT d.id FROM {p}deliveries d {join} {p}endpoints p ON p.id = d.endpoint_id
			WHERE d.id > ? AND d.id <= ? AND d.event_id = ? AND d.state < 2 AND p.state < 2 LIMIT 1`),
		walks: &expiredWalks{of: make(map[int64]expiredWalk)},
		scan:  new(expiryScan),
		tasks: x.sql(`SELECT d.id, d.endpoint_id, d.due_at, d.token, d.attempts_since_queued, d.attempts,
				coalesce(d.queued_at, e.created_at), d.progress, d.state, d.lost, d.started_at, e.id,
				e.event_id, e.type, e.trace, coalesce(e.ttl, 0), coalesce(d.line, 0), d.turn,
				coalesce(d.kept, 0)
			FROM {p}deliveries d {join} {p}events e ON e.id = d.event_id WHERE d.id {in}`),
		look: x.batch(`{update} {p}events AS d SET expire_at = v.at {fromrows} WHERE d.id = v.id`,
			column{"id", integer}, column{"at", integer}),
		again: x.sql(`UPDATE {p}events SET expire_at = NULL WHERE ttl IS NOT NULL AND id IN (
			SELECT d.event_id FROM {p}deliveries d WHERE d.id = ?)`),
	}
}

// expiredEvents is how many events one transaction looks at, and expiredDeliveries of how many
// deliveries in all. expiredTransactions is how many transactions one call of ClaimExpired makes.
const (
	expiredEvents       = 100
	expiredDeliveries   = 500
	expiredTransactions = 200
)

// never is the expire_at of events of which nothing is unfinished.
const never = -1

// ClaimExpired implements [webhook.Queue]. It looks at up to 100 events in a transaction, and at fewer
// if they have many deliveries. It makes up to 200 transactions, and may then return fewer than limit
// although there is more: the next call goes on.
func (s *Store) ClaimExpired(
	ctx context.Context, now, until time.Time, limit int,
) (tasks []webhook.Task, err error) {
	if limit < 1 {
		return nil, fmt.Errorf("sqlstore: claiming what has expired needs a limit of at least 1, not %d",
			limit)
	}
	s.expired.scan.noticed(micros(now))
	ended := false
	for n, more := 0, true; n < expiredTransactions && more && len(tasks) < limit && err == nil; n++ {
		// Outside of a transaction, because there is usually nothing to do.
		more, err = one(ctx, s.read, s.expired.anyEvent, []any{micros(now), 1}, []any{new(int64)})
		if err == nil && !more {
			s.expired.walks.forget()
		}
		if err != nil || !more {
			return tasks, s.mapped(err)
		}
		if !ended { // as every claim does
			if err := s.endLeasesBetween(ctx, s.leases.begin(micros(now)), micros(now)); err != nil {
				return tasks, err
			}
			ended = true
		}
		var c *claiming
		var walks map[int64]expiredWalk
		err = s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			walks = make(map[int64]expiredWalk)
			c, more, err = s.claimExpired(ctx, q, micros(now), until, limit-len(tasks), walks)
			return err
		})
		if err == nil {
			s.expired.walks.set(walks)
			s.leases.remember(c.tasks, c.holdings)
			tasks = append(tasks, c.tasks...)
		}
	}
	return tasks, err
}

// claimExpired looks at a page of each of some events, and sets in walks how far that is.
func (s *Store) claimExpired(
	ctx context.Context, q Querier, now int64, until time.Time, limit int, walks map[int64]expiredWalk,
) (c *claiming, more bool, err error) {
	c = &claiming{request: webhook.ClaimRequest{Until: until}}
	var events []expiring
	err = collect(ctx, q, func(row scanner) error {
		var e expiring
		err := row.Scan(&e.id, &e.last, &e.createdAt, &e.ttl, &e.lookAt, &e.fanOuts)
		events = append(events, e)
		return err
	}, s.expired.events, now, expiredEvents)
	if err != nil {
		return c, false, err
	}
	more = len(events) == expiredEvents
	var ids []int64
	var looks []any
	left := int64(expiredDeliveries)
	for i, e := range events {
		w := s.expired.walks.get(e)
		if len(ids) == limit || i > 0 && e.last-w.after > left {
			more = true
			break
		}
		page := min(e.last, w.after+left)
		left -= max(page-w.after, 0)
		taken, err := s.lockExpired(ctx, q, e, &w, page, now, limit-len(ids))
		if err != nil {
			return c, false, err
		}
		ids = append(ids, taken...)
		if w.after < e.last {
			walks[e.id], more = w, true
			continue
		}
		walks[e.id] = expiredWalk{}
		looks = append(looks, e.id, w.again)
	}
	if _, err := s.x.dialect.execBatch(ctx, q, s.expired.look, looks, nil); err != nil {
		return c, false, err
	}
	return c, more, s.leaseExpired(ctx, q, c, ids)
}

// expiredWalk is how far the deliveries of an event were looked at: up to the one with the id after.
// lookAt is that of the event, which changes when a walk ends, so that what another process ended is
// not gone on with. again is when to look at the event again, as far as is known.
type expiredWalk struct{ lookAt, after, again int64 }

// expiredWalks are those that have not ended, by the ids of the events.
type expiredWalks struct {
	mu sync.Mutex
	of map[int64]expiredWalk
}

// get returns the walk of an event, which may be about to begin.
func (l *expiredWalks) get(e expiring) expiredWalk {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w, known := l.of[e.id]; known && w.lookAt == e.lookAt {
		return w
	}
	return expiredWalk{lookAt: e.lookAt, after: e.id, again: never}
}

// set keeps walks. Those that are zero have ended.
func (l *expiredWalks) set(walks map[int64]expiredWalk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, w := range walks {
		if w == (expiredWalk{}) {
			delete(l.of, id)
		} else {
			l.of[id] = w
		}
	}
}

// forget removes what other processes have ended. It is called when nothing is to be looked at.
func (l *expiredWalks) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.of)
}

// expiring is an event whose time to live has ended.
type expiring struct{ id, last, createdAt, ttl, lookAt, fanOuts int64 }

// unfinished is a delivery of such an event. held is 0 if claims hand it out.
type unfinished struct{ id, state, dueAt, turn, queuedAt, held int64 }

// expires returns when the delivery expires.
func (e expiring) expires(d unfinished) int64 { return max(e.createdAt, d.queuedAt) + e.ttl }

// taken reports whether the delivery is to be taken now.
func (e expiring) taken(d unfinished, now int64) bool {
	return e.expires(d) <= now && d.held != 0 && d.turn != waits &&
		(d.state != stateInFlight || d.dueAt <= now)
}

// lockExpired locks up to limit deliveries of an event that are to be taken, of those after w.after up
// to the page's end. It moves w.after to where the next call goes on, and w.again to when to look at
// the event again. All that is unfinished counts for that, and so it is read without locks: what
// another transaction has locked must not be taken for finished. It is left alone until the event is
// looked at again.
func (s *Store) lockExpired(
	ctx context.Context, q Querier, e expiring, w *expiredWalk, page, now int64, limit int,
) (ids []int64, err error) {
	later := now + webhook.ExpiredWithin.Microseconds()
	if e.fanOuts > 0 {
		w.again = sooner(w.again, later)
	}
	first := w.after == e.id
	var wanted []int64
	err = s.eachUnfinished(ctx, q, func(d unfinished) {
		if expires := e.expires(d); expires > now { // it was replayed
			w.again = sooner(w.again, expires)
			return
		}
		w.again = sooner(w.again, later)
		if e.taken(d, now) {
			wanted = append(wanted, d.id)
		}
	}, s.expired.deliveries, int64(math.MaxInt64), w.after, page, e.id)
	if err != nil {
		return nil, err
	}
	w.after = page
	if len(wanted) > 0 {
		locked := 0
		var last int64
		err = s.eachUnfinished(ctx, q, func(d unfinished) {
			locked++
			last = d.id
			if e.taken(d, now) { // still
				ids = append(ids, d.id)
			}
		}, s.expired.lock, int64(math.MaxInt64), s.x.dialect.ints(wanted), limit)
		if err != nil {
			return nil, err
		}
		if locked == limit {
			w.after = last
		}
	}
	if !first && w.after >= e.last && w.again == never {
		// An earlier page may have been replayed since it was read.
		left, err := one(ctx, q, s.expired.left, []any{e.id, e.last, e.id}, []any{new(int64)})
		if left {
			w.again = later
		}
		return ids, err
	}
	return ids, nil
}

func (s *Store) eachUnfinished(
	ctx context.Context, q Querier, each func(unfinished), statement string, args ...any,
) error {
	return collect(ctx, q, func(row scanner) error {
		var d unfinished
		err := row.Scan(&d.id, &d.state, &d.dueAt, &d.turn, &d.queuedAt, &d.held)
		if err == nil {
			each(d)
		}
		return err
	}, statement, args...)
}

// sooner returns the earlier of two times to look at an event.
func sooner(a, b int64) int64 {
	if a == never {
		return b
	}
	return min(a, b)
}

// leaseExpired makes tasks of deliveries that are locked.
func (s *Store) leaseExpired(ctx context.Context, q Querier, c *claiming, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	err := collect(ctx, q, func(row scanner) error {
		d, err := scanDue(row)
		c.found = append(c.found, d)
		return err
	}, s.expired.tasks, s.x.dialect.ints(ids))
	if err != nil {
		return err
	}
	if _, err := s.makeTasks(ctx, q, c, new(skipping)); err != nil {
		return err
	}
	return s.leaseTasks(ctx, q, c)
}
