package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/inbox"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// The sender has its answer before the handler runs, and never hears that the
// handler failed at first.
func Example() {
	rcv, err := receiver.New(receiver.Config{Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	done, attempt := make(chan struct{}), 0
	events := receiver.NewRouter()
	events.On("object.*", func(_ context.Context, e *event.Event) error {
		if attempt++; attempt == 1 {
			fmt.Println("database is down")
			return errors.New("database is down")
		}
		fmt.Println("handled", e.Type, "of", e.Subject.ID)
		close(done)
		return nil
	})

	// Package memstore forgets: a program that means it opens a file with
	// module webhook/sqlite, or a database with module webhook/postgres.
	in, err := inbox.New(memstore.New(), events.HandleEvent, inbox.Config{
		Dispatcher: dispatch.Config{
			Retry:        dispatch.RetryPolicy{InitialInterval: time.Millisecond},
			PollInterval: time.Millisecond,
			Logger:       slog.New(slog.DiscardHandler),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := rcv.Handler(receiver.HandlerFunc(in.HandleEvent))

	r := httptest.NewRequest(http.MethodPost, "https://example.com/webhooks",
		strings.NewReader(`{"event_id":"evt_1","event_type":"object.created","subject":{"type":"object","id":"obj_1"}}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Mixpeek-Secret", "correct-horse-battery-staple")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, http.StatusText(w.Code))

	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- in.Run(ctx) }()
	<-done
	cancel()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// 200 OK
	// database is down
	// handled object.created of obj_1
	// stopped: <nil>
}

// Look at what was given up, and try it again once the reason is gone.
func ExampleInbox_Dispatcher() {
	known, outcomes := false, make(chan webhook.Status)
	in, err := inbox.New(memstore.New(), func(context.Context, *event.Event) error {
		if known {
			return nil
		}
		return receiver.Permanent(errors.New("no such customer"))
	}, inbox.Config{Dispatcher: dispatch.Config{
		Logger: slog.New(slog.DiscardHandler),
		Hooks:  dispatch.Hooks{Attempted: func(o dispatch.Result) { outcomes <- o.Status }},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- in.Run(ctx) }()
	if err := in.HandleEvent(ctx, &event.Event{ID: "evt_1", Type: "customer.updated"}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-outcomes)

	dead, err := in.Dispatcher().Deliveries(ctx, webhook.DeliveryQuery{
		OrganizationID: in.OrganizationID(), Status: webhook.StatusDead,
	})
	if err != nil {
		fmt.Println(err)
	}
	known = true
	for _, d := range dead {
		fmt.Println(d.EventID, d.EventType, d.Attempts[0].Error)
		if err := in.Dispatcher().Replay(ctx, in.OrganizationID(), d.ID); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(<-outcomes)
	cancel()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// dead
	// evt_1 customer.updated no such customer
	// succeeded
	// stopped: <nil>
}
