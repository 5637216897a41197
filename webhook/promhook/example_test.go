package promhook_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/promhook"
)

// The metrics of a Dispatcher, beside those that the program has already.
func Example() {
	registry := prometheus.NewRegistry()
	metrics, err := promhook.New(registry, promhook.Config{})
	if err != nil {
		log.Fatal(err)
	}
	d, err := dispatch.New(memstore.New(), dispatch.Config{
		Hooks: metrics.Hooks(), Channels: exampleChannels(),
	})
	if err != nil {
		log.Fatal(err)
	}
	metrics.Watch(d)
	ctx := context.Background()
	err = d.CreateSubscription(ctx, &webhook.Subscription{
		Name: "example", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{{Channel: "noop", Configs: []byte(`{}`)}},
	})
	if err != nil {
		log.Fatal(err)
	}
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace = "acme"
	if _, err := d.Emit(ctx, e); err != nil {
		log.Fatal(err)
	}
	if err := d.Drain(ctx); err != nil {
		log.Fatal(err)
	}

	// As a scrape sees it. A server has: http.Handle("/metrics", handler)
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	scrape := httptest.NewRecorder()
	handler.ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	for line := range strings.Lines(scrape.Body.String()) {
		if strings.HasPrefix(line, "webhooks_attempts_total") ||
			strings.HasPrefix(line, "webhooks_deliveries{") {
			fmt.Print(line)
		}
	}
	// Output:
	// webhooks_attempts_total{channel="noop",result="succeeded",status_class="2xx"} 1
	// webhooks_deliveries{state="dead"} 0
	// webhooks_deliveries{state="in_flight"} 0
	// webhooks_deliveries{state="paused"} 0
	// webhooks_deliveries{state="pending"} 0
}

// exampleChannels has one that takes everything.
func exampleChannels() *channel.Registry {
	registry := channel.NewRegistry()
	err := registry.Register("noop", channel.Func(
		func(context.Context, *channel.Message) (channel.Result, error) {
			return channel.Result{StatusCode: 200}, nil
		}))
	if err != nil {
		log.Fatal(err)
	}
	return registry
}
