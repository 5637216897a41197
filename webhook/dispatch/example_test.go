package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// exampleDispatcher has one channel, named "print", that never leaves the process.
func exampleDispatcher(send channel.Func, cfg dispatch.Config) *dispatch.Dispatcher {
	cfg.Channels = channel.NewRegistry()
	if err := cfg.Channels.Register("print", send); err != nil {
		panic(err)
	}
	d, err := dispatch.New(memstore.New(), cfg)
	if err != nil {
		panic(err)
	}
	return d
}

func exampleEvent(eventType string) *event.Event {
	e := event.New(eventType, event.Subject{Type: "object", ID: "obj_1"})
	e.ID = "evt_example"
	e.Namespace = "acme"
	return e
}

func subscribeAll(ctx context.Context, d *dispatch.Dispatcher) *webhook.Subscription {
	sub := &webhook.Subscription{
		Name:       "all",
		EventTypes: []event.Pattern{"*"},
		Channels:   []webhook.ChannelConfig{{Channel: "print", Configs: json.RawMessage(`{}`)}},
	}
	if err := d.CreateSubscription(ctx, sub); err != nil {
		panic(err)
	}
	return sub
}

// Publish an event and deliver it.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	delivered := make(chan struct{})
	d := exampleDispatcher(func(_ context.Context, m *channel.Message) (channel.Result, error) {
		fmt.Println("delivered", m.EventID, m.EventType)
		close(delivered)
		return channel.Result{}, nil
	}, dispatch.Config{})

	subscribeAll(ctx, d)
	stopped := make(chan error)
	go func() { stopped <- d.Run(ctx) }()

	if _, err := d.Emit(ctx, exampleEvent(event.ObjectCreated)); err != nil {
		fmt.Println(err)
	}
	<-delivered
	cancel()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// delivered evt_example object.created
	// stopped: <nil>
}

// A subscription that is wrong is refused with every reason at once.
func ExampleDispatcher_CreateSubscription_invalid() {
	d, err := dispatch.New(memstore.New(), dispatch.Config{})
	if err != nil {
		panic(err)
	}
	err = d.CreateSubscription(context.Background(), &webhook.Subscription{
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: "http://example.com/"})},
	})
	fmt.Println(err)
	// Output:
	// invalid: webhook_name: is required; event_types: needs at least one event type; channels[0].configs.url: must be https: plain http is not allowed here
}

// Retry, and look at every attempt afterwards.
func ExampleDispatcher_Deliveries() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	d := exampleDispatcher(func(_ context.Context, m *channel.Message) (channel.Result, error) {
		if m.Attempt < 3 {
			return channel.Result{}, channel.Classify(http.StatusBadGateway, nil, time.Now())
		}
		return channel.Result{StatusCode: http.StatusOK}, nil
	}, dispatch.Config{
		Retry:        dispatch.ExponentialRetry{InitialInterval: time.Millisecond},
		PollInterval: time.Millisecond,
		Hooks: dispatch.Hooks{Attempted: func(o dispatch.Result) {
			if o.Status == webhook.StatusSucceeded {
				close(done)
			}
		}},
	})
	subscribeAll(ctx, d)
	stopped := make(chan error)
	go func() { stopped <- d.Run(ctx) }()
	if _, err := d.Emit(ctx, exampleEvent(event.ObjectUpdated)); err != nil {
		fmt.Println(err)
	}
	<-done
	cancel()
	if err := <-stopped; err != nil { // results are stored by now
		fmt.Println(err)
	}

	deliveries, err := d.Deliveries(context.Background(),
		webhook.DeliveryQuery{EventID: "evt_example"})
	if err != nil {
		fmt.Println(err)
	}
	for _, delivery := range deliveries {
		fmt.Println(delivery.Status)
		for _, a := range delivery.Attempts {
			fmt.Println("attempt", a.Number, a.StatusCode, a.Class)
		}
	}
	// Output:
	// succeeded
	// attempt 1 502 status
	// attempt 2 502 status
	// attempt 3 200
}

// Run beside an HTTP server that emits: stop the server first, so that what its
// last requests emit is still delivered, then the Dispatcher.
func ExampleDispatcher_Run() {
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, nil
	}, dispatch.Config{})
	server := &http.Server{Addr: "127.0.0.1:0", ReadHeaderTimeout: 5 * time.Second}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)

	ctx, cancel := context.WithCancel(context.Background())
	delivering := make(chan error, 1)
	go func() { delivering <- d.Run(ctx) }()
	serving := make(chan error, 1)
	go func() { serving <- server.ListenAndServe() }()

	stop <- syscall.SIGTERM // what an orchestrator sends
	<-stop
	fmt.Println("server:", server.Shutdown(context.Background()), <-serving)
	cancel()
	fmt.Println("dispatcher:", <-delivering)
	// Output:
	// server: <nil> http: Server closed
	// dispatcher: <nil>
}

// Pause a webhook: its deliveries wait until it is active again.
func ExampleDispatcher_UpdateSubscription() {
	ctx := context.Background()
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, nil
	}, dispatch.Config{})
	sub := subscribeAll(ctx, d)

	sub.Paused = true
	if err := d.UpdateSubscription(ctx, sub); err != nil {
		fmt.Println(err)
	}
	if _, err := d.Emit(ctx, exampleEvent(event.ObjectDeleted)); err != nil {
		fmt.Println(err)
	}
	held, err := d.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusPaused})
	fmt.Println(len(held), "held,", err)
	// Output: 1 held, <nil>
}
