package conformance_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// sdk reads and writes as a client does whose models were generated from a version of the
// contract. It fails if something does not fit the schemas, drops fields that they do not have,
// and may send defaults.
type sdk struct {
	*document
	defaults bool
}

// read returns the value as the model of the schema holds it.
func (s sdk) read(value any, pointer ...string) any {
	schema, at := s.get(pointer...)
	object, _ := schema.(map[string]any)
	if variants, ok := object["anyOf"].([]any); ok {
		return s.readVariant(value, variants, append(at, "anyOf"))
	}
	switch value := value.(type) {
	case map[string]any:
		properties, ok := object["properties"].(map[string]any)
		if !ok {
			return value
		}
		model := map[string]any{}
		for name, property := range properties {
			member, there := value[name]
			if there {
				model[name] = s.read(member, append(slices.Clone(at), "properties", name)...)
			} else if s.defaults {
				s.writeDefault(model, name, property.(map[string]any))
			}
		}
		return model
	case []any:
		list := make([]any, len(value))
		for i, item := range value {
			list[i] = s.read(item, append(slices.Clone(at), "items")...)
		}
		return list
	}
	return value
}

// readVariant takes the variant that fits and has most of the value's fields.
func (s sdk) readVariant(value any, variants []any, at []string) any {
	var best any
	most := -1
	for i := range variants {
		pointer := append(slices.Clone(at), strconv.Itoa(i))
		if s.schema(pointer).Validate(value) != nil {
			continue
		}
		model := s.readItem(value, variants[i])
		n := 0
		if object, ok := model.(map[string]any); ok {
			whole, _ := value.(map[string]any)
			for name := range object {
				if _, there := whole[name]; there {
					n++
				}
			}
		}
		if n > most {
			best, most = model, n
		}
	}
	require.GreaterOrEqual(s.t, most, 0, "%s: no variant of %v fits %v", s.name, at, value)
	return best
}

// readItem reads an element of a list of schemas, to which a pointer of names does not lead.
func (s sdk) readItem(value, schema any) any {
	object, _ := schema.(map[string]any)
	if ref, ok := object["$ref"].(string); ok {
		return s.read(value, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return value
}

func (s sdk) writeDefault(model map[string]any, name string, property map[string]any) {
	if value, ok := property["default"]; ok {
		model[name] = value
		return
	}
	if variants, ok := property["anyOf"].([]any); ok {
		for _, variant := range variants {
			if variant.(map[string]any)["type"] == "null" {
				model[name] = nil
			}
		}
	}
}

// list returns the organization's list of webhooks as the SDK of the version reads it.
func (s sdk) list(f *fixture) []any {
	f.t.Helper()
	method, path, schema := http.MethodGet, "/",
		[]string{"paths", prefix + "/", "get", "responses", "200", "content", "application/json",
			"schema"}
	if s.name == "2026-03" {
		method, path, schema = http.MethodPost, "/list",
			[]string{"components", "schemas", "ListWebhooksResponse"}
	}
	status, answer := f.do(method, prefix+path, "")
	require.Equal(f.t, http.StatusOK, status, answer)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(answer)))
	require.NoError(f.t, err)
	require.NoError(f.t, s.schema(schema).Validate(value), answer)
	if page, ok := value.(map[string]any); ok {
		value = page["results"]
	}
	var list []any
	for _, item := range value.([]any) {
		list = append(list, s.read(item, "components", "schemas", "Webhook-Output"))
	}
	return list
}

// everything returns webhooks with all fields of all channels, in all of their forms.
func everything() []string {
	bodies := []string{
		`{"channel": "webhook", "configs": {"url": "https://example.com/hook",
			"headers": {"X-Mixpeek-Secret": "s3cr3t"}, "payload_template": {"text": ["{{ event_id }}"]},
			"timeout": 2.5, "method": "PUT", "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
				"signing_secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]}}`,
		`{"channel": "webhook", "configs": {"url": "https://example.com/hook", "headers": null,
			"payload_template": null, "timeout": null, "method": null, "signing_secret": null,
			"signing_secrets": null}}`,
		`{"channel": "webhook", "configs": {"url": "https://example.com/hook", "method": ""}}`,
		`{"channel": "webhook", "configs": {"url": "https://example.com/hook", "method": "put"}}`,
		`{"channel": "slack", "configs": {"webhook_url": "https://hooks.slack.com/services/T0/B0/x",
			"channel": "#ops", "username": "u", "icon_emoji": ":bell:",
			"icon_url": "https://example.com/i.png", "blocks_template": "[{{ event_id|tojson }}]"}}`,
		`{"channel": "slack", "configs": {"webhook_url": "https://hooks.slack.com/services/T0/B0/x",
			"blocks": [{"type": "divider"}]}}`,
		`{"channel": "slack", "configs": {"bot_token": "xoxb-1", "channel_id": "C1", "workspace_id": "T1",
			"channel": null, "username": null, "icon_emoji": null, "icon_url": null,
			"blocks_template": null}}`,
		`{"channel": "email", "configs": {"to_addresses": ["a@example.com"],
			"cc_addresses": ["b@example.com"], "bcc_addresses": ["c@example.com"], "subject_template": "s",
			"body_template": "b", "content_type": "markdown"}}`,
		`{"channel": "email", "configs": {"recipients": ["a@example.com"], "cc_addresses": null,
			"bcc_addresses": null, "subject_template": null, "body_template": null, "content_type": null}}`,
		`{"channel": "email", "configs": {"recipients": ["a@example.com"], "to_addresses": null,
			"content_type": ""}}`,
	}
	for i, channel := range bodies {
		bodies[i] = `{"webhook_name": "n", "event_types": ["object.created"],
			"channels": [` + channel + `]}`
	}
	return bodies
}

// A client that knows only the contract can read everything and send it back, and nothing
// changes.
func TestReadModifyWriteBySDK(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	for version := range versions() {
		if testing.Short() && version != "2026-03" {
			continue
		}
		for _, defaults := range []bool{false, true} {
			f := newFixture(t)
			s := sdk{contract(t, version), defaults}
			bodies := everything()
			if version == "2025-09" {
				bodies = append(bodies, subscriptionBody("n", versions()[version][3:]))
			}
			for _, body := range bodies { // as a service may have stored them without the API
				sub := &webhook.Subscription{OrganizationID: "org_1"}
				require.NoError(t, json.Unmarshal([]byte(body), sub))
				require.NoError(t, f.dispatcher.CreateSubscription(t.Context(), sub), body)
			}
			before := f.stored()
			list := s.list(f)
			require.Len(t, list, len(bodies))
			for _, item := range list {
				model := item.(map[string]any)
				model["webhook_name"] = "renamed"
				body, err := json.Marshal(model)
				require.NoError(t, err)
				status, answer := f.do("PUT", prefix+"/"+model["webhook_id"].(string), string(body), s.document)
				require.Equal(t, http.StatusOK, status, "%s: %s", body, answer)
			}
			assert.Equal(t, before, f.stored(), "%s, defaults %t", version, defaults)
			s.list(f)
		}
	}
}

// stored returns what the stored configs of all channels mean.
func (f *fixture) stored() (list []map[string]any) {
	f.t.Helper()
	for _, sub := range f.webhooks() {
		for _, c := range sub.Channels {
			var configs map[string]any
			require.NoError(f.t, json.Unmarshal(c.Configs, &configs))
			if to, ok := configs["recipients"]; ok {
				configs["to_addresses"] = to
				delete(configs, "recipients")
			}
			maps.DeleteFunc(configs, func(name string, v any) bool {
				return v == nil || v == "" || name == "timeout" && v == 10.0 || name == "content_type" &&
					v == "html"
			})
			list = append(list, configs)
		}
	}
	return list
}
