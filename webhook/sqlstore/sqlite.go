package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// SQLite returns the dialect of SQLite 3.38 or newer.
//
// The store's transactions begin with BEGIN IMMEDIATE, on one connection that it keeps. The
// database must have a busy timeout. With write-ahead logging, queries do not wait for writes.
func SQLite() Dialect { return sqliteDialect{} }

type sqliteDialect struct{}

func (sqliteDialect) name() string { return "sqlite" }

var sqliteWords = strings.NewReplacer(
	"{in}", "IN (SELECT value FROM json_each(?))",
	"{notin}", "NOT IN (SELECT value FROM json_each(?))",
	"{notintexts}", "NOT IN (SELECT value FROM json_each(?))",
	"{versions}", `(SELECT json_group_object(organization_id, version)
		FROM {p}organizations WHERE organization_id IN (SELECT value FROM json_each(?)))`,
	// SQLite keeps to the written order of tables after CROSS JOIN.
	"{join}", "CROSS JOIN",
	// The plus signs keep it from building an index for one statement.
	"{prefetched}", `{p}leases l CROSS JOIN {p}deliveries d
		ON d.id >= l.first_id AND d.id <= l.last_id AND +d.state = 1 AND d.due_at IS NULL
			AND +d.token = l.token`,
	// There is one writer at a time.
	"{forupdate}", "",
	"{skiplocked}", "",
	"{sorted}", "",
	"{nextnumber}", "(SELECT coalesce(max(number), 0) + 1 FROM {p}organizations)",
	"{nextid}", "(SELECT next_id FROM {p}meta)",
	"{update}", "WITH {v} UPDATE",
	"{fromrows}", "FROM v",
	"{appended}", "ltrim(d.history) || v.attempt",
	// A row that grows when it is settled splits its page, which costs more than its update.
	"{room}", "'"+strings.Repeat(" ", 64)+"'",
	"{int}", "CAST(? AS bigint)",
	"{blocksbelow}", `(endpoint_id, block) IN (
		SELECT endpoint_id, block FROM {p}blocks WHERE block < ? LIMIT ? + 0)`,
	// SQLite plans a statement again for each value of a limit that is a parameter alone, which
	// costs more than most of these statements.
	"LIMIT ?", "LIMIT ? + 0",
)

func (sqliteDialect) expand(statement string) string { return sqliteWords.Replace(statement) }

func (sqliteDialect) bind(statement string) string { return statement }

// Rows travel as plain parameters, several rows to a statement: measured, a JSON array read with
// json_each costs two to three times as much for rows without payload, and four times with.
// Statements of more rows gain nothing, because the driver searches all parameters for each one.
var sqliteChunks = [...]int{16, 4, 1}

func (sqliteDialect) rows(columns []column) map[int]string {
	row := "(?" + strings.Repeat(",?", len(columns)-1) + ")"
	texts := make(map[int]string)
	for _, n := range sqliteChunks {
		texts[n] = "VALUES " + row + strings.Repeat(","+row, n-1)
	}
	return texts
}

// chunks calls fn with the statement and the parameters of each chunk.
func (sqliteDialect) chunks(
	b *batch, rows, rest []any, fn func(statement string, args []any) error,
) error {
	args := make([]any, 0, sqliteChunks[0]*len(b.columns)+len(rest))
	for _, size := range sqliteChunks {
		for width := size * len(b.columns); len(rows) >= width; rows = rows[width:] {
			args = append(append(args[:0], rows[:width]...), rest...)
			if err := fn(b.texts[size], args); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d sqliteDialect) execBatch(
	ctx context.Context, q Querier, b *batch, rows, rest []any,
) (int64, error) {
	var affected int64
	err := d.chunks(b, rows, rest, func(statement string, args []any) error {
		n, err := q.Exec(ctx, statement, args...)
		affected += n
		return err
	})
	return affected, err
}

func (d sqliteDialect) queryBatch(
	ctx context.Context, q Querier, b *batch, rows, rest []any, scan func(scanner) error,
) error {
	return d.chunks(b, rows, rest, func(statement string, args []any) error {
		return collect(ctx, q, scan, statement, args...)
	})
}

// lockSchema has nothing to do: BEGIN IMMEDIATE keeps all other writers out.
func (sqliteDialect) lockSchema(context.Context, Querier, string) error { return nil }

func (sqliteDialect) emitTablesSQL() string { return "" }

func (sqliteDialect) schemaPatienceSQL() string { return "" }

func (sqliteDialect) tooLate(error) bool { return false }

// shards is 1, because the one writer never waits for the rows of another transaction.
func (sqliteDialect) shards() int64 { return 1 }

// pieceSize is small, because all other writers wait. Each delivery of a wide event is for another
// endpoint, and writes another page of the queue's index: 128 of them are half a megabyte to commit.
func (sqliteDialect) pieceSize() int { return 32 }

// claimsLeaveQueue is true. Each delivery of a claim is of another endpoint, mostly, and so has
// pages of its own in the two indexes of the queue. Both are written once then, and not twice.
func (sqliteDialect) claimsLeaveQueue() bool { return true }

// clockSQL is empty: all processes are on one machine.
func (sqliteDialect) clockSQL() string { return "" }

func (sqliteDialect) returning() bool { return true }

func (sqliteDialect) reserveSQL(bool) (take, read string) {
	return "", `UPDATE {p}meta SET next_id = next_id + ? RETURNING next_id, {versions}`
}

func (sqliteDialect) reserveSpan(n int) (parameter, span int) { return n, n }

// The transaction that takes ids holds the write lock until the commit.
func (sqliteDialect) tailSQL() (given, open string) { return `SELECT next_id FROM {p}meta`, "" }

// The last row always stays, so no id is used twice.
func (sqliteDialect) addResultsSQL() string {
	return `INSERT INTO {p}results (id, at, entries)
		VALUES ((SELECT coalesce(max(id), 0) + 1 FROM {p}results), ?, ?)`
}

func (sqliteDialect) resultsSQL() (given, open string) {
	return `SELECT coalesce(max(id), 0) FROM {p}results`, ""
}

func (sqliteDialect) notifySQL() string { return "" }

func (sqliteDialect) deadEntriesSQL() (look, dead string) { return "", "" }

func (sqliteDialect) lineLockSQL() (lock, tryLock string) { return "", "" }

func (sqliteDialect) transactionsSQL() (long, hidden string) { return "", "" }

// The IN keeps the limit for each endpoint, but returns the deliveries in the
// order of their ids. Of a degraded endpoint only the first one is returned.
func (sqliteDialect) claimSQL() string {
	return `
WITH RECURSIVE walk (endpoint_id) AS (
    SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE due_at IS NOT NULL AND parked = 0
        AND endpoint_id > ?)
    UNION ALL
    SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE due_at IS NOT NULL AND parked = 0
        AND endpoint_id > walk.endpoint_id)
    FROM walk WHERE walk.endpoint_id IS NOT NULL AND walk.endpoint_id <= ?
)
SELECT d.id, d.endpoint_id, d.due_at, d.token, d.attempts_since_queued, d.attempts,
	coalesce(d.queued_at, e.created_at), d.progress,
       d.state, d.lost, d.started_at, e.id, e.event_id, e.type, e.trace,
	coalesce(e.ttl, 0), coalesce(d.line, 0), d.turn, coalesce(d.kept, 0)
FROM walk
CROSS JOIN {p}endpoints p ON p.id = walk.endpoint_id AND p.state = 0
    AND (p.probe_at IS NULL OR p.probe_at <= ?)
CROSS JOIN {p}deliveries d ON d.id IN (
    SELECT id FROM (
        SELECT * FROM (
            SELECT id, due_at, 0 AS attempted FROM {p}deliveries
            WHERE endpoint_id = walk.endpoint_id AND {attempted} = 0 AND due_at <= ?
                ORDER BY due_at, id LIMIT ?)
        UNION ALL
        SELECT * FROM (
            SELECT id, due_at, 1 AS attempted FROM {p}deliveries
            WHERE endpoint_id = walk.endpoint_id AND {attempted} = 1 AND due_at <= ?
                ORDER BY due_at, id LIMIT ?)
    ) ORDER BY attempted, due_at, id LIMIT ?)
    AND (p.probe_at IS NULL OR d.id = coalesce(
        (SELECT id FROM {p}deliveries WHERE endpoint_id = walk.endpoint_id AND {attempted} = 0
            AND due_at <= ?3 ORDER BY due_at, id LIMIT 1),
        (SELECT id FROM {p}deliveries WHERE endpoint_id = walk.endpoint_id AND {attempted} = 1
            AND due_at <= ?3 ORDER BY due_at, id LIMIT 1)))
CROSS JOIN {p}events e ON e.id = d.event_id
WHERE walk.endpoint_id <= ? AND walk.endpoint_id {notin}
LIMIT ?`
}

func (sqliteDialect) firstSQL(condition, order string) string {
	return `SELECT x.id FROM {p}endpoints p {join} {p}deliveries x ON x.id IN (
			SELECT d.id FROM {p}deliveries d {join} {p}events e ON e.id = d.event_id
			WHERE ` + condition + ` AND d.endpoint_id = p.id ORDER BY d.id ` + order + ` LIMIT ?)
		WHERE p.id {in}`
}

// claimLimit makes room for all deliveries of the last endpoint, because they come in any order.
func (sqliteDialect) claimLimit(limit, perEndpoint int) int { return limit + perEndpoint - 1 }

// ints writes a JSON array.
func (sqliteDialect) ints(ids []int64) string {
	out := make([]byte, 0, 2+len(ids)*8)
	out = append(out, '[')
	for i, id := range ids {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, id, 10)
	}
	return string(append(out, ']'))
}

// texts writes a JSON array.
func (sqliteDialect) texts(texts []string) string {
	if texts == nil {
		return "[]"
	}
	out, _ := json.Marshal(texts) // strings can be written
	return string(out)
}

// collided is never true: there is one writer at a time.
func (sqliteDialect) collided(error) bool { return false }

func (sqliteDialect) newWriter(db *sql.DB, config Config) writer {
	return newSQLiteWriter(db, config.Begin)
}

// sqliteWriter runs one transaction at a time, on a connection that it keeps together with its
// prepared statements. A *sql.Tx would begin without the write lock, and prepare every statement
// again.
type sqliteWriter struct {
	db *sql.DB
	// free holds the connection, nil until it is first needed. Taking it is
	// the lock.
	free chan *preparedConn
	// background is held by the one transaction of its kind that runs or waits for free. So one of an
	// emit waits for one of them at most, however many there are; and because waiters for free get it
	// in the order in which they came, that one waits for one commit of emits at most.
	background chan struct{}
	begin      func(ctx context.Context, begin func() error) error // Config.Begin
}

func newSQLiteWriter(
	db *sql.DB, begin func(ctx context.Context, begin func() error) error,
) *sqliteWriter {
	if begin == nil {
		begin = func(_ context.Context, begin func() error) error { return begin() }
	}
	w := &sqliteWriter{db: db, free: make(chan *preparedConn, 1), background: make(chan struct{}, 1),
		begin: begin}
	w.free <- nil
	return w
}

func (w *sqliteWriter) do(
	ctx context.Context, kind writeKind, fn func(context.Context, Querier) error,
) (err error) {
	if kind == ofBackground {
		select {
		case w.background <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-w.background }()
	}
	var c *preparedConn
	select {
	case c = <-w.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { w.free <- c }()
	if c == nil {
		conn, err := w.db.Conn(ctx)
		if err != nil {
			return err
		}
		c = &preparedConn{conn: conn, statements: make(map[string]*sql.Stmt)}
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		// Some errors end the transaction by themselves, so this one may fail.
		_, _ = c.Exec(context.WithoutCancel(ctx), "ROLLBACK")
		if errors.Is(err, driver.ErrBadConn) {
			_ = c.close()
			c = nil
		}
	}()
	if err := w.begin(ctx, func() error {
		_, err := c.Exec(ctx, "BEGIN IMMEDIATE")
		return err
	}); err != nil {
		return err
	}
	// The rest is short, and cancelling it would have to wait for the rollback. With a context that
	// cannot be cancelled, the driver starts no goroutine for each statement.
	inside := context.WithoutCancel(ctx)
	if err := fn(inside, c); err != nil {
		return err
	}
	if _, err := c.Exec(inside, "COMMIT"); err != nil {
		return err
	}
	committed = true
	return nil
}

func (w *sqliteWriter) close() error {
	c := <-w.free
	defer func() { w.free <- nil }()
	if c == nil {
		return nil
	}
	return c.close()
}

// preparedConn prepares every statement once.
type preparedConn struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

func (c *preparedConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := c.statements[query]; s != nil {
		return s, nil
	}
	s, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("preparing %q: %w", query, err)
	}
	c.statements[query] = s
	return s, nil
}

func (c *preparedConn) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := c.prepare(ctx, query) //nolint:sqlclosecheck // kept until the connection is closed
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *preparedConn) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	s, err := c.prepare(ctx, query) //nolint:sqlclosecheck // kept until the connection is closed
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...) //nolint:rowserrcheck // the caller checks
}

func (c *preparedConn) close() error {
	var err error
	for _, s := range c.statements {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, c.conn.Close())
}
