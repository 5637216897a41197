package dispatch_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// BenchmarkDispatcher is what the Dispatcher itself costs for each delivery:
// emit, schedule, attempt and settle, with a store in memory and a channel that
// does nothing.
func BenchmarkDispatcher(b *testing.B) {
	registry := channel.NewRegistry()
	arrived := make(chan struct{}, 1024)
	err := registry.Register("webhook",
		channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
			<-arrived
			return channel.Result{StatusCode: 200}, nil
		}))
	if err != nil {
		b.Fatal(err)
	}
	d, err := dispatch.New(memstore.New(),
		dispatch.Config{Channels: registry, Logger: slog.New(slog.DiscardHandler),
			MaxInFlightPerEndpoint: 64})
	if err != nil {
		b.Fatal(err)
	}
	if err := d.CreateSubscription(b.Context(), &webhook.Subscription{
		Name: "bench", EventTypes: []event.Pattern{"*"},
		Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}},
	}); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			arrived <- struct{}{} // no more on the way than arrive
			e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
			e.Namespace = "acme"
			if _, err := d.Emit(ctx, e); err != nil {
				b.Error(err)
			}
		}
	})
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
