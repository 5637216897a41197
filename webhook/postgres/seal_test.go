package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/seal"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// openSealed connects with a Sealer that seals with the first of the ids, each of
// which stands for a key.
func openSealed(t *testing.T, dsn string, ids ...string) *stored {
	t.Helper()
	var keys []seal.Key
	for _, id := range ids {
		key, err := seal.RawKey(id, []byte(strings.Repeat(id, seal.KeySize))[:seal.KeySize])
		require.NoError(t, err)
		keys = append(keys, key)
	}
	sealer, err := seal.New(keys...)
	require.NoError(t, err)
	s, err := postgres.Open(context.Background(), dsn, postgres.Config{MaxConns: 3, Sealer: sealer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &stored{s, dsn}
}

// TestSealedStore runs the suite where subscriptions are read back. The rest of it
// never sees their configs.
func TestSealedStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) webhook.Store { return openSealed(t, schemaDSN(t), "a") },
		Reopen: func(t *testing.T, s webhook.Store) webhook.Store {
			require.NoError(t, s.(*stored).Close())
			return openSealed(t, s.(*stored).dsn, "b", "a")
		},
		Begin:  func(t *testing.T, s webhook.Store) storetest.CallerTx { return begin(t, s.(*stored).dsn) },
		Peer:   func(t *testing.T, s webhook.Store) webhook.Store { return openSealed(t, s.(*stored).dsn, "a", "b") },
		Groups: []string{"Subscriptions", "Pause", "Removal", "Tenants", "Durability", "Peers"},
	})
}

func TestSealedTableHasNoSecrets(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := schemaDSN(t)
	plain, sealed := open(t, dsn), openSealed(t, dsn, "a")
	sub := &webhook.Subscription{
		ID: webhook.NewID(), OrganizationID: "org", Name: "Orders", EventTypes: []event.Pattern{event.MatchAll},
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
	require.Contains(t, row(), "geheim", "without a Sealer")
	n, err := sealed.Reseal(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NotContains(t, row(), "geheim")
	require.NotContains(t, row(), "Z2Vo", "in base64")
	require.Contains(t, row(), "slack")

	got, err := sealed.Subscription(ctx, "org", sub.ID)
	require.NoError(t, err)
	require.Equal(t, want, got, "nothing has changed, the revision neither")
	_, err = plain.Subscription(ctx, "org", sub.ID)
	require.ErrorContains(t, err, sub.ID)
	require.ErrorContains(t, err, `sealed with the key "a"`)
}

// Here transactions run at the same time, unlike in SQLite.
func TestResealBesideUpdates(t *testing.T) {
	t.Parallel()
	const webhooks, updates = 4, 25
	ctx := t.Context()
	dsn := schemaDSN(t)
	first := openSealed(t, dsn, "a", "b")
	var ids []string
	for range webhooks {
		sub := &webhook.Subscription{
			ID: webhook.NewID(), Name: "Orders", EventTypes: []event.Pattern{event.MatchAll},
			Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{"n":0}`)}},
		}
		require.NoError(t, first.CreateSubscription(ctx, sub, webhook.Quota{}))
		ids = append(ids, sub.ID)
	}

	other := openSealed(t, dsn, "b", "a")
	var updating, resealing sync.WaitGroup
	for _, id := range ids {
		for _, s := range []*stored{first, other} {
			updating.Go(func() {
				for n := 0; n < updates; {
					sub, err := s.Subscription(ctx, "", id)
					if !assert.NoError(t, err) {
						return
					}
					var configs struct{ N int }
					assert.NoError(t, json.Unmarshal(sub.Channels[0].Configs, &configs))
					sub.Channels[0].Configs = fmt.Appendf(nil, `{"n":%d}`, configs.N+1)
					if err := s.UpdateSubscription(ctx, sub, webhook.Quota{}); err == nil {
						n++
					} else if !assert.ErrorIs(t, err, webhook.ErrConflict, "only another update is in the way") {
						return
					}
				}
			})
		}
	}
	done := make(chan struct{})
	for _, s := range []*stored{first, other} {
		resealing.Go(func() {
			for {
				_, err := s.Reseal(ctx)
				assert.NoError(t, err)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	updating.Wait()
	close(done)
	resealing.Wait()

	_, err := other.Reseal(ctx)
	require.NoError(t, err)
	last := openSealed(t, dsn, "b")
	for _, id := range ids {
		sub, err := last.Subscription(ctx, "", id)
		require.NoError(t, err, "the first key is not needed any more")
		require.JSONEq(t, fmt.Sprintf(`{"n":%d}`, 2*updates), string(sub.Channels[0].Configs), "no update is lost")
		require.Equal(t, sub.CreatedAt.UnixMicro()+2*updates, sub.Revision, "the revision counts the updates and nothing else")
	}
}
