package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// TestEmitInAnOldTransaction emits, at each isolation level, in transactions that began before
// subscriptions were changed.
func TestEmitInAnOldTransaction(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			dsn := tablesDSN(t)
			s, peer := open(t, dsn), open(t, dsn)
			first := sqltest.NewSubscription()
			require.NoError(t, peer.CreateSubscription(ctx, first, webhook.Quota{}))
			conn, err := pgx.Connect(ctx, dsn)
			require.NoError(t, err)
			begin := func() pgx.Tx {
				tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
				require.NoError(t, err)
				_, err = tx.Exec(ctx, "SELECT count(*) FROM webhooks_webhooks") // takes the snapshot
				require.NoError(t, err)
				return tx
			}
			targets := func(id string) (ids []string) {
				rows, err := conn.Query(ctx, `SELECT p.webhook_id FROM webhooks_deliveries d
					JOIN webhooks_endpoints p ON p.id = d.endpoint_id
					JOIN webhooks_events e ON e.id = d.event_id WHERE e.event_id = $1 ORDER BY d.id`, id)
				require.NoError(t, err)
				ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
				require.NoError(t, err)
				return ids
			}

			// A process that has not read the subscriptions yet reads them in the transaction.
			tx := begin()
			second := sqltest.NewSubscription()
			require.NoError(t, peer.CreateSubscription(ctx, second, webhook.Quota{}))
			require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(), newEvents("evt_1"))))
			require.NoError(t, tx.Commit(ctx))
			if level == pgx.ReadCommitted {
				assert.ElementsMatch(t, []string{first.ID, second.ID}, targets("evt_1"),
					"a change that was committed before the call counts")
			} else {
				assert.Equal(t, []string{first.ID}, targets("evt_1"), "the transaction's snapshot decides")
			}
			_, err = s.Enqueue(ctx, time.Now(), newEvents("evt_2"), nil)
			require.NoError(t, err)
			assert.ElementsMatch(t, []string{first.ID, second.ID}, targets("evt_2"),
				"the store does not keep what it read in another transaction's snapshot")

			// A process does not forget what it has already read.
			tx = begin()
			second.EventTypes = []event.Pattern{"nothing.*"}
			require.NoError(t, peer.UpdateSubscription(ctx, second, webhook.Quota{}))
			_, err = s.Enqueue(ctx, time.Now(), newEvents("evt_3"), nil)
			require.NoError(t, err)
			require.NoError(t, errorOf(s.EnqueueTx(ctx, postgres.Tx(tx), time.Now(), newEvents("evt_4"))))
			require.NoError(t, tx.Commit(ctx))
			assert.Equal(t, []string{first.ID}, targets("evt_3"))
			assert.Equal(t, []string{first.ID}, targets("evt_4"))
			require.NoError(t, conn.Close(ctx))
		})
	}
}

// TestUpgrade opens tables of the first version of the schema.
func TestUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := schemaDSN(t)
	all, err := sqlstore.Migrations(sqlstore.PostgreSQL(), "")
	require.NoError(t, err)
	execOnServer(t, "BEGIN; SET LOCAL search_path = "+schemaOf(t, dsn)+";"+all[0].SQL+"COMMIT")
	s := open(t, dsn)
	sub := sqltest.NewSubscription()
	for i := range 199 {
		sub.Channels = append(sub.Channels, sub.Channels[0])
		sub.Channels[i+1].Channel = fmt.Sprint("channel", i)
	}
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	enqueued, err := s.Enqueue(ctx, time.Now(), newEvents("evt_1"), nil)
	require.NoError(t, err)
	assert.True(t, enqueued.Events[0].Unfinished)
}

func TestNowIsTheServers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const query = "SELECT clock_timestamp()"
	s := open(t, tablesDSN(t))
	before := queryAt[time.Time](t, s.dsn, query)
	at, err := s.Now(t.Context())
	require.NoError(t, err)
	after := queryAt[time.Time](t, s.dsn, query)
	assert.False(t, at.Before(before) || at.After(after), "%s is not between %s and %s", at, before,
		after)
}

// TestMigrationsLetOthersWork migrates while a transaction is open that uses the tables, such as a
// dump. What needs the tables meanwhile waits behind the migration for a moment only.
func TestMigrationsLetOthersWork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := schemaDSN(t)
	all, err := sqlstore.Migrations(sqlstore.PostgreSQL(), "")
	require.NoError(t, err)
	execOnServer(t, "BEGIN; SET LOCAL search_path = "+schemaOf(t, dsn)+";"+all[0].SQL+"COMMIT")
	reader := connect(t, dsn)
	reading, err := reader.Begin(ctx)
	require.NoError(t, err)
	_, err = reading.Exec(ctx, "SELECT count(*) FROM webhooks_deliveries")
	require.NoError(t, err)
	migrated := make(chan error, 1)
	go func() {
		s, err := postgres.Open(ctx, dsn, postgres.Config{})
		if err == nil {
			err = s.Close()
		}
		migrated <- err
	}()
	eventually(t, "the migration must wait",
		func() bool { return blockedBy(t, dsn, reader) > 0 })
	_, err = connect(t, dsn).Exec(ctx,
		"SET lock_timeout = '30s'; LOCK TABLE webhooks_deliveries IN ROW EXCLUSIVE MODE")
	require.NoError(t, err, "others go on")
	select {
	case err := <-migrated:
		require.Fail(t, "the migration has ended", "%v", err)
	default:
	}
	require.NoError(t, reading.Rollback(ctx))
	require.NoError(t, <-migrated)
}
