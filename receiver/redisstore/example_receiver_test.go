package redisstore_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/invalidate"
	"github.com/mixpeek/webhooks-go/receiver/redisstore"
)

// A receiver in several processes that remember in one Redis which events were handled,
// and keep the generation numbers of a cache there.
func Example() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
	defer func() { _ = client.Close() }()
	dedupe, err := redisstore.NewDedupe(client, redisstore.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	counters, err := redisstore.NewCounters(client, redisstore.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: os.Getenv("WEBHOOK_SECRET")}},
		Dedupe:  dedupe,
		Invalidator: invalidate.NewGenerations(counters, invalidate.GenerationsConfig{
			Remove: redisstore.Keys(client, "cache:"),
		}),
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
	server := &http.Server{Addr: ":8443", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Println(server.ListenAndServeTLS("server.crt", "server.key"))
}
