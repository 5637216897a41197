package client_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A call fails with the same error of package webhook whether it is made of a Dispatcher or
// of a Client, so that code can move from one to the other.
func TestErrorsAreThoseOfADispatcher(t *testing.T) {
	t.Parallel()
	const org, unknown = "org", "wh_fedcba9876543210"
	ctx := t.Context()
	d, err := dispatch.New(memstore.New(), dispatch.Config{
		Quota: webhook.Quota{Subscriptions: 3}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	a, err := api.New(d, func(*http.Request) (string, error) { return org, nil }, api.Config{})
	require.NoError(t, err)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL+api.DefaultPrefix, "", client.Config{})
	require.NoError(t, err)

	subscribe := func() *webhook.Subscription {
		sub := hook("s")
		sub.OrganizationID = org
		require.NoError(t, d.CreateSubscription(ctx, sub))
		return sub
	}
	named := func(id string) *webhook.Subscription {
		sub := hook("s")
		sub.ID, sub.OrganizationID = id, org
		return sub
	}
	sub, changed, deleted := subscribe(), subscribe(), subscribe()
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.OrganizationID, e.Namespace = org, "shop"
	_, err = d.Emit(ctx, e)
	require.NoError(t, err)
	settled, pending := delivery(t, d, sub.ID), delivery(t, d, changed.ID)
	require.NoError(t, d.Cancel(ctx, org, settled))
	ofDeleted := delivery(t, d, deleted.ID)
	require.NoError(t, d.DeleteSubscription(ctx, org, deleted.ID, 0)) // cancels it
	read, err := c.Get(ctx, changed.ID)
	require.NoError(t, err)
	stale := changed.Clone()
	require.NoError(t, d.UpdateSubscription(ctx, changed))
	subscribe() // the last one of the quota

	for name, test := range map[string]struct {
		want   error
		local  func() error
		remote func() error
	}{
		"cancel a settled delivery": {
			webhook.ErrWrongStatus,
			func() error { return d.Cancel(ctx, org, settled) },
			func() error { _, err := c.Cancel(ctx, sub.ID, settled); return err },
		},
		"cancel an unknown delivery": {
			webhook.ErrNotFound,
			func() error { return d.Cancel(ctx, org, 1<<40) },
			func() error { _, err := c.Cancel(ctx, sub.ID, 1<<40); return err },
		},
		"replay a pending delivery": {
			webhook.ErrWrongStatus,
			func() error { return d.Replay(ctx, org, pending) },
			func() error { _, err := c.Replay(ctx, changed.ID, pending); return err },
		},
		"replay an unknown delivery": {
			webhook.ErrNotFound,
			func() error { return d.Replay(ctx, org, 1<<40) },
			func() error { _, err := c.Replay(ctx, sub.ID, 1<<40); return err },
		},
		"replay a delivery of a deleted subscription": {
			webhook.ErrNotFound,
			func() error { return d.Replay(ctx, org, ofDeleted) },
			func() error { _, err := c.Replay(ctx, deleted.ID, ofDeleted); return err },
		},
		"read an unknown subscription": {
			webhook.ErrNotFound,
			func() error { _, err := d.Subscription(ctx, org, unknown); return err },
			func() error { _, err := c.Get(ctx, unknown); return err },
		},
		"create a subscription with a taken id": {
			webhook.ErrExists,
			func() error { return d.CreateSubscription(ctx, named(sub.ID)) },
			func() error { _, err := c.Create(ctx, named(sub.ID)); return err },
		},
		"create a subscription beyond the quota": {
			webhook.ErrLimit,
			func() error { return d.CreateSubscription(ctx, named("")) },
			func() error { _, err := c.Create(ctx, named("")); return err },
		},
		"update a subscription that has changed": {
			webhook.ErrConflict,
			func() error { return d.UpdateSubscription(ctx, stale.Clone()) },
			func() error {
				_, err := c.Update(ctx, &read.Subscription, client.WithIfMatch(read.ETag))
				return err
			},
		},
		"delete a subscription that has changed": {
			webhook.ErrConflict,
			func() error { return d.DeleteSubscription(ctx, org, stale.ID, stale.Revision) },
			func() error { return c.Delete(ctx, stale.ID, client.WithIfMatch(read.ETag)) },
		},
	} {
		for where, err := range map[string]error{"locally": test.local(),
			"through the API": test.remote()} {
			for _, target := range []error{
				webhook.ErrNotFound, webhook.ErrExists, webhook.ErrConflict, webhook.ErrWrongStatus,
				webhook.ErrLimit, webhook.ErrUnavailable,
			} {
				if errors.Is(target, test.want) {
					require.ErrorIs(t, err, target, "%s, %s", name, where)
				} else {
					require.NotErrorIs(t, err, target, "%s, %s", name, where)
				}
			}
		}
	}
}

// delivery returns the only delivery of a subscription.
func delivery(t *testing.T, d *dispatch.Dispatcher, subscriptionID string) webhook.DeliveryID {
	t.Helper()
	list, err := d.Deliveries(t.Context(), webhook.DeliveryQuery{
		OrganizationID: "org", SubscriptionID: subscriptionID,
	})
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0].ID
}

// An answer that breaks off is an error of the network, as one that does not come.
func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		if strings.HasSuffix(r.URL.Path, "/events") {
			w.WriteHeader(http.StatusConflict)
		}
		_, _ = w.Write([]byte("["))
	}))
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "s3cr3t", client.Config{})
	require.NoError(t, err)
	_, listErr := c.List(t.Context())
	var tailErr error
	for _, err := range c.Tail(t.Context(), "", client.TailQuery{}) {
		tailErr = err
	}
	for _, err := range []error{listErr, tailErr} {
		var network *url.Error
		require.ErrorAs(t, err, &network)
		require.Equal(t, "Get", network.Op)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NotContains(t, err.Error(), "s3cr3t")
	}
}

func TestErrorsOfIdempotencyKeys(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	_, err := c.Create(t.Context(), hook("a"), client.WithIdempotencyKey("k"))
	require.NoError(t, err)
	_, err = c.Create(t.Context(), hook("b"), client.WithIdempotencyKey("k"))
	require.ErrorIs(t, err, idempotency.ErrKeyReused)

	inProgress := &client.Error{StatusCode: http.StatusConflict, Type: api.TypeInProgress}
	require.ErrorIs(t, inProgress, idempotency.ErrInProgress)
	require.NotErrorIs(t, inProgress, webhook.ErrConflict)
	require.True(t, inProgress.Retryable())
}
