//go:build unix

package postgres_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// dropTables returns a statement that drops what has the prefix.
func dropTables(prefix string) string {
	return `DO $$ DECLARE r record; BEGIN
		FOR r IN SELECT relname, relkind FROM pg_class WHERE relkind IN ('r', 'S')
			AND starts_with(relname, '` + prefix + `')
			AND relnamespace = current_schema()::regnamespace ORDER BY relkind DESC
		LOOP
			EXECUTE format(CASE r.relkind WHEN 'r' THEN 'DROP TABLE IF EXISTS %I CASCADE'
				ELSE 'DROP SEQUENCE IF EXISTS %I CASCADE' END, r.relname);
		END LOOP;
	END $$`
}

// TestPgBouncerWithSQLStore runs what depends on the connections on a service's own handle, which
// prepares nothing by name, where all connections are handed round.
func TestPgBouncerWithSQLStore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	dsn := schemaDSN(t)
	pooled := bouncer(t, dsn, "transaction")
	db, err := sql.Open("pgx", withParameter(t, pooled, "default_query_exec_mode", "exec"))
	require.NoError(t, err)
	db.SetMaxOpenConns(10)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	prefixes := make(map[webhook.Store]string)
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
	// Not a parallel test of its own, because the handle is closed after it.
	t.Run("Suite", func(t *testing.T) {
		storetest.Run(t, storetest.Harness{
			New: func(t *testing.T) webhook.Store {
				t.Helper()
				prefix := "p" + strings.TrimPrefix(webhook.NewID(), "wh_") + "_"
				// Not all at the end: the server can lock only so many tables at once.
				t.Cleanup(func() { execAt(t, dsn, dropTables(prefix)) })
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
			Groups: []string{
				"Enqueue", "Claim", "Settle", "Transactions", "Cancellation", "Concurrency",
			},
		})
	})
}
