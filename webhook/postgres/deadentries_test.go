package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

// TestClaimsBesideDeadEntries retries deliveries and extends their leases while a transaction
// elsewhere stays open, so that each claim, extension and retry leaves a dead entry in the index of the
// queue. For more of them:
//
//	go test ./webhook/postgres -run TestClaimsBesideDeadEntries -v -soak.deliveries 200000
func TestClaimsBesideDeadEntries(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	db, s, seen := explainedStore(t)
	db.SetMaxOpenConns(1) // which has the settings
	_, err := db.ExecContext(ctx, "SET auto_explain.log_buffers = on")
	require.NoError(t, err)
	for range 4 {
		require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	}
	holder, err := pgx.Connect(ctx, schemaDSN(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, holder.Close(context.Background())) }()
	_, err = holder.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
	require.NoError(t, err)

	l := &soak{t: t, db: db, s: s, seen: seen, now: time.Now()}
	var c claimed
	for range 4 {
		l.retry(*soaked / 4)
		c = l.claimAfterRetries()
		t.Logf("%8d attempts: %s", l.delivered, c)
		assert.LessOrEqual(t, c.pages, c.dead, "what a claim reads of each dead entry")
	}
	assert.Greater(t, c.dead, 2**soaked, "the transaction keeps dead entries")
}

// retry attempts deliveries that fail twice and then succeed, and whose leases are extended twice for
// each attempt.
func (l *soak) retry(attempts int) {
	l.t.Helper()
	ctx := l.t.Context()
	_, err := l.db.ExecContext(ctx, "SET auto_explain.log_min_duration = -1")
	require.NoError(l.t, err)
	for end := l.delivered + attempts; l.delivered < end; {
		l.now = l.now.Add(time.Second)
		ids := make([]string, 16) // each for four endpoints
		for i := range ids {
			ids[i] = fmt.Sprint("evt_", l.delivered+i)
		}
		_, err := l.s.Enqueue(ctx, l.now, newEvents(ids...), nil)
		require.NoError(l.t, err)
		tasks, err := l.s.Claim(ctx, l.now, webhook.ClaimRequest{Until: l.now.Add(time.Minute),
			Limit: 192, PerEndpoint: 48})
		require.NoError(l.t, err)
		leases := make([]webhook.Lease, len(tasks))
		settlements := make([]webhook.Settlement, len(tasks))
		for i, task := range tasks {
			leases[i] = task.Lease
			settlements[i] = webhook.Settlement{Lease: task.Lease, Status: webhook.StatusSucceeded,
				Attempt: &webhook.Attempt{StartedAt: l.now, StatusCode: 200, Response: "ok"}}
			if task.AttemptsSinceQueued < 2 {
				settlements[i].Status, settlements[i].DueAt = webhook.StatusPending, l.now.Add(5*time.Second)
				settlements[i].Attempt.StatusCode = 500
			}
		}
		for n := range 2 {
			lost, err := l.s.Extend(ctx, l.now.Add(time.Duration(n+2)*time.Minute), leases)
			require.NoError(l.t, err)
			require.Empty(l.t, lost)
		}
		refused, err := l.s.Settle(ctx, l.now, settlements)
		require.NoError(l.t, err)
		require.Empty(l.t, refused)
		l.delivered += len(tasks)
	}
	_, err = l.db.ExecContext(ctx, "SET auto_explain.log_min_duration = 0")
	require.NoError(l.t, err)
}

// claimAfterRetries measures claims beside what retry left: all deliveries that it has not delivered
// yet are due later.
func (l *soak) claimAfterRetries() claimed {
	l.t.Helper()
	took := make([]time.Duration, 20)
	pages := make([]int, len(took))
	for i := range took {
		took[i], pages[i] = l.claimOnce(0)
	}
	slices.Sort(took)
	slices.Sort(pages)
	return claimed{pages: pages[len(pages)/2], p50: took[len(took)/2], p99: took[len(took)-1],
		dead: l.deadRows()}
}

// deadRows is how many versions of deliveries PostgreSQL cannot remove. Each has entries in the
// indexes, those of the queue for as long as it was in the queue.
func (l *soak) deadRows() (dead int) {
	l.t.Helper()
	ctx := l.t.Context()
	_, err := l.db.ExecContext(ctx, "ANALYZE webhooks_deliveries") // which counts them
	require.NoError(l.t, err)
	require.NoError(l.t, l.db.QueryRowContext(ctx, `SELECT n_dead_tup FROM pg_stat_user_tables
		WHERE relid = 'webhooks_deliveries'::regclass`).Scan(&dead))
	return dead
}
