package sqlstore

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

type repairStatements struct {
	// find reads, for each endpoint, the ends of its two ranges in the queue's index.
	find, lock, set string
	// expiries reads events by when ClaimExpired looks at them, and resetExpiry has it look at once.
	expiries, resetExpiry string
}

// ahead is true for unfinished deliveries whose time is too far in the future.
const ahead = `(d.state = 1 AND d.due_at > ? OR d.state = 0 AND d.turn <> 1 AND d.due_at >
		CASE WHEN d.attempts_since_queued > 0 THEN {int} ELSE {int} END
	AND (d.attempts_since_queued > 0 OR d.queued_at IS NULL))`

func newRepairStatements(x expander) repairStatements {
	const walk = `WITH RECURSIVE waiting (endpoint_id) AS (
		SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE due_at IS NOT NULL)
		UNION ALL
		SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE due_at IS NOT NULL
			AND endpoint_id > waiting.endpoint_id)
		FROM waiting WHERE waiting.endpoint_id IS NOT NULL)`
	const part = `SELECT d.id FROM waiting {join} {p}deliveries d
		ON d.endpoint_id = waiting.endpoint_id AND {attempted} = %d AND d.due_at > ?
			AND ` + ahead
	return repairStatements{
		find: x.sql(walk + fmt.Sprintf(part, 0) + ` UNION ALL ` + fmt.Sprintf(part, 1) + ` LIMIT ?`),
		lock: x.sql(`SELECT d.id FROM {p}deliveries d WHERE d.id {in} {skiplocked}`),
		set: x.sql(`UPDATE {p}deliveries AS d SET due_at = CASE WHEN state = 1 THEN {int}
			ELSE {int} END WHERE d.id {in} AND d.due_at IS NOT NULL AND ` + ahead),
		expiries: x.sql(`SELECT d.id, ` + lookAt + `, coalesce(d.expire_at, 0), d.ttl FROM {p}events d
			WHERE d.ttl IS NOT NULL AND coalesce(d.expire_at, 0) >= 0
				AND ` + lookAt + ` >= ? AND (` + lookAt + ` > ? OR d.id > ?)
			ORDER BY ` + lookAt + `, d.id LIMIT ?`),
		// What was replayed for later expires later, too.
		resetExpiry: x.sql(`UPDATE {p}events SET expire_at = NULL WHERE id {in} AND expire_at > ?
			AND NOT EXISTS (SELECT 1 FROM {p}deliveries d WHERE d.id > {p}events.id
				AND d.id <= {p}events.last_id AND d.event_id = {p}events.id AND d.queued_at > ?)`),
	}
}

// Repair implements [webhook.Queue].
func (s *Store) Repair(ctx context.Context, now time.Time, r webhook.RepairRequest) (int, error) {
	if r.Limit < 1 {
		return 0, fmt.Errorf("sqlstore: repairing needs a Limit of at least 1, not %d", r.Limit)
	}
	n := 0
	for _, repair := range []func() (int, error){
		func() (int, error) { return s.repairQueue(ctx, micros(now), r) },
		func() (int, error) { return s.repairLeases(ctx, r) },
		func() (int, error) { return s.repairFanOuts(ctx, r) },
		func() (int, error) { return s.repairProbes(ctx, micros(now), r) },
		func() (int, error) { return s.repairExpiries(ctx, micros(now), r) },
	} {
		m, err := repair()
		n += m
		if r.Limit -= m; err != nil || r.Limit <= 0 {
			return n, err
		}
	}
	return n, nil
}

// repairQueue corrects times of deliveries that are in the queue.
func (s *Store) repairQueue(
	ctx context.Context, now int64, r webhook.RepairRequest,
) (int, error) {
	bounds := []any{micros(r.LeasesAfter), micros(r.RetriesAfter), micros(r.FreshAfter)}
	least := min(micros(r.LeasesAfter), micros(r.RetriesAfter), micros(r.FreshAfter))
	part := append([]any{least}, bounds...)
	// Outside of a transaction, because there is usually nothing to repair.
	ids, err := collectIDs(ctx, s.read, s.repair.find, append(append(part, part...), r.Limit)...)
	if err != nil || len(ids) == 0 {
		return 0, s.mapped(err)
	}
	var repaired int64
	err = s.write(ctx, func(ctx context.Context, q Querier) (err error) {
		locked, err := collectIDs(ctx, q, s.repair.lock, s.x.dialect.ints(ids))
		if err != nil {
			return err
		}
		args := append([]any{micros(r.Until), now, s.x.dialect.ints(locked)}, bounds...)
		s.starts.written(min(micros(r.Until), now))
		repaired, err = q.Exec(ctx, s.repair.set, args...)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(repaired), nil
}

// repairLeases ends rows of the table leases at r.Until, up to r.Limit deliveries, in transactions of
// a page of rows.
func (s *Store) repairLeases(
	ctx context.Context, r webhook.RepairRequest,
) (repaired int, err error) {
	after := micros(r.LeasesAfter)
	ahead, err := s.leaseRows(ctx, s.read, s.leasing.anyAhead, after)
	if err != nil || len(ahead) == 0 {
		return 0, s.mapped(err)
	}
	last := afterLeasesOf(after)
	for more := true; more && repaired < r.Limit; {
		var next leaseRow
		var n int
		err := s.write(ctx, func(ctx context.Context, q Querier) error {
			next, n = last, 0
			rows, err := s.leaseRows(ctx, q, s.leasing.ahead, last.until, last.firstID, last.token, leasesPage)
			more = len(rows) == leasesPage
			for i := 0; i < len(rows) && err == nil && repaired+n < r.Limit; i++ {
				var ended int
				ended, _, err = s.endLease(ctx, q, rows[i], micros(r.Until), r.Limit-repaired-n)
				next = rows[i]
				n += ended
			}
			return err
		})
		if err != nil {
			return repaired, err
		}
		last = next
		repaired += n
	}
	return repaired, nil
}

// expiriesPage is how many events one statement of repairExpiries reads, and expiriesPages how many
// statements one call makes.
const (
	expiriesPage  = 1000
	expiriesPages = 10
)

// expiryScan is how far repairExpiries has come. A wrong time can only be there if the clock was ahead
// and went back, which this process sees, or may have missed if it has just begun. So it reads all
// events that may expire then, and none otherwise.
type expiryScan struct {
	mu     sync.Mutex
	latest int64 // time that a caller has passed; 0 before the first scan
	ended  bool
	at, id int64 // of the event that was read last
}

// noticed records a time that a caller has passed.
func (c *expiryScan) noticed(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest = max(c.latest, now)
}

// repairExpiries has ClaimExpired look at once at events at which it would look later than is
// possible.
func (s *Store) repairExpiries(
	ctx context.Context, now int64, r webhook.RepairRequest,
) (int, error) {
	c := s.expired.scan
	c.mu.Lock()
	defer c.mu.Unlock()
	slack := micros(r.FreshAfter)
	least := slack + webhook.ExpiredWithin.Microseconds()
	if c.at == 0 || slack < c.latest {
		c.at, c.id, c.ended = least, math.MaxInt64, false
		c.latest = now
	}
	c.latest = max(c.latest, now)
	at, id := c.at, c.id
	ended := c.ended
	var ids []int64
	for n := 0; n < expiriesPages && !ended && len(ids) < r.Limit; n++ {
		page := 0
		err := collect(ctx, s.read, func(row scanner) error {
			var event, lookAt, expireAt, ttl int64
			if err := row.Scan(&event, &lookAt, &expireAt, &ttl); err != nil {
				return err
			}
			page++
			if len(ids) == r.Limit {
				return nil
			}
			at, id = lookAt, event
			if expireAt > max(least, slack+ttl) {
				ids = append(ids, event)
			}
			return nil
		}, s.repair.expiries, at, at, id, expiriesPage)
		if err != nil {
			return 0, s.mapped(err)
		}
		ended = page < expiriesPage && len(ids) < r.Limit
	}
	var repaired int64
	if len(ids) > 0 {
		err := s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			repaired, err = q.Exec(ctx, s.repair.resetExpiry, s.x.dialect.ints(ids), least, slack)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	c.at, c.id, c.ended = at, id, ended
	return int(repaired), nil
}
