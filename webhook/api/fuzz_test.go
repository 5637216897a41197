package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

// FuzzBodies sends any bytes to every route that takes a body. Nothing breaks:
// the answer is JSON of the documented form, and a webhook that is taken can be
// read, holds no secret that was sent, and can be sent back as it is.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[]", "null", "{", "\"\xff\"", plainSubscription, secretSubscription,
		`{"webhook_name": "` + api.Mask + `", "event_types": ["*"], "channels": [{"channel": "webhook", "configs": {"url": "https://example.com/", "headers": {"a": "` + api.Mask + `"}}}]}`,
		`{"webhook_name": "n", "event_types": ["*"], "channels": [{"channel": "sink", "configs": {"token": ["aaaaaaaaaa", 5, {"x": "bbbbbbbbbb"}], "key": "cccccccccc"}}]}`,
		`{"webhook_name": "n", "event_types": ["*"], "channels": [{"channel": "slack", "configs": {"bot_token": "xoxb-1", "channel_id": "C"}}]}`,
		`{"event_type": "object.*", "is_active": true}`,
		`{"status": "dead", "limit": 5, "per_second": 1e3, "since": "2025-01-01T00:00:00Z", "cursor": "dlv_3"}`,
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
			"POST /list", "PUT /" + id, "POST /" + id + "/replay", "POST /" + id + "/signing-secret/rotate", "POST /preview", "POST ",
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

// checkTaken checks a webhook that was taken.
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
