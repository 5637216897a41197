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
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// The sender gets its answer before the handler runs, so it does not notice that the handler
// fails at first.
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

	// memstore keeps events in memory. Use webhook/sqlite or webhook/postgres in production.
	in, err := inbox.New(memstore.New(), events.HandleEvent, inbox.Config{
		Dispatcher: dispatch.Config{
			Retry:        dispatch.ExponentialRetry{InitialInterval: time.Millisecond},
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
