package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

func TestPatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(secretSubscription)
	path := prefix + "/" + id
	before := f.configs(id)
	patch := func(body string, header ...string) *answer { return f.do("PATCH", path, body, header...) }

	w := patch(`{"is_active": false}`, "Content-Type", "application/merge-patch+json").want(http.StatusOK)
	assert.Equal(t, []any{false, "secret", []any{"object.created"}}, []any{w["is_active"], w["webhook_name"], w["event_types"]})
	assert.Equal(t, before, f.configs(id), "what is absent stays")
	w = patch(`{"webhook_name": "renamed", "event_types": ["invoice.*"]}`).want(http.StatusOK)
	assert.Equal(t, []any{false, "renamed", []any{"invoice.*"}}, []any{w["is_active"], w["webhook_name"], w["event_types"]})
	assert.Equal(t, true, patch(`{"is_active": null}`).want(http.StatusOK)["is_active"], "null removes, and absent is true")
	patch(`{}`).want(http.StatusOK)
	assert.Equal(t, before, f.configs(id))

	// Channels are replaced as an update replaces them.
	const hook = `{"channels": [{"channel": "webhook", "configs": {"url": "https://example.com/new", "headers": {"X-Other": "` + api.Mask + `"}}}]}`
	patch(hook).want(http.StatusOK)
	assert.JSONEq(t, `{"url": "https://example.com/new", "headers": {"X-Other": "s3cr3t-two"}, "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`, f.configs(id)[0])
	assert.Equal(t, []string{"body.channels.0.configs.signing_secret: value_error", "body.channels.0.configs.headers.X-Other: value_error"},
		patch(strings.Replace(hook, "example.com", "thief.example", 1)).problems())

	for body, want := range map[string][]string{
		``:                                       {"body: missing"},
		`[]`:                                     {"body: object_type"},
		`{"is_active": 1}`:                       {"body.is_active: boolean_type"},
		`{"x": 1}`:                               {"body.x: extra_forbidden"},
		`{"webhook_name": null}`:                 {"body.webhook_name: missing"},
		`{"channels": null}`:                     {"body.channels: value_error"},
		`{"event_types": []}`:                    {"body.event_types: value_error"},
		`{"webhook_id": "wh_0123456789abcdef"}`:  {"body.webhook_id: value_error"},
		`{"channels": [` + many(51, "{}") + `]}`: {"body.channels: too_long"},
	} {
		assert.Equal(t, want, patch(body).problems(), body)
	}
	patch(`{"is_active": true}`, "If-Match", `"1"`).errorType(http.StatusPreconditionFailed)
	f.do("PATCH", prefix+"/wh_0123456789abcdef", `{"is_active": true}`).errorType(http.StatusNotFound)
	assert.Equal(t, "UnsupportedMediaTypeError", patch(`{}`, "Content-Type", "text/plain").errorType(http.StatusUnsupportedMediaType))
}
