package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// PostgreSQL returns the dialect of PostgreSQL 13 or newer. The names of the
// tables have no schema: the connections' search_path chooses it.
//
// The driver must take []byte for bytea, string for text, and parameters
// written $1, and begin transactions at READ COMMITTED. Any number of processes
// share a database.
func PostgreSQL() Dialect { return postgresDialect{} }

type postgresDialect struct{}

func (postgresDialect) name() string { return "postgres" }

var postgresWords = strings.NewReplacer(
	"{in}", "= ANY (?::text::bigint[])",
	"{notin}", "NOT IN (SELECT unnest(?::text::bigint[]))",
	"{notintexts}", "NOT IN (SELECT unnest(?::text::text[]))",
	"{versions}", `(SELECT coalesce(json_object_agg(organization_id, version)::text, '{}')
		FROM {p}organizations WHERE organization_id = ANY (?::text::text[]))`,
	"{join}", "JOIN",
	// With OFFSET it reads the leases first, whatever it knows of the sizes.
	"{prefetched}", `{p}leases l CROSS JOIN LATERAL (SELECT * FROM {p}deliveries
		WHERE id >= l.first_id AND id <= l.last_id AND state = 1 AND due_at IS NULL
			AND token = l.token OFFSET 0) d`,
	"{forupdate}", "FOR UPDATE OF d",
	"{skiplocked}", "FOR UPDATE OF d SKIP LOCKED",
	// Two calls with the same events must not deadlock, and of equal events the first is stored.
	"{sorted}", "ORDER BY event_id, organization_id, id",
	"{nextnumber}", "nextval('{p}organization_numbers')",
	"{nextid}", "(SELECT last_value FROM {p}ids)",
	"{update}", "WITH {v} UPDATE",
	"{fromrows}", "FROM v",
	"{appended}", "d.history || v.attempt",
	"{room}", "NULL", // the fillfactor of the table leaves room
	"{int}", "CAST(? AS bigint)",
	// A join of the table with itself might read all of it.
	"{blocksbelow}", "ctid = ANY (ARRAY(SELECT ctid FROM {p}blocks WHERE block < ? LIMIT ?))",
)

func (postgresDialect) expand(statement string) string { return postgresWords.Replace(statement) }

func (postgresDialect) bind(statement string) string {
	out := make([]byte, 0, len(statement)+32)
	n := 0
	for i := range len(statement) {
		if statement[i] == '?' {
			n++
			out = strconv.AppendInt(append(out, '$'), int64(n), 10)
		} else {
			out = append(out, statement[i])
		}
	}
	return string(out)
}

// ints writes an array.
func (postgresDialect) ints(numbers []int64) string {
	out := make([]byte, 0, 2+len(numbers)*12)
	out = append(out, '{')
	for i, n := range numbers {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(append(out, '}'))
}

// texts writes an array.
func (postgresDialect) texts(texts []string) string {
	out := []byte{'{'}
	for i, text := range texts {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendArrayText(out, text)
	}
	return string(append(out, '}'))
}

// anyRows stands for all numbers of rows: a statement has the same text for each.
const anyRows = 0

// Each column of a batch travels as one parameter, an array in its text form,
// which every driver can send. The binary columns, which would double in size
// in that form, travel as all their bytes in one, with an array of the lengths.
func (postgresDialect) rows(columns []column) map[int]string {
	var selected, arrays, names []string
	for _, c := range columns {
		names = append(names, c.name)
		switch c.kind {
		case integer:
			arrays = append(arrays, "?::text::bigint[]")
			selected = append(selected, c.name)
		case text:
			arrays = append(arrays, "?::text::text[]")
			selected = append(selected, c.name)
		case binary:
			arrays = append(arrays, "?::text::bigint[]", "?::text::bigint[]")
			names = append(names, c.name+"_length")
			selected = append(selected,
				"substring(?::bytea FROM "+c.name+"::int FOR "+c.name+"_length::int)")
		}
	}
	rows := "SELECT " + strings.Join(selected, ", ") +
		" FROM unnest(" + strings.Join(arrays, ", ") + ") AS t (" + strings.Join(names, ", ") + ")"
	return map[int]string{anyRows: rows}
}

// arguments writes the columns of the rows. Bytes come first, because they
// stand first in the statement.
func (postgresDialect) arguments(b *batch, rows, rest []any) []any {
	n := len(b.columns)
	var blobs, arrays []any
	for i, c := range b.columns {
		array := append(make([]byte, 0, 16*len(rows)/n), '{')
		var blob, lengths []byte
		if c.kind == binary {
			size := 0
			for j := i; j < len(rows); j += n {
				v, _ := rows[j].([]byte)
				size += len(v)
			}
			blob, lengths = make([]byte, 0, size), []byte{'{'}
		}
		for j := i; j < len(rows); j += n {
			if j > i {
				array = append(array, ',')
			}
			switch v := rows[j].(type) {
			case int64:
				array = strconv.AppendInt(array, v, 10)
			case string:
				array = appendArrayText(array, v)
			case []byte:
				array = strconv.AppendInt(array, int64(len(blob))+1, 10)
				lengths = appendLength(lengths, j > i, strconv.Itoa(len(v)))
				blob = append(blob, v...)
			default: // nil
				array = append(array, "NULL"...)
				if c.kind == binary {
					lengths = appendLength(lengths, j > i, "NULL")
				}
			}
		}
		arrays = append(arrays, string(append(array, '}')))
		if c.kind == binary {
			arrays = append(arrays, string(append(lengths, '}')))
			blobs = append(blobs, blob)
		}
	}
	return append(append(blobs, arrays...), rest...)
}

func appendLength(array []byte, more bool, length string) []byte {
	if more {
		array = append(array, ',')
	}
	return append(array, length...)
}

// appendArrayText writes an element of a text array.
func appendArrayText(array []byte, s string) []byte {
	array = append(array, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			array = append(array, '\\')
		}
		array = append(array, s[i])
	}
	return append(array, '"')
}

func (d postgresDialect) execBatch(
	ctx context.Context, q Querier, b *batch, rows, rest []any,
) (int64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	return q.Exec(ctx, b.texts[anyRows], d.arguments(b, rows, rest)...)
}

func (d postgresDialect) queryBatch(
	ctx context.Context, q Querier, b *batch, rows, rest []any, scan func(scanner) error,
) error {
	if len(rows) == 0 {
		return nil
	}
	return collect(ctx, q, scan, b.texts[anyRows], d.arguments(b, rows, rest)...)
}

// collided recognises deadlocks and failures to serialize, by the codes that
// the drivers' errors have.
func (postgresDialect) collided(err error) bool {
	code := stateOf(err)
	return code == "40P01" || code == "40001"
}

// stateOf returns the SQLSTATE of an error, or "".
func stateOf(err error) string {
	var coded interface{ SQLState() string }
	if !errors.As(err, &coded) {
		return ""
	}
	return coded.SQLState()
}

func (postgresDialect) schemaPatienceSQL() string { return "SET LOCAL lock_timeout = '1s'" }

func (postgresDialect) tooLate(err error) bool { return stateOf(err) == "55P03" }

func (postgresDialect) newWriter(db *sql.DB, _ Config) writer { return postgresWriter{db} }

// postgresWriter begins a transaction for each call, as many at once as the
// pool has connections.
type postgresWriter struct{ db *sql.DB }

func (w postgresWriter) do(
	ctx context.Context, _ writeKind, fn func(context.Context, Querier) error,
) error {
	// The statements are written for this level, whatever the connections'
	// default is: at a higher one, claims of several processes would fail
	// instead of passing over each other's rows.
	tx, err := w.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := fn(ctx, sqlTx{tx}); err != nil {
		return err
	}
	return tx.Commit()
}

func (postgresWriter) close() error { return nil }

func (postgresDialect) lockSchema(ctx context.Context, q Querier, prefix string) error {
	_, err := q.Exec(ctx,
		`SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.' || $1::text))`, prefix)
	return err
}

func (postgresDialect) shards() int64 { return 16 }

// pieceSize is larger than that of SQLite, because others write meanwhile.
func (postgresDialect) pieceSize() int { return 128 }

// claimsLeaveQueue is false, because claims would read the entries of rows of the table leases that
// were removed within [leaseLookback].
func (postgresDialect) claimsLeaveQueue() bool { return false }

// idSpan is the increment of the sequence. The unused ids of a span are lost, and in return no
// transaction waits for another one's ids.
const idSpan = 64

func (postgresDialect) clockSQL() string {
	return `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`
}

func (postgresDialect) returning() bool { return true }

func (postgresDialect) emitTablesSQL() string {
	return `LOCK TABLE {p}organizations, {p}routes, {p}endpoints, {p}events, {p}deliveries, {p}leases,
		{p}blocks, {p}fanouts IN ROW EXCLUSIVE MODE`
}

// A transaction holds a lock that names the ids that it may have taken, before it takes them, so that
// tailSQL knows them: the number of the span after the last one that was given out. The lock is one
// of the sequence, so that it is the same whatever the search_path. In a transaction of the caller,
// a setting that ends with the transaction, or with its savepoint, as the lock does, keeps further
// calls from taking more locks, of which a server has a few thousand.
//
// A transaction of the store's own waits two seconds for another one at most, because it has the
// events of several callers: if one of them stands in a transaction that is open, the others need not
// wait. The server looks for deadlocks after one second. It has waited for the locks of tables by
// then, which an upgrade or a new index may hold for longer: see emitTablesSQL.
func (postgresDialect) reserveSQL(callers bool) (take, read string) {
	const span = `((last_value / 64 + CASE WHEN is_called THEN 1 ELSE 0 END) % 2147483648)::int`
	const lock = `pg_advisory_xact_lock_shared('{p}ids'::regclass::oid::int, ` + span + `)`
	const setting = `'{p}tail.o' || '{p}ids'::regclass::oid`
	held := lock + `, CASE WHEN current_setting('lock_timeout') = '0'
			THEN set_config('lock_timeout', '2s', true) END`
	if callers {
		held = `CASE WHEN coalesce(current_setting(` + setting + `, true), '') = ''
			THEN set_config(` + setting + `, ` + lock + `::text || '1', true) END`
	}
	return "", `WITH held AS MATERIALIZED (SELECT ` + held + ` FROM {p}ids)
		SELECT nextval('{p}ids') + 64, v.versions
		FROM held, generate_series(1, ?::int), {versions} v (versions)`
}

// A transaction that took its ids before given ran has its lock by then. If open does not find the
// lock, the transaction has ended, and a query that follows sees what it stored.
func (postgresDialect) tailSQL() (given, open string) {
	return `SELECT last_value + CASE WHEN is_called THEN 64 ELSE 0 END FROM {p}ids`,
		openSQL(`{p}ids`, 64)
}

// openSQL selects the first id of each transaction that holds the lock of a span of a sequence.
func openSQL(sequence string, span int) string {
	return fmt.Sprintf(`SELECT n.last_value + %[2]d * ((l.objid::bigint
				- (n.last_value / %[2]d) %% 2147483648 + 3221225472) %% 2147483648 - 1073741824),
			coalesce((SELECT extract(epoch FROM a.xact_start) * 1000000
				FROM pg_stat_get_activity(l.pid) a WHERE l.pid IS NOT NULL), 0)::bigint
		FROM %[1]s n, pg_locks l
		WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
			AND l.classid = '%[1]s'::regclass::oid
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
		sequence, span)
}

// As in reserveSQL, the lock is one of the next id, taken before the id.
func (postgresDialect) addResultsSQL() string {
	return `WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(
			'{p}result_ids'::regclass::oid::int,
			((last_value + CASE WHEN is_called THEN 1 ELSE 0 END) % 2147483648)::int) FROM {p}result_ids)
		INSERT INTO {p}results (id, at, entries)
		SELECT nextval('{p}result_ids'), CAST(? AS bigint), CAST(? AS bytea) FROM held`
}

func (postgresDialect) resultsSQL() (given, open string) {
	return `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {p}result_ids`,
		openSQL(`{p}result_ids`, 1)
}

func (postgresDialect) reserveSpan(n int) (parameter, span int) {
	return (n + idSpan - 1) / idSpan, idSpan
}

// The locks are those of the table, and so none of those that tailSQL looks for.
func (postgresDialect) lineLockSQL() (lock, tryLock string) {
	const class = `'{p}deliveries'::regclass::oid::int`
	const numbers = ` FROM unnest(?::text::bigint[]) AS t (n)`
	return `SELECT pg_advisory_xact_lock(` + class + `, n::int)` + numbers,
		`SELECT n, pg_try_advisory_xact_lock(` + class + `, n::int)` + numbers
}

// Vacuum is left out, because it holds nothing back. When a transaction began, the server shows only
// to a role that has the rights of the session's, or those of pg_read_all_stats.
func (postgresDialect) transactionsSQL() (long, hidden string) {
	const sessions = ` FROM pg_stat_activity a WHERE a.datname = current_database()
		AND a.pid <> pg_backend_pid() AND `
	return `SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.state, ''),
			(extract(epoch FROM a.xact_start) * 1000000)::bigint` + sessions + `
			a.backend_type = 'client backend' AND a.xact_start <= to_timestamp(?::bigint / 1000000.0)
			ORDER BY a.xact_start LIMIT ?`,
		`SELECT count(*)` + sessions + `NOT pg_has_role(a.usesysid, 'USAGE')
			AND NOT pg_has_role('pg_read_all_stats', 'USAGE')`
}

func (postgresDialect) notifySQL() string { return `SELECT pg_notify(` + notifyChannel + `, ?)` }

// notifyChannel is an expression for the name of the channel. Channels belong
// to the whole database, so the name is made of the schema and the prefix.
const notifyChannel = `'webhooks_' || md5(current_schema() || '.{p}')`

// NotifyChannelSQL returns a query for the name of the channel on which a store
// with this table prefix notifies that deliveries are due, for LISTEN.
// "" is the default prefix. [Store.Notified] takes the payloads.
func NotifyChannelSQL(tablePrefix string) (string, error) {
	x, err := newExpander(PostgreSQL(), tablePrefix)
	if err != nil {
		return "", err
	}
	return x.sql(`SELECT ` + notifyChannel), nil
}

// postgresWalk is a CTE of the endpoints that have deliveries in the queue, in their order, after one
// and up to another. Its first parameters are places: see deadentries.go. Their endpoints it returns in
// any case, with the due times, and looks for others between them only. place counts those that came
// so far. The first row, which has no due times, is none of them.
const postgresWalk = `
WITH RECURSIVE places AS MATERIALIZED (
    SELECT ?::text::bigint[] AS ids, ?::text::bigint[] AS fresh, ?::text::bigint[] AS retried
), walk (endpoint_id, place, fresh, retried) AS (
    SELECT ?::bigint, 0, NULL::bigint, NULL::bigint
    UNION ALL
    SELECT coalesce(other.id, next.id), walk.place + CASE WHEN other.id IS NULL THEN 1 ELSE 0 END,
        CASE WHEN other.id IS NULL THEN next.fresh ELSE -9223372036854775808 END,
        CASE WHEN other.id IS NULL THEN next.retried ELSE -9223372036854775808 END
    FROM walk CROSS JOIN places
    CROSS JOIN LATERAL (SELECT places.ids[walk.place + 1] AS id, places.fresh[walk.place + 1] AS fresh,
        places.retried[walk.place + 1] AS retried OFFSET 0) next
    CROSS JOIN LATERAL (SELECT (SELECT endpoint_id FROM {p}deliveries
        WHERE due_at IS NOT NULL AND parked = 0 AND endpoint_id > walk.endpoint_id
            AND endpoint_id <= coalesce(next.id - 1, ?::bigint)
        ORDER BY endpoint_id LIMIT 1) AS id OFFSET 0) other
    WHERE other.id IS NOT NULL OR next.id IS NOT NULL
)`

// The joins force the planner to go from endpoint to endpoint, in their order, so that no rows beyond
// LIMIT are read and locked. Of a degraded endpoint only the first row is returned.
func (postgresDialect) claimSQL() string {
	return postgresWalk + `
SELECT d.id, d.endpoint_id, d.due_at, d.token, d.attempts_since_queued, d.attempts,
	coalesce(d.queued_at, e.created_at), d.progress,
       d.state, d.lost, d.started_at, e.id, e.event_id, e.type, e.trace,
	coalesce(e.ttl, 0), coalesce(d.line, 0), d.turn, coalesce(d.kept, 0)
FROM walk
CROSS JOIN LATERAL (SELECT p.probe_at FROM {p}endpoints p WHERE p.id = walk.endpoint_id
	AND p.state = 0 AND (p.probe_at IS NULL OR p.probe_at <= ?) OFFSET 0) active
CROSS JOIN LATERAL (SELECT first.*, row_number() OVER () AS place FROM (
    SELECT * FROM (
        SELECT * FROM {p}deliveries WHERE due_at IS NOT NULL AND endpoint_id = walk.endpoint_id
            AND {attempted} = 0 AND due_at >= walk.fresh AND due_at <= ?
        ORDER BY due_at, id LIMIT ? FOR UPDATE SKIP LOCKED
    ) fresh
    UNION ALL
    SELECT * FROM (
        SELECT * FROM {p}deliveries WHERE due_at IS NOT NULL AND endpoint_id = walk.endpoint_id
            AND {attempted} = 1 AND due_at >= walk.retried AND due_at <= ?
        ORDER BY due_at, id LIMIT ? FOR UPDATE SKIP LOCKED
    ) retries
    LIMIT ?
) first) d
CROSS JOIN LATERAL (SELECT * FROM {p}events WHERE id = d.event_id OFFSET 0) e
WHERE walk.fresh IS NOT NULL AND walk.endpoint_id <= ? AND walk.endpoint_id {notin}
    AND (active.probe_at IS NULL OR d.place = 1)
LIMIT ?`
}

// An entry that is read and leads to no row, or to one that this transaction does not see, is dead.
// The server counts entries and rows. Where it reads entries alone, as the walk may, it counts no rows,
// but there it reads one entry for each scan.
func (postgresDialect) deadEntriesSQL() (look, dead string) {
	const first = `(SELECT due_at FROM {p}deliveries WHERE due_at IS NOT NULL
		AND endpoint_id = walk.endpoint_id AND {attempted} = `
	return postgresWalk + ` SELECT walk.endpoint_id,
			` + first + `0 AND due_at >= walk.fresh ORDER BY due_at LIMIT 1),
			` + first + `1 AND due_at >= walk.retried ORDER BY due_at LIMIT 1)
			FROM walk WHERE walk.fresh IS NOT NULL LIMIT ?`,
		`SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(i) - pg_stat_get_xact_tuples_fetched(i)
				- pg_stat_get_xact_numscans(i)), 0)::bigint
			FROM unnest(ARRAY['{p}deliveries_queue'::regclass::oid,
				'{p}deliveries_walk'::regclass::oid]) i`
}

func (postgresDialect) firstSQL(condition, order string) string {
	return `SELECT x.id FROM {p}endpoints p CROSS JOIN LATERAL (
			SELECT d.id FROM {p}deliveries d {join} {p}events e ON e.id = d.event_id
			WHERE ` + condition + ` AND d.endpoint_id = p.id ORDER BY d.id ` + order + ` LIMIT ?) x
		WHERE p.id {in}`
}

func (postgresDialect) claimLimit(limit, _ int) int { return limit }
