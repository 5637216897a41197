package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// allPragmas are the settings that New requires. The busy timeout is long, because SQLite grants
// its lock to waiting connections in no particular order, and the race detector makes each one
// slow.
const allPragmas = "?_pragma=busy_timeout(60000)&_pragma=journal_mode(WAL)" +
	"&_pragma=synchronous(FULL)&_txlock=immediate"

// handle opens a handle as a service does. It is closed when the test ends.
func handle(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// TestNewOnAHandle runs the suite on a service's own handle, in the parts that depend on
// connections.
func TestNewOnAHandle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	on := func(t *testing.T, path string) webhook.Store {
		t.Helper()
		s, err := sqlite.New(t.Context(), handle(t, "file:"+made(t, path)+allPragmas), sqlite.Config{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return &stored{s, path}
	}
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) webhook.Store { return on(t, filepath.Join(t.TempDir(), "shop.db")) },
		Reopen: func(t *testing.T, s webhook.Store) webhook.Store {
			require.NoError(t, s.(*stored).Close())
			return on(t, s.(*stored).path)
		},
		Begin: func(t *testing.T, s webhook.Store) storetest.CallerTx {
			return begin(t, s.(*stored).path)
		},
		Peer: func(t *testing.T, s webhook.Store) webhook.Store { return on(t, s.(*stored).path) },
		Groups: sqltest.Thoroughly([]string{"Claim", "Transactions", "Notifications", "Cancellation"},
			"Subscriptions", "Enqueue", "Settle", "Wrapped", "Concurrency", "Peers"),
	})
}

func TestNewNamesMissingSettings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ dsn, text string }{
		"no file": {":memory:", "for a store in memory use package memstore"},
		"no WAL":  {"shop.db?_pragma=busy_timeout(1000)", "_pragma=journal_mode(WAL)"},
		"not durable": {"shop.db?_pragma=busy_timeout(1000)&_pragma=journal_mode(WAL)" +
			"&_pragma=synchronous(NORMAL)", "_pragma=synchronous(FULL)"},
		"no busy timeout": {"shop.db?_pragma=journal_mode(WAL)", "_pragma=busy_timeout(10000)"},
		"no connections":  {"shop.db" + allPragmas, "call SetMaxOpenConns"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := tt.dsn
			if dsn != ":memory:" {
				dsn = "file:" + filepath.Join(t.TempDir(), dsn)
			}
			db := handle(t, dsn)
			if name == "no connections" {
				db.SetMaxOpenConns(1)
			}
			_, err := sqlite.New(t.Context(), db, sqlite.Config{})
			require.ErrorContains(t, err, tt.text)
		})
	}
	_, err := sqlite.New(t.Context(), nil, sqlite.Config{})
	require.ErrorContains(t, err, "the handle is nil")
	_, err = sqlite.New(t.Context(), handle(t, ":memory:"), sqlite.Config{Readers: 2})
	require.ErrorContains(t, err, "are for Open")
	_, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlite.Config{Readers: -1})
	require.ErrorContains(t, err, "must be positive")
}

// TestNewSeesSettingsOfOneConnection sets a pragma by a statement, which changes one connection of
// the handle. New must notice that other connections do not have it.
func TestNewSeesSettingsOfOneConnection(t *testing.T) {
	t.Parallel()
	db := handle(t, "file:"+filepath.Join(t.TempDir(), "shop.db")+"?_pragma=journal_mode(WAL)")
	_, err := db.ExecContext(t.Context(), "PRAGMA busy_timeout = 5000")
	require.NoError(t, err)
	_, err = sqlite.New(t.Context(), db, sqlite.Config{})
	require.ErrorContains(t, err, "set it for every connection")
}

func TestNewLeavesTheHandleOpen(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := handle(t, "file:"+filepath.Join(t.TempDir(), "shop.db")+allPragmas)
	db.SetMaxOpenConns(4)
	s, err := sqlite.New(ctx, db, sqlite.Config{})
	require.NoError(t, err)
	require.Same(t, db, s.DB())
	require.NoError(t, s.Ping(ctx))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing twice does nothing")
	require.Zero(t, db.Stats().InUse, "a closed store holds no connection")
	require.NoError(t, db.PingContext(ctx))
}

// TestDBOfAnOpenedStore emits in a transaction on the handle that Store.DB returns.
func TestDBOfAnOpenedStore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	for _, commit := range []bool{false, true} {
		tx, err := s.DB().BeginTx(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, errorOf(s.EnqueueTx(ctx, sqlite.Tx(tx), time.Now(),
			[]webhook.NewEvent{{ID: "evt_1", Type: "a.b", Payload: []byte(`{}`)}})))
		if commit {
			require.NoError(t, tx.Commit())
		} else {
			require.NoError(t, tx.Rollback())
		}
		all, err := s.Deliveries(ctx, webhook.DeliveryQuery{})
		require.NoError(t, err)
		require.Equal(t, commit, len(all) == 1)
	}
}
