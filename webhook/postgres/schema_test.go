package postgres_test

import (
	"context"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

const (
	dsnEnv     = "WEBHOOKS_TEST_POSTGRES_DSN"
	defaultDSN = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"
)

// serverDSN is the URL of the server that the tests share.
func serverDSN() string {
	if dsn := os.Getenv(dsnEnv); dsn != "" {
		return dsn
	}
	return defaultDSN
}

// serverPool has the connections that make, clear and drop schemas.
var serverPool = sync.OnceValues(func() (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(context.Background(), serverDSN())
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(context.Background()); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
})

// server returns serverPool, or skips the test if there is no server.
func server(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := serverPool()
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("needs a PostgreSQL, which %s names: %v", dsnEnv, err)
	}
	require.NoError(t, err)
	return pool
}

func execOnServer(t testing.TB, statements string) {
	t.Helper()
	_, err := server(t).Exec(context.Background(), statements)
	require.NoError(t, err)
}

func newSchema(t testing.TB) string {
	t.Helper()
	schema := "t_" + strings.TrimPrefix(webhook.NewID(), "wh_")
	execOnServer(t, "CREATE SCHEMA "+schema)
	return schema
}

// schemaDSN makes an empty schema for the test, and returns the URL to connect to it.
func schemaDSN(t testing.TB) string {
	t.Helper()
	schema := newSchema(t)
	t.Cleanup(func() { execOnServer(t, "DROP SCHEMA "+schema+" CASCADE") })
	return withParameter(t, serverDSN(), "search_path", schema)
}

// tables is a schema with the tables of a store, all of them empty, and a pool for it.
type tables struct {
	schema, dsn string
	pool        *pgxpool.Pool
}

// freeTables are those that no test uses. Clearing the tables after a test takes a fraction of the
// time of making them, and connections that know the tables a fraction of that of new ones.
var freeTables struct {
	sync.Mutex
	all []tables
}

func takeFree() (taken tables, ok bool) {
	freeTables.Lock()
	defer freeTables.Unlock()
	last := len(freeTables.all) - 1
	if last < 0 {
		return tables{}, false
	}
	taken = freeTables.all[last]
	freeTables.all = freeTables.all[:last]
	return taken, true
}

// takeTables returns empty tables. The test must not change anything in the schema but the rows of
// these tables, and must leave no connection of the pool in use.
func takeTables(t testing.TB) tables {
	t.Helper()
	taken, ok := takeFree()
	if !ok {
		taken = makeTables(t)
	}
	t.Cleanup(func() {
		if t.Failed() {
			taken.pool.Close()
			execOnServer(t, "DROP SCHEMA "+taken.schema+" CASCADE")
			return
		}
		execOnServer(t, clearTables(taken.schema, sqlstore.DefaultTablePrefix))
		freeTables.Lock()
		defer freeTables.Unlock()
		freeTables.all = append(freeTables.all, taken)
	})
	return taken
}

func makeTables(t testing.TB) tables {
	t.Helper()
	schema := newSchema(t)
	execOnServer(t, "BEGIN; SET LOCAL search_path = "+schema+";"+migrations(t, "")+"COMMIT")
	dsn := withParameter(t, serverDSN(), "search_path", schema)
	pool, err := pgxpool.New(context.Background(), withParameter(t, dsn, "pool_max_conns", "3"))
	require.NoError(t, err)
	return tables{schema, dsn, pool}
}

// tablesDSN returns the URL of a schema that has the tables of a store, all of them empty. The test
// must not change anything in the schema but the rows of these tables.
func tablesDSN(t testing.TB) string {
	t.Helper()
	return takeTables(t).dsn
}

// migrations returns the statements that make the tables with the prefix.
func migrations(t testing.TB, prefix string) string {
	t.Helper()
	all, err := sqlstore.Migrations(sqlstore.PostgreSQL(), prefix)
	require.NoError(t, err)
	var statements strings.Builder
	for _, m := range all {
		statements.WriteString(m.SQL)
	}
	return statements.String()
}

// clearTables returns a statement that empties the tables with the prefix and restarts their
// sequences. DELETE is much faster than TRUNCATE for a few rows, but leaves dead rows behind.
func clearTables(schema, prefix string) string {
	return `DO $$ DECLARE r record; BEGIN
		FOR r IN SELECT oid, oid::regclass AS name, relkind FROM pg_class
			WHERE relnamespace = '` + schema + `'::regnamespace AND relkind IN ('r', 'S')
			AND starts_with(relname, '` + prefix + `') AND relname <> '` + prefix + `migrations'
		LOOP
			IF r.relkind = 'S' THEN
				PERFORM setval(r.oid, seqstart, false) FROM pg_sequence WHERE seqrelid = r.oid;
			ELSIF pg_relation_size(r.oid) > 65536 THEN
				EXECUTE 'TRUNCATE ' || r.name;
			ELSE
				EXECUTE 'DELETE FROM ' || r.name;
			END IF;
		END LOOP;
	END $$`
}

// dropTables drops the free tables and closes the connections to the server.
func dropTables() error {
	pool, err := serverPool()
	if err != nil {
		return nil // the tests were skipped
	}
	defer pool.Close()
	for taken, ok := takeFree(); ok; taken, ok = takeFree() {
		taken.pool.Close()
		if _, err := pool.Exec(context.Background(), "DROP SCHEMA "+taken.schema+" CASCADE"); err != nil {
			return err
		}
	}
	return nil
}

// withParameter adds a parameter to a URL.
func withParameter(t testing.TB, dsn, name, value string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// schemaOf returns the search_path of a URL.
func schemaOf(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	return u.Query().Get("search_path")
}
