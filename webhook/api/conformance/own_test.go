package conformance_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

// The operations beyond the contract answer as the API's own document says.
func TestOwnDocument(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want := func(status int, method, path, body string) string {
		t.Helper()
		got, answer := f.do(method, prefix+path, body)
		require.Equal(t, status, got, "%s %s: %s", method, path, answer)
		return answer
	}
	var created struct {
		ID string `json:"webhook_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(want(201, "POST", "/",
		subscriptionBody("a", versions()["2025-09"][:1]))), &created))
	one := "/" + created.ID
	f.emit()
	f.emit()
	want(200, "GET", "/deliveries", "")
	want(200, "GET", one+"/deliveries", "")
	want(200, "GET", one+"/deliveries/dlv_1", "")
	want(200, "GET", one+"/deliveries/dlv_1/event", "")
	want(200, "POST", one+"/deliveries/dlv_1/cancel", "")
	want(202, "POST", one+"/deliveries/dlv_1/replay", "")
	want(409, "POST", one+"/deliveries/dlv_2/replay", "")
	want(202, "POST", one+"/replay",
		`{"status": "cancelled", "limit": 5, "per_second": 2.5, "since": "2025-01-01T00:00:00Z"}`)
	var replay struct {
		ID string `json:"replay_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(want(202, "POST", "/deliveries/replays",
		`{"webhook_id": "`+created.ID+`", "status": "cancelled", "limit": 5, "per_second": 2.5}`)), &replay))
	want(200, "POST", "/deliveries/replays/count", "")
	want(200, "GET", "/deliveries/replays", "")
	want(200, "GET", "/deliveries/replays/"+replay.ID, "")
	want(200, "POST", "/deliveries/replays/"+replay.ID+"/stop", "")
	want(200, "GET", "/deliveries/replays/"+replay.ID, "")
	want(200, "GET", one+"/statistics", "")
	want(200, "GET", one+"/events?limit=1&event_type=object.*", "")
	want(200, "GET", "/events", "")
	want(202, "POST", "/events?ttl_seconds=60",
		`{"event_type": "a.b", "namespace": "n", "subject": {"type": "t", "id": "i"}}`)
	want(422, "POST", "/events", "{}")
	want(200, "GET", "/deliveries/tail", "")
	want(200, "GET", "/deliveries/results", "")
	want(200, "PUT", one+"/positions/cache", `{"position": "pos_0000000000000001"}`)
	want(200, "GET", one+"/positions", "")
	want(204, "DELETE", one+"/positions/cache", "")
	want(200, "GET", "/totals", "")
	want(200, "GET", "/totals/hourly", "")
	want(200, "GET", "/about", "")
	want(200, "POST", one+"/endpoints/disable", `{"channel": "webhook"}`)
	want(200, "GET", "/endpoints?health=disabled&limit=1", "")
	want(200, "GET", one+"/endpoints", "")
	want(200, "POST", one+"/endpoints/enable", "")
	want(200, "GET", "/endpoints", "")
	want(200, "POST", one+"/signing-secret/rotate", `{"channel": "webhook"}`)
	want(200, "DELETE", one+"/signing-secret/previous", "")
	want(200, "POST", "/preview",
		`{"template": {"id": "{{ event_id }}"}, "event": {"event_id": "evt_1"}}`)
	want(200, "POST", "/preview", `{"template": "{{ event_id }}", "html": true}`)
	want(422, "POST", "/preview", `{"template": "{{"}`)
	want(200, "GET", "/event-types", "")
	want(200, "GET", "/health", "")
	want(200, "GET", "/openapi.json", "")
	want(404, "POST", "/wh_0123456789abcdef/test", "")
}

// The document has everything that the published contract has: its operations, their statuses of
// success, their query parameters, and the properties of their schemas.
func TestContractIsASubset(t *testing.T) {
	t.Parallel()
	own := newFixture(t).own
	for version := range versions() {
		d := contract(t, version)
		paths, _ := d.get("paths")
		for path, item := range paths.(map[string]any) {
			for method, published := range item.(map[string]any) {
				operation := own.operation(method, path)
				require.NotNil(t, operation, "%s %s", method, path)
				op := published.(map[string]any)
				for status := range op["responses"].(map[string]any) {
					if strings.HasPrefix(status, "2") {
						response, _ := own.get(append(operation, "responses", status)...)
						assert.NotNil(t, response, "%s %s: %s", method, path, status)
					}
				}
				for _, parameter := range op["parameters"].([]any) {
					name := parameter.(map[string]any)["name"]
					if name != "Authorization" { // a security scheme with us
						assert.Contains(t, own.parameterNames(operation), name, "%s %s", method, path)
					}
				}
			}
		}
		for published, ours := range map[string]string{
			"Webhook-Input": "WebhookInput", "Webhook-Output": "Webhook",
			"WebhookChannel-Input": "ChannelInput", "WebhookChannel-Output": "Channel",
			"WebhookConfig": "WebhookConfig", "SlackConfig": "SlackConfig", "EmailConfig": "EmailConfig",
			"SmsConfig":     "SmsConfig",
			"ErrorResponse": "ErrorResponse", "ErrorDetail": "ErrorDetail",
			"HTTPValidationError": "HTTPValidationError", "ValidationError": "ValidationError",
			"ListWebhooksRequest": "WebhookFilter", "ListWebhooksResponse": "WebhookPage",
			"PaginationResponse": "Pagination",
		} {
			properties, _ := d.get("components", "schemas", published, "properties")
			if properties == nil {
				continue // not in this version
			}
			for name := range properties.(map[string]any) {
				property, _ := own.get("components", "schemas", ours, "properties", name)
				assert.NotNil(t, property, "%s: %s.%s", version, published, name)
			}
		}
	}
}

func (d *document) parameterNames(operation []string) (names []string) {
	parameters, _ := d.get(append(operation, "parameters")...)
	list, _ := parameters.([]any)
	for _, p := range list {
		ref, _ := p.(map[string]any)["$ref"].(string)
		name, _ := d.get(append(strings.Split(strings.TrimPrefix(ref, "#/"), "/"), "name")...)
		text, _ := name.(string)
		names = append(names, text)
	}
	return names
}

// diagnosing is a store that says how it is.
type diagnosing struct {
	webhook.Store
	diagnosis *webhook.Diagnosis
}

func (s diagnosing) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Diagnostics = s
	return c
}

func (s diagnosing) Diagnose(context.Context, time.Time) (webhook.Diagnosis, error) {
	return *s.diagnosis, nil
}

// What operators see of the service is as the document says, whatever the store can tell.
func TestSystemDocument(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.failure = api.ErrUnauthenticated // so that the API key counts
	key, _, err := f.keys.Create(t.Context(), apikey.Service(""), webhook.APIKey{Name: "ops",
		Rights: webhook.Rights{Operator: true}})
	require.NoError(t, err)
	for _, d := range []webhook.Diagnosis{
		{Kind: "sqlite", SchemaVersion: 6, NeededVersion: 6},
		{Kind: "postgres", SchemaVersion: 4, NeededVersion: 6, LastResult: time.Now(),
			Transactions: &webhook.LongTransactions{}},
		{Kind: "postgres", Transactions: &webhook.LongTransactions{More: true, Hidden: 1,
			Oldest: []webhook.LongTransaction{{PID: 1, Since: time.Now()}}}},
	} {
		f.diagnosis = d
		r := httptest.NewRequest(http.MethodGet, prefix+"/about", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		f.api.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.Contains(t, w.Body.String(), `"system":{`)
		f.own.checkResponse(r.Method, r.URL.Path, w.Code, w.Header(), w.Body.Bytes())
	}
}
