package postgres_test

import (
	"context"
	"flag"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// stored is a store with its connection string, for opening the same database again.
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

// begin begins a transaction on a new connection, as a caller does.
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

var whole = flag.Bool("whole", false,
	"run the whole suite of stores also on connections of their own and behind PgBouncer, not only what "+
		"depends on the connections")

// connectionGroups returns the groups of the suite that depend on how the store gets its
// connections. TestStore runs all groups, and the others run the same statements on either kind of
// connection.
func connectionGroups() []string {
	if *whole {
		return nil // all
	}
	return sqltest.Thoroughly([]string{
		"Transactions", "Notifications", "Wrapped", "Cancellation", "Durability",
	}, "Peers")
}

// histories returns how many TestStore runs. Zero means all.
func histories() int {
	if *sqltest.Thorough {
		return 0
	}
	return 2
}

// TestStore runs the suite on a pool that many cases use, one after the other.
func TestStore(t *testing.T) {
	t.Parallel()
	var groups []string // all
	if testing.Short() {
		// One of them calls every method.
		groups = []string{"Tenants/EveryMethod", "Durability/EverythingSurvives", "Transactions/Commit"}
	}
	on := func(t *testing.T, empty tables) webhook.Store {
		t.Helper()
		s, err := postgres.New(t.Context(), empty.pool, postgres.Config{})
		require.NoError(t, err)
		t.Cleanup(func() {
			require.NoError(t, s.Close())
			eventually(t, "the store has kept connections of the pool", func() bool {
				return empty.pool.Stat().AcquiredConns() == 0
			})
		})
		return &stored{s, empty.dsn}
	}
	h := harness(func(t *testing.T) webhook.Store { return on(t, takeTables(t)) }, groups)
	h.Histories = histories()
	storetest.Run(t, h)
}

// harness is for groups of the suite on stores that are made like this. What else the suite opens has
// connections of its own, like another process.
func harness(newStore func(t *testing.T) webhook.Store, groups []string) storetest.Harness {
	return storetest.Harness{
		New: newStore,
		Reopen: func(t *testing.T, s webhook.Store) webhook.Store {
			require.NoError(t, s.(*stored).Close())
			return open(t, s.(*stored).dsn)
		},
		Begin: func(t *testing.T, s webhook.Store) storetest.CallerTx {
			return begin(t, s.(*stored).dsn)
		},
		Peer:   func(t *testing.T, s webhook.Store) webhook.Store { return open(t, s.(*stored).dsn) },
		Groups: groups,
	}
}

func TestClaimsSharePayloads(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	sqltest.CheckSharedPayloads(t, open(t, tablesDSN(t)))
}
