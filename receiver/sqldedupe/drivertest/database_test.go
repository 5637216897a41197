package drivertest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/sqldedupe"
)

const defaultDSN = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"

// database is an empty database. open opens another handle of it.
type database struct {
	*sql.DB
	dialect sqldedupe.Dialect
	open    func() *sql.DB
}

// each runs the test against every database.
func each(t *testing.T, test func(t *testing.T, db database)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, openSQLite(t))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, openPostgreSQL(t))
	})
}

func openSQLite(t *testing.T) database {
	t.Helper()
	path := filepath.Join(t.TempDir(), "receiver.db")
	open := func() *sql.DB {
		db, err := sql.Open("sqlite",
			"file:"+path+"?_pragma=journal_mode(wal)&_pragma=busy_timeout(10000)"+
				"&_pragma=synchronous(off)&_txlock=immediate")
		require.NoError(t, err)
		// SQLite has one writer at a time. More connections would poll for their turn.
		db.SetMaxOpenConns(1)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return db
	}
	return database{DB: open(), dialect: sqldedupe.SQLite(), open: open}
}

func openPostgreSQL(t *testing.T) database {
	t.Helper()
	dsn := os.Getenv("WEBHOOKS_TEST_POSTGRES_DSN")
	if dsn == "" {
		dsn = defaultDSN
	}
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	config.ConnectTimeout = 5 * time.Second
	admin := stdlib.OpenDB(*config)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	if err := admin.PingContext(t.Context()); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no PostgreSQL, which CI=true requires; set WEBHOOKS_TEST_POSTGRES_DSN: %v", err)
		}
		t.Skip("no PostgreSQL at WEBHOOKS_TEST_POSTGRES_DSN or the default address")
	}
	schema := "receiver_test_" + strings.ToLower(receiver.NewToken().String())
	_, err = admin.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
		require.NoError(t, err)
	})
	config = config.Copy()
	config.RuntimeParams["search_path"] = schema
	open := func() *sql.DB {
		db := stdlib.OpenDB(*config)
		db.SetMaxOpenConns(4)
		db.SetMaxIdleConns(4)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return db
	}
	return database{DB: open(), dialect: sqldedupe.PostgreSQL(), open: open}
}

// dedupe returns a Dedupe with its table.
func (d database) dedupe(t *testing.T) *sqldedupe.Dedupe {
	t.Helper()
	store, err := sqldedupe.NewDedupe(d.DB, d.dialect, sqldedupe.Config{})
	require.NoError(t, err)
	require.NoError(t, store.CreateTable(t.Context()))
	return store
}

// exec runs a statement of a test.
func (d database) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := d.ExecContext(t.Context(), query, args...)
	require.NoError(t, err)
}

// number reads one number.
func (d database) number(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, d.QueryRowContext(t.Context(), query, args...).Scan(&n),
		fmt.Sprint(query, args))
	return n
}
