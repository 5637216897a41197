package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	a, b, ctx := f.client(orgA), f.client(orgB), t.Context()
	_, err := a.Create(ctx, sinkSubscription("a", `{}`, `{}`))
	require.NoError(t, err)
	e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"})
	e.Namespace, e.TTL = "acme", 90*time.Second
	published, err := a.Publish(ctx, e)
	require.NoError(t, err)
	assert.Equal(t, &api.Published{EventID: e.ID, Deliveries: 2}, published)
	again, err := a.Publish(ctx, e)
	require.NoError(t, err)
	assert.Equal(t, &api.Published{EventID: e.ID, Duplicate: true}, again)
	elsewhere, err := b.Publish(ctx, e)
	require.NoError(t, err)
	assert.Equal(t, &api.Published{EventID: e.ID}, elsewhere, "another organization, without webhooks")
	list := collect(t, a.Deliveries(ctx, "", client.DeliveryFilter{}))
	require.Len(t, list, 2)
	assert.Equal(t, 90*time.Second, list[0].ExpiresAt.Sub(list[0].CreatedAt))

	// What the library does not know survives, and what is missing is filled in.
	id, _ := f.do("POST", prefix+"/events/", `{"event_type": "a.b", "namespace": "n", "x": 1.50,
		"subject": {"type": "t", "id": "i"}}`).want(http.StatusAccepted)["event_id"].(string)
	payload, err := f.dispatcher.EventPayload(ctx, orgA, id)
	require.NoError(t, err)
	assert.Contains(t, string(payload), `"x":1.50`)
	assert.Contains(t, string(payload), `"actor":"system"`)
	unnamed := &event.Event{Type: "a.b", Namespace: "n", Subject: event.Subject{Type: "t", ID: "i"}}
	published, err = a.Publish(ctx, unnamed)
	require.NoError(t, err)
	assert.Equal(t, unnamed.ID, published.EventID, "so that the caller can repeat the call")
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	post := func(body string) *answer { return f.do("POST", prefix+"/events", body) }
	assert.Equal(t, []string{"body: missing"}, post("").problems())
	assert.Equal(t, []string{"body: object_type"}, post("[]").problems())
	assert.Equal(t, []string{"body.event_type: missing", "body.subject.type: missing",
		"body.subject.id: missing"}, post(`{"namespace": "n"}`).problems())
	assert.Equal(t, []string{"body.subject: value_error"}, post(`{"subject": 1}`).problems())
	assert.Equal(t, []string{"body.a: value_error"}, post(`{"a": 1, "a": 2}`).problems())
	assert.Equal(t, []string{"query.ttl_seconds: value_error"},
		f.do("POST", prefix+"/events?ttl_seconds=0", "{}").problems())
	post(strings.Repeat(" ", 1<<20) + "{}").want(http.StatusRequestEntityTooLarge)

	for role, status := range map[webhook.Role]int{webhook.RoleRead: http.StatusForbidden,
		webhook.RoleOperate: http.StatusAccepted} {
		key, _, err := f.apiKeys.Create(t.Context(), apikey.Service(""), webhook.APIKey{
			OrganizationID: orgA, Name: "x", Rights: webhook.Rights{Role: role}})
		require.NoError(t, err)
		f.do("POST", prefix+"/events", `{"event_type": "a.b", "namespace": "n",
			"subject": {"type": "t", "id": "i"}}`, "Authorization", "Bearer "+key).want(status)
	}

	closed := newFixture(t, options{api: func(c *api.Config) { c.Publish = false }})
	closed.do("POST", prefix+"/events", "{}").want(http.StatusMethodNotAllowed)
	assert.NotContains(t, string(closed.do("GET", prefix+"/openapi.json", "").Body), "publishEvent")
	assert.NotContains(t, string(closed.do("GET", prefix+"/openapi.json", "").Body), `"Published"`)
}
