package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// jsonLog returns a logger, and a function that returns the attributes of its last line.
func jsonLog(t *testing.T) (logger *slog.Logger, last func() map[string]any) {
	t.Helper()
	var log bytes.Buffer
	return slog.New(slog.NewJSONHandler(&log, nil)), func() map[string]any {
		lines := bytes.Split(bytes.TrimSpace(log.Bytes()), []byte("\n"))
		line := map[string]any{}
		require.NoError(t, json.Unmarshal(lines[len(lines)-1], &line), log.String())
		for _, name := range []string{"time", "level", "msg"} {
			delete(line, name)
		}
		return line
	}
}

func TestLogOfChanges(t *testing.T) {
	t.Parallel()
	logger, last := jsonLog(t)
	changed := logChanges(logger)
	ann := console.Identity{Name: "ann"}
	changed(context.Background(), console.Change{Identity: ann, Action: "pause", SubscriptionID: "wh_1"})
	assert.Equal(t, map[string]any{"changed_by": "ann", "action": "pause", "webhook_id": "wh_1"}, last())
	changed(context.Background(), console.Change{Identity: ann, Action: "skip", DeliveryID: 7,
		Err: errors.New("not dead")})
	assert.Equal(t, map[string]any{"changed_by": "ann", "action": "skip", "delivery_id": "dlv_7",
		"error": "not dead"}, last())
}

// A browser may send the password without a name.
func TestChangesInTheConsoleHaveAName(t *testing.T) {
	t.Parallel()
	logger, last := jsonLog(t)
	channels, err := standard.New(standard.Config{})
	require.NoError(t, err)
	store := memstore.New()
	d, err := dispatch.New(store, dispatch.Config{Channels: channels, Logger: logger})
	require.NoError(t, err)
	sub := config{url: "https://example.com/", types: "*", secret: "s"}.subscription()
	require.NoError(t, d.CreateSubscription(t.Context(), sub))
	keys, err := apikey.New(store, apikey.Config{Logger: logger})
	require.NoError(t, err)
	t.Cleanup(keys.Wait)
	handler, err := withConsole(http.NotFoundHandler(), d, "battery-horse", keys, logger)
	require.NoError(t, err)
	for name, by := range map[string]string{"": "the web console", "ann": "ann"} {
		r := httptest.NewRequest(http.MethodPost, "/console/subscriptions/"+sub.ID+"/pause", nil)
		r.SetBasicAuth(name, "battery-horse")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
		assert.Equal(t, map[string]any{"changed_by": by, "action": "pause", "webhook_id": sub.ID}, last())
	}
}
