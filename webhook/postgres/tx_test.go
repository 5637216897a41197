package postgres_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

func newEvents(ids ...string) []webhook.NewEvent {
	var events []webhook.NewEvent
	for _, id := range ids {
		events = append(events, webhook.NewEvent{ID: id, Type: "order.paid",
			Payload: []byte(`{"id":"` + id + `"}`)})
	}
	return events
}

// eventIDs returns the ids of events that have deliveries, newest first.
func eventIDs(t *testing.T, s webhook.Store) []string {
	t.Helper()
	all, err := s.Deliveries(t.Context(), webhook.DeliveryQuery{})
	require.NoError(t, err)
	ids := []string{}
	for _, d := range all {
		ids = append(ids, d.EventID)
	}
	return ids
}

func TestEnqueueTxPgx(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, schemaDSN(t))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	conn, err := pgx.Connect(ctx, s.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	_, err = conn.Exec(ctx, "CREATE TABLE orders (id text PRIMARY KEY)")
	require.NoError(t, err)

	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "INSERT INTO orders VALUES ('a')")
	require.NoError(t, err)
	require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(),
		newEvents("evt_1", "evt_2", "evt_1"))))
	require.Empty(t, eventIDs(t, s), "before the commit the event is not visible")
	require.NoError(t, tx.Commit(ctx))
	require.Equal(t, []string{"evt_2", "evt_1"}, eventIDs(t, s))

	tx, err = conn.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(), newEvents("evt_3"))))
	require.NoError(t, tx.Rollback(ctx))
	require.Equal(t, []string{"evt_2", "evt_1"}, eventIDs(t, s),
		"an event of a transaction that was rolled back was never published")
}

func TestEnqueueTxSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, schemaDSN(t))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	db, err := sql.Open("pgx", s.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	for _, commit := range []bool{true, false} {
		tx, err := db.BeginTx(ctx, nil)
		require.NoError(t, err)
		if commit {
			require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.SQLTx(tx), time.Now(), newEvents("evt_1"))))
			require.NoError(t, tx.Commit())
		} else {
			require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.SQLTx(tx), time.Now(), newEvents("evt_2"))))
			require.NoError(t, tx.Rollback())
		}
	}
	require.Equal(t, []string{"evt_1"}, eventIDs(t, s))
	for name, wrong := range map[string]webhook.Tx{
		"it is nil": nil, "nil transaction": postgres.Tx(nil), "a nil transaction": postgres.SQLTx(nil),
		"one of sqlite": sqlstore.Tx(sqlstore.SQLite(), nil), "one of memstore": memstore.New().Begin(),
	} {
		_, err := s.EnqueueTx(ctx, wrong, time.Now(), newEvents("evt_3"))
		require.ErrorIs(t, err, webhook.ErrWrongTx)
		require.ErrorContains(t, err, name)
	}
}

// TestOpenTransactionBlocksNoOther keeps a transaction with an event open. Meanwhile it emits,
// changes subscriptions and claims.
func TestOpenTransactionBlocksNoOther(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(),
		patience) // a blocked call would never return
	defer stop()
	s := open(t, schemaDSN(t))
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	conn, err := pgx.Connect(ctx, s.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(), newEvents("evt_open"))))

	now := time.Now()
	_, err = s.Enqueue(ctx, now, newEvents("evt_1", "evt_2"), nil)
	require.NoError(t, err)
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
		Limit: 10, PerEndpoint: 10})
	require.NoError(t, err)
	require.Len(t, tasks, 2)
	_, err = s.Prune(ctx, now, webhook.PruneRequest{SucceededBefore: now, DeadBefore: now, Limit: 10})
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
	require.Equal(t, []string{"evt_2", "evt_1", "evt_open"}, eventIDs(t, s))
}

func TestListen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	s := open(t, schemaDSN(t))
	peer := open(t, s.dsn)
	require.NoError(t, s.CreateSubscription(t.Context(), sqltest.NewSubscription(), webhook.Quota{}))
	ctx, stop := context.WithCancel(t.Context())
	woken := make(chan struct{}, 8)
	ended := make(chan error, 1)
	go func() { ended <- s.Listen(ctx, func() { woken <- struct{}{} }) }()
	<-woken // it listens

	conn, err := pgx.Connect(ctx, s.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, errorOf(peer.EnqueueTx(ctx, postgres.Tx(tx), time.Now(), newEvents("evt_1"))))
	select {
	case <-woken:
		t.Error("nothing is due before the commit")
	case <-time.After(20 * time.Millisecond):
	}
	require.NoError(t, tx.Commit(ctx))
	<-woken
	_, err = peer.Enqueue(ctx, time.Now(), newEvents("evt_2"), nil)
	require.NoError(t, err)
	<-woken
	stop()
	require.NoError(t, <-ended, "Listen returns nil when its context ends")
}

func TestOpenAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	dsn := schemaDSN(t)
	var group sync.WaitGroup
	failures := make(chan error, 8)
	for range cap(failures) {
		group.Go(func() {
			s, err := postgres.Open(context.Background(), dsn, postgres.Config{MaxConns: 1})
			if err == nil {
				err = s.CreateSubscription(context.Background(), sqltest.NewSubscription(), webhook.Quota{})
				_ = s.Close()
			}
			failures <- err
		})
	}
	group.Wait()
	for range cap(failures) {
		assert.NoError(t, <-failures, "one process migrates, and the others wait for it")
	}
}

func TestNewerSchema(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	dsn := schemaDSN(t)
	open(t, dsn)
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	_, err = conn.Exec(t.Context(), "INSERT INTO webhooks_migrations (version) VALUES (99)")
	require.NoError(t, err)
	_, err = postgres.Open(t.Context(), dsn, postgres.Config{})
	var newer *sqlstore.NewerSchemaError
	require.ErrorAs(t, err, &newer)
}

// TestOneOpenTransactionStopsNoEmit emits an event that a transaction of a caller has emitted, too,
// which stays open. Other emits of the process go on.
func TestOneOpenTransactionStopsNoEmit(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, tablesDSN(t))
	d, err := dispatch.New(s, dispatch.Config{})
	require.NoError(t, err)
	emit := func(organizationID, id string) (bool, error) {
		e := event.New("order.created", event.Subject{Type: "order", ID: "1"})
		e.OrganizationID, e.ID = organizationID, id
		emitted, err := d.Emit(ctx, e)
		return len(emitted) == 1 && emitted[0].Duplicate, err
	}
	tx, err := connect(t, s.dsn).Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(), []webhook.NewEvent{{
		OrganizationID: "org_a", ID: "evt_1", Type: "order.created", Payload: []byte(`{}`)}})))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			assert.ErrorIs(t, errorOf(emit("org_a", "evt_1")), webhook.ErrBlocked)
		})
		for _, organizationID := range []string{"org_a", "org_b"} {
			wg.Go(func() { assert.NoError(t, errorOf(emit(organizationID, event.NewID()))) })
		}
	}
	wg.Wait() // with the transaction open
	require.NoError(t, tx.Commit(ctx))
	duplicate, err := emit("org_a", "evt_1")
	require.NoError(t, err)
	assert.True(t, duplicate)
}

// TestEmitsWaitForATable emits while another transaction has locked a table, as an index that is built
// does, for longer than an emit waits for a transaction of a caller.
func TestEmitsWaitForATable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, schemaDSN(t))
	d, err := dispatch.New(s, dispatch.Config{})
	require.NoError(t, err)
	conn := connect(t, s.dsn)
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "LOCK TABLE webhooks_events IN SHARE MODE")
	require.NoError(t, err)
	emitted := make(chan error, 1)
	go func() {
		_, err := d.Emit(ctx, event.New("order.created", event.Subject{Type: "order", ID: "1"}))
		emitted <- err
	}()
	eventually(t, "it must wait", func() bool { return blockedBy(t, s.dsn, conn) > 0 })
	_, err = tx.Exec(ctx, "SELECT pg_sleep(3)")
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, <-emitted)
}
