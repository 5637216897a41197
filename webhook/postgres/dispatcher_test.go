package postgres_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// dispatcher returns a Dispatcher whose channel sends the ids of delivered events to delivered.
func dispatcher(t *testing.T, store webhook.Store, delivered chan<- string) *dispatch.Dispatcher {
	t.Helper()
	channels := channel.NewRegistry()
	require.NoError(t, channels.Register("webhook",
		channel.Func(func(_ context.Context, m *channel.Message) (channel.Result, error) {
			delivered <- m.EventID
			return channel.Result{}, nil
		})))
	// Polling would find nothing within the time of a test.
	d, err := dispatch.New(store, dispatch.Config{Channels: channels, PollInterval: time.Hour})
	require.NoError(t, err)
	return d
}

func receive(t *testing.T, delivered <-chan string) string {
	t.Helper()
	select {
	case id := <-delivered:
		return id
	case <-time.After(patience):
		require.Fail(t, "nothing was delivered")
		return ""
	}
}

// A process that only emits, in its own transactions, notifies a process that delivers.
func TestEmitTxInOneProcessIsDeliveredByAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := schemaDSN(t)
	delivered := make(chan string, 10)
	worker := dispatcher(t, open(t, dsn), delivered)
	require.NoError(t, worker.CreateSubscription(ctx, &webhook.Subscription{
		Name: "all", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}},
	}))
	t.Cleanup(func() {
		if t.Failed() {
			all, err := worker.Deliveries(context.Background(), webhook.DeliveryQuery{})
			t.Logf("now it is %v, in the store are %+v (%v)", time.Now(), all, err)
		}
	})
	runCtx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(runCtx) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})

	emitter := dispatcher(t, open(t, dsn), delivered)
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close(context.WithoutCancel(ctx))) })
	_, err = conn.Exec(ctx, "CREATE TABLE objects (id text PRIMARY KEY)")
	require.NoError(t, err)

	emitIn := func(tx pgx.Tx) string {
		_, err := tx.Exec(ctx, "INSERT INTO objects VALUES ('obj_1')")
		require.NoError(t, err)
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace = "acme"
		emitted, err := emitter.EmitTx(ctx, postgres.Tx(tx), e)
		require.NoError(t, err)
		require.Equal(t, []webhook.Emitted{{EventID: e.ID, Deliveries: 1}}, emitted)
		return e.ID
	}
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	never := emitIn(tx)
	require.NoError(t, tx.Rollback(ctx))

	tx, err = conn.Begin(ctx)
	require.NoError(t, err)
	committed := emitIn(tx)
	require.NoError(t, tx.Commit(ctx))
	assert.Equal(t, committed, receive(t, delivered))

	alone := event.New(event.ObjectDeleted, event.Subject{Type: "object", ID: "obj_1"})
	alone.Namespace = "acme"
	require.NoError(t, errorOf(emitter.Emit(ctx, alone)))
	assert.Equal(t, alone.ID, receive(t, delivered))

	lost, err := emitter.Deliveries(ctx, webhook.DeliveryQuery{EventID: never})
	require.NoError(t, err)
	assert.Empty(t, lost, "an event of a transaction that was rolled back was never published")
}
