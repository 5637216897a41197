package sqlite_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// sentTo is an attempt, with the name in the configs of its channel.
type sentTo struct{ name, eventID string }

// namedChannel opens channels that report each attempt with the name in their configs.
func namedChannel(t *testing.T, sent chan<- sentTo) *channel.Registry {
	t.Helper()
	channels := channel.NewRegistry()
	require.NoError(t, channels.Register("webhook",
		channel.DriverFunc(func(raw json.RawMessage) (channel.Channel, error) {
			var config struct{ Name string }
			err := json.Unmarshal(raw, &config)
			return channel.Func(func(_ context.Context, m *channel.Message) (channel.Result, error) {
				sent <- sentTo{config.Name, m.EventID}
				return channel.Result{}, nil
			}), err
		})))
	return channels
}

// watchedStore reports when reading a subscription has failed.
type watchedStore struct {
	*stored
	unread chan<- error
}

func (s watchedStore) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	sub, err := s.stored.Subscription(ctx, organizationID, id)
	if err != nil {
		select {
		case s.unread <- err:
		default:
		}
	}
	return sub, err
}

// receive returns the next value of a channel. The test fails if none comes in time.
func receive[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(2 * time.Minute):
		require.Fail(t, "no value came in time")
	}
	return v
}

func startDispatcher(t *testing.T, d *dispatch.Dispatcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return func() {
		cancel()
		assert.NoError(t, <-ended)
	}
}

// A process without the key of one subscription delivers to the other subscriptions. It keeps the
// deliveries of that one until it has the key.
func TestMissingKeyLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	sent, unread := make(chan sentTo, 100), make(chan error)
	config := dispatch.Config{
		Channels: namedChannel(t, sent), PollInterval: 5 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, name := range []string{"old", "new"} {
		d, err := dispatch.New(openSealed(t, path, name), config)
		require.NoError(t, err)
		require.NoError(t, d.CreateSubscription(ctx, &webhook.Subscription{
			Name: name, EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: "webhook",
				Configs: json.RawMessage(`{"name":"` + name + `"}`)}},
		}))
	}

	lacking, err := dispatch.New(watchedStore{openSealed(t, path, "new"), unread}, config)
	require.NoError(t, err)
	stop := startDispatcher(t, lacking)
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace = "acme"
	require.NoError(t, errorOf(lacking.Emit(ctx, e)))
	require.Equal(t, sentTo{"new", e.ID}, receive(t, sent))
	for range 3 { // the store is asked again each time
		require.ErrorContains(t, receive(t, unread), `sealed with the key "old"`)
	}
	stop()
	waiting, err := lacking.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusPending})
	require.NoError(t, err)
	require.Len(t, waiting, 1)
	require.Empty(t, waiting[0].Attempts, "a missing key must not use up an attempt")

	whole, err := dispatch.New(openSealed(t, path, "new", "old"), config)
	require.NoError(t, err)
	defer startDispatcher(t, whole)()
	require.Equal(t, sentTo{"old", e.ID}, receive(t, sent))
}
