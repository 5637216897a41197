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

// DefaultDedupeTable is the default of [Config.Table] for a [Dedupe].
const DefaultDedupeTable = "webhook_receiver_claims"

// Config configures a [Dedupe] or [Counters].
type Config struct {
	// Table is the name of the table: "name" or, in PostgreSQL, "schema.name".
	// Defaults to [DefaultDedupeTable] or [DefaultCountersTable].
	Table string
}

// Dedupe is a [receiver.Deduper] in one table of a SQL database. It is safe for concurrent
// use, and many processes may share the table.
type Dedupe struct {
	db  *sql.DB
	x   expander
	sql dedupeSQL
}

// dedupeSQL are the statements in the dialect of the database.
type dedupeSQL struct {
	schema, claim, look, extend, settle, doneTx, release, prune string
}

// The values of the column state.
const (
	rowClaimed = 1
	rowDone    = 2
	rowDead    = 3
)

// prunable is used twice in a statement: to find rows, and to check each row when it is
// deleted, since it may have been claimed in between. The subquery lets PostgreSQL use the
// index although clock_timestamp is volatile.
var prunable = `until_ms <= (SELECT {now}) AND
	(state <> 1 OR until_ms <= (SELECT {now}) - ` + graceMillis + `)`

// doneTx records a key as done if it is absent, if the caller has claimed it, or if its
// time has passed, and returns the row as it is then.
var doneTx = `INSERT INTO {table} AS held (claim_key, token, state, until_ms, reason)
	VALUES (?, ?, 2, {now} + ?, '')
	ON CONFLICT (claim_key) DO UPDATE SET
		token    = CASE WHEN ` + takes + ` THEN excluded.token ELSE held.token END,
		until_ms = CASE WHEN ` + takes + ` THEN excluded.until_ms ELSE held.until_ms END,
		reason   = CASE WHEN ` + takes + ` THEN '' ELSE held.reason END,
		state    = CASE WHEN ` + takes + ` THEN 2 ELSE held.state END
	RETURNING token, state`

// takes is the condition under which doneTx changes a row. It uses the time of the insert,
// because clock_timestamp advances while the statement runs.
var takes = `(held.token = excluded.token AND held.state <> 3 OR held.until_ms <=
	excluded.until_ms - ? - CASE held.state WHEN 1 THEN ` + graceMillis + ` ELSE 0 END)`

var graceMillis = strconv.FormatInt(receiver.Grace.Milliseconds(), 10)

// NewDedupe returns a Dedupe in db. The table must exist before it is used: see
// [Dedupe.CreateTable] and [Dedupe.Schema]. NewDedupe returns an error if db is nil. If dialect is
// nil or Config.Table is invalid, the error wraps an [*event.ValidationError].
func NewDedupe(db *sql.DB, dialect Dialect, config Config) (*Dedupe, error) {
	x, err := newExpander(db, dialect, config.Table, DefaultDedupeTable)
	if err != nil {
		return nil, err
	}
	return &Dedupe{db: db, x: x, sql: dedupeSQL{
		schema: x.schema("dedupe.sql"),
		claim: x.sql(`INSERT INTO {table} AS held (claim_key, token, state, until_ms, reason)
			VALUES (?, ?, 1, {now} + ?, '')
			ON CONFLICT (claim_key) DO UPDATE
			SET token = excluded.token, state = 1, until_ms = excluded.until_ms, reason = ''
			WHERE held.until_ms <= {now}`),
		look: x.sql(`SELECT state, until_ms - {now} FROM {table} WHERE claim_key = ?`),
		extend: x.sql(`UPDATE {table} SET until_ms = CASE state WHEN 1 THEN {now} + ? ELSE until_ms END
			WHERE claim_key = ? AND token = ? AND (state = 1 OR until_ms > {now})`),
		settle: x.sql(`UPDATE {table} SET state = ?, until_ms = {now} + ?, reason = ?
			WHERE claim_key = ? AND token = ? AND (state = 1 OR state = ? AND until_ms > {now})`),
		doneTx:  x.sql(doneTx),
		release: x.sql(`DELETE FROM {table} WHERE claim_key = ? AND token = ? AND state = 1`),
		prune: x.sql(`DELETE FROM {table} WHERE ` + prunable + ` AND claim_key IN (
			SELECT claim_key FROM {table} WHERE ` + prunable + ` LIMIT ?)`),
	}}, nil
}

// Schema returns the statements that create the table and its index, for a migration tool.
func (s *Dedupe) Schema() string { return s.sql.schema }

// CreateTable creates the table and its index unless they exist. Many processes may call
// it at the same time.
func (s *Dedupe) CreateTable(ctx context.Context) error {
	return s.x.createTable(ctx, s.db, s.sql.schema)
}

// maxLooks bounds how often Claim starts again because the key became claimable between
// two statements.
const maxLooks = 5

// Claim implements [receiver.Deduper].
func (s *Dedupe) Claim(
	ctx context.Context, c receiver.Claim, lease time.Duration,
) (receiver.Standing, error) {
	for range maxLooks {
		taken, err := changed(s.db.ExecContext(ctx, s.sql.claim, c.Key, c.Token.String(),
			lease.Milliseconds()))
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

// look returns the state that kept Claim from claiming the key. It returns Claimed if the
// key can be claimed by now.
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
	return receiver.Standing{State: receiver.InFlight,
		Remaining: time.Duration(remaining) * time.Millisecond}, nil
}

// Extend implements [receiver.Deduper].
func (s *Dedupe) Extend(ctx context.Context, c receiver.Claim, lease time.Duration) error {
	return s.held(ctx, "extend", s.sql.extend, lease.Milliseconds(), c.Key, c.Token.String())
}

// Done implements [receiver.Deduper].
func (s *Dedupe) Done(ctx context.Context, c receiver.Claim, keep time.Duration) error {
	return s.held(ctx, "done", s.sql.settle,
		rowDone, keep.Milliseconds(), "", c.Key, c.Token.String(), rowDone)
}

// DoneTx records an event as handled in a transaction of the caller, so that the record
// and what else tx writes happen together or not at all. Call it in a handler, with Claim
// and Keep of [receiver.DeliveryFrom]. On an error, roll back and return the error:
//
//   - [receiver.ErrAlreadyHandled]: an earlier transaction has recorded the event. The
//     Receiver and the inbox treat this error as success.
//   - [receiver.ErrStaleToken]: another process has claimed the event.
//
// A keep of less than a millisecond is an error, because it would make nothing happen once.
//
// It works whatever has claimed the event: this Dedupe, another [receiver.Deduper] such as
// the one of redisstore, or an inbox. Unless it is this Dedupe, DoneTx adds a row with the
// key of the claim.
//
// After the commit the handler returns nil as usual. If the process dies before that, the
// event is sent again, and DoneTx or the Receiver finds that it was handled.
func (s *Dedupe) DoneTx(ctx context.Context, tx Tx, c receiver.Claim, keep time.Duration) error {
	if tx.queryRow == nil {
		return errors.New("sqldedupe: done: the transaction is missing, see SQLTx and PgxTx")
	}
	if c.Key == "" {
		return errors.New("sqldedupe: done: the claim has no key, see receiver.DeliveryFrom")
	}
	if keep < time.Millisecond { // the record would be forgotten at once
		return fmt.Errorf("sqldedupe: done: keep must be at least a millisecond, is %v: see "+
			"receiver.DeliveryFrom", keep)
	}
	if c.Token == (receiver.Token{}) {
		// Without a claim, as behind an inbox, each call is an attempt of its own.
		c.Token = receiver.NewToken()
	}
	var token string
	var state int
	millis := keep.Milliseconds()
	row := tx.queryRow(ctx, s.sql.doneTx,
		c.Key, c.Token.String(), millis, millis, millis, millis, millis) // one more for each takes
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

// Dead implements [receiver.Deduper]. The row has the reason.
func (s *Dedupe) Dead(
	ctx context.Context, c receiver.Claim, reason string, keep time.Duration,
) error {
	return s.held(ctx, "dead", s.sql.settle,
		rowDead, keep.Milliseconds(), reason, c.Key, c.Token.String(), rowDead)
}

// Release implements [receiver.Deduper].
func (s *Dedupe) Release(ctx context.Context, c receiver.Claim) error {
	return s.held(ctx, "release", s.sql.release, c.Key, c.Token.String())
}

// DefaultPrune is the limit of [Dedupe.Prune] and [Counters.Prune] if that is 0.
const DefaultPrune = 1000

// Prune removes up to limit rows whose time has passed, and returns how many it removed.
// If that is fewer than limit, no more are left. A limit of 0 means [DefaultPrune]; a
// negative one is an error.
func (s *Dedupe) Prune(ctx context.Context, limit int) (int64, error) {
	return prune(ctx, s.db, limit, s.sql.prune)
}

// prune runs a statement whose last parameter is the limit.
func prune(
	ctx context.Context, db *sql.DB, limit int, statement string, args ...any,
) (int64, error) {
	if limit < 0 {
		return 0, fmt.Errorf("sqldedupe: prune: the limit must not be negative: %d", limit)
	}
	if limit == 0 {
		limit = DefaultPrune
	}
	result, err := db.ExecContext(ctx, statement, append(args, limit)...)
	if err != nil {
		return 0, fmt.Errorf("sqldedupe: prune: %w", err)
	}
	return result.RowsAffected()
}

// held runs a statement that changes a row only if it has the caller's token.
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
