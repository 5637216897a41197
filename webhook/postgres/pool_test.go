package postgres_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// queries counts the queries of a pool.
type queries struct{ n atomic.Int64 }

func (q *queries) TraceQueryStart(
	ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData,
) context.Context {
	q.n.Add(1)
	return ctx
}

func (*queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// newPool makes a pool as a service does for its own use.
func newPool(t testing.TB, dsn string, change func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	config.MaxConns = 3
	if change != nil {
		change(config)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// TestStoreOpened runs what depends on the connections on those of the store. With -whole it runs the
// whole suite.
func TestStoreOpened(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	storetest.Run(t, harness(func(t *testing.T) webhook.Store { return open(t, tablesDSN(t)) },
		connectionGroups()))
}

func TestNewUsesThePoolAsItIs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	var traced queries
	pool := newPool(t, schemaDSN(t), func(c *pgxpool.Config) { c.ConnConfig.Tracer = &traced })
	s, err := postgres.New(ctx, pool, postgres.Config{})
	require.NoError(t, err)
	require.Same(t, pool, s.Pool())
	before := traced.n.Load()
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	require.Greater(t, traced.n.Load(), before, "the caller's tracer sees the queries of the store")
	require.NoError(t, s.Close())
	require.NoError(t, pool.Ping(ctx), "closing the store leaves the caller's pool open")

	_, err = postgres.New(ctx, nil, postgres.Config{})
	require.ErrorContains(t, err, "the pool is nil")
	_, err = postgres.New(ctx, pool, postgres.Config{MaxConns: 2})
	require.ErrorContains(t, err, "set MaxConns of the pool's configuration")
}

// TestNothingLeaksIntoAPool checks every connection of a shared pool after the store has used it,
// in a transaction of another part of the program.
func TestNothingLeaksIntoAPool(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := schemaDSN(t)
	pool := newPool(t, dsn, nil)
	settings := []string{
		"enable_seqscan", "plan_cache_mode", "jit", "idle_in_transaction_session_timeout",
		"statement_timeout", "lock_timeout", "search_path", "transaction_isolation",
	}
	show := func(tx pgx.Tx) (values []string) {
		for _, name := range settings {
			var value string
			require.NoError(t, tx.QueryRow(ctx, "SHOW "+name).Scan(&value))
			values = append(values, name+"="+value)
		}
		return values
	}
	fresh, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, fresh.Close(context.Background())) })
	tx, err := fresh.Begin(ctx)
	require.NoError(t, err)
	want := show(tx)
	require.NoError(t, tx.Rollback(ctx))

	s, err := postgres.New(ctx, pool, postgres.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	value, err := s.Setting(ctx, "enable_seqscan")
	require.NoError(t, err)
	require.Equal(t, "off", value, "the store's own transactions have its settings")

	var txs []pgx.Tx
	for range pool.Config().MaxConns {
		now := time.Now()
		_, err := s.Enqueue(ctx, now, newEvents(webhook.NewID()), nil)
		require.NoError(t, err)
		tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
			Limit: 1, PerEndpoint: 1})
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		_, err = s.Deliveries(ctx, webhook.DeliveryQuery{})
		require.NoError(t, err)
		// This transaction keeps its connection, so the store uses the others from now on.
		tx, err := pool.Begin(ctx)
		require.NoError(t, err)
		txs = append(txs, tx)
		require.Equal(t, want, show(tx),
			"a transaction on the same pool has none of the store's settings")
	}
	for _, tx := range txs {
		require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(),
			newEvents(webhook.NewID()))))
		require.Equal(t, want, show(tx), "EnqueueTx does not change the settings of the transaction")
		require.NoError(t, tx.Rollback(ctx))
	}
	for range txs {
		var state string
		require.NoError(t, pool.QueryRow(ctx, connectionState).Scan(&state))
		require.Empty(t, state)
	}
}

// connectionState lists what earlier uses of a connection to the server can have left on it, except
// prepared statements, which pgx manages.
const connectionState = `SELECT coalesce(string_agg(what, ', ' ORDER BY what), '') FROM (
	SELECT name || ' = ' || setting FROM pg_settings WHERE source = 'session'
	UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory'
		AND pid = pg_backend_pid()
	UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
	UNION ALL SELECT 'channel ' || c FROM pg_listening_channels() c
) found (what)`

func TestOpenRefusesAnEmptyConnectionString(t *testing.T) {
	t.Parallel()
	for _, empty := range []string{"", " \n"} {
		_, err := postgres.Open(t.Context(), empty, postgres.Config{})
		require.ErrorContains(t, err, "the connection string is empty: give one such as postgres://")
	}
	_, err := postgres.Open(t.Context(), defaultDSN, postgres.Config{MaxConns: -1})
	require.ErrorContains(t, err, "MaxConns must be at least 1")
}

func TestPing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	p, dsn := proxied(t, schemaDSN(t))
	s := open(t, dsn)
	require.NoError(t, s.Ping(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	p.set(vanished)
	require.Error(t, s.Ping(ctx), "Ping fails if the server does not answer")
	p.set(closed)
}
