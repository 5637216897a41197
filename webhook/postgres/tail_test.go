package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// tailed returns the ids of the events after a position, the next position, and since when records
// are kept back.
func tailed(
	t testing.TB, s webhook.Store, after webhook.Position,
) (ids []string, next webhook.Position, held time.Time) {
	t.Helper()
	ids = []string{}
	for q := (webhook.TailQuery{After: after, WithoutPayload: true}); ; {
		page, err := s.Capabilities().Tail.Tail(t.Context(), q)
		require.NoError(t, err)
		for _, r := range page.Records {
			ids = append(ids, r.Delivery.EventID)
		}
		if q.After = page.Next; !page.More {
			return ids, page.Next, page.HeldSince
		}
	}
}

// connect opens a connection of a caller.
func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func enqueueTx(t testing.TB, s *stored, tx pgx.Tx, ids ...string) {
	t.Helper()
	require.NoError(t, errorOf(s.EnqueueTx(t.Context(), postgres.Tx(tx), time.Now(),
		newEvents(ids...))))
}

func enqueue(t testing.TB, s webhook.Store, ids ...string) {
	t.Helper()
	require.NoError(t, errorOf(s.Enqueue(t.Context(), time.Now(), newEvents(ids...), nil)))
}

// TestTailWaitsForAnOpenTransaction reads while a caller's transaction is open that has ids below
// those of events that were committed.
func TestTailWaitsForAnOpenTransaction(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"commit", "rollback", "lost connection"} {
		t.Run(end, func(t *testing.T) {
			if testing.Short() && end != "commit" {
				t.Skip("takes a part of a second of the server's CPU time")
			}
			t.Parallel()
			ctx := t.Context()
			dsn := tablesDSN(t)
			s, peer := open(t, dsn), open(t, dsn)
			require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
			enqueue(t, s, "evt_0")
			began := time.Now().Add(-time.Second)
			late, early := connect(t, dsn), connect(t, dsn)
			lateTx, err := late.Begin(ctx)
			require.NoError(t, err)
			enqueueTx(t, s, lateTx, "evt_late")
			earlyTx, err := early.Begin(ctx)
			require.NoError(t, err)
			enqueueTx(t, s, earlyTx, "evt_early")
			require.NoError(t, earlyTx.Commit(ctx))
			enqueue(t, peer, "evt_peer")

			for _, reader := range []webhook.Store{s, peer, open(t, dsn)} {
				got, next, held := tailed(t, reader, 0)
				require.Equal(t, []string{"evt_0"}, got, "records behind the open transaction are kept back")
				require.WithinRange(t, held, began, time.Now().Add(time.Second),
					"a page says since when the transaction is open")
				news, err := reader.Capabilities().Tail.TailNews(ctx, next)
				require.NoError(t, err)
				require.Empty(t, news.Subscriptions)
				require.Equal(t, held, news.HeldSince)
			}
			_, next, _ := tailed(t, s, 0)
			want := []string{"evt_early", "evt_peer"}
			switch end {
			case "commit":
				require.NoError(t, lateTx.Commit(ctx))
				want = slices.Insert(want, 0, "evt_late")
			case "rollback":
				require.NoError(t, lateTx.Rollback(ctx))
			default:
				require.NoError(t, late.PgConn().Conn().Close())
				eventually(t, "the server notices", func() bool {
					_, _, held := tailed(t, s, 0)
					return held.IsZero()
				})
			}
			for _, reader := range []webhook.Store{s, peer, open(t, dsn)} {
				got, _, held := tailed(t, reader, next)
				require.Equal(t, want, got)
				require.Zero(t, held)
			}
		})
	}
}

// TestTailOfSavepoints emits before and after a transaction goes back to a savepoint.
func TestTailOfSavepoints(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, tablesDSN(t))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	conn := connect(t, s.dsn)
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	inner, err := tx.Begin(ctx)
	require.NoError(t, err)
	enqueueTx(t, s, inner, "evt_gone")
	require.NoError(t, inner.Rollback(ctx))
	enqueue(t, s, "evt_1")
	got, next, _ := tailed(t, s, 0)
	require.Equal(t, []string{"evt_1"}, got, "what was undone keeps nothing back")

	inner, err = tx.Begin(ctx)
	require.NoError(t, err)
	enqueueTx(t, s, inner, "evt_2")
	require.NoError(t, inner.Commit(ctx))
	enqueue(t, s, "evt_3")
	got, next, _ = tailed(t, s, next)
	require.Empty(t, got)
	for i := range 300 {
		enqueueTx(t, s, tx, fmt.Sprint("evt_many_", i))
	}
	require.Equal(t, 1, queryAt[int](t, s.dsn, `SELECT count(*) FROM pg_locks
		WHERE locktype = 'advisory' AND classid = 'webhooks_ids'::regclass::oid`),
		"a transaction needs one lock, however often it emits")
	require.NoError(t, tx.Commit(ctx))
	got, _, _ = tailed(t, s, next)
	require.Len(t, got, 302)
	require.Equal(t, []string{"evt_2", "evt_3", "evt_many_0"}, got[:3])

	tx, err = conn.Begin(ctx)
	require.NoError(t, err)
	enqueueTx(t, s, tx, "evt_next")
	_, next, held := tailed(t, s, 0)
	require.NotZero(t, held, "the next transaction of the connection has a lock of its own")
	require.NoError(t, tx.Commit(ctx))
	got, _, _ = tailed(t, s, next)
	require.Equal(t, []string{"evt_next"}, got)
}

// TestTailWithAnotherSearchPath emits from a connection that finds the tables in another place of
// its search_path.
func TestTailWithAnotherSearchPath(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, schemaDSN(t))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	conn := connect(t, s.dsn)
	_, err := conn.Exec(ctx, `SELECT set_config('search_path', 'public, ' || current_schema(), false)`)
	require.NoError(t, err)
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	enqueueTx(t, s, tx, "evt_1")
	enqueue(t, s, "evt_2")
	got, next, _ := tailed(t, s, 0)
	require.Empty(t, got)
	require.NoError(t, tx.Commit(ctx))
	got, _, _ = tailed(t, s, next)
	require.Equal(t, []string{"evt_1", "evt_2"}, got)
}

// TestTailWhileTransactionsCommitInAnyOrder reads in two processes while transactions of several
// callers, and of two processes, commit out of the order of their ids.
func TestTailWhileTransactionsCommitInAnyOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := tablesDSN(t)
	s, peer := open(t, dsn), open(t, dsn)
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	const callers, each = 6, 15
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for c := range callers {
		conn := connect(t, dsn)
		random := rand.New(rand.NewPCG(1, uint64(c)))
		writers.Go(func() {
			for n := range each {
				id := fmt.Sprintf("evt_%d_%d", c, n)
				tx, err := conn.Begin(ctx)
				if !assert.NoError(t, err) {
					return
				}
				enqueueTx(t, s, tx, id)
				// Others store meanwhile, at random.
				for range random.IntN(3) {
					assert.NoError(t, errorOf(conn.Exec(ctx, "SELECT pg_sleep(0.001)")))
				}
				if random.IntN(4) == 0 {
					assert.NoError(t, tx.Rollback(ctx))
					enqueue(t, peer, id)
				} else {
					assert.NoError(t, tx.Commit(ctx))
				}
			}
		})
	}
	for _, reader := range []webhook.Store{s, peer} {
		readers.Go(func() {
			seen := make(map[string]int)
			for after, last := webhook.Position(0), false; ; {
				ids, next, _ := tailed(t, reader, after)
				for _, id := range ids {
					seen[id]++
				}
				if after = next; last {
					break
				}
				select {
				case <-done:
					last = true
				default:
				}
			}
			assert.Len(t, seen, callers*each, "no record is missed")
			for id, n := range seen {
				assert.Equal(t, 1, n, "no record comes twice: %s", id)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

// TestResultsWaitForThoseBeforeThem reads results while a transaction is open that has taken an
// earlier place among them, and while one is open that has only emitted.
func TestResultsWaitForThoseBeforeThem(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := tablesDSN(t)
	s := open(t, dsn)
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	enqueue(t, s, "evt_1", "evt_2", "evt_3")
	now := time.Now().Add(time.Second)
	tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 3,
		PerEndpoint: 3})
	require.NoError(t, err)
	require.Len(t, tasks, 3)
	settle := func(task webhook.Task) {
		refused, err := s.Settle(ctx, now, []webhook.Settlement{{Lease: task.Lease,
			Status: webhook.StatusDead}})
		require.NoError(t, err)
		require.Empty(t, refused)
	}
	read := func() (n int, held time.Time) {
		page, err := s.Capabilities().Tail.Tail(ctx, webhook.TailQuery{Results: true})
		require.NoError(t, err)
		return len(page.Records), page.HeldSince
	}
	emitting, err := connect(t, dsn).Begin(ctx)
	require.NoError(t, err)
	enqueueTx(t, s, emitting, "evt_4")
	settle(tasks[0])
	n, held := read()
	require.Equal(t, 1, n, "a transaction that only emits keeps back no results")
	require.Zero(t, held)

	// As a process does that stops before it commits. The time of a transaction is that of its begin.
	began := time.Now().Add(-time.Second)
	stopped, err := connect(t, dsn).Begin(ctx)
	require.NoError(t, err)
	_, err = stopped.Exec(ctx, `WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(
			'webhooks_result_ids'::regclass::oid::int, (last_value + 1)::int) FROM webhooks_result_ids)
		SELECT nextval('webhooks_result_ids') FROM held`)
	require.NoError(t, err)
	settle(tasks[1])
	n, held = read()
	require.Equal(t, 1, n, "what may still be stored keeps back what is after it")
	require.WithinRange(t, held, began, time.Now().Add(time.Second))
	require.NoError(t, stopped.Rollback(ctx))
	settle(tasks[2])
	n, held = read()
	require.Equal(t, 3, n)
	require.Zero(t, held)
	require.NoError(t, emitting.Rollback(ctx))
}

// TestTailAfterARestore reads on with a store that knew more of the database than was restored.
func TestTailAfterARestore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	s := open(t, tablesDSN(t))
	require.NoError(t, s.CreateSubscription(t.Context(), sqltest.NewSubscription(), webhook.Quota{}))
	enqueue(t, s, "evt_1")
	_, early, _ := tailed(t, s, 0)
	enqueue(t, s, "evt_2", "evt_3")
	_, late, _ := tailed(t, s, early)
	require.Greater(t, late, early)
	execAt(t, s.dsn, "TRUNCATE webhooks_events, webhooks_deliveries",
		fmt.Sprintf("SELECT setval('webhooks_ids', %d)", early))
	got, next, _ := tailed(t, s, 0)
	require.Empty(t, got)
	require.Less(t, next, late, "what is emitted from now on has ids after it")
}
