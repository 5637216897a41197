package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
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
	deliver(mux, "correct-horse-battery-staple", created) // the sender did not see the answer
	deliver(mux, "guess", created)
	// Output:
	// handling object.created of obj_1
	// 200 OK
	// 200 OK
	// 401 Unauthorized
}

// What a handler returns decides whether the sender tries again.
func ExamplePermanent() {
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		Logger:  slog.New(slog.DiscardHandler),
		Hooks: receiver.Hooks{OnResult: func(r receiver.Result) {
			fmt.Println(r.Outcome)
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	attempt := 0
	h := rcv.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
		if attempt++; attempt == 1 {
			return errors.New("database is down")
		}
		return receiver.Permanent(errors.New("no such customer"))
	}))
	deliver(h, "correct-horse-battery-staple", created)
	deliver(h, "correct-horse-battery-staple", created)
	deliver(h, "correct-horse-battery-staple", created)
	// Output:
	// failed
	// 503 Service Unavailable
	// given_up
	// 200 OK
	// duplicate
	// 200 OK
}

// Any http.Handler can be mounted: it finds the event in the context and the
// exact body in the request, and its status decides.
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

// A sender that signs is verified by its key, here while it changes over from
// a static secret.
func ExampleConfig_signature() {
	key, err := signature.ParseKey("whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := signature.NewVerifier(signature.Config{Keys: []signature.VerifyKey{{Key: key}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = receiver.New(receiver.Config{
		Signature: verifier,
		Secrets:   []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		AnyOf:     true,
	})
	fmt.Println(err)
	// Output: <nil>
}

// A configuration that cannot work says everything that is wrong with it.
func ExampleNew_invalid() {
	_, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "from-a-file-with-a-newline\n"}},
		MaxBody: -1,
	})
	fmt.Println(err)
	// Output:
	// invalid: MaxBody: must not be negative; Secrets[0].Value: must not begin or end with white space, which headers lose in transit
}

// Code that wants no middleware checks a request itself.
func ExampleReceiver_Check() {
	rcv, err := receiver.New(receiver.Config{Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodPost, "https://example.com/webhooks",
		strings.NewReader(created))
	r.Header.Set("Content-Type", "application/json")
	_, err = rcv.Check(r)
	fmt.Println(err, errors.Is(err, receiver.ErrSecretMissing))

	r.Header.Set("X-Mixpeek-Secret", "correct-horse-battery-staple")
	d, err := rcv.Check(r)
	fmt.Println(d.Event.Type, d.Claim.Key, err)
	// Output:
	// receiver: secret header missing true
	// object.created evt_1 <nil>
}
