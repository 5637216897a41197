//go:build unix

package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// TestPgBouncerWithSQLStore runs what depends on the connections on a service's own [database/sql]
// handle, which uses no named prepared statements, behind a PgBouncer in transaction mode. With -whole
// it runs all that may.
func TestPgBouncerWithSQLStore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	groups := []string{"Transactions", "Cancellation"}
	if *whole {
		groups = append(groups, "Enqueue", "Claim", "Settle", "Concurrency")
	}
	dsn := schemaDSN(t)
	pooled := bouncer(t, dsn, "transaction")
	db, err := sql.Open("pgx", withParameter(t, pooled, "default_query_exec_mode", "exec"))
	require.NoError(t, err)
	db.SetMaxOpenConns(10)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	schema := schemaOf(t, dsn)
	prefixes := make(map[webhook.Store]string)
	made := 0
	var free []string // prefixes of empty tables
	var mu sync.Mutex
	openPrefix := func(t *testing.T, prefix string) webhook.Store {
		t.Helper()
		s, err := sqlstore.New(t.Context(), db, sqlstore.PostgreSQL(),
			sqlstore.Config{TablePrefix: prefix})
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		prefixes[s] = prefix
		return s
	}
	// This subtest is not parallel, because the handle is closed when it has returned.
	t.Run("Suite", func(t *testing.T) {
		storetest.Run(t, storetest.Harness{
			New: func(t *testing.T) webhook.Store {
				t.Helper()
				mu.Lock()
				made++
				prefix := fmt.Sprintf("p%d_", made)
				if last := len(free) - 1; last >= 0 {
					prefix, free = free[last], free[:last]
				}
				mu.Unlock()
				t.Cleanup(func() {
					execOnServer(t, clearTables(schema, prefix))
					mu.Lock()
					defer mu.Unlock()
					free = append(free, prefix)
				})
				return openPrefix(t, prefix)
			},
			Begin: func(t *testing.T, _ webhook.Store) storetest.CallerTx {
				t.Helper()
				tx, err := db.BeginTx(context.Background(), nil)
				require.NoError(t, err)
				return storetest.CallerTx{Tx: postgres.SQLTx(tx), Commit: tx.Commit, Rollback: tx.Rollback}
			},
			Peer: func(t *testing.T, s webhook.Store) webhook.Store {
				t.Helper()
				mu.Lock()
				prefix := prefixes[s]
				mu.Unlock()
				return openPrefix(t, prefix)
			},
			Groups: groups,
		})
	})
}
