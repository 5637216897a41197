package sqldedupe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/receiver"
)

// DefaultDedupeTable is the table of a [Dedupe] unless told otherwise.
const DefaultDedupeTable = "webhook_receiver_claims"

// Config configures a [Dedupe] or [Counters].
type Config struct {
	// Table is the table's name: "name" or, in PostgreSQL, "schema.name".
	// Defaults to [DefaultDedupeTable] or [DefaultCountersTable].
	Table string
}

// Dedupe is a [receiver.Deduper] in one table of a SQL database. It is safe for
// concurrent use, also by many processes on one database.
type Dedupe struct {
	db  *sql.DB
	d   Dialect
	sql dedupeSQL
}

// dedupeSQL is the store's statements in its dialect.
type dedupeSQL struct {
	schema, claim, look, extend, settle, doneTx, release, prune string
}

// The states as they are stored.
const (
	rowClaimed = 1
	rowDone    = 2
	rowDead    = 3
)

// until_ms is the end of the lease or of remembering: a row whose time has come
// is as good as absent, except that the holder of an ended lease may settle it.
const dedupeSchema = `CREATE TABLE IF NOT EXISTS {table} (
	claim_key TEXT     NOT NULL PRIMARY KEY,
	token     TEXT     NOT NULL,
	state     SMALLINT NOT NULL, -- 1 claimed, 2 done, 3 dead
	until_ms  BIGINT   NOT NULL, -- Unix milliseconds
	reason    TEXT     NOT NULL  -- why it is dead, else empty
);
CREATE INDEX IF NOT EXISTS {index}_until ON {table} (until_ms);
`

// prunable is asked twice in a statement: of the rows that are looked for, and
// again of each row that is about to be deleted, since it may have been claimed
// in between. The subquery lets PostgreSQL use the index although its clock is
// volatile.
const prunable = `until_ms <= (SELECT {now}) AND (state <> 1 OR until_ms <= (SELECT {now}) - $1)`

// doneTx records a key as done, whether it is absent, claimed by the caller, or was
// remembered long enough, and returns who has the key now. The time is that of the
// insert, since PostgreSQL's clock may move on while the statement runs.
var doneTx = `INSERT INTO {table} AS held (claim_key, token, state, until_ms, reason)
	VALUES ($1, $2, 2, {now} + $3, '')
	ON CONFLICT (claim_key) DO UPDATE SET
		token    = CASE WHEN ` + takes + ` THEN excluded.token ELSE held.token END,
		until_ms = CASE WHEN ` + takes + ` THEN excluded.until_ms ELSE held.until_ms END,
		reason   = CASE WHEN ` + takes + ` THEN '' ELSE held.reason END,
		state    = CASE WHEN ` + takes + ` THEN 2 ELSE held.state END
	RETURNING token, state`

// takes is the condition under which doneTx takes the key over.
var takes = `(held.token = excluded.token AND held.state <> 3 OR held.until_ms <=
	excluded.until_ms - $3 - CASE held.state WHEN 1 THEN ` + strconv.FormatInt(receiver.Grace.Milliseconds(), 10) + ` ELSE 0 END)`

// NewDedupe returns a store in db. The table has to exist before it is used:
// see [Dedupe.CreateTable] and [Dedupe.Schema].
func NewDedupe(db *sql.DB, dialect Dialect, config Config) (*Dedupe, error) {
	table, err := check(db, dialect, config.Table, DefaultDedupeTable)
	if err != nil {
		return nil, err
	}
	render := func(query string) string { return dialect.render(query, table) }
	return &Dedupe{db: db, d: dialect, sql: dedupeSQL{
		schema: render(dedupeSchema),
		claim: render(`INSERT INTO {table} AS held (claim_key, token, state, until_ms, reason)
			VALUES ($1, $2, 1, {now} + $3, '')
			ON CONFLICT (claim_key) DO UPDATE
			SET token = excluded.token, state = 1, until_ms = excluded.until_ms, reason = ''
			WHERE held.until_ms <= {now}`),
		look: render(`SELECT state, until_ms - {now} FROM {table} WHERE claim_key = $1`),
		extend: render(`UPDATE {table} SET until_ms = CASE state WHEN 1 THEN {now} + $3 ELSE until_ms END
			WHERE claim_key = $1 AND token = $2`),
		settle: render(`UPDATE {table} SET state = $3, until_ms = {now} + $4, reason = $5
			WHERE claim_key = $1 AND token = $2 AND state IN (1, $3)`),
		doneTx:  render(doneTx),
		release: render(`DELETE FROM {table} WHERE claim_key = $1 AND token = $2 AND state = 1`),
		prune: render(`DELETE FROM {table} WHERE ` + prunable + ` AND claim_key IN (
			SELECT claim_key FROM {table} WHERE ` + prunable + ` LIMIT $2)`),
	}}, nil
}

// Schema returns the statements that create the table and its index, for those
// who run them by a tool of their own.
func (s *Dedupe) Schema() string { return s.sql.schema }

// CreateTable creates the table and its index unless they exist. Many processes
// may call it at the same time.
func (s *Dedupe) CreateTable(ctx context.Context) error {
	return s.d.createTable(ctx, s.db, s.sql.schema)
}

// maxLooks bounds how often Claim starts again because the key became free
// between two statements. More than one is rare.
const maxLooks = 5

// Claim implements [receiver.Deduper].
func (s *Dedupe) Claim(ctx context.Context, c receiver.Claim, lease time.Duration) (receiver.Standing, error) {
	for range maxLooks {
		taken, err := changed(s.db.ExecContext(ctx, s.sql.claim, c.Key, c.Token.String(), lease.Milliseconds()))
		if err != nil {
			return receiver.Standing{}, fmt.Errorf("sqldedupe: claim: %w", err)
		}
		if taken {
			return receiver.Standing{State: receiver.Claimed}, nil
		}
		standing, err := s.look(ctx, c.Key)
		if err != nil || standing.State != receiver.Claimed {
			return standing, err
		}
	}
	return receiver.Standing{State: receiver.InFlight}, nil
}

// look says what stands in the way of a claim; Claimed means that nothing does
// any more.
func (s *Dedupe) look(ctx context.Context, key string) (receiver.Standing, error) {
	var state int
	var remaining int64
	err := s.db.QueryRowContext(ctx, s.sql.look, key).Scan(&state, &remaining)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return receiver.Standing{State: receiver.Claimed}, nil
	case err != nil:
		return receiver.Standing{}, fmt.Errorf("sqldedupe: claim: %w", err)
	case remaining <= 0:
		return receiver.Standing{State: receiver.Claimed}, nil
	case state == rowDone:
		return receiver.Standing{State: receiver.Done}, nil
	case state == rowDead:
		return receiver.Standing{State: receiver.Dead}, nil
	}
	return receiver.Standing{State: receiver.InFlight, Remaining: time.Duration(remaining) * time.Millisecond}, nil
}

// Extend implements [receiver.Deduper].
func (s *Dedupe) Extend(ctx context.Context, c receiver.Claim, lease time.Duration) error {
	return s.held(ctx, "extend", s.sql.extend, c.Key, c.Token.String(), lease.Milliseconds())
}

// Done implements [receiver.Deduper].
func (s *Dedupe) Done(ctx context.Context, c receiver.Claim, keep time.Duration) error {
	return s.held(ctx, "done", s.sql.settle, c.Key, c.Token.String(), rowDone, keep.Milliseconds(), "")
}

// DoneTx records an event as handled in a transaction of the caller, so that the
// record and the effect that tx writes happen together or not at all. Call it in a
// handler, with Claim and Keep of [receiver.DeliveryFrom], roll back on any error and
// return that error:
//
//   - [receiver.ErrAlreadyHandled]: an earlier transaction has committed the effect. A
//     Receiver and an inbox take it for a success.
//   - [receiver.ErrStaleToken]: another process has the claim now.
//
// It works whatever claims the event: this Dedupe, another [receiver.Deduper] such as
// the one in Redis, or an inbox. Where it is not this Dedupe, the record is a row of
// its own, by the key of the claim.
//
// After the commit the handler returns as always. If the process dies before that, the
// event comes again and is found to be handled.
func (s *Dedupe) DoneTx(ctx context.Context, tx Tx, c receiver.Claim, keep time.Duration) error {
	if tx.queryRow == nil {
		return errors.New("sqldedupe: done: the transaction is missing: use SQLTx or PgxTx")
	}
	if c.Key == "" {
		return errors.New("sqldedupe: done: the claim has no key: use that of receiver.DeliveryFrom")
	}
	if c.Token == (receiver.Token{}) {
		// Not claimed, by an inbox for one. No two attempts may count as one.
		c.Token = receiver.NewToken()
	}
	var token string
	var state int
	row := tx.queryRow(ctx, s.sql.doneTx, c.Key, c.Token.String(), keep.Milliseconds())
	switch err := row.Scan(&token, &state); {
	case err != nil:
		return fmt.Errorf("sqldedupe: done: %w", err)
	case state == rowDone && token == c.Token.String():
		return nil
	case state == rowDone:
		return receiver.ErrAlreadyHandled
	}
	return receiver.ErrStaleToken
}

// Dead implements [receiver.Deduper]. The reason is in the row.
func (s *Dedupe) Dead(ctx context.Context, c receiver.Claim, reason string, keep time.Duration) error {
	return s.held(ctx, "dead", s.sql.settle, c.Key, c.Token.String(), rowDead, keep.Milliseconds(), reason)
}

// Release implements [receiver.Deduper].
func (s *Dedupe) Release(ctx context.Context, c receiver.Claim) error {
	return s.held(ctx, "release", s.sql.release, c.Key, c.Token.String())
}

// DefaultPrune is how many rows one call of [Dedupe.Prune] removes at most if
// its limit is 0.
const DefaultPrune = 1000

// Prune removes up to limit rows that need not be remembered any more, and
// returns how many it removed. Fewer than limit means that no more are left.
// A limit of 0 means [DefaultPrune]; a negative one is an error.
func (s *Dedupe) Prune(ctx context.Context, limit int) (int64, error) {
	if limit < 0 {
		return 0, fmt.Errorf("sqldedupe: prune: the limit must not be negative: %d", limit)
	}
	if limit == 0 {
		limit = DefaultPrune
	}
	result, err := s.db.ExecContext(ctx, s.sql.prune, receiver.Grace.Milliseconds(), limit)
	if err != nil {
		return 0, fmt.Errorf("sqldedupe: prune: %w", err)
	}
	return result.RowsAffected()
}

// held runs a statement that changes a row only for the holder of its token.
func (s *Dedupe) held(ctx context.Context, op, query string, args ...any) error {
	ok, err := changed(s.db.ExecContext(ctx, query, args...))
	if err != nil {
		return fmt.Errorf("sqldedupe: %s: %w", op, err)
	}
	if !ok {
		return receiver.ErrStaleToken
	}
	return nil
}

// changed reports whether a statement changed a row.
func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
