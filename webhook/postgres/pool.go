package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A server that vanished without closing its connections is noticed after these
// times, where the connection string sets none (connect_timeout and
// pool_ping_timeout).
const (
	connectTimeout = 10 * time.Second
	pingTimeout    = 5 * time.Second
)

// sessionSQL runs on every new connection.
//
// Every statement of the store finds its rows by an index. A plan made while a
// table was small must not read all of it when it has grown. The costs that
// forbidding it makes up must not make plans look worth compiling, which takes
// longer than any of them.
//
// A process that was paused, or cut off from the server, in a transaction must
// not keep its locks: what it was about to claim or settle is for the others.
// A timeout that the server, the role or the connection string has set stays.
const sessionSQL = `SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off;
SELECT set_config('idle_in_transaction_session_timeout', '10s', false)
WHERE current_setting('idle_in_transaction_session_timeout') = '0'`

// poolConfig reads the connection string. Its error has nothing of the string.
func poolConfig(connString string, config Config) (*pgxpool.Config, error) {
	parsed, err := pgxpool.ParseConfig(connString)
	if err != nil {
		return nil, stringError(connString, err)
	}
	if config.MaxConns > 0 {
		parsed.MaxConns = int32(min(config.MaxConns, 1<<30))
	}
	if parsed.PingTimeout == 0 {
		parsed.PingTimeout = pingTimeout
	}
	if parsed.ConnConfig.ConnectTimeout == 0 {
		parsed.ConnConfig.ConnectTimeout = connectTimeout
	}
	pooler := &poolerCheck{}
	parsed.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := pooler.check(ctx, conn); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, sessionSQL)
		return err
	}
	return parsed, nil
}

// storeError is mapError for the errors of the pool's connections. Those to a
// server that became read-only are closed, or the pool would hold on to them
// for as long as they work.
func storeError(pool *pgxpool.Pool) func(error) error {
	return func(err error) error {
		err = mapError(err)
		if errors.Is(err, ErrReadOnly) {
			pool.Reset()
		}
		return err
	}
}
