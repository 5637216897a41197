package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrPooler says that something between this process and the server, such as
// PgBouncer with pool_mode=transaction, gives the connection to another program
// after each transaction. A Store needs one that stays: for prepared statements,
// for its settings, which would be left to the other programs, and to listen.
var ErrPooler = errors.New("postgres: a pooler gives the connection away after each transaction: " +
	"connect to the server itself, or to a pool with pool_mode=session")

const backendSQL = "SELECT pg_backend_pid()"

// poolerCheck looks at new connections, before anything is set on them.
type poolerCheck struct {
	harmless atomic.Bool // there is a pooler, and connections stay
}

// check returns ErrPooler if the connection does not stay.
func (c *poolerCheck) check(ctx context.Context, conn *pgx.Conn) error {
	backend, err := askBackend(ctx, conn.PgConn(), backendSQL)
	// A pooler makes up the number that a client needs to cancel statements.
	if err != nil || backend == int64(conn.PgConn().PID()) || c.harmless.Load() {
		return err
	}
	config := conn.Config()
	other, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return err
	}
	defer func() { _ = other.Close(context.WithoutCancel(ctx)) }()
	// While the other one is in a transaction, it has a backend of its own. If that
	// was ours, or ours is another one now, then they are handed round.
	others, err := askBackend(ctx, other, "BEGIN; "+backendSQL)
	if err != nil {
		return err
	}
	again, err := askBackend(ctx, conn.PgConn(), backendSQL)
	if err != nil {
		return err
	}
	if others == backend || again != backend {
		return ErrPooler
	}
	c.harmless.Store(true)
	return nil
}

// askBackend returns the number that the last statement has for an answer.
func askBackend(ctx context.Context, conn *pgconn.PgConn, statements string) (int64, error) {
	results, err := conn.Exec(ctx, statements).ReadAll()
	if err != nil {
		return 0, err
	}
	rows := results[len(results)-1].Rows
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, fmt.Errorf("postgres: %q has no answer", backendSQL)
	}
	return strconv.ParseInt(string(rows[0][0]), 10, 64)
}
