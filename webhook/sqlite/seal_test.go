package sqlite_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/seal"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// openSealed opens the file with the keys, or without a Sealer if there are none.
func openSealed(t *testing.T, path string, ids ...string) *stored {
	t.Helper()
	config := sqlite.Config{BusyTimeout: time.Minute} // on a busy machine
	if len(ids) > 0 {
		config.Sealer = sqltest.NewSealer(t, ids...)
	}
	s, err := sqlite.Open(t.Context(), made(t, path), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &stored{s, path}
}

// TestSealedStore runs the parts of the suite that read subscriptions back. The other parts do not
// look at configs.
func TestSealedStore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) webhook.Store {
			return openSealed(t, filepath.Join(t.TempDir(), "webhooks.db"), "a")
		},
		Reopen: func(t *testing.T, s webhook.Store) webhook.Store {
			require.NoError(t, s.(*stored).Close())
			return openSealed(t, s.(*stored).path, "b", "a")
		},
		Begin: func(t *testing.T, s webhook.Store) storetest.CallerTx {
			return begin(t, s.(*stored).path)
		},
		Peer: func(t *testing.T, s webhook.Store) webhook.Store {
			return openSealed(t, s.(*stored).path, "a", "b")
		},
		Groups: sqltest.Thoroughly([]string{"Subscriptions", "Durability"},
			"Pause", "Removal", "Tenants", "Peers"),
	})
}

// secrets are texts that must not be found in the files of the database.
var secrets = []string{"geheimer-kopf", "geheimes-token", "whsec_geheim", "geheimnis-der-zukunft"}

func secretSubscription(organizationID string) *webhook.Subscription {
	return &webhook.Subscription{
		ID: webhook.NewID(), OrganizationID: organizationID, Name: "Orders",
		EventTypes: []event.Pattern{event.MatchAll},
		Channels: []webhook.ChannelConfig{
			{Channel: "webhook",
				Configs: json.RawMessage(`{"url":"https://example.com",` +
					`"headers":{"X-Token":"geheimer-kopf"},"secret":"whsec_geheim"}`)},
			{Channel: "slack", Configs: json.RawMessage(`{"bot_token":"geheimes-token"}`)},
			{Channel: "webhook",
				Configs: json.RawMessage(`{"url":"https://example.org","new_field":"geheimnis-der-zukunft"}`)},
		},
		CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
}

// create stores a subscription, and returns it as it is read back.
func create(t *testing.T, s *stored, sub *webhook.Subscription) *webhook.Subscription {
	t.Helper()
	require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
	got, err := s.Subscription(t.Context(), sub.OrganizationID, sub.ID)
	require.NoError(t, err)
	return got
}

// withFile opens the file with another handle, and closes it again.
func withFile(t *testing.T, path string, use func(db *sql.DB) error) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	require.NoError(t, use(db))
	require.NoError(t, db.Close())
}

func alter(t *testing.T, path, statement string, args ...any) {
	t.Helper()
	withFile(t, path, func(db *sql.DB) error {
		_, err := db.ExecContext(t.Context(), statement, args...)
		return err
	})
}

// channelsOf returns the channels as they are stored in the row of a subscription.
func channelsOf(t *testing.T, path, id string) (channels string) {
	t.Helper()
	withFile(t, path, func(db *sql.DB) error {
		return db.QueryRowContext(t.Context(), "SELECT channels FROM webhooks_webhooks WHERE id = ?",
			id).Scan(&channels)
	})
	return channels
}

// secretsIn returns which of the secrets are in the files of the directory, as they
// are or in base64.
func secretsIn(t *testing.T, path string) (found []string) {
	t.Helper()
	files, err := filepath.Glob(path + "*") // with the write-ahead log and its index
	require.NoError(t, err)
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		all = append(all, content...)
	}
	require.Contains(t, string(all), "Orders", "the name is not encrypted")
	for _, secret := range secrets {
		// Without the characters at the ends, which depend on the bytes next to it.
		encoded := base64.StdEncoding.EncodeToString([]byte(secret))
		if bytes.Contains(all, []byte(secret)) || bytes.Contains(all, []byte(encoded[:12])) {
			found = append(found, secret)
		}
	}
	return found
}

func TestSealedDatabaseHasNoSecrets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	for _, keys := range [][]string{nil, {"a"}} {
		s := openSealed(t, filepath.Join(t.TempDir(), "webhooks.db"), keys...)
		sub := create(t, s, secretSubscription("org"))
		sub.Name = "More Orders"
		require.NoError(t, s.UpdateSubscription(ctx, sub, webhook.Quota{}))
		_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{OrganizationID: "org", ID: "evt_1", Type: "a.b",
			Payload: []byte(`{}`)}}, nil)
		require.NoError(t, err)
		tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
			Limit: 1, PerEndpoint: 1})
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		_, err = s.Settle(ctx, now, []webhook.Settlement{{
			Lease: tasks[0].Lease, Status: webhook.StatusDead,
			Attempt: &webhook.Attempt{StartedAt: now},
		}})
		require.NoError(t, err)
		want := secrets
		if keys != nil {
			want = nil
			for _, name := range []string{`"channel":"webhook"`, `"channel":"slack"`, `"key":"a"`} {
				require.Contains(t, channelsOf(t, s.path, sub.ID), name,
					"the names of channels and keys stay legible")
			}
		}
		require.Equal(t, want, secretsIn(t, s.path), "in use, with the log next to the file")
		require.NoError(t, s.Close())
		require.Equal(t, want, secretsIn(t, s.path), "closed")
	}
}

// requireSealed checks the error of a subscription that could not be decrypted.
func requireSealed(t *testing.T, err error, id, keyID string, cause error) {
	t.Helper()
	var sealed *sqlstore.SealedError
	require.ErrorAs(t, err, &sealed)
	require.Equal(t, id, sealed.SubscriptionID)
	require.Equal(t, keyID, sealed.KeyID)
	require.Equal(t, "webhook", sealed.Channel, "the first channel that could not be decrypted")
	if cause != nil {
		require.ErrorIs(t, err, cause)
	}
	for _, text := range append([]string{"example"}, secrets...) {
		require.NotContains(t, err.Error(), text)
	}
	for _, text := range []string{id, `"webhook"`, `"` + keyID + `"`} {
		require.ErrorContains(t, err, text)
	}
}

// A process that cannot decrypt one subscription must go on with the others, and other processes
// must not be affected.
func TestUnreadableSubscription(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	owner := openSealed(t, path, "other")
	unreadable := create(t, owner, secretSubscription("org"))
	for _, keys := range [][]string{nil, {"a"}} {
		s := openSealed(t, path, keys...)
		readable := create(t, s, secretSubscription("org"))
		_, err := s.Subscription(ctx, "org", unreadable.ID)
		if keys == nil {
			requireSealed(t, err, unreadable.ID, "other", nil)
			require.ErrorContains(t, err, "without a Config.Sealer")
		} else {
			requireSealed(t, err, unreadable.ID, "other", seal.ErrUnknownKey)
		}

		list, err := s.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: "org"})
		require.NoError(t, err)
		byID := make(map[string]*webhook.Subscription)
		for _, sub := range list {
			byID[sub.ID] = sub
		}
		require.Equal(t, readable, byID[readable.ID], "other subscriptions must be listed in full")
		want := unreadable.Clone()
		for i := range want.Channels {
			want.Channels[i].Configs = json.RawMessage(`null`)
		}
		require.Equal(t, want, byID[unreadable.ID],
			"a subscription that cannot be decrypted is listed without configs")
		require.ErrorContains(t, want.Validate(), "channels[0].configs",
			"and cannot be stored like that by mistake")

		e := webhook.NewEvent{OrganizationID: "org", ID: "evt_" + strings.Join(keys, ""), Type: "a.b",
			Payload: []byte(`{}`)}
		_, err = s.Enqueue(ctx, now, []webhook.NewEvent{e}, nil)
		require.NoError(t, err)
		require.NoError(t, s.DeleteSubscription(ctx, "org", readable.ID, 0))
		deliveries, err := s.Deliveries(ctx,
			webhook.DeliveryQuery{OrganizationID: "org", EventID: e.ID, SubscriptionID: unreadable.ID})
		require.NoError(t, err)
		require.Len(t, deliveries, len(unreadable.Channels), "its deliveries must be stored")
	}

	s := openSealed(t, path, "a")
	stale := unreadable.Clone()
	stale.Revision--
	require.ErrorIs(t, s.UpdateSubscription(ctx, stale, webhook.Quota{}), webhook.ErrConflict)

	tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
		Limit: 1, PerEndpoint: 1})
	require.NoError(t, err)
	state, err := s.EndpointState(ctx, "org", tasks[0].Endpoint)
	require.NoError(t, err)
	state.Health = webhook.Disabled
	require.NoError(t, webhook.SetEndpointState(ctx, s, &state, unreadable.Revision),
		"its endpoints can be disabled")
	kept, err := owner.Subscription(ctx, "org", unreadable.ID)
	require.NoError(t, err)
	require.Equal(t, unreadable.Channels, kept.Channels, "the encrypted configs must be kept")

	require.NoError(t, s.UpdateSubscription(ctx, kept, webhook.Quota{}),
		"giving it all of its configs again makes it readable")
	got, err := s.Subscription(ctx, "org", unreadable.ID)
	require.NoError(t, err)
	require.Equal(t, unreadable.Channels, got.Channels)
	require.NoError(t, owner.DeleteSubscription(ctx, "org", unreadable.ID, 0),
		"a process that cannot open it can delete it")
}

// A person who can write to the database cannot redirect secrets by copying them.
func TestSealedConfigsStayWhereTheyAre(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	s := openSealed(t, filepath.Join(t.TempDir(), "webhooks.db"), "a")
	const copyChannels = "UPDATE webhooks_webhooks SET channels = (SELECT channels FROM " +
		"webhooks_webhooks WHERE id = ?) WHERE id = ?"

	victim, thief := create(t, s, secretSubscription("org")), create(t, s, secretSubscription("org"))
	alter(t, s.path, copyChannels, victim.ID, thief.ID)
	_, err := s.Subscription(ctx, "org", thief.ID)
	requireSealed(t, err, thief.ID, "a", seal.ErrOpen)

	alter(t, s.path, "UPDATE webhooks_webhooks SET organization_id = 'thieves' WHERE id = ?",
		victim.ID)
	_, err = s.Subscription(ctx, "thieves", victim.ID)
	requireSealed(t, err, victim.ID, "a", seal.ErrOpen)
	alter(t, s.path, "UPDATE webhooks_webhooks SET organization_id = 'org' WHERE id = ?", victim.ID)
	_, err = s.Subscription(ctx, "org", victim.ID)
	require.NoError(t, err)

	var channels []map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(channelsOf(t, s.path, victim.ID)), &channels))
	channels[0]["sealed"], channels[2]["sealed"] = channels[2]["sealed"], channels[0]["sealed"]
	swapped, err := json.Marshal(channels)
	require.NoError(t, err)
	alter(t, s.path, "UPDATE webhooks_webhooks SET channels = ? WHERE id = ?", string(swapped),
		victim.ID)
	_, err = s.Subscription(ctx, "org", victim.ID)
	requireSealed(t, err, victim.ID, "a", seal.ErrOpen)
}
