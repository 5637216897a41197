package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// bouncer starts a PgBouncer before the server of the URL, and returns how to
// connect to it. The schema of the URL is that of its connections.
func bouncer(t *testing.T, dsn, mode string) string {
	t.Helper()
	binary, err := exec.LookPath("pgbouncer")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("needs PgBouncer: %v", err)
	}
	require.NoError(t, err)
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	// A role that finds the schema: PgBouncer takes no search_path.
	schema := u.Query().Get("search_path")
	user, password := "bouncer_"+schema, webhook.NewID()
	execAt(t, dsn, "CREATE ROLE "+user+" SUPERUSER LOGIN PASSWORD '"+password+"'", "ALTER ROLE "+user+" SET search_path TO "+schema)
	t.Cleanup(func() { execAt(t, dsn, "DROP OWNED BY "+user, "DROP ROLE "+user) })
	config := fmt.Sprintf(`[databases]
pooled = host=%s port=%s dbname=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = 10
ignore_startup_parameters = extra_float_digits
`, u.Hostname(), u.Port(), strings.TrimPrefix(u.Path, "/"), user, password, port, mode)
	dir, err := os.MkdirTemp("", "bouncer") // a directory that its user may enter
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // nothing secret is in it
	path := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o644)) //nolint:gosec // as above

	var said strings.Builder
	cmd := exec.Command(binary, path)
	cmd.Stdout, cmd.Stderr = &said, &said
	if os.Getuid() == 0 { // it refuses to be root
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	pooled := fmt.Sprintf("postgres://%s@127.0.0.1:%d/pooled?sslmode=disable", user, port)
	eventually(t, "PgBouncer does not answer", func() bool {
		config, err := pgx.ParseConfig(pooled)
		require.NoError(t, err)
		config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
		conn, err := pgx.ConnectConfig(context.Background(), config)
		if err != nil {
			return false
		}
		return conn.Close(context.Background()) == nil
	})
	return pooled
}

// leftBehind returns a setting of each connection that PgBouncer has.
func leftBehind(t *testing.T, pooled, name string) string {
	t.Helper()
	db, err := sql.Open("pgx", pooled+"&default_query_exec_mode=simple_protocol")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var values []string
	for range 5 {
		tx, err := db.BeginTx(t.Context(), nil) // all at once, so that each has a connection
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback()) }()
		var value string
		require.NoError(t, tx.QueryRowContext(t.Context(), "SELECT current_setting('"+name+"')").Scan(&value))
		values = append(values, value)
	}
	return strings.Join(values, " ")
}

func TestPgBouncerTransactionMode(t *testing.T) {
	t.Parallel()
	pooled := bouncer(t, schemaDSN(t), "transaction")
	for range 3 {
		_, err := postgres.Open(t.Context(), pooled, postgres.Config{})
		require.ErrorIs(t, err, postgres.ErrPooler)
		require.ErrorContains(t, err, "pool_mode=session", "the error names the remedy")
	}
	assert.Equal(t, "on on on on on", leftBehind(t, pooled, "enable_seqscan"), "no setting is left to other programs")
}

func TestPgBouncerSessionMode(t *testing.T) {
	t.Parallel()
	pooled := bouncer(t, schemaDSN(t), "session")
	for range 2 {
		s := open(t, pooled)
		require.NoError(t, s.CreateWebhook(t.Context(), newWebhook(), webhook.Quota{}))
		_, err := s.Enqueue(t.Context(), time.Now(), newEvents("evt_1"), nil)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		woken, ended := make(chan struct{}, 8), make(chan error, 1)
		go func() { ended <- s.Listen(ctx, func() { woken <- struct{}{} }) }()
		<-woken
		_, err = s.Enqueue(t.Context(), time.Now(), newEvents(webhook.NewID()), nil)
		require.NoError(t, err)
		<-woken
		stop()
		require.NoError(t, <-ended)
	}
}

// dropTables returns a statement that drops what has the prefix.
func dropTables(prefix string) string {
	return `DO $$ DECLARE r record; BEGIN
		FOR r IN SELECT relname, relkind FROM pg_class WHERE relkind IN ('r', 'S') AND starts_with(relname, '` + prefix + `')
			AND relnamespace = current_schema()::regnamespace ORDER BY relkind DESC
		LOOP
			EXECUTE format(CASE r.relkind WHEN 'r' THEN 'DROP TABLE IF EXISTS %I CASCADE' ELSE 'DROP SEQUENCE IF EXISTS %I CASCADE' END, r.relname);
		END LOOP;
	END $$`
}

// TestPgBouncerWithSQLStore runs the contract on what the documentation says to
// do where all connections are handed round.
func TestPgBouncerWithSQLStore(t *testing.T) {
	t.Parallel()
	dsn := schemaDSN(t)
	pooled := bouncer(t, dsn, "transaction")
	db, err := sql.Open("pgx", pooled+"&default_query_exec_mode=exec")
	require.NoError(t, err)
	db.SetMaxOpenConns(10)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	prefixes := make(map[webhook.Store]string)
	var mu sync.Mutex
	openPrefix := func(t *testing.T, prefix string) webhook.Store {
		t.Helper()
		s, err := sqlstore.New(t.Context(), db, sqlstore.PostgreSQL(), sqlstore.Config{TablePrefix: prefix})
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
			Peer: func(t *testing.T, s webhook.Store) webhook.Store {
				t.Helper()
				mu.Lock()
				prefix := prefixes[s]
				mu.Unlock()
				return openPrefix(t, prefix)
			},
		})
	})
}
