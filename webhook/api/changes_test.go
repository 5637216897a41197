package api_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

// changeLog is a logger, and what it was told of changes.
type changeLog struct {
	t    *testing.T
	text bytes.Buffer
}

// take returns the attributes of the lines since the last call.
func (l *changeLog) take() (lines []map[string]any) {
	l.t.Helper()
	for d := json.NewDecoder(&l.text); d.More(); {
		line := map[string]any{}
		require.NoError(l.t, d.Decode(&line))
		require.Equal(l.t, "INFO", line["level"])
		require.Equal(l.t, "api: a webhook was changed", line["msg"])
		for _, name := range []string{"time", "level", "msg"} {
			delete(line, name)
		}
		lines = append(lines, line)
	}
	return lines
}

// Each change of a webhook leaves a line that says who made it, and no secret.
func TestChangesAreLogged(t *testing.T) {
	t.Parallel()
	log := &changeLog{t: t}
	f := newFixture(t, options{api: func(cfg *api.Config) {
		cfg.Logger = slog.New(slog.NewJSONHandler(&log.text, nil))
		cfg.Actor = func(*http.Request) string { return "ann@example.com" }
	}})
	token, key, err := f.apiKeys.Create(t.Context(), apikey.Service("setup"), webhook.APIKey{
		OrganizationID: orgA, Name: "night shift", Rights: webhook.Rights{Role: webhook.RoleAdminister}})
	require.NoError(t, err)
	bearer := []string{"Authorization", "Bearer " + token}
	id := f.create(secretSubscription, bearer...)
	path, channel := prefix+"/"+id, "webhook"
	want := func(by, action string, more ...any) {
		t.Helper()
		line := map[string]any{"organization_id": orgA, "webhook_id": id, "action": action,
			"changed_by": by}
		for i := 0; i < len(more); i += 2 {
			line[more[i].(string)] = more[i+1]
		}
		assert.NotContains(t, log.text.String(), token)
		assert.NotContains(t, log.text.String(), "s3cr3t")
		assert.NotContains(t, log.text.String(), "whsec_")
		assert.Equal(t, []map[string]any{line}, log.take())
	}
	byKey := key.ID + " night shift"
	want(byKey, "create")
	for _, tt := range []struct {
		method, path, body, action string
		more                       []any
	}{
		{"PATCH", "", `{"is_active": false}`, "pause", []any{"fields", []any{"is_active"}}},
		{"PATCH", "", `{"is_active": false}`, "update", nil},
		{"PATCH", "", `{"is_active": true, "webhook_name": "x"}`, "resume",
			[]any{"fields", []any{"webhook_name", "is_active"}}},
		{"PATCH", "", `{"retry": {"max_attempts": 3}, "rate_limit": {"per_second": 2}, "ordering": {},
			"event_types": ["*"]}`, "update",
			[]any{"fields", []any{"event_types", "retry", "rate_limit", "ordering"}}},
		{"PUT", "", plainSubscription, "update",
			[]any{"fields", []any{"webhook_name", "event_types", "channels"}}},
		{"POST", "/endpoints/disable", "", "disable", []any{"channel", channel}},
		{"POST", "/endpoints/enable", "", "enable", []any{"channel", channel}},
		{"POST", "/signing-secret/rotate", "", "rotate", []any{"channel", channel}},
		{"DELETE", "/signing-secret/previous", "", "drop_previous", []any{"channel", channel}},
	} {
		a := f.do(tt.method, path+tt.path, tt.body, bearer...)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		want(byKey, tt.action, tt.more...)
	}
	f.do("POST", path+"/endpoints/disable", "").want(http.StatusOK)
	want("ann@example.com", "disable", "channel", channel)
	f.do("DELETE", path, "", append(bearer, "If-Match", "*")...).want(http.StatusNoContent)
	want(byKey, "delete")
	id = f.create(plainSubscription)
	want("ann@example.com", "create")
	f.do("DELETE", prefix+"/"+id, "").want(http.StatusNoContent)
	want("ann@example.com", "delete")

	// What was not done, or had been done before, leaves none.
	f.do("DELETE", prefix+"/"+id, "").want(http.StatusNoContent)
	f.do("PATCH", prefix+"/"+id, `{"is_active": false}`).want(http.StatusNotFound)
	assert.Empty(t, log.take())
	again := []string{"Idempotency-Key", "k"}
	id = f.create(plainSubscription, again...)
	want("ann@example.com", "create")
	f.create(plainSubscription, again...)
	f.do("PATCH", prefix+"/"+id, `{"is_active": false}`, "If-Match", `"0"`).
		want(http.StatusPreconditionFailed)
	assert.Empty(t, log.take())
}
