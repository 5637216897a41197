package api_test

import (
	"context"
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
	for query, problem := range map[string]string{"ttl_seconds=0": "query.ttl_seconds: value_error",
		"ttl_seconds=31536001": "query.ttl_seconds: value_error", "ttl=60": "query.ttl: extra_forbidden"} {
		assert.Equal(t, []string{problem}, f.do("POST", prefix+"/events?"+query, "{}").problems())
	}
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

// An event belongs to the organization of the API key, or to that which an operator's request names.
// What the body says about it does not count.
func TestPublishForWhom(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	operator := f.bearing(webhook.APIKey{OrganizationID: orgA,
		Rights: webhook.Rights{Role: webhook.RoleOperate, Operator: true}})
	publish := func(id string, header ...string) {
		t.Helper()
		f.do("POST", prefix+"/events", `{"event_id": "`+id+`", "event_type": "a.b", "namespace": "n",
			"organization_id": "org_b", "subject": {"type": "t", "id": "i"}}`, header...).want(
			http.StatusAccepted)
	}
	publish("evt_key")
	publish("evt_own", operator...)
	publish("evt_named", append(operator, api.HeaderOrganization, orgB)...)
	for id, owner := range map[string]string{"evt_key": orgA, "evt_own": orgA, "evt_named": orgB} {
		for _, organization := range []string{orgA, orgB} {
			_, err := f.dispatcher.EventPayload(t.Context(), organization, id)
			if organization == owner {
				assert.NoError(t, err, id)
			} else {
				assert.ErrorIs(t, err, webhook.ErrNotFound, id)
			}
		}
	}
}

// slowFanOut is a store that leaves deliveries to FanOut, and fails then.
type slowFanOut struct{ webhook.Store }

func (s slowFanOut) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	done, err := s.Store.Enqueue(ctx, now, events, prefetch)
	for i := range done.Events {
		done.Events[i].Unfinished = true
	}
	return done, err
}

func (slowFanOut) FanOut(
	context.Context, time.Time, []webhook.NewEvent, *webhook.Prefetch,
) (int, []webhook.Task, error) {
	return 0, nil, webhook.ErrUnavailable
}

// The caller learns that some deliveries are still to be stored.
func TestPublishUnfinished(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{store: func(s webhook.Store) webhook.Store { return slowFanOut{s} }})
	e := &event.Event{ID: "evt_1", Type: "a.b", Namespace: "n",
		Subject: event.Subject{Type: "t", ID: "i"}}
	published, err := f.client(orgA).Publish(t.Context(), e)
	require.NoError(t, err)
	assert.Equal(t, &api.Published{EventID: "evt_1", Unfinished: true}, published)
}
