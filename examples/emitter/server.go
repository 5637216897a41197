package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// server serves
//
//	POST /events   202 {"event_id"}, once the event is durable
//	               413 too large, 422 {"problems"}, 503 try again
//	GET /healthz   200 while the store answers, and what is wrong: for readiness probes
//	GET /livez     200 while the process works: for liveness probes
//	GET /metrics   for Prometheus
type server struct {
	dispatcher *dispatch.Dispatcher
	logger     *slog.Logger
}

func newHandler(
	dispatcher *dispatch.Dispatcher, metrics http.Handler, reasons func() []string, logger *slog.Logger,
) (http.Handler, error) {
	health, err := dispatch.NewHealthHandler(dispatcher, dispatch.HealthConfig{Reasons: reasons})
	if err != nil {
		return nil, err
	}
	a := &server{dispatcher, logger}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /events", a.postEvent)
	mux.Handle("GET /healthz", health)
	mux.Handle("GET /livez", dispatch.NewLivenessHandler(dispatcher))
	mux.Handle("GET /metrics", metrics)
	return drained(mux), nil
}

// What is read of a body after the answer.
const (
	drainBytes = 16 << 20
	drainTime  = 5 * time.Second
)

// drained reads and discards the rest of a body after handler has answered. Otherwise the
// server resets the connection while a proxy is still sending, and nginx turns the answer
// into a 502.
func drained(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		if r.Body == http.NoBody || r.Header.Get("Expect") != "" {
			return // no body was sent: "Expect: 100-continue" waits for leave to send it
		}
		control := http.NewResponseController(w)
		if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(drainTime)) != nil {
			return
		}
		next := time.Now() // the server does not wait for the rest again
		if _, err := io.CopyN(io.Discard, r.Body, drainBytes); errors.Is(err, io.EOF) ||
			errors.Is(err, http.ErrBodyReadAfterClose) {
			next = time.Time{}
		}
		_ = control.SetReadDeadline(next) // it failed: the connection has ended
	})
}

type accepted struct {
	EventID    string `json:"event_id"`
	Deliveries int    `json:"deliveries"`
	Duplicate  bool   `json:"duplicate"`
}

type refusal struct {
	Error    string    `json:"error"`
	Problems []problem `json:"problems,omitempty"`
}

type problem struct {
	Field string `json:"field"`
	Rule  string `json:"rule"`
}

// postEvent emits the envelope in the body, and fills in event_id, occurred_at, actor and
// version where they are absent. A client that sends an event_id of its own can safely
// repeat a request.
func (a *server) postEvent(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, dispatch.MaxPayload))
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			a.answer(w, http.StatusRequestEntityTooLarge, refusal{Error: "the event is too large"})
			return
		}
		a.answer(w, http.StatusBadRequest, refusal{Error: "the body ended early"})
		return
	}
	var emitted []webhook.Emitted
	e, err := event.Decode(body)
	if err == nil {
		emitted, err = a.dispatcher.Emit(r.Context(), e)
	}
	var malformed *event.DecodeError
	var invalid *event.ValidationError
	switch {
	case err == nil:
		a.answer(w, http.StatusAccepted, accepted{e.ID, emitted[0].Deliveries, emitted[0].Duplicate})
	case errors.As(err, &malformed):
		problems := []problem{{cmp.Or(malformed.Field, "body"), malformed.Rule}}
		a.answer(w, http.StatusUnprocessableEntity, refusal{"the body is not an event", problems})
	case errors.As(err, &invalid):
		problems := make([]problem, len(invalid.Problems))
		for i, p := range invalid.Problems {
			problems[i] = problem{p.Field, p.Rule}
		}
		a.answer(w, http.StatusUnprocessableEntity, refusal{"the event is invalid", problems})
	default:
		a.logger.Error("could not store an event", "event_id", e.ID, "error", err)
		w.Header().Set("Retry-After", "1")
		a.answer(w, http.StatusServiceUnavailable,
			refusal{Error: "the event could not be stored, try again"})
	}
}

func (a *server) answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		a.logger.Error("could not encode an answer", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text))) // complete once it is flushed
	w.WriteHeader(status)
	if _, err := w.Write(text); err != nil {
		a.logger.Debug("could not send an answer", "error", err)
	}
}
