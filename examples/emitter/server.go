package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// server serves
//
//	POST /events   202 {"event_id"}, once the event is durable
//	               413 too large, 422 {"problems"}, 503 try again
//	GET /healthz   200 while the store answers
type server struct {
	dispatcher *dispatch.Dispatcher
	logger     *slog.Logger
}

func newHandler(dispatcher *dispatch.Dispatcher, logger *slog.Logger) *http.ServeMux {
	a := &server{dispatcher, logger}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /events", a.postEvent)
	mux.HandleFunc("GET /healthz", a.health)
	return mux
}

type accepted struct {
	EventID string `json:"event_id"`
}

type refusal struct {
	Error    string    `json:"error"`
	Problems []problem `json:"problems,omitempty"`
}

type problem struct {
	Field string `json:"field"`
	Rule  string `json:"rule"`
}

// postEvent emits the envelope in the body. What it lacks of event_id,
// occurred_at, actor and version is filled in. A client that sends its own
// event_id can repeat a request without a second thought.
func (a *server) postEvent(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, dispatch.MaxPayload))
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			a.answer(w, http.StatusRequestEntityTooLarge, refusal{Error: "the event is too large"})
			return
		}
		a.answer(w, http.StatusBadRequest, refusal{Error: "the body broke off"})
		return
	}
	e, err := event.Decode(body)
	if err == nil {
		err = a.dispatcher.Emit(r.Context(), e)
	}
	var malformed *event.DecodeError
	var invalid *event.ValidationError
	switch {
	case err == nil:
		a.answer(w, http.StatusAccepted, accepted{e.ID})
	case errors.As(err, &malformed):
		a.answer(w, http.StatusUnprocessableEntity, refusal{"the body is not an event", []problem{{cmp.Or(malformed.Field, "body"), malformed.Rule}}})
	case errors.As(err, &invalid):
		problems := make([]problem, len(invalid.Problems))
		for i, p := range invalid.Problems {
			problems[i] = problem{p.Field, p.Rule}
		}
		a.answer(w, http.StatusUnprocessableEntity, refusal{"the event is invalid", problems})
	default:
		a.logger.Error("an event could not be stored", "event_id", e.ID, "error", err)
		w.Header().Set("Retry-After", "1")
		a.answer(w, http.StatusServiceUnavailable, refusal{Error: "the event could not be stored, try again"})
	}
}

func (a *server) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if _, err := a.dispatcher.Subscriptions(ctx, webhook.SubscriptionQuery{Limit: 1}); err != nil {
		a.logger.Error("the store does not answer", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (a *server) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.logger.Debug("the client is gone", "error", err)
	}
}
