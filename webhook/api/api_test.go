package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	anyone := func(*http.Request) (string, error) { return "", nil }
	_, err := api.New(f.dispatcher, anyone, api.Config{})
	require.NoError(t, err)
	_, err = api.New(nil, anyone, api.Config{})
	require.Error(t, err)
	_, err = api.New(f.dispatcher, nil, api.Config{})
	require.Error(t, err)
	for _, prefix := range []string{"x", "/", "/x/", "/{x}", "/a b", "/a?b"} {
		_, err = api.New(f.dispatcher, anyone,
			api.Config{Prefix: prefix, MaxBody: -1, MaxRequests: -1, MaxRequestsPerOrganization: -1,
				IdempotentPerMinute: -1})
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid, prefix)
		assert.Len(t, invalid.Problems, 5)
	}
	_, err = api.New(f.dispatcher, anyone, api.Config{MaxRequests: 5, MaxRequestsPerOrganization: 6})
	require.ErrorContains(t, err, "MaxRequestsPerOrganization")
	_, err = api.New(f.dispatcher, anyone, api.Config{Catalogue: event.Catalogue{
		{Type: "invoice.paid", Example: `{"version": 5}`},
	}})
	require.ErrorContains(t, err, "Catalogue[0].Example.version")
}

func TestUnauthenticated(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer nope", "Basic " + f.keys[orgA],
		f.keys[orgA]} {
		a := f.do("GET", prefix, "", "Authorization", header)
		assert.Equal(t, "UnauthorizedError", a.errorType(http.StatusUnauthorized), header)
		assert.Equal(t, "Bearer", a.Header.Get("WWW-Authenticate"))
	}
}

func TestAuthenticatorErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for err, status := range map[error]int{
		fmt.Errorf("no: %w", api.ErrUnauthenticated): http.StatusUnauthorized,
		fmt.Errorf("no: %w", api.ErrForbidden):       http.StatusForbidden,
		errors.New("ldap is down"):                   http.StatusInternalServerError,
	} {
		a, newErr := api.New(f.dispatcher, func(*http.Request) (string, error) { return orgA, err },
			api.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, newErr)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, mustRequest(t, "GET", prefix))
		assert.Equal(t, status, w.Code)
		assert.NotContains(t, w.Body.String(), "ldap")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	keys := api.NewKeys()
	ask := func(header ...string) (string, error) {
		r := mustRequest(t, "GET", "/")
		r.Header["Authorization"] = header
		return keys.Authenticate(r)
	}
	key1, hash1 := api.NewKey()
	key2, hash2 := api.NewKey()
	require.Equal(t, hash1, api.HashKey(key1))
	require.NoError(t, keys.Add(orgA, hash1))
	require.NoError(t, keys.Add(orgA, hash2))
	require.NoError(t, keys.Add(orgA, hash2))
	require.Error(t, keys.Add(orgB, hash2), "one key, one organization")
	require.Error(t, keys.Add(orgB, key2), "the key is not its hash")

	for _, header := range []string{"Bearer " + key1, "bearer " + key2, "Bearer  " + key1} {
		organization, err := ask(header)
		require.NoError(t, err)
		assert.Equal(t, orgA, organization)
	}
	keys.Remove(hash1)
	for _, headers := range [][]string{{"Bearer " + key1}, {"Bearer " + hash2},
		{"Bearer " + key2, "Bearer " + key2}, nil} {
		_, err := ask(headers...)
		require.ErrorIs(t, err, api.ErrUnauthenticated)
	}
}

var errBroken = errors.New("dial db: password=hunter2 refused")

// brokenStore returns an error from every call of the API.
type brokenStore struct{ webhook.Store }

func (brokenStore) CreateSubscription(context.Context, *webhook.Subscription, webhook.Quota) error {
	return errBroken
}
func (brokenStore) UpdateSubscription(context.Context, *webhook.Subscription, webhook.Quota) error {
	return errBroken
}
func (brokenStore) DeleteSubscription(context.Context, string, string,
	int64) error {
	return errBroken
}
func (brokenStore) Subscription(context.Context, string, string) (*webhook.Subscription, error) {
	return nil, errBroken
}
func (brokenStore) Subscriptions(
	context.Context, webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	return nil, errBroken
}
func (brokenStore) Deliveries(context.Context, webhook.DeliveryQuery) ([]webhook.Delivery, error) {
	return nil, errBroken
}
func (brokenStore) Delivery(
	context.Context, string, webhook.DeliveryID,
) (*webhook.Delivery, error) {
	return nil, errBroken
}
func (brokenStore) EventPayload(context.Context, string, string) ([]byte, error) {
	return nil, errBroken
}

// FuzzBodies sends any bytes to every route that takes a body. The answer always is JSON of the
// documented form. A webhook that was accepted can be read, shows no secret that was sent, and
// can be sent back as it is.
func FuzzBodies(f *testing.F) {
	if testing.Short() {
		f.Skip("takes hundredths of a second of CPU time")
	}
	for _, seed := range []string{
		"", "{}", "[]", "null", "{", "\"\xff\"", plainSubscription, secretSubscription,
		`{"webhook_name": "` + api.Mask + `", "event_types": ["*"], "channels": [{"channel": "webhook",
			"configs": {"url": "https://example.com/", "headers": {"a": "` + api.Mask + `"}}}]}`,
		`{"webhook_name": "n", "event_types": ["*"], "channels": [{"channel": "sink",
			"configs": {"token": ["aaaaaaaaaa", 5, {"x": "bbbbbbbbbb"}], "key": "cccccccccc"}}]}`,
		`{"webhook_name": "n", "event_types": ["*"], "channels": [{"channel": "slack",
			"configs": {"bot_token": "xoxb-1", "channel_id": "C"}}]}`,
		`{"event_type": "object.*", "is_active": true}`,
		`{"status": "dead", "limit": 5, "per_second": 1e3, "since": "2025-01-01T00:00:00Z",
			"cursor": "dlv_3"}`,
		`{"channel": "webhook"}`,
		`{"template": {"a": ["{{ event_id }}"]}, "event": {"event_id": "evt_1", "metadata": {"a": 1}}}`,
		`{"template": "{% for x in range(9) %}{{ x }}{% endfor %}", "html": true}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		x := newFixture(t, options{})
		id := x.create(plainSubscription)
		for _, target := range []string{
			"POST /list", "PUT /" + id, "POST /" + id + "/replay", "POST /" + id + "/signing-secret/rotate",
			"POST /preview", "POST ",
		} {
			method, path, _ := strings.Cut(target, " ")
			a := x.do(method, prefix+path, string(body), "Content-Type", "application/json")
			require.True(t, json.Valid(a.Body), "%s: %s", target, a.Body)
			switch a.Status {
			case http.StatusUnprocessableEntity:
				a.problems()
			case http.StatusOK, http.StatusAccepted:
			case http.StatusCreated:
				x.checkTaken(a)
			default:
				t.Fatalf("%s: %d %s", target, a.Status, a.Body)
			}
		}
	})
}

// checkTaken checks a webhook that was accepted.
func (f *fixture) checkTaken(created *answer) {
	f.t.Helper()
	var w struct {
		ID string `json:"webhook_id"`
	}
	require.NoError(f.t, json.Unmarshal(created.Body, &w))
	path := prefix + "/" + w.ID
	got := f.do("GET", path, "")
	assert.JSONEq(f.t, string(created.Body), string(got.Body))
	before := f.configs(w.ID)
	f.do("PUT", path, string(got.Body)).want(http.StatusOK)
	after := f.configs(w.ID)
	for i := range before {
		assert.JSONEq(f.t, before[i], after[i])
	}
}
