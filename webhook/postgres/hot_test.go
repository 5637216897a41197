package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

// A delivery that succeeds at the first attempt leaves all indexes alone.
func TestSuccessTouchesNoIndex(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, schemaDSN(t))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	now := time.Now()
	const batches, size = 20, 100
	for n := range batches {
		ids := make([]string, size)
		for i := range ids {
			ids[i] = fmt.Sprintf("evt_%d_%d", n, i)
		}
		stored, err := s.Enqueue(ctx, now, newEvents(ids...), &webhook.Prefetch{
			Until: now.Add(time.Minute),
			Take:  func(string, webhook.Endpoint) bool { return true },
		})
		require.NoError(t, err)
		require.Len(t, stored.Tasks, size)
		settlements := make([]webhook.Settlement, size)
		for i, task := range stored.Tasks {
			settlements[i] = webhook.Settlement{Lease: task.Lease, Status: webhook.StatusSucceeded,
				Attempt: &webhook.Attempt{StartedAt: now, Duration: time.Millisecond, StatusCode: 200,
					Response: `{"ok":true}`}}
		}
		refused, err := s.Settle(ctx, now, settlements)
		require.NoError(t, err)
		require.Empty(t, refused)
	}
	for _, index := range []string{"queue", "dead", "kept"} {
		pages := queryAt[int](t, s.dsn, `SELECT pg_relation_size('webhooks_deliveries_`+index+`') / 8192`)
		assert.Equal(t, 1, pages, "the index %s has nothing but its first page", index)
	}
	// The database counts in its own time, at the latest when a connection ends.
	require.NoError(t, s.Close())
	var updated, hot int
	eventually(t, "the database counts the updates", func() bool {
		conn, err := pgx.Connect(ctx, s.dsn)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(ctx)) }()
		require.NoError(t, conn.QueryRow(ctx, `SELECT n_tup_upd, n_tup_hot_upd
			FROM pg_stat_user_tables WHERE relid = 'webhooks_deliveries'::regclass`).Scan(&updated, &hot))
		return updated == batches*size
	})
	t.Logf("%d of %d updates left the indexes alone", hot, updated)
	assert.GreaterOrEqual(t, hot, updated*95/100, "the new version of a row stands on its page")
}

// Heartbeats leave the index alone, unless a transaction of the database stays open.
func TestHeartbeatsTouchNoIndex(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	ctx := t.Context()
	s := open(t, databaseDSN(t)) // others have transactions open in theirs
	now := time.Now()
	const processes, beats = 4, 60
	for n := range beats {
		for i := range processes {
			require.NoError(t, s.PutProcess(ctx, now.Add(time.Duration(n)*webhook.HeartbeatInterval),
				webhook.Process{ID: fmt.Sprint("process ", i), Name: "web-1/17", StartedAt: now, InFlight: n,
					LastClaim: now}))
		}
	}
	require.NoError(t, s.Close())
	const of = ` FROM pg_stat_user_tables WHERE relid = 'webhooks_processes'::regclass`
	// The database counts in its own time.
	eventually(t, "the database counts the updates", func() bool {
		return queryAt[int](t, s.dsn, `SELECT n_tup_upd`+of) == processes*(beats-1)
	})
	hot := queryAt[int](t, s.dsn, `SELECT n_tup_hot_upd`+of)
	t.Logf("%d of %d updates left the index alone", hot, processes*(beats-1))
	assert.GreaterOrEqual(t, hot, processes*(beats-1)*9/10)
}
