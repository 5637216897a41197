package client_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// changes are all calls that are no GET, for a webhook, a delivery and an API key.
func changes(
	sub *webhook.Subscription, id webhook.DeliveryID, apiKeyID string,
) map[string]func(context.Context, *client.Client) error {
	return map[string]func(context.Context, *client.Client) error{
		"Create": func(ctx context.Context, c *client.Client) error {
			_, err := c.Create(ctx, hook("another"))
			return err
		},
		"Update": func(ctx context.Context, c *client.Client) error {
			changed := *sub
			changed.Name = "changed"
			_, err := c.Update(ctx, &changed)
			return err
		},
		"Pause": func(ctx context.Context, c *client.Client) error {
			_, err := c.Pause(ctx, sub.ID)
			return err
		},
		"Resume": func(ctx context.Context, c *client.Client) error {
			_, err := c.Resume(ctx, sub.ID)
			return err
		},
		"Delete": func(ctx context.Context, c *client.Client) error { return c.Delete(ctx, sub.ID) },
		"RotateSecret": func(ctx context.Context, c *client.Client) error {
			_, err := c.RotateSecret(ctx, sub.ID, "")
			return err
		},
		"DropSecrets": func(ctx context.Context, c *client.Client) error {
			_, err := c.DropSecrets(ctx, sub.ID, "")
			return err
		},
		"Publish": func(ctx context.Context, c *client.Client) error {
			_, err := c.Publish(ctx, newEvent())
			return err
		},
		"SendTest": func(ctx context.Context, c *client.Client) error {
			_, err := c.SendTest(ctx, sub.ID, api.TestRequest{})
			return err
		},
		"Preview": func(ctx context.Context, c *client.Client) error {
			_, err := c.Preview(ctx, api.PreviewRequest{})
			return err
		},
		"Replay": func(ctx context.Context, c *client.Client) error {
			_, err := c.Replay(ctx, sub.ID, id)
			return err
		},
		"Cancel": func(ctx context.Context, c *client.Client) error {
			_, err := c.Cancel(ctx, sub.ID, id)
			return err
		},
		"Skip": func(ctx context.Context, c *client.Client) error {
			_, err := c.Skip(ctx, sub.ID, id)
			return err
		},
		"ReplayAll": func(ctx context.Context, c *client.Client) error {
			_, err := c.ReplayAll(ctx, sub.ID, api.ReplayRequest{Status: webhook.StatusCancelled})
			return err
		},
		"StartReplay": func(ctx context.Context, c *client.Client) error {
			_, err := c.StartReplay(ctx, api.BackgroundReplayRequest{})
			return err
		},
		"CountReplay": func(ctx context.Context, c *client.Client) error {
			_, err := c.CountReplay(ctx, api.BackgroundReplayRequest{})
			return err
		},
		"StopReplay": func(ctx context.Context, c *client.Client) error {
			_, err := c.StopReplay(ctx, "rpl_0123456789abcdef")
			return err
		},
		"EnableEndpoint": func(ctx context.Context, c *client.Client) error {
			_, err := c.EnableEndpoint(ctx, sub.ID, "")
			return err
		},
		"DisableEndpoint": func(ctx context.Context, c *client.Client) error {
			_, err := c.DisableEndpoint(ctx, sub.ID, "")
			return err
		},
		"Acknowledge": func(ctx context.Context, c *client.Client) error {
			_, err := c.Acknowledge(ctx, sub.ID, "reader", 1)
			return err
		},
		"DeletePosition": func(ctx context.Context, c *client.Client) error {
			return c.DeletePosition(ctx, sub.ID, "reader")
		},
		"CreateAPIKey": func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateAPIKey(ctx, api.APIKeyRequest{Name: "another"})
			return err
		},
		"RevokeAPIKey": func(ctx context.Context, c *client.Client) error {
			_, err := c.RevokeAPIKey(ctx, apiKeyID)
			return err
		},
		"Search": func(ctx context.Context, c *client.Client) error {
			for _, err := range c.Search(ctx, client.SubscriptionFilter{}) {
				return err
			}
			return nil
		},
	}
}

func newEvent() *event.Event {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace, e.OrganizationID = "acme", "org"
	return e
}

// A redirect that makes a GET of a request, as 301 to 303 do, loses what the request asks for, and
// the answer to the GET is none to it: no call takes it for one.
func TestRedirectsThatChangeTheMethod(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, err := dispatch.New(memstore.New(), dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	keys, err := apikey.New(d, apikey.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(keys.Wait)
	key, made, err := keys.Create(ctx, apikey.Service("test"), webhook.APIKey{Name: "mine",
		OrganizationID: "org", Rights: webhook.Rights{Role: webhook.RoleAdminister, Reveal: true}})
	require.NoError(t, err)
	a, err := api.New(d, nil, api.Config{Logger: slog.New(slog.DiscardHandler), APIKeys: keys, Publish: true})
	require.NoError(t, err)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)

	sub := hook("a")
	sub.OrganizationID = "org"
	require.NoError(t, d.CreateSubscription(ctx, sub))
	_, err = d.Emit(ctx, newEvent())
	require.NoError(t, err)
	pending := delivery(t, d, sub.ID)
	direct, err := client.New(server.URL+api.DefaultPrefix, key, client.Config{})
	require.NoError(t, err)
	before := stateOf(t, direct, sub.ID)

	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, server.URL+r.URL.String(), status)
		}))
		t.Cleanup(elsewhere.Close)
		for _, own := range []*http.Client{nil, {CheckRedirect: func(*http.Request, []*http.Request) error {
			return nil
		}}} {
			c, err := client.New(elsewhere.URL+api.DefaultPrefix, key, client.Config{HTTPClient: own})
			require.NoError(t, err)
			for name, change := range changes(sub, pending, made.ID) {
				err := change(ctx, c)
				var answer *client.Error
				if assert.ErrorAs(t, err, &answer, name) {
					assert.Equal(t, status, answer.StatusCode, name)
					assert.Contains(t, answer.Message, server.URL+api.DefaultPrefix, name)
					assert.False(t, answer.Retryable(), name)
				}
			}
			got, err := c.Get(ctx, sub.ID)
			require.NoError(t, err, "a GET stays one")
			assert.Equal(t, sub.ID, got.ID)
		}
	}
	assert.Equal(t, before, stateOf(t, direct, sub.ID))
}

// stateOf is what the changes could have changed.
func stateOf(t *testing.T, c *client.Client, id string) (state []any) {
	t.Helper()
	subs, err := c.List(t.Context())
	require.NoError(t, err)
	endpoints, err := c.Endpoints(t.Context(), id)
	require.NoError(t, err)
	replays, err := c.Replays(t.Context())
	require.NoError(t, err)
	state = append(state, subs, endpoints, replays)
	for d, err := range c.Deliveries(t.Context(), "", client.DeliveryFilter{}) {
		require.NoError(t, err)
		state = append(state, d.ID, d.Status, d.DueAt)
	}
	for k, err := range c.APIKeys(t.Context()) {
		require.NoError(t, err)
		state = append(state, k.ID, k.RevokedAt)
	}
	return state
}

// A redirect that keeps method and body is followed.
func TestRedirectsThatKeepTheMethod(t *testing.T) {
	t.Parallel()
	address, key := serve(t)
	direct, err := client.New(address, key, client.Config{})
	require.NoError(t, err)
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, address+r.URL.String(), status)
		}))
		t.Cleanup(elsewhere.Close)
		c, err := client.New(elsewhere.URL, key, client.Config{})
		require.NoError(t, err)
		created, err := c.Create(t.Context(), hook("a"))
		require.NoError(t, err)
		_, err = direct.Get(t.Context(), created.ID)
		require.NoError(t, err)
		require.NoError(t, c.Delete(t.Context(), created.ID))
		_, err = direct.Get(t.Context(), created.ID)
		require.ErrorIs(t, err, webhook.ErrNotFound)
	}

	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(loop.Close)
	c, err := client.New(loop.URL, key, client.Config{})
	require.NoError(t, err)
	_, err = c.List(t.Context())
	require.ErrorContains(t, err, "10 redirects")
}

// What another server answers with 200 is not taken for the answer to a change.
func TestAnswersOfAnotherServer(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"{}", `{"results": []}`, `{"status": "ok"}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(server.Close)
		c, err := client.New(server.URL, "", client.Config{})
		require.NoError(t, err)
		sub := hook("a")
		sub.ID = "wh_0123456789"
		for name, change := range changes(sub, 1, "key_0123456789abcdef") {
			switch name {
			case "CountReplay", "ReplayAll", "Search": // which may have found nothing
				continue
			}
			require.ErrorContains(t, change(t.Context(), c), "not one of the API", "%s: %s", name, body)
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"event_id": "evt_other"}`))
	}))
	t.Cleanup(other.Close)
	c, err := client.New(other.URL, "", client.Config{})
	require.NoError(t, err)
	_, err = c.Publish(t.Context(), newEvent())
	require.ErrorContains(t, err, "not one of the API")
}
