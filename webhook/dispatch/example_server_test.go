package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// publish emits an event for a request. What the caller of the service got wrong is told to
// it; a store that is out of reach is worth another try.
func publish(d *dispatch.Dispatcher) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: r.FormValue("id")})
		var invalid *event.ValidationError
		switch _, err := d.Emit(r.Context(), e); {
		case err == nil:
			w.WriteHeader(http.StatusAccepted) // it will be delivered
		case errors.As(err, &invalid):
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		case errors.Is(err, webhook.ErrUnavailable):
			w.Header().Set("Retry-After", "5")
			http.Error(w, "try again", http.StatusServiceUnavailable)
		default:
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	}
}

// serve runs the service until ctx ends. The server stops first, so that what its last
// requests emit is stored; then the Dispatcher drains.
func serve(ctx context.Context, l net.Listener, d *dispatch.Dispatcher) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pay", publish(d))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	delivering, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	delivered, served := make(chan error, 1), make(chan error, 1)
	go func() { delivered <- d.Run(delivering) }()
	go func() { served <- server.Serve(l) }()

	var err error
	select {
	case err = <-served: // it cannot go on
	case <-ctx.Done():
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		err = server.Shutdown(patience)
		cancel()
	}
	stop()
	return errors.Join(err, <-delivered)
}

// A service that publishes from its handlers, and stops cleanly when it gets a signal.
func Example_server() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	defer stop()

	channels, arrived := channel.NewRegistry(), make(chan string, 1)
	err := channels.Register("print", channel.Func(
		func(_ context.Context, m *channel.Message) (channel.Result, error) {
			arrived <- m.EventType
			return channel.Result{}, nil
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	// memstore keeps events in memory: a service uses webhook/sqlite or webhook/postgres, and
	// the channels of channel/standard.
	d, err := dispatch.New(memstore.New(), dispatch.Config{Channels: channels})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = d.PutSubscription(ctx, &webhook.Subscription{
		ID: "wh_accounting", Name: "accounting", EventTypes: []event.Pattern{"invoice.*"},
		Channels: []webhook.ChannelConfig{{Channel: "print", Configs: json.RawMessage(`{}`)}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	stopped := make(chan error, 1)
	go func() { stopped <- serve(ctx, l, d) }()

	for _, id := range []string{"", "inv_1"} { // requests of a client
		url := "http://" + l.Addr().String() + "/pay?id=" + id
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
		if err != nil {
			fmt.Println(err)
			return
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = response.Body.Close()
		fmt.Println(response.Status)
	}
	fmt.Println("arrived:", <-arrived)
	stop() // in this example, instead of the signal
	fmt.Println("stopped:", <-stopped)
	// Output:
	// 422 Unprocessable Entity
	// 202 Accepted
	// arrived: invoice.paid
	// stopped: <nil>
}
