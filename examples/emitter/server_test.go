package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func newTestHandler(t *testing.T) http.Handler {
	t.Helper()
	channels, err := standard.New(standard.Config{})
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	dispatcher, err := dispatch.New(memstore.New(), dispatch.Config{
		Channels: channels,
		Logger:   logger,
	})
	require.NoError(t, err)
	handler, err := newHandler(dispatcher, http.NotFoundHandler(), nil, logger)
	require.NoError(t, err)
	return handler
}

// Every problem names what it is about, also where that is the body as a whole.
func TestProblemsNameAField(t *testing.T) {
	t.Parallel()
	handler := newTestHandler(t)
	for body, field := range map[string]string{
		`{"event_type": "object.created", "subj`: "body",
		``:                                       "body",
		`{"event_type": 1}`:                      "event_type",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(body))
		handler.ServeHTTP(w, r)
		assert.Equal(t, http.StatusUnprocessableEntity, w.Code, body)
		var answer refusal
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
		require.Len(t, answer.Problems, 1, body)
		assert.Equal(t, field, answer.Problems[0].Field, body)
	}
}
