package postgres_test

import (
	"context"
	"math/rand/v2"
	"net/url"
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

// idle limits how long the server waits for the next statement of a transaction.
const idle = "idle_in_transaction_session_timeout"

// TestConnectionsAreCut ends connections while they are in use. Either the server ends one of them,
// or the network ends all of them.
func TestConnectionsAreCut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	at := schemaDSN(t)
	p, dsn := proxied(t, withParameter(t, at, "application_name", "cut_"+webhook.NewID()))
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	l := startLoad(t, dsn, at)
	const cuts = 30
	for i := range cuts {
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		if i%3 == 0 {
			p.set(closed)
		} else {
			queryAt[int](t, at, `SELECT count(pg_terminate_backend(pid)) FROM (
				SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY random() LIMIT 1) one`,
				u.Query().Get("application_name"))
		}
	}
	l.progress()
	l.finish()
	l.saidOnce(cuts)
	for _, err := range l.refusals() {
		assert.ErrorIs(t, err, postgres.ErrUnavailable)
	}
}

// TestNetworkStalls delays everything that is sent for longer than a lease.
func TestNetworkStalls(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	at := schemaDSN(t)
	p, dsn := proxied(t, at)
	l := startLoad(t, dsn, at)
	l.progress()
	p.set(holding)
	time.Sleep(2500 * time.Millisecond)
	p.set(flowing)
	l.progress()
	l.finish()
	l.saidOnce(1)
}

// TestBlackHole loses everything that is sent on the existing connections, without closing them.
// New connections work.
func TestBlackHole(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	at := schemaDSN(t)
	p, dsn := proxied(t, at)
	l := newLoad(t, at)
	if !outagesAreLong() {
		l.patience = 2 * time.Second
		l.maxConns = 12 // the driver counts a dead connection for another 15 seconds
		dsn = withParameter(t, dsn, idle, "1s")
	}
	l.start(dsn)
	l.progress()
	p.set(vanished)
	l.progress()
	l.finish()
	l.saidOnce(1)
	assert.NotEmpty(t, l.refusals(), "emits whose context ended")
	p.set(closed)
}

// TestListeningNoticesSilence listens on a connection that stops working but is not closed.
func TestListeningNoticesSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	p, dsn := proxied(t, tablesDSN(t))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	listening := make(chan struct{}, 8)
	ended := make(chan error, 1)

	silent := open(t, dsn)
	silent.SetListenPatience(10*time.Millisecond, time.Minute)
	silence, over := context.WithTimeout(ctx, 200*time.Millisecond)
	defer over()
	require.NoError(t, silent.Listen(silence, func() {}),
		"Listen goes on if the connection is silent and works")

	hasty := open(t, dsn)
	go func() {
		ended <- hasty.Listen(ctx, func() {
			// Not before, or a busy server has too little time for the trial.
			hasty.SetListenPatience(10*time.Millisecond, 50*time.Millisecond)
			listening <- struct{}{}
		})
	}()
	<-listening
	p.set(vanished)
	require.ErrorIs(t, <-ended, context.DeadlineExceeded)

	patient := open(t, dsn)
	go func() { ended <- patient.Listen(ctx, func() { listening <- struct{}{} }) }()
	<-listening
	p.set(vanished)
	stop()
	require.NoError(t, <-ended, "Listen ends without an answer from the server")
	p.set(closed)
}

// TestLocksOfTheVanished cuts off a process during a claim. The process's transaction stays open on
// the server, and holds the locks on the deliveries that it was about to claim.
func TestLocksOfTheVanished(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	at := schemaDSN(t)
	s := open(t, at)
	value, err := s.Setting(ctx, idle)
	require.NoError(t, err)
	require.Equal(t, "10s", value)
	p, dsn := proxied(t, withParameter(t, at, idle, "200ms"))
	cutOff := open(t, dsn)
	value, err = cutOff.Setting(ctx, idle)
	require.NoError(t, err)
	require.Equal(t, "200ms", value, "the setting in the connection string is kept")

	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	now := time.Now()
	_, err = s.Enqueue(ctx, now, newEvents("evt_1"), nil)
	require.NoError(t, err)
	request := webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 1, PerEndpoint: 1}
	conn, err := pgx.Connect(ctx, at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	// Statements can lock rows now, but not change them.
	_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE webhooks_deliveries IN SHARE MODE")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		var err error
		// On a busy machine the server may end the transaction earlier: then it claims again.
		for ctx.Err() == nil {
			_, err = cutOff.Claim(ctx, now, request)
		}
		ended <- err
	}()
	eventually(t, "the claim must wait for the table lock",
		func() bool { return blockedBy(t, at, conn) > 0 })
	p.set(vanished)
	_, err = conn.Exec(ctx, "ROLLBACK")
	require.NoError(t, err)
	eventually(t, "another process must get the delivery", func() bool {
		tasks, err := s.Claim(ctx, now, request)
		require.NoError(t, err)
		return len(tasks) == 1
	})
	stop()
	require.Error(t, <-ended)
	p.set(closed)
}

// blockedBy counts the backends that wait for a lock that the connection holds.
func blockedBy(t testing.TB, dsn string, conn *pgx.Conn) int {
	t.Helper()
	return queryAt[int](t, dsn,
		`SELECT count(*) FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid))`,
		int32(conn.PgConn().PID()))
}

// TestStatementTimeout makes statements take longer than their timeout.
func TestStatementTimeout(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	at := schemaDSN(t)
	open(t, at) // makes the tables without the timeout
	l := startLoad(t, withParameter(t, at, "statement_timeout", "1s"), at)
	conn, err := pgx.Connect(t.Context(), at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	const outages = 3
	for range outages {
		l.progress()
		_, err = conn.Exec(t.Context(), "BEGIN; LOCK TABLE webhooks_deliveries IN EXCLUSIVE MODE")
		require.NoError(t, err)
		l.refusesMore()
		_, err = conn.Exec(t.Context(), "ROLLBACK")
		require.NoError(t, err)
	}
	l.progress()
	l.finish()
	for _, err := range l.refusals() {
		assert.ErrorIs(t, err, postgres.ErrTimeout)
	}
}

// TestSerializable sets a default isolation level at which transactions fail because of others. The
// store's transactions do not fail, because they set their own level.
func TestSerializable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	at := schemaDSN(t)
	dsn := withParameter(t, at, "default_transaction_isolation", "serializable")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			s, err := postgres.Open(context.Background(), dsn, postgres.Config{MaxConns: 1})
			if assert.NoError(t, err, "one process migrates, and the others wait for it") {
				_ = s.Close()
			}
		})
	}
	group.Wait()
	l := startLoad(t, dsn, at)
	for range 5 {
		l.progress()
	}
	l.finish()
	// On a busy machine a call can be too late. Nothing else may go wrong.
	for _, err := range append(l.outageCauses(), l.refusals()...) {
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	}
}

// TestDeadlock emits events in an order that makes a transaction of the caller and a transaction of
// the store wait for each other.
func TestDeadlock(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	// The server looks for deadlocks once in each wait, after deadlock_timeout: in that of the store's
	// transaction when the caller's waits, too.
	dsn := withParameter(t, schemaDSN(t), "lock_timeout", "5min")
	s := open(t, withParameter(t, dsn, "deadlock_timeout", "5s"))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	conn, err := pgx.Connect(ctx, withParameter(t, dsn, "deadlock_timeout", "5min"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(), newEvents("evt_2"))))
	emitted := make(chan error, 1)
	go func() {
		_, err := s.Enqueue(context.Background(), time.Now(), newEvents("evt_1", "evt_2"), nil)
		emitted <- err
	}()
	eventually(t, "the store must wait for the transaction",
		func() bool { return blockedBy(t, s.dsn, conn) > 0 })
	require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(), newEvents("evt_1"))))
	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, <-emitted, "the store tries again")
	require.Equal(t, []string{"evt_1", "evt_2"}, eventIDs(t, s))
}
