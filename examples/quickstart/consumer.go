package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// flakyType is the type of the events that the consumer fails to handle twice.
const flakyType = event.TaxonomyCreated

// A consumer is the receiving half: an HTTP server with a Receiver in front of
// its handlers, and a cache.
type consumer struct {
	url    string
	cache  *cache
	server *http.Server

	mu       sync.Mutex
	calls    map[string]int // of handlers, by event id
	handled  map[string]int // that succeeded, by event id
	outcomes map[receiver.Outcome]int
}

// startConsumer serves on a free port of loopback.
func startConsumer(ctx context.Context, secret string) (*consumer, error) {
	c := &consumer{
		cache:    newCache(),
		calls:    make(map[string]int),
		handled:  make(map[string]int),
		outcomes: make(map[receiver.Outcome]int),
	}
	rcv, err := receiver.New(receiver.Config{
		Secrets:     []receiver.Secret{{Value: secret}},
		Invalidator: receiver.InvalidatorFunc(c.cache.invalidate),
		AllowHTTP:   true, // loopback has no HTTPS: in development only
		Hooks:       receiver.Hooks{OnResult: c.count},
		Logger:      slog.New(slog.DiscardHandler), // the story says it all
	})
	if err != nil {
		return nil, err
	}
	events := receiver.NewRouter()
	events.On(flakyType, c.handleFlaky)
	events.On(event.MatchAll, c.handle)

	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.url = "http://" + listener.Addr().String() + "/webhooks"
	mux := http.NewServeMux()
	mux.Handle("/webhooks", rcv.Handler(events))
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = c.server.Serve(listener) }() // ends with close
	return c, nil
}

// handle does what a service does with an event. It is called once for each,
// unless it returns an error: then the emitter tries again.
func (c *consumer) handle(_ context.Context, e *event.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handled[e.ID]++
	return nil
}

// handleFlaky fails twice for each event before it succeeds.
func (c *consumer) handleFlaky(ctx context.Context, e *event.Event) error {
	if c.call(e) <= 2 {
		return errors.New("the search index is restarting")
	}
	return c.handle(ctx, e)
}

func (c *consumer) call(e *event.Event) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[e.ID]++
	return c.calls[e.ID]
}

// count hears of the outcome of each request that had the right secret.
func (c *consumer) count(r receiver.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes[r.Outcome]++
}

func (c *consumer) timesHandled(e *event.Event) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handled[e.ID]
}

func (c *consumer) duplicates() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outcomes[receiver.Duplicate]
}

func (c *consumer) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.server.Shutdown(ctx)
}
