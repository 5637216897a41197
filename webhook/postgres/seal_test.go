package postgres_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// openSealed opens a store with a Sealer. Each id stands for an encryption key, and the first one
// seals.
func openSealed(t *testing.T, dsn string, ids ...string) *stored {
	t.Helper()
	config := postgres.Config{MaxConns: 3, Sealer: sqltest.NewSealer(t, ids...)}
	s, err := postgres.Open(context.Background(), dsn, config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &stored{s, dsn}
}

// TestSealedStore runs the groups of the suite that read subscriptions. The others never read the
// configs.
func TestSealedStore(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) webhook.Store { return openSealed(t, tablesDSN(t), "a") },
		Reopen: func(t *testing.T, s webhook.Store) webhook.Store {
			require.NoError(t, s.(*stored).Close())
			return openSealed(t, s.(*stored).dsn, "b", "a")
		},
		Begin: func(t *testing.T, s webhook.Store) storetest.CallerTx {
			return begin(t, s.(*stored).dsn)
		},
		Peer: func(t *testing.T, s webhook.Store) webhook.Store {
			return openSealed(t, s.(*stored).dsn, "a", "b")
		},
		Groups: sqltest.Thoroughly([]string{"Subscriptions", "Pause", "Removal", "Tenants", "Durability"},
			"Peers"),
	})
}

func TestSealedTableHasNoSecrets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	dsn := schemaDSN(t)
	plain, sealed := open(t, dsn), openSealed(t, dsn, "a")
	sub := &webhook.Subscription{
		ID: webhook.NewID(), OrganizationID: "org", Name: "Orders",
		EventTypes: []event.Pattern{event.MatchAll},
		Channels: []webhook.ChannelConfig{
			{Channel: "slack", Configs: json.RawMessage(`{"bot_token":"geheimes-token"}`)},
			{Channel: "webhook", Configs: json.RawMessage(`{"headers":{"X-Token":"geheimer-kopf"}}`)},
		},
		CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	require.NoError(t, plain.CreateSubscription(ctx, sub, webhook.Quota{}))
	want, err := plain.Subscription(ctx, "org", sub.ID)
	require.NoError(t, err)

	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close(context.WithoutCancel(ctx))) })
	row := func() (text string) {
		require.NoError(t, conn.QueryRow(ctx, "SELECT w::text FROM webhooks_webhooks w").Scan(&text))
		return text
	}
	require.Contains(t, row(), "geheim", "without a Sealer the secrets are in clear")
	n, err := sealed.Reseal(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NotContains(t, row(), "geheim")
	require.NotContains(t, row(), "Z2Vo", "in base64")
	require.Contains(t, row(), "slack")

	got, err := sealed.Subscription(ctx, "org", sub.ID)
	require.NoError(t, err)
	require.Equal(t, want, got, "Reseal changes nothing that callers see, not even the revision")
	_, err = plain.Subscription(ctx, "org", sub.ID)
	require.ErrorContains(t, err, sub.ID)
	require.ErrorContains(t, err, `sealed with the key "a"`)
}

// In PostgreSQL, unlike in SQLite, the transactions of this test run at the same time.
func TestResealDuringUpdates(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	dsn := schemaDSN(t)
	sqltest.ResealDuringUpdates(t, func(ids ...string) sqltest.SealedStore {
		return openSealed(t, dsn, ids...)
	})
}
