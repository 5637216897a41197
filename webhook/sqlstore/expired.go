package sqlstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// What has expired is found by its events. An event with a time to live is in an index by the time at
// which ClaimExpired looks at it: first when that time ends, and again as long as something of it is
// unfinished. Usually all has been delivered by then, and the event leaves the index.

type expiredStatements struct {
	anyEvent, events, deliveries, lock, tasks string
	look                                      *batch
	again                                     string
}

func newExpiredStatements(x expander) expiredStatements {
	const lookAt = `coalesce(d.expire_at, d.created_at + d.ttl)`
	const due = ` FROM {p}events d WHERE d.ttl IS NOT NULL AND coalesce(d.expire_at, 0) >= 0
		AND ` + lookAt + ` <= ? ORDER BY ` + lookAt + ` LIMIT ?`
	const unfinished = `SELECT d.id, d.state, coalesce(d.due_at, ?), d.turn, coalesce(d.queued_at, 0),
			p.state + p.health
		FROM {p}deliveries d {join} {p}endpoints p ON p.id = d.endpoint_id
		WHERE d.state < 2 AND p.state < 2 AND `
	return expiredStatements{
		anyEvent: x.sql(`SELECT d.id` + due),
		events: x.sql(`SELECT d.id, d.last_id, d.created_at, d.ttl, (SELECT count(*) FROM {p}fanouts f
			WHERE f.first_id > d.id AND f.first_id <= d.last_id AND f.event_id = d.id)` + due +
			` {skiplocked}`),
		deliveries: x.sql(unfinished + `d.id > ? AND d.id <= ? AND d.event_id = ? ORDER BY d.id`),
		lock:       x.sql(unfinished + `d.id {in} ORDER BY d.id LIMIT ? {skiplocked}`),
		tasks: x.sql(`SELECT d.id, d.endpoint_id, d.due_at, d.token, d.attempts_since_queued, d.attempts,
				coalesce(d.queued_at, e.created_at), d.progress, d.state, d.lost, d.started_at, e.event_id,
				e.type, e.payload, e.trace, coalesce(e.ttl, 0), coalesce(d.line, 0), d.turn
			FROM {p}deliveries d {join} {p}events e ON e.id = d.event_id WHERE d.id {in}`),
		look: x.batch(`{update} {p}events AS d SET expire_at = v.at {fromrows} WHERE d.id = v.id`,
			column{"id", integer}, column{"at", integer}),
		again: x.sql(`UPDATE {p}events SET expire_at = NULL WHERE ttl IS NOT NULL AND id IN (
			SELECT d.event_id FROM {p}deliveries d WHERE d.id = ?)`),
	}
}

// expiredEvents is how many events one transaction looks at, and expiredDeliveries of how many
// deliveries in all, unless the first event has more. expiredTransactions is how many transactions one
// call of ClaimExpired makes.
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
	for n, more := 0, true; n < expiredTransactions && more && len(tasks) < limit && err == nil; n++ {
		// Outside of a transaction, because there is usually nothing to do.
		more, err = one(ctx, s.read, s.expired.anyEvent, []any{micros(now), 1}, []any{new(int64)})
		if err != nil || !more {
			return tasks, s.mapped(err)
		}
		var c *claiming
		err = s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			c, more, err = s.claimExpired(ctx, q, micros(now), until, limit-len(tasks))
			return err
		})
		if err == nil {
			s.leases.remember(c.tasks, c.endpointIDs, c.lines, nil)
			tasks = append(tasks, c.tasks...)
		}
	}
	return tasks, err
}

func (s *Store) claimExpired(
	ctx context.Context, q Querier, now int64, until time.Time, limit int,
) (c *claiming, more bool, err error) {
	c = &claiming{request: webhook.ClaimRequest{Until: until}}
	var events []expiring
	err = collect(ctx, q, func(row scanner) error {
		var e expiring
		err := row.Scan(&e.id, &e.last, &e.createdAt, &e.ttl, &e.fanOuts)
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
		if left -= e.last - e.id; i > 0 && left < 0 {
			more = true
			break
		}
		taken, again, err := s.lockExpired(ctx, q, e, now, limit-len(ids))
		if err != nil {
			return c, false, err
		}
		ids = append(ids, taken...)
		looks = append(looks, e.id, again)
	}
	if _, err := s.x.dialect.execBatch(ctx, q, s.expired.look, looks, nil); err != nil {
		return c, false, err
	}
	return c, more, s.leaseExpired(ctx, q, c, ids)
}

// expiring is an event whose time to live has ended.
type expiring struct{ id, last, createdAt, ttl, fanOuts int64 }

// unfinished is a delivery of such an event. held is 0 if claims hand it out.
type unfinished struct{ id, state, dueAt, turn, queuedAt, held int64 }

// expires returns when the delivery expires.
func (e expiring) expires(d unfinished) int64 { return max(e.createdAt, d.queuedAt) + e.ttl }

// taken reports whether the delivery is to be taken now.
func (e expiring) taken(d unfinished, now int64) bool {
	return e.expires(d) <= now && d.held != 0 && d.turn != waits &&
		(d.state != stateInFlight || d.dueAt <= now)
}

// lockExpired locks up to limit deliveries of an event that are to be taken, and returns when to look
// at the event again. All that is unfinished counts for that, and so it is read without locks: what
// another transaction has locked must not be taken for finished. It is left alone until the event is
// looked at again.
func (s *Store) lockExpired(
	ctx context.Context, q Querier, e expiring, now int64, limit int,
) (ids []int64, again int64, err error) {
	again = never
	later := now + webhook.ExpiredWithin.Microseconds()
	if e.fanOuts > 0 {
		again = later
	}
	var wanted []int64
	err = s.eachUnfinished(ctx, q, func(d unfinished) {
		if expires := e.expires(d); expires > now { // it was replayed
			again = sooner(again, expires)
			return
		}
		again = sooner(again, later)
		if e.taken(d, now) {
			wanted = append(wanted, d.id)
		}
	}, s.expired.deliveries, int64(math.MaxInt64), e.id, e.last, e.id)
	if err != nil || len(wanted) == 0 {
		return nil, again, err
	}
	if limit == 0 {
		return nil, now, nil // the next call goes on
	}
	locked := 0
	err = s.eachUnfinished(ctx, q, func(d unfinished) {
		locked++
		if e.taken(d, now) { // still
			ids = append(ids, d.id)
		}
	}, s.expired.lock, int64(math.MaxInt64), s.x.dialect.ints(wanted), limit)
	if locked == limit && locked < len(wanted) {
		again = now
	}
	return ids, again, err
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
