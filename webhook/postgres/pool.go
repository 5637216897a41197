package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The store notices a server that vanished without closing its connections after these times,
// unless the connection string sets others (connect_timeout and pool_ping_timeout).
const (
	connectTimeout = 10 * time.Second
	pingTimeout    = 5 * time.Second
)

// poolConfig reads the connection string. Its error contains no part of the string.
func poolConfig(connString string, config Config) (*pgxpool.Config, error) {
	if strings.TrimSpace(connString) == "" {
		return nil, errNoConnString
	}
	parsed, err := pgxpool.ParseConfig(connString)
	if err != nil {
		return nil, stringError(connString, err)
	}
	if config.MaxConns < 0 {
		return nil, fmt.Errorf("postgres: Config.MaxConns must be at least 1, or 0 for the default, "+
			"not %d", config.MaxConns)
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
	return parsed, nil
}

// session is what is known of a connection. Nothing is set on it: behind a
// pooler, or in a pool that is shared, it will serve others.
type session struct {
	// pooled says that the server knows the connection by another number than this process was told.
	// So there is a pooler between them, which may use another connection to the server for each
	// transaction.
	pooled bool
	// mode is the one for statements, or 0 for that of the connection string.
	mode pgx.QueryExecMode
	// settings are the statements to run at the beginning of a transaction.
	settings string
}

const sessionKey = "github.com/mixpeek/webhooks-go/webhook/postgres"

// sessionOf examines a connection when it is first used. It may be one of the
// caller's pool, whose AfterConnect is the caller's.
func sessionOf(ctx context.Context, conn *pgx.Conn) (session, error) {
	if s, ok := conn.PgConn().CustomData()[sessionKey].(session); ok {
		return s, nil
	}
	s, err := examine(ctx, conn)
	if err == nil {
		conn.PgConn().CustomData()[sessionKey] = s
	}
	return s, err
}

func examine(ctx context.Context, conn *pgx.Conn) (session, error) {
	var pid uint32
	var idle, path string
	err := conn.QueryRow(ctx,
		`SELECT pg_backend_pid(), current_setting('idle_in_transaction_session_timeout'),
			current_setting('search_path')`,
		pgx.QueryExecModeExec).Scan(&pid, &idle, &path)
	if err != nil {
		return session{}, err
	}
	s := session{pooled: pid != conn.PgConn().PID(), settings: planSettings}
	if s.pooled {
		if asked, ok := conn.Config().RuntimeParams["search_path"]; ok && asked != path {
			return session{}, fmt.Errorf("%w (search_path)", errStartup)
		}
		if !choosesMode(conn.Config()) {
			s.mode = pgx.QueryExecModeCacheDescribe
		}
	}
	if idle == "0" {
		s.settings += idleSetting
	}
	return s, nil
}

// choosesMode reports whether the caller chose how statements are run.
func choosesMode(config *pgx.ConnConfig) bool {
	if config.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement { // pgx's default
		return true
	}
	plain, err := pgconn.ParseConfig(config.ConnString()) // leaves in what only pgx knows
	if err != nil {
		return false
	}
	_, chosen := plain.RuntimeParams["default_query_exec_mode"]
	return chosen
}

// Settings of each transaction.
//
// Every statement of the store finds its rows by an index. A plan that was made while a table was
// small must not read all of it when it has grown. Disabling sequential scans raises the estimated
// costs, which would make the server compile plans. That takes longer than running them, so it is
// off as well.
//
// A process that was paused, or cut off from the server, in a transaction must not keep its locks,
// so that other processes can take over. A timeout that the server, the role or the connection
// string sets is kept.
const (
	planSettings = "; SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = " +
		"force_generic_plan; SET LOCAL jit = off"
	idleSetting = "; SET LOCAL idle_in_transaction_session_timeout = '10s'"
)

// storeError is mapError for the errors of the pool's connections. If the server
// became read-only, the pool is reset: otherwise it would keep connections to the
// former primary for as long as they work.
func storeError(pool *pgxpool.Pool) func(error) error {
	return func(err error) error {
		err = mapError(err)
		if errors.Is(err, ErrReadOnly) {
			pool.Reset()
		}
		return err
	}
}
