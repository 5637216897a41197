//go:build unix

package postgres_test

import (
	"context"
	"errors"
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

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// pgBouncer is a running PgBouncer. It has a database for each schema that a test connects to,
// because it refuses search_path: the schema is set when it connects to the server.
type pgBouncer struct {
	dir string // of the configuration and the socket

	mu      sync.Mutex
	schemas map[string]bool
}

// newBouncer starts a PgBouncer. The mode is the value of pool_mode.
func newBouncer(t testing.TB, mode string, settings ...string) *pgBouncer {
	t.Helper()
	binary, err := exec.LookPath("pgbouncer")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no pgbouncer, which CI=true requires: install it")
		}
		t.Skip("pgbouncer is not installed: the store is not tested behind a pooler in transaction mode")
	}
	// PgBouncer does not run as root. Its user must reach the directory, and the name of the socket
	// must be short.
	dir, err := os.MkdirTemp("", "webhooks-pb-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	b := &pgBouncer{dir: dir, schemas: make(map[string]bool)}
	text := "[pgbouncer]\n" + strings.Join(append([]string{
		"unix_socket_dir = " + dir, "listen_port = 6432", "auth_type = any", "pool_mode = " + mode,
		"admin_users = app",
		"max_client_conn = 200",
	}, settings...), "\n") + "\n[databases]\n"
	require.NoError(t, os.WriteFile(b.config(), []byte(text), 0o600))
	giveToServer(t, b.config())
	giveToServer(t, dir)
	cmd := exec.Command(binary, b.config())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: serverUser(t), Setpgid: true}
	var log lockedBuffer
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	eventually(t, "PgBouncer must start", func() bool { return b.reload() == nil })
	return b
}

func (b *pgBouncer) config() string { return filepath.Join(b.dir, "pgbouncer.ini") }

// url returns the URL of one of its databases.
func (b *pgBouncer) url(database string) string {
	through := url.URL{Scheme: "postgres", User: url.User("app"), Path: "/" + database,
		RawQuery: url.Values{"host": {b.dir}, "port": {"6432"}, "sslmode": {"disable"}}.Encode()}
	return through.String()
}

// reload makes PgBouncer read its configuration again.
func (b *pgBouncer) reload() error {
	ctx := context.Background()
	console, err := pgx.Connect(ctx, b.url("pgbouncer"))
	if err != nil {
		return err
	}
	_, err = console.Exec(ctx, "RELOAD", pgx.QueryExecModeSimpleProtocol)
	return errors.Join(err, console.Close(ctx))
}

// through returns the URL that leads through PgBouncer to the server and schema of a URL.
func (b *pgBouncer) through(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	schema := schemaOf(t, dsn)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.schemas[schema] {
		return b.url(schema)
	}
	host, port, err := net.SplitHostPort(u.Host)
	require.NoError(t, err)
	login := "user=" + u.User.Username()
	if password, ok := u.User.Password(); ok {
		login += " password=" + password
	}
	config, err := os.OpenFile(b.config(), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprintf(config,
		"%s = host=%s port=%s dbname=%s %s connect_query='SET search_path = %s'\n",
		schema, host, port, u.Path[1:], login, schema)
	require.NoError(t, err)
	require.NoError(t, config.Close())
	require.NoError(t, b.reload())
	b.schemas[schema] = true
	return b.url(schema)
}

// bouncer starts a PgBouncer for one URL, and returns the URL that leads through it.
func bouncer(t testing.TB, dsn, mode string, settings ...string) string {
	t.Helper()
	return newBouncer(t, mode, settings...).through(t, dsn)
}

// TestStoreBehindPgBouncer runs what depends on the connections where every transaction may get
// another connection to the server. With -whole it runs the whole suite.
func TestStoreBehindPgBouncer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	// Connections that are no longer used must not take up the server's.
	b := newBouncer(t, "transaction", "server_idle_timeout = 2")
	storetest.Run(t, harness(func(t *testing.T) webhook.Store {
		s := open(t, b.through(t, tablesDSN(t)))
		s.SetListenPatience(time.Second, time.Second) // no notification arrives
		return s
	}, connectionGroups()))
}

// sessionState lists everything that the previous user of a connection to the server can have left
// on it: settings, prepared statements, locks, temporary tables, channels.
const sessionState = `SELECT coalesce(string_agg(what, ', ' ORDER BY what), '') FROM (
	SELECT name || ' = ' || setting FROM pg_settings WHERE source = 'session' AND name <> 'search_path'
	UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements
	UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory'
		AND pid = pg_backend_pid()
	UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
	UNION ALL SELECT 'channel ' || c FROM pg_listening_channels() c
) found (what)`

// TestPgBouncerLeavesNothingBehind checks the only connection to the server after a service has
// used it.
func TestPgBouncerLeavesNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := bouncer(t, schemaDSN(t), "transaction", "default_pool_size = 1")
	other, err := pgx.Connect(ctx, withParameter(t, dsn, "default_query_exec_mode", "exec"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, other.Close(context.Background())) })
	state := func() (pid int, found string) {
		require.NoError(t, other.QueryRow(ctx, "SELECT pg_backend_pid(), ("+sessionState+")").Scan(&pid,
			&found))
		return pid, found
	}
	one, before := state()
	assert.Empty(t, before)

	s := open(t, dsn)
	value, err := s.Setting(ctx, idle)
	require.NoError(t, err)
	assert.Equal(t, "10s", value)
	value, err = s.Setting(ctx, "enable_seqscan")
	require.NoError(t, err)
	assert.Equal(t, "off", value)
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	now := time.Now()
	for range 3 {
		_, err = s.Enqueue(ctx, now, newEvents(webhook.NewID()), nil)
		require.NoError(t, err)
		_, err = s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 1,
			PerEndpoint: 1})
		require.NoError(t, err)
	}
	require.Len(t, eventIDs(t, s), 3)
	require.ErrorIs(t, s.Listen(ctx, func() { t.Error("no notification can arrive") }),
		postgres.ErrNoNotifications)

	same, after := state()
	assert.Equal(t, one, same, "all clients share one connection")
	assert.Empty(t, after)
}

// TestDispatcherBehindPgBouncer emits with two Dispatchers and in transactions of the caller. The
// Dispatchers find all deliveries by polling.
func TestDispatcherBehindPgBouncer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	at := schemaDSN(t)
	dsn := bouncer(t, at, "transaction", "default_pool_size = 5")
	l := startLoad(t, dsn, at)
	for _, mode := range []string{"exec", "simple_protocol", "cache_describe", "describe_exec"} {
		l.progress()
		emitTx(t, l, withParameter(t, dsn, "default_query_exec_mode", mode))
	}
	l.finish()
	assert.Empty(t, l.refusals())
}

// emitTx emits in a transaction on the caller's own connection.
func emitTx(t testing.TB, l *load, dsn string) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace = "acme"
	require.NoError(t, errorOf(l.dispatcher(dsn).EmitTx(ctx, postgres.Tx(tx), e)))
	l.mu.Lock()
	l.accepted[e.ID] = true
	l.mu.Unlock()
	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, conn.Close(ctx))
}

// TestListeningBehindPgBouncer listens in transaction mode and in session mode.
func TestListeningBehindPgBouncer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	at := schemaDSN(t)
	for _, settings := range []string{"default_pool_size = 1", "default_pool_size = 20",
		"server_round_robin = 1"} {
		s := open(t, bouncer(t, at, "transaction", settings))
		s.SetListenPatience(time.Minute, 100*time.Millisecond)
		err := s.Listen(ctx, func() { t.Error("no notification can arrive") })
		require.ErrorIs(t, err, postgres.ErrNoNotifications)
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}

	s := open(t, bouncer(t, at, "session"))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	listenCtx, stop := context.WithCancel(ctx)
	woken := make(chan struct{}, 8)
	ended := make(chan error, 1)
	go func() { ended <- s.Listen(listenCtx, func() { woken <- struct{}{} }) }()
	<-woken
	_, err := s.Enqueue(ctx, time.Now(), newEvents("evt_1"), nil)
	require.NoError(t, err)
	<-woken
	stop()
	require.NoError(t, <-ended)
}

// TestPgBouncerIsAskedTooMuch opens stores with settings that PgBouncer does not support.
func TestPgBouncerIsAskedTooMuch(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	at := schemaDSN(t)
	dsn := bouncer(t, at, "transaction", "default_pool_size = 1")
	_, err := postgres.Open(t.Context(), withParameter(t, dsn, "search_path", "public"),
		postgres.Config{})
	require.ErrorIs(t, err, postgres.ErrPooler)
	assert.ErrorContains(t, err, "ALTER ROLE")
	assert.ErrorContains(t, err, "search_path")

	ignores := bouncer(t, at, "transaction", "ignore_startup_parameters = search_path")
	_, err = postgres.Open(t.Context(), withParameter(t, ignores, "search_path", "public"),
		postgres.Config{})
	require.ErrorIs(t, err, postgres.ErrPooler, "otherwise the tables would be made in another schema")
	assert.ErrorContains(t, err, "ALTER ROLE")

	prepares := withParameter(t, dsn, "default_query_exec_mode", "cache_statement")
	for range 2 {
		var s *postgres.Store
		if s, err = postgres.Open(t.Context(), prepares, postgres.Config{}); err == nil {
			t.Cleanup(func() { assert.NoError(t, s.Close()) })
		}
	}
	require.ErrorIs(t, err, postgres.ErrPooler)
	assert.ErrorContains(t, err, "max_prepared_statements")
}

// TestExecModes connects directly, in each mode of running statements that a pooler may require.
func TestExecModes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec",
		"simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := open(t, withParameter(t, tablesDSN(t), "default_query_exec_mode", mode))
			require.NoError(t, s.CreateSubscription(t.Context(), sqltest.NewSubscription(), webhook.Quota{}))
			now := time.Now()
			_, err := s.Enqueue(t.Context(), now, newEvents("evt_1", "evt_2"), nil)
			require.NoError(t, err)
			tasks, err := s.Claim(t.Context(), now,
				webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 2, PerEndpoint: 2})
			require.NoError(t, err)
			require.Len(t, tasks, 2)
			require.Equal(t, []string{"evt_2", "evt_1"}, eventIDs(t, s))
		})
	}
}
