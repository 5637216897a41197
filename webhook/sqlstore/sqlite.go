package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"
)

// SQLite returns the dialect of SQLite 3.38 or newer.
//
// The store's transactions begin with BEGIN IMMEDIATE, on one connection that
// it keeps. The database must have a busy timeout; write-ahead logging lets
// queries go on beside writes.
func SQLite() Dialect { return sqliteDialect{} }

type sqliteDialect struct{}

func (sqliteDialect) name() string { return "sqlite" }

func (sqliteDialect) expand(statement string) string {
	return strings.NewReplacer(
		"{tried}", tried,
		"{nextnumber}", "(SELECT coalesce(max(number), 0) + 1 FROM {p}organizations)",
		"{in}", "IN (SELECT value FROM json_each(?))",
		"{notin}", "NOT IN (SELECT value FROM json_each(?))",
		"{versions}", "(SELECT json_group_object(organization_id, version) FROM {p}organizations WHERE organization_id IN (SELECT value FROM json_each(?)))",
		"{blocksbelow}", "(endpoint_id, block) IN (SELECT endpoint_id, block FROM {p}blocks WHERE block < ? LIMIT ?)",
		"{nextid}", "(SELECT next_id FROM {p}meta)",
		// SQLite keeps to the written order of tables after CROSS JOIN.
		"{join}", "CROSS JOIN",
		"{forupdate}", "", // nobody else writes
		"{skiplocked}", "",
		"{sorted}", "",
	).Replace(statement)
}

// Rows travel as plain parameters, several rows to a statement: measured, a JSON
// array read with json_each costs two to three times as much for rows without
// payload, and four times with. Statements of more rows gain nothing, because
// the driver looks a parameter up by going through all of them.
var sqliteChunks = [...]int{16, 4, 1}

func (sqliteDialect) prepareBatch(b *batch) {
	row := "(?" + strings.Repeat(",?", len(b.columns)-1) + ")"
	for _, n := range sqliteChunks {
		b.texts[n] = strings.Replace(b.statement, "{rows}", "VALUES "+row+strings.Repeat(","+row, n-1), 1)
	}
}

// chunks calls fn with the statement and the parameters of each chunk.
func (sqliteDialect) chunks(b *batch, rows, rest []any, fn func(statement string, args []any) error) error {
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

func (d sqliteDialect) execBatch(ctx context.Context, q Querier, b *batch, rows, rest []any) (int64, error) {
	var affected int64
	err := d.chunks(b, rows, rest, func(statement string, args []any) error {
		n, err := q.Exec(ctx, statement, args...)
		affected += n
		return err
	})
	return affected, err
}

func (d sqliteDialect) queryBatch(ctx context.Context, q Querier, b *batch, rows, rest []any, scan func(scanner) error) error {
	return d.chunks(b, rows, rest, func(statement string, args []any) error {
		return collect(ctx, q, scan, statement, args...)
	})
}

// lockSchema has nothing to do: BEGIN IMMEDIATE keeps all other writers out.
func (sqliteDialect) lockSchema(context.Context, Querier, string) error { return nil }

// clockSQL is empty: all processes are on one machine.
func (sqliteDialect) clockSQL() string { return "" }

func (sqliteDialect) reserveSQL() string {
	return `UPDATE {p}meta SET next_id = next_id + ? RETURNING next_id, {versions}`
}

func (sqliteDialect) reserveSpan(n int) (parameter, span int) { return n, n }

func (sqliteDialect) notifySQL() string { return "" }

// The IN keeps the limit for each endpoint, but returns the deliveries in the
// order of their ids.
func (sqliteDialect) claimSQL() string {
	return `
WITH RECURSIVE walk (endpoint_id) AS (
    SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE state < 2 AND endpoint_id > ?)
    UNION ALL
    SELECT (SELECT min(endpoint_id) FROM {p}deliveries WHERE state < 2 AND endpoint_id > walk.endpoint_id)
    FROM walk WHERE walk.endpoint_id IS NOT NULL AND walk.endpoint_id <= ?
)
SELECT d.id, d.endpoint_id, d.at, d.token, d.tries, d.attempts, coalesce(d.queued_at, e.created_at), d.progress,
       d.state, d.lost, d.started_at, e.event_id, e.type, e.payload
FROM walk
CROSS JOIN {p}endpoints p ON p.id = walk.endpoint_id AND p.state = 0
CROSS JOIN {p}deliveries d ON d.id IN (
    SELECT id FROM (
        SELECT * FROM (
            SELECT id, at, 0 AS tried FROM {p}deliveries
            WHERE state < 2 AND endpoint_id = walk.endpoint_id AND {tried} = 0 AND at <= ? ORDER BY at, id LIMIT ?)
        UNION ALL
        SELECT * FROM (
            SELECT id, at, 1 AS tried FROM {p}deliveries
            WHERE state < 2 AND endpoint_id = walk.endpoint_id AND {tried} = 1 AND at <= ? ORDER BY at, id LIMIT ?)
    ) ORDER BY tried, at, id LIMIT ?)
CROSS JOIN {p}events e ON e.id = d.event_id
WHERE walk.endpoint_id <= ? AND walk.endpoint_id {notin}
LIMIT ?`
}

// claimLimit is such that the last endpoint is there with all that it may give,
// because its deliveries come in any order.
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
	out, _ := json.Marshal(texts) // strings can be written
	return string(out)
}

func (sqliteDialect) rebind(query string) string { return query }

// collided is never true: there is one writer at a time.
func (sqliteDialect) collided(error) bool { return false }

func (sqliteDialect) newWriter(db *sql.DB) writer { return newSQLiteWriter(db) }
