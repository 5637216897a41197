package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

func TestEmitTxIsPublishedIfTheTransactionCommits(t *testing.T) {
	if testing.Short() {
		t.Skip("ExampleTx emits in transactions too")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	store, err := sqlite.Open(t.Context(), path, sqlite.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	d, err := dispatch.New(store, dispatch.Config{})
	require.NoError(t, err)
	require.NoError(t, d.CreateSubscription(t.Context(), &webhook.Subscription{
		Name: "all", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: "https://example.com/"})},
	}))

	// The application's own handle on the same file, and its own table.
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), "CREATE TABLE objects (id TEXT PRIMARY KEY)")
	require.NoError(t, err)

	for _, commit := range []bool{false, true} {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "INSERT INTO objects VALUES ('obj_1')")
		require.NoError(t, err)
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace = "acme"
		require.NoError(t, errorOf(d.EmitTx(t.Context(), sqlite.Tx(tx), e)))
		if commit {
			require.NoError(t, tx.Commit())
		} else {
			require.NoError(t, tx.Rollback())
		}
		deliveries, err := d.Deliveries(t.Context(), webhook.DeliveryQuery{EventID: e.ID})
		require.NoError(t, err)
		if commit {
			require.Len(t, deliveries, 1)
			assert.Equal(t, webhook.StatusPending, deliveries[0].Status)
		} else {
			assert.Empty(t, deliveries)
		}
	}

	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace = "acme"
	require.ErrorIs(t, errorOf(d.EmitTx(t.Context(), nil, e)), webhook.ErrWrongTx)
	require.ErrorIs(t, errorOf(d.EmitTx(t.Context(), sqlite.Tx(nil), e)), webhook.ErrWrongTx)
	_, err = d.EmitTx(t.Context(), memstore.New().Begin(), e)
	require.ErrorIs(t, err, webhook.ErrWrongTx)
	require.EqualError(t, err, "webhook: emit: webhook: the store cannot use the transaction: "+
		"it is one of memstore, and the store takes those of sqlite")
}
