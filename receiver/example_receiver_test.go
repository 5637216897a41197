package receiver_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// deliver sends an event to a handler as a sender would, and prints the answer.
func deliver(h http.Handler, secret, body string) {
	r := httptest.NewRequest(http.MethodPost, "https://example.com/webhooks",
		strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Mixpeek-Secret", secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, http.StatusText(w.Code))
}

const created = `{"event_id":"evt_1","event_type":"object.created","subject":{"type":"object","id":"obj_1"}}`

// A receiver with a static secret, and handlers by event type.
func Example() {
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	events := receiver.NewRouter()
	events.On("object.*", func(_ context.Context, e *event.Event) error {
		fmt.Println("handling", e.Type, "of", e.Subject.ID)
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("/webhooks", rcv.Handler(events))

	deliver(mux, "correct-horse-battery-staple", created)
	deliver(mux, "correct-horse-battery-staple", created) // the sender did not get the answer
	deliver(mux, "guess", created)
	// Output:
	// handling object.created of obj_1
	// 200 OK
	// 200 OK
	// 401 Unauthorized
}

// Any http.Handler can be mounted. It finds the event in the context and the exact body in the
// request, and its result is the status.
func ExampleReceiver_Handler() {
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := rcv.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		fmt.Println(receiver.EventFrom(r.Context()).ID, len(body), "bytes")
		w.WriteHeader(http.StatusAccepted)
	}))
	deliver(h, "correct-horse-battery-staple", created)
	// Output:
	// evt_1 91 bytes
	// 202 Accepted
}
