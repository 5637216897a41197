package sqlstore

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// What Enqueue hands to its caller has no lease of its own. Its rows are in flight with a due_at of
// NULL, which no index of the queue has, and one row of the table leases stands for all of them
// that one call stored. When that lease ends, what is still in flight enters the queue, like
// deliveries whose own lease ended then.
//
// In SQLite the same is true of what is claimed: a row of the table leases stands for all of a claim
// whose ids follow each other. A row may outlive its lease, until the next Settle removes it or it
// ends, and its deliveries may have been claimed again. So it stands for those that have its token.

// prefetched selects deliveries d that are in flight without a lease of their own, with their
// endpoints p.
const prefetched = `FROM {prefetched} {join} {p}endpoints p ON p.id = d.endpoint_id WHERE true`

type leaseStatements struct {
	add, remove         *batch
	ended               string
	ahead, anyAhead     string
	held, due, inFlight string
	ends                string
}

func newLeaseStatements(x expander) leaseStatements {
	const rows = `SELECT until, first_id, last_id, token FROM {p}leases d WHERE `
	const inFlight = ` d.id >= ? AND d.id <= ? AND d.state = 1 AND d.due_at IS NULL AND d.token = ?`
	until, firstID, token := column{"until", integer}, column{"first_id", integer},
		column{"token", integer}
	return leaseStatements{
		add: x.batch(`INSERT INTO {p}leases (until, first_id, last_id, token) WITH {v}
			SELECT until, first_id, last_id, token FROM v`,
			until, firstID, column{"last_id", integer}, token),
		remove: x.batch(`DELETE FROM {p}leases WHERE (until, first_id, token) IN (
			WITH {v} SELECT until, first_id, token FROM v)`, until, firstID, token),
		ended: x.sql(rows + `(until, first_id, token) > (?, ?, ?) AND until <= ?
			ORDER BY until, first_id, token LIMIT ? {skiplocked}`),
		ends: x.sql(`SELECT d.id, l.until FROM {prefetched}
			WHERE l.first_id <= ? AND l.last_id >= ? AND d.id + 0 {in}`), // or it seeks each id under each lease
		ahead: x.sql(rows + `(until, first_id, token) > (?, ?, ?)
			ORDER BY until, first_id, token LIMIT ? {skiplocked}`),
		anyAhead: x.sql(rows + `until > ? LIMIT 1`),
		held: x.sql(`SELECT d.id FROM {p}deliveries d WHERE` + inFlight +
			` ORDER BY d.id LIMIT ? {skiplocked}`),
		due:      x.sql(`UPDATE {p}deliveries SET due_at = ? WHERE id {in}`),
		inFlight: x.sql(`SELECT d.id FROM {p}deliveries d WHERE` + inFlight + ` LIMIT 1`),
	}
}

// firstToken is that with which deliveries are stored. Nothing is claimed with it, so a row of the
// table leases with this token stands for what was prefetched, and for nothing between that.
const firstToken = 1

// afterLeasesOf stands after all rows that end at a time.
func afterLeasesOf(until int64) leaseRow {
	return leaseRow{until: until, firstID: math.MaxInt64, token: math.MaxInt64}
}

// leaseRow is a row of the table leases.
type leaseRow struct {
	until, firstID, lastID, token int64
	// held is how many of its deliveries this process holds under it.
	held int
}

func (s *Store) insertLeases(ctx context.Context, q Querier, leases []*leaseRow) error {
	var rows []any
	for _, row := range leases {
		rows = append(rows, row.until, row.firstID, row.lastID, row.token)
	}
	_, err := s.x.dialect.execBatch(ctx, q, s.leasing.add, rows, nil)
	return err
}

func (s *Store) removeLeases(ctx context.Context, q Querier, rows []*leaseRow) error {
	keys := make([]any, 0, 3*len(rows))
	for _, row := range rows {
		keys = append(keys, row.until, row.firstID, row.token)
	}
	_, err := s.x.dialect.execBatch(ctx, q, s.leasing.remove, keys, nil)
	return err
}

// leasesPage is how many rows of the table leases one transaction ends. A process that dies can
// leave thousands.
const leasesPage = 100

// endLeases ends a page of the leases that were to end after that of the row, and by now. It returns
// the last of the page, and whether there may be more. It passes over rows that another transaction
// has locked, and returns the earliest end of a lease that it left for that.
func (s *Store) endLeases(
	ctx context.Context, q Querier, after leaseRow, now int64,
) (last leaseRow, more bool, locked int64, err error) {
	rows, err := s.leaseRows(ctx, q, s.leasing.ended, after.until, after.firstID, after.token, now,
		leasesPage)
	last, locked = after, math.MaxInt64
	if err != nil {
		return last, false, 0, err
	}
	for _, row := range rows {
		last = row
		_, ended, err := s.endLease(ctx, q, row, row.until, math.MaxInt32)
		if err != nil {
			return last, false, 0, err
		}
		if !ended {
			locked = min(locked, row.until)
		}
	}
	return last, len(rows) == leasesPage, locked, nil
}

// endLeasesBetween ends all leases that were to end after from and by now.
func (s *Store) endLeasesBetween(ctx context.Context, from, now int64) error {
	last := afterLeasesOf(from)
	for more := true; more; {
		var next leaseRow
		err := s.write(ctx, func(ctx context.Context, q Querier) (err error) {
			next, more, _, err = s.endLeases(ctx, q, last, now)
			return err
		})
		if err != nil {
			return err
		}
		last = next
	}
	return nil
}

func (s *Store) leaseRows(
	ctx context.Context, q Querier, query string, args ...any,
) (rows []leaseRow, err error) {
	err = collect(ctx, q, func(row scanner) error {
		var l leaseRow
		err := row.Scan(&l.until, &l.firstID, &l.lastID, &l.token)
		rows = append(rows, l)
		return err
	}, query, args...)
	return rows, err
}

// endLease gives up to limit deliveries of a lease leases of their own that end at due, and removes
// the row if none is left. It never waits for a transaction that settles one of them, because the
// process of that one may have stopped.
func (s *Store) endLease(
	ctx context.Context, q Querier, row leaseRow, due int64, limit int,
) (n int, ended bool, err error) {
	ids, err := collectIDs(ctx, q, s.leasing.held, row.firstID, row.lastID, row.token, limit)
	if err != nil {
		return 0, false, err
	}
	if len(ids) > 0 {
		if _, err := q.Exec(ctx, s.leasing.due, due, s.x.dialect.ints(ids)); err != nil {
			return 0, false, err
		}
		s.starts.written(due)
	}
	left, err := one(ctx, q, s.leasing.inFlight, []any{row.firstID, row.lastID, row.token},
		[]any{new(int64)})
	if err != nil || left {
		return len(ids), false, err
	}
	return len(ids), true, s.removeLeases(ctx, q, []*leaseRow{&row})
}

// leases remembers what this process holds. The zero value is ready to use.
type leases struct {
	mu   sync.Mutex
	held map[webhook.Lease]holding
	// ended are rows of which nothing is held any more. The next Settle removes them.
	ended []*leaseRow
	// looked is the time up to which claims have looked for leases that ended.
	looked int64
	began  bool
}

// holding is what Settle would otherwise have to query of a delivery, which keeps it while its lease
// is valid.
type holding struct {
	endpointID int64
	// number is that of the attempt which is made under the lease.
	number int64
	line   int64 // that the delivery is in front of; 0 if it stands in none
	// plain says that the attempt is the first one and Prune has not come past, so that no column of
	// an index is set if it succeeds, unless the delivery has a lease of its own.
	plain bool
	row   *leaseRow // nil if the delivery has a lease of its own
}

const (
	// maxLeases bounds how many leases are remembered, because some are never settled here. After they
	// are forgotten, their endpoints are queried, and rows of the table leases stay until they end.
	maxLeases = 100_000
	// maxEnded bounds how many rows one Settle removes.
	maxEnded = 1000
	// leaseLookback is how far claims look back. PostgreSQL keeps the entries of removed rows for as
	// long as any transaction is open, and a claim that began with the first one would read them all.
	// A row that another process commits that long after its lease has ended waits for Prune.
	leaseLookback = int64(10 * time.Second / time.Microsecond)
)

// remember notes what is known of tasks.
func (l *leases) remember(tasks []webhook.Task, holdings []holding) {
	if len(tasks) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil || len(l.held)+len(tasks) > maxLeases {
		l.held = make(map[webhook.Lease]holding, len(tasks))
	}
	for i := range tasks {
		if h := holdings[i]; h.row != nil {
			l.looked = min(l.looked, h.row.until-1)
		}
		l.held[tasks[i].Lease] = holdings[i]
	}
}

// expect notes that the time will be one at which claims have to look.
func (l *leases) expect(until int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looked = min(l.looked, until-1)
}

// forget removes leases whose deliveries were settled.
func (l *leases) forget(settlements []webhook.Settlement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range settlements {
		l.release(l.held[settlements[i].Lease].row)
		delete(l.held, settlements[i].Lease)
	}
}

// drop removes leases that this process has lost. Their rows stay until they end, because what is
// still in flight under one, as that of a deleted endpoint is, has nothing else to end it.
func (l *leases) drop(lost []webhook.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lease := range lost {
		delete(l.held, lease)
	}
}

// detach notes that deliveries have leases of their own.
func (l *leases) detach(leases []webhook.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lease := range leases {
		if h := l.held[lease]; h.row != nil {
			l.release(h.row)
			h.row = nil
			l.held[lease] = h
		}
	}
}

func (l *leases) release(row *leaseRow) {
	if row == nil {
		return
	}
	if row.held--; row.held == 0 {
		l.ended = append(l.ended, row)
	}
}

// takeEnded returns rows to be removed. If they are not, restoreEnded takes them.
func (l *leases) takeEnded() []*leaseRow {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := max(0, len(l.ended)-maxEnded)
	taken := l.ended[n:]
	l.ended = l.ended[:n:n]
	return taken
}

func (l *leases) restoreEnded(rows []*leaseRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, rows...)
}

// begin returns the time from which a claim looks for leases that ended by now.
func (l *leases) begin(now int64) (from int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.began {
		return math.MinInt64
	}
	return min(l.looked, now) - leaseLookback
}

// end notes that a claim has ended the leases until now, but for some that end after locked.
func (l *leases) end(now, locked int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looked, l.began = min(now, locked-1), true
}

// ends returns when those of the leases end that are rows of the table leases, as far as is known.
func (l *leases) ends(leases []webhook.Lease) []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	ends := make([]int64, len(leases))
	for i, lease := range leases {
		if row := l.held[lease].row; row != nil {
			ends[i] = row.until
		}
	}
	return ends
}

// known returns what is known of each delivery, with an endpoint of 0 for those in unknown.
func (l *leases) known(settlements []webhook.Settlement) (held []holding, unknown []int64) {
	held = make([]holding, len(settlements))
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range settlements {
		h, ok := l.held[settlements[i].Lease]
		if !ok {
			unknown = append(unknown, int64(settlements[i].DeliveryID))
		}
		held[i] = h
	}
	return held, unknown
}
