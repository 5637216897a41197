package client_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// serve serves an API with one key, and returns its address and the key.
func serve(t *testing.T) (address, key string) {
	t.Helper()
	d, err := dispatch.New(memstore.New(), dispatch.Config{})
	require.NoError(t, err)
	key, hash := api.NewKey()
	keys := api.NewKeys()
	require.NoError(t, keys.Add("org", hash))
	a, err := api.New(d, keys.Authenticate, api.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return server.URL + api.DefaultPrefix, key
}

func newClient(t *testing.T) *client.Client {
	t.Helper()
	address, key := serve(t)
	c, err := client.New(address+"/", key, client.Config{})
	require.NoError(t, err)
	return c
}

func hook(name string) *webhook.Subscription {
	return &webhook.Subscription{
		Name:       name,
		EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL: "https://example.com/", Headers: map[string]string{"X-Token": "secret"},
		})},
	}
}

// TestMain hides the connections of http.DefaultTransport from servers of httptest: one that is closed
// would close those that other tests keep, and a request that just goes out on one would fail.
func TestMain(m *testing.M) {
	http.DefaultTransport = struct{ http.RoundTripper }{http.DefaultTransport}
	m.Run()
}

// No call with an id that is empty or consists of dots reaches another resource.
func TestIDsThatAreNone(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t), t.Context()
	created, err := c.Create(ctx, hook("a"))
	require.NoError(t, err)
	for _, id := range []string{"", ".", ".."} {
		_, err := c.Get(ctx, id)
		require.ErrorIs(t, err, webhook.ErrNotFound)
		sub := created.Subscription
		sub.ID = id
		_, err = c.Update(ctx, &sub)
		require.ErrorIs(t, err, webhook.ErrNotFound)
		require.ErrorIs(t, c.Delete(ctx, id), webhook.ErrNotFound)
		_, err = c.SendTest(ctx, id, api.TestRequest{})
		require.ErrorIs(t, err, webhook.ErrNotFound)
		_, err = c.ReplayAll(ctx, id, api.ReplayRequest{})
		require.ErrorIs(t, err, webhook.ErrNotFound)
		_, err = c.Replay(ctx, id, 1)
		require.ErrorIs(t, err, webhook.ErrNotFound)
	}
	all, err := c.List(ctx)
	require.NoError(t, err)
	assert.Len(t, all, 1)
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t), t.Context()
	created, err := c.Create(ctx, hook("a"), client.WithIdempotencyKey("k"))
	require.NoError(t, err)
	again, err := c.Create(ctx, hook("a"), client.WithIdempotencyKey("k"))
	require.NoError(t, err)
	assert.Equal(t, created, again)
	assert.NotEmpty(t, created.ETag)

	got, err := c.Get(ctx, created.ID)
	require.NoError(t, err)
	assert.Equal(t, created, got)
	shown, err := c.Get(ctx, created.ID, "channels.0.configs.headers.X-Token")
	require.NoError(t, err)
	assert.Contains(t, string(shown.Channels[0].Configs), `"secret"`)

	got.Name = "b"
	updated, err := c.Update(ctx, &got.Subscription, client.WithIfMatch(got.ETag))
	require.NoError(t, err)
	assert.Equal(t, "b", updated.Name)
	_, err = c.Update(ctx, &got.Subscription, client.WithIfMatch(got.ETag))
	require.ErrorIs(t, err, webhook.ErrConflict)

	paused, err := c.Pause(ctx, created.ID)
	require.NoError(t, err)
	assert.True(t, paused.Paused)
	assert.Equal(t, "b", paused.Name)
	_, err = c.Resume(ctx, created.ID, client.WithIfMatch(updated.ETag))
	require.ErrorIs(t, err, webhook.ErrConflict)
	resumed, err := c.Resume(ctx, created.ID, client.WithIfMatch(paused.ETag))
	require.NoError(t, err)
	assert.False(t, resumed.Paused)
	assert.Equal(t, updated.Channels, resumed.Channels)

	require.NoError(t, c.Delete(ctx, created.ID))
	require.NoError(t, c.Delete(ctx, created.ID))
	_, err = c.Get(ctx, created.ID)
	require.ErrorIs(t, err, webhook.ErrNotFound)
}

func TestRetryOfAWebhook(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t), t.Context()
	sub := hook("a")
	sub.Retry = &webhook.Retry{
		Delays:      []time.Duration{0, 5 * time.Second, time.Hour},
		MaxAttempts: 3,
		MaxAge:      24 * time.Hour,
	}
	sub.RateLimit = &webhook.RateLimit{PerSecond: 0.5, Burst: 3}
	created, err := c.Create(ctx, sub)
	require.NoError(t, err)
	assert.Equal(t, sub.Retry, created.Retry)
	assert.Equal(t, sub.RateLimit, created.RateLimit)
	list, err := c.List(ctx)
	require.NoError(t, err)
	assert.Equal(t, sub.Retry, list[0].Retry)

	created.Name = "b" // an update of what was read keeps it
	updated, err := c.Update(ctx, &created.Subscription)
	require.NoError(t, err)
	assert.Equal(t, sub.Retry, updated.Retry)
	updated.Retry = &webhook.Retry{MaxAttempts: 1}
	updated, err = c.Update(ctx, &updated.Subscription)
	require.NoError(t, err)
	assert.Equal(t, &webhook.Retry{MaxAttempts: 1}, updated.Retry)
	assert.Equal(t, sub.RateLimit, updated.RateLimit)
	updated.RateLimit = nil
	updated, err = c.Update(ctx, &updated.Subscription)
	require.NoError(t, err)
	assert.Nil(t, updated.RateLimit)
	assert.Equal(t, &webhook.Retry{MaxAttempts: 1}, updated.Retry)

	updated.Retry = nil // as Dispatcher.UpdateSubscription does
	updated, err = c.Update(ctx, &updated.Subscription, client.WithIfMatch(updated.ETag))
	require.NoError(t, err)
	assert.Nil(t, updated.Retry)
	got, err := c.Get(ctx, created.ID)
	require.NoError(t, err)
	assert.Nil(t, got.Retry)
	assert.Equal(t, "b", got.Name)

	got.Retry = &webhook.Retry{Delays: []time.Duration{-time.Second, webhook.MaxRetryDelay + time.Second}}
	_, err = c.Update(ctx, &got.Subscription)
	var answer *client.Error
	require.ErrorAs(t, err, &answer)
	assert.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode)
	require.Len(t, answer.Problems, 2)
	assert.Equal(t, []any{"body", "retry", "delays_seconds", 0.0}, answer.Problems[0].Location)
	assert.Equal(t, []any{"body", "retry", "delays_seconds", 1.0}, answer.Problems[1].Location)
}

func TestListAndSearch(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	c, ctx := newClient(t), t.Context()
	const n = 230
	for i := range n {
		sub := hook(strconv.Itoa(i))
		sub.Paused = i%2 == 1
		_, err := c.Create(ctx, sub)
		require.NoError(t, err)
	}
	list, err := c.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, n)

	active := true
	for filter, want := range map[*client.SubscriptionFilter]int{
		{}: n, {IsActive: &active}: n / 2, {EventType: "object.created"}: n,
		{EventType: "invoice.paid"}: 0,
	} {
		found := 0
		for sub, err := range c.Search(ctx, *filter) {
			require.NoError(t, err)
			assert.NotEmpty(t, sub.ID)
			found++
		}
		assert.Equal(t, want, found)
	}
	for sub, err := range c.Search(ctx, client.SubscriptionFilter{}) {
		require.NoError(t, err)
		assert.Equal(t, "0", sub.Name)
		break
	}
	for _, err := range c.Search(ctx, client.SubscriptionFilter{EventType: "X"}) {
		var answer *client.Error
		require.ErrorAs(t, err, &answer)
		assert.Len(t, answer.Problems, 1)
	}
	for _, err := range c.Deliveries(ctx, "wh_0123456789abcdef", client.DeliveryFilter{}) {
		require.ErrorIs(t, err, webhook.ErrNotFound)
	}
	_, err = c.ReplayAll(ctx, "wh_0123456789abcdef", api.ReplayRequest{Since: time.Now()})
	require.ErrorIs(t, err, webhook.ErrNotFound)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	address, _ := serve(t)
	c, err := client.New(address, "wrong", client.Config{})
	require.NoError(t, err)
	_, err = c.List(t.Context())
	require.ErrorIs(t, err, api.ErrUnauthenticated)
	assert.NotContains(t, err.Error(), "wrong")

	_, err = newClient(t).Create(t.Context(), &webhook.Subscription{})
	var answer *client.Error
	require.ErrorAs(t, err, &answer)
	assert.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode)
	assert.Len(t, answer.Problems, 3)
	assert.Contains(t, err.Error(), "body webhook_name: is required; body event_types:")
	assert.False(t, answer.Retryable())
	require.NotErrorIs(t, err, webhook.ErrNotFound)
}

// A proxy between a client and the API may answer in a form of its own.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	status, body := http.StatusOK, "<html>"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "", client.Config{})
	require.NoError(t, err)
	_, err = c.List(t.Context())
	require.ErrorContains(t, err, "not one of the API")

	for code, target := range map[int]error{
		http.StatusBadGateway: nil, http.StatusTooManyRequests: nil,
		http.StatusForbidden: api.ErrForbidden, http.StatusNotFound: webhook.ErrNotFound,
	} {
		status = code
		_, err = c.List(t.Context())
		var answer *client.Error
		require.ErrorAs(t, err, &answer)
		assert.Equal(t, http.StatusText(code), answer.Message)
		assert.Equal(t, target == nil, answer.Retryable(), code)
		if target != nil {
			require.ErrorIs(t, err, target)
		}
	}
	c, err = client.New("http://127.0.0.1:1", "", client.Config{}) // no server of a test gets that port
	require.NoError(t, err)
	_, err = c.List(t.Context())
	require.Error(t, err)
	require.NotErrorAs(t, err, new(*client.Error))
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "example.com", "ftp://example.com", "https://u:p@example.com",
		"https://example.com?x=1", "https://example.com#x", ":"} {
		_, err := client.New(bad, "key", client.Config{})
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid, bad)
	}
}
