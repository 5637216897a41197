package postgres_test

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

const (
	dsnEnv     = "WEBHOOKS_TEST_POSTGRES_DSN"
	defaultDSN = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"
)

// schemaDSN makes a schema of the test's own, and returns how to connect to it.
func schemaDSN(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv(dsnEnv)
	if dsn == "" {
		dsn = defaultDSN
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("needs a PostgreSQL, which %s names: %v", dsnEnv, err)
	}
	require.NoError(t, err)
	schema := "t_" + strings.TrimPrefix(webhook.NewID(), "wh_")
	_, err = conn.Exec(ctx, "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := conn.Exec(ctx, "DROP SCHEMA "+schema+" CASCADE")
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// stored is a store that knows how to connect again.
type stored struct {
	*postgres.Store
	dsn string
}

func open(t testing.TB, dsn string) *stored {
	t.Helper()
	s, err := postgres.Open(context.Background(), dsn, postgres.Config{MaxConns: 3})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &stored{s, dsn}
}

// begin begins a transaction on another connection, like a caller.
func begin(t *testing.T, dsn string) storetest.CallerTx {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, withParameter(t, dsn, "default_query_exec_mode", "exec"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(ctx)) })
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	return storetest.CallerTx{
		Tx:       postgres.Tx(tx),
		Commit:   func() error { return tx.Commit(ctx) },
		Rollback: func() error { return tx.Rollback(ctx) },
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	var groups []string // all
	if testing.Short() {
		groups = []string{"Enqueue", "Claim", "Settle", "Transactions"}
	}
	storetest.Run(t, storetest.Harness{
		Groups: groups,
		New:    func(t *testing.T) webhook.Store { return open(t, schemaDSN(t)) },
		Reopen: func(t *testing.T, s webhook.Store) webhook.Store {
			require.NoError(t, s.(*stored).Close())
			return open(t, s.(*stored).dsn)
		},
		Begin: func(t *testing.T, s webhook.Store) storetest.CallerTx {
			return begin(t, s.(*stored).dsn)
		},
		Peer: func(t *testing.T, s webhook.Store) webhook.Store { return open(t, s.(*stored).dsn) },
	})
}
