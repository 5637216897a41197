package otelhook_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	receiverhook "github.com/mixpeek/webhooks-go/receiver/otelhook"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/otelhook"
)

// A publisher and a consumer with tracing, from the emit to the handler.
func Example() {
	ctx := context.Background()
	spans := tracetest.NewInMemoryExporter() // in production an exporter to your collector
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))

	// The consumer.
	rcv, err := receiver.New(receiver.Config{
		Secrets:   []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		AllowHTTP: true, // on one machine
		Hooks:     receiverhook.Hooks(provider, receiverhook.Config{}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(rcv.Handler(receiver.HandlerFunc(
		func(ctx context.Context, e *event.Event) error {
			_, span := provider.Tracer("ledger").Start(ctx, "book "+e.Subject.ID)
			defer span.End()
			return nil
		})))
	defer server.Close()

	// The publisher.
	channels, err := standard.New(standard.Config{
		HTTP: channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true}, // on one machine
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := dispatch.New(memstore.New(), dispatch.Config{
		Channels: channels,
		Hooks:    otelhook.Hooks(provider, otelhook.Config{}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = d.CreateSubscription(ctx, &webhook.Subscription{
		Name:       "the ledger",
		EventTypes: []event.Pattern{"invoice.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL: server.URL, Headers: map[string]string{
				receiver.DefaultSecretHeader: "correct-horse-battery-staple"},
		})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, checkout := provider.Tracer("shop").Start(ctx, "checkout")
	_, err = d.Emit(ctx, event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"}))
	checkout.End()
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := d.Drain(context.Background()); err != nil {
		fmt.Println(err)
		return
	}

	printSpans(spans.GetSpans(), "checkout", "emit", "POST", "process", "book inv_1")
	// Output:
	// checkout (internal)
	// emit (producer) is a part of checkout
	// POST (client) links to emit
	// process (consumer) links to POST
	// book inv_1 (internal) is a part of process
}

// printSpans prints the spans of these names.
func printSpans(spans tracetest.SpanStubs, names ...string) {
	of := make(map[string]string) // names by span id
	for _, span := range spans {
		of[span.SpanContext.SpanID().String()] = span.Name
	}
	for _, name := range names {
		for _, span := range spans {
			if span.Name != name {
				continue
			}
			line := name + " (" + span.SpanKind.String() + ")"
			if parent := of[span.Parent.SpanID().String()]; parent != "" {
				line += " is a part of " + parent
			}
			if len(span.Links) > 0 {
				line += " links to " + of[span.Links[0].SpanContext.SpanID().String()]
			}
			fmt.Println(line)
		}
	}
}
