package conformance_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

// versions are the published versions of the contract, with the channels of each.
func versions() map[string][]string {
	all := map[string]string{
		"webhook": `{"url": "https://example.com/hook", "headers": {"X-Mixpeek-Secret": "s"},
			"payload_template": {"text": "{{ event_id }}"}, "timeout": 2.5}`,
		"slack": `{"webhook_url": "https://hooks.slack.com/services/T0/B0/x", "channel": "#ops",
			"username": null}`,
		"email": `{"to_addresses": ["a@example.com"], "subject_template": "{{ event_type }}",
			"content_type": "plain_text"}`,
		"sms": `{"phone_numbers": ["+4915112345678"], "message_template": "{{ event_type }}"}`,
	}
	entry := func(names ...string) (list []string) {
		for _, name := range names {
			list = append(list, `{"channel": "`+name+`", "configs": `+all[name]+`}`)
		}
		return list
	}
	return map[string][]string{
		"2025-09": entry("webhook", "slack", "email", "sms"),
		"2026-03": entry("webhook", "slack", "email"),
	}
}

func subscriptionBody(name string, channels []string) string {
	return `{"webhook_name": "` + name + `", "event_types": ["object.created", "taxonomy.created"],
		"channels": [` + strings.Join(channels, ",") + `]}`
}

// Requests and answers of every operation of the contract fit the documents, in every version and
// with every status that the operation can end with.
func TestContract(t *testing.T) {
	t.Parallel()
	for version, channels := range versions() {
		if testing.Short() && version != "2026-03" {
			continue
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			d := contract(t, version)
			want := func(status int, method, path, body string) string {
				t.Helper()
				got, answer := f.do(method, path, body, d)
				require.Equal(t, status, got, "%s %s: %s", method, path, answer)
				return answer
			}
			var created struct {
				ID string `json:"webhook_id"`
			}
			require.NoError(t, json.Unmarshal([]byte(want(201, "POST", prefix+"/",
				subscriptionBody("a", channels))), &created))
			for i := range channels {
				want(201, "POST", prefix+"/", subscriptionBody("b", channels[i:i+1]))
			}
			one := prefix + "/" + created.ID
			got := want(200, "GET", one, "")
			want(200, "PUT", one, got)
			want(200, "PUT", one, `{"is_active": false,`+subscriptionBody("renamed", channels)[1:])
			want(422, "POST", prefix+"/", `{"webhook_name": 1}`)
			want(422, "PUT", one, `{}`)
			want(404, "GET", prefix+"/wh_0123456789abcdef", "")
			want(404, "PUT", prefix+"/wh_0123456789abcdef", got[:1]+got[strings.Index(got, ",")+1:])
			if version == "2025-09" {
				want(200, "GET", prefix+"/", "")
			} else {
				want(200, "POST", prefix+"/list", "")
				want(200, "POST", prefix+"/list?limit=2&include_total=true",
					`{"event_type": "object.created", "is_active": true}`)
				want(200, "POST", prefix+"/list?limit=2&offset=2", `{"event_type": null}`)
				want(422, "POST", prefix+"/list?limit=0", `{"is_active": 7}`)
			}
			want(204, "DELETE", one, "")
			want(204, "DELETE", one, "")

			for failure, status := range map[error]int{
				api.ErrUnauthenticated: http.StatusUnauthorized,
				api.ErrForbidden:       http.StatusForbidden,
				errors.New("down"):     http.StatusInternalServerError,
			} {
				f.failure = failure
				want(status, "POST", prefix+"/", subscriptionBody("a", channels))
				want(status, "GET", one, "")
				want(status, "DELETE", one, "")
			}
		})
	}
}

// The API refuses what the schema of a version refuses, except event types and channels beyond
// the published lists, which it accepts on purpose.
func TestRefusals(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	for version, channels := range versions() {
		if testing.Short() && version != "2026-03" {
			continue
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			d := contract(t, version)
			var body map[string]any
			require.NoError(t, json.Unmarshal([]byte(subscriptionBody("a", channels)), &body))
			refused := 0
			for _, changed := range variants(body) {
				text, err := json.Marshal(changed)
				require.NoError(t, err)
				if d.checkRequest("POST", prefix+"/", text) == nil {
					continue
				}
				refused++
				status, answer := f.do("POST", prefix+"/", string(text), d)
				assert.Equal(t, http.StatusUnprocessableEntity, status, "%s: %s", text, answer)
			}
			assert.Greater(t, refused, 50)
		})
	}
}

// variants returns copies of a value. In each of them one part, at any depth, has another value
// or is missing.
func variants(value any) (list []any) {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			with := func(v any) map[string]any {
				c := map[string]any{}
				for n, m := range value {
					c[n] = m
				}
				c[name] = v
				return c
			}
			without := with(nil)
			delete(without, name)
			list = append(list, without)
			for _, v := range variants(member) {
				if v != nil || member == nil { // null is as good as absent here
					list = append(list, with(v))
				}
			}
		}
	case []any:
		for i := range value {
			for _, v := range variants(value[i]) {
				c := append([]any{}, value...)
				c[i] = v
				list = append(list, c)
			}
		}
		list = append(list, []any{})
	}
	return append(list, 7.0, true, []any{1.0}, map[string]any{"no": "such"})
}

// The API accepts the examples of the contract, also those that do not fit the contract's schema.
func TestExamples(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := contract(t, "2026-03")
	examples, _ := d.get("components", "schemas", "Webhook-Input", "examples")
	list, ok := examples.([]any)
	require.True(t, ok)
	require.Len(t, list, 3)
	for _, example := range list {
		body, err := json.Marshal(example)
		require.NoError(t, err)
		status, answer := f.do("POST", prefix+"/", string(body))
		assert.Equal(t, http.StatusCreated, status, "%s: %s", body, answer)
	}
}

// A webhook can subscribe to all published event types.
func TestEventTypes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for version, channels := range versions() {
		types, _ := contract(t, version).get("components", "schemas", "WebhookEventType", "enum")
		text, err := json.Marshal(types)
		require.NoError(t, err)
		body := strings.Replace(subscriptionBody("a", channels), `["object.created", "taxonomy.created"]`,
			string(text), 1)
		status, answer := f.do("POST", prefix, body, contract(t, version))
		assert.Equal(t, http.StatusCreated, status, answer)
	}
}
