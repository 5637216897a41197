package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
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
	holdTransaction(t, schemaDSN(t))

	l := &soak{t: t, db: db, s: s, seen: seen, now: time.Now()}
	for range 4 {
		l.retry(*soaked / 4)
		c := l.claimAfterRetries()
		t.Logf("%8d attempts: %s", l.delivered, c)
		assert.LessOrEqual(t, c.pages, 2000, "a claim reads what died in the last seconds only")
	}
	// The database counts in its own time.
	eventually(t, "the transaction keeps dead entries", func() bool { return l.deadRows() > 2**soaked })
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
		l.delivered += retryOnce(l.t, l.s, l.now)
	}
	_, err = l.db.ExecContext(ctx, "SET auto_explain.log_min_duration = 0")
	require.NoError(l.t, err)
}

// retryOnce emits events, claims what is due, extends the leases twice and lets each attempt fail that
// is not the third of its delivery. It returns how many attempts that were.
func retryOnce(t *testing.T, s webhook.Queue, now time.Time) int {
	t.Helper()
	ctx := t.Context()
	ids := make([]string, 16)
	for i := range ids {
		ids[i] = fmt.Sprint("evt_", now.UnixMicro(), "_", i)
	}
	_, err := s.Enqueue(ctx, now, newEvents(ids...), nil)
	require.NoError(t, err)
	tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
		Limit: 192, PerEndpoint: 48})
	require.NoError(t, err)
	leases := make([]webhook.Lease, len(tasks))
	settlements := make([]webhook.Settlement, len(tasks))
	for i, task := range tasks {
		leases[i] = task.Lease
		settlements[i] = webhook.Settlement{Lease: task.Lease, Status: webhook.StatusSucceeded,
			Attempt: &webhook.Attempt{StartedAt: now, StatusCode: 200, Response: "ok"}}
		if task.AttemptsSinceQueued < 2 {
			settlements[i].Status, settlements[i].DueAt = webhook.StatusPending, now.Add(5*time.Second)
			settlements[i].Attempt.StatusCode = 500
		}
	}
	for n := range 2 {
		lost, err := s.Extend(ctx, now.Add(time.Duration(n+2)*time.Minute), leases)
		require.NoError(t, err)
		require.Empty(t, lost)
	}
	refused, err := s.Settle(ctx, now, settlements)
	require.NoError(t, err)
	require.Empty(t, refused)
	return len(tasks)
}

// claimAfterRetries measures claims that find dead entries only: retry has left no delivery that is
// due already.
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

// TestLateCommitsBesideDeadEntries commits deliveries that are due earlier than where claims start
// because of dead entries.
func TestLateCommitsBesideDeadEntries(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := schemaDSN(t)
	s, other := open(t, dsn), open(t, dsn)
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	holdTransaction(t, dsn)

	now := time.Now()
	work := func(attempts int) {
		for n := 0; n < attempts; {
			now = now.Add(time.Second)
			n += retryOnce(t, s, now)
		}
	}
	// late returns what commits a transaction that has emitted an event, with more work since.
	late := func(id string) (commit func()) {
		tx, err := other.Pool().Begin(ctx)
		require.NoError(t, err)
		_, err = other.EnqueueTx(ctx, postgres.Tx(tx), now, newEvents(id))
		require.NoError(t, err)
		work(1000)
		return func() { require.NoError(t, tx.Commit(ctx)) }
	}
	// claim returns the task of the event. As long as the time stays the same, claims do not look again
	// where they have to start.
	claim := func(id string) *webhook.Task {
		tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
			Limit: 192, PerEndpoint: 192})
		require.NoError(t, err)
		for i := range tasks {
			if tasks[i].EventID == id {
				return &tasks[i]
			}
		}
		return nil
	}
	work(2000)

	commit := late("evt_unheard")
	commit()
	require.Nil(t, claim("evt_unheard"), "claims start after it")
	var task *webhook.Task
	eventually(t, "the process looks at all entries again", func() bool {
		now = now.Add(time.Second)
		task = claim("evt_unheard")
		return task != nil
	})

	work(500)
	refused, err := s.Settle(ctx, now, []webhook.Settlement{{Lease: task.Lease,
		Status: webhook.StatusPending, DueAt: task.DueAt}})
	require.NoError(t, err)
	require.Empty(t, refused)
	require.NotNil(t, claim("evt_unheard"), "what the process itself has requeued is found at once")

	commit = late("evt_notified")
	woken := make(chan struct{}, 1)
	listening, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Listen(listening, func() { woken <- struct{}{} }) }()
	<-woken
	go func() { // to the end
		for range woken {
		}
	}()
	work(1000) // since the notification that the listening has begun
	require.Nil(t, claim("evt_notified"))
	commit()
	eventually(t, "a notification says from when deliveries are due", func() bool {
		return claim("evt_notified") != nil
	})
	stop()
	require.NoError(t, <-ended)
	close(woken)

	work(500)
	now = now.Add(-time.Hour)
	_, err = other.Enqueue(ctx, now, newEvents("evt_earlier"), nil)
	require.NoError(t, err)
	require.NotNil(t, claim("evt_earlier"), "a clock that is set back")
}
