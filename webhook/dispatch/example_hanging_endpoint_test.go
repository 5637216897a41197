package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// One endpoint never answers, and takes only a part of the slots: the other one gets all of
// its events meanwhile.
func Example_hangingEndpoint() {
	const events = 100
	channels := channel.NewRegistry()
	arrived, release := make(chan string, events), make(chan struct{})
	answers := func(_ context.Context, m *channel.Message) (channel.Result, error) {
		arrived <- m.EventID
		return channel.Result{}, nil
	}
	hangs := func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
		select {
		case <-release:
			return channel.Result{}, nil
		case <-ctx.Done():
			return channel.Result{}, ctx.Err()
		}
	}
	d, err := dispatch.New(memstore.New(), dispatch.Config{Channels: channels, MaxInFlight: 16})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, send := range map[string]channel.Func{"answers": answers, "hangs": hangs} {
		if err := channels.Register(name, send); err != nil {
			fmt.Println(err)
			return
		}
		err := d.CreateSubscription(ctx, &webhook.Subscription{
			Name: name, EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: name, Configs: json.RawMessage(`{}`)}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	stopped := make(chan error)
	go func() { stopped <- d.Run(ctx) }()
	for range events {
		e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"})
		if _, err := d.Emit(ctx, e); err != nil {
			fmt.Println(err)
		}
	}
	for range events {
		<-arrived
	}
	fmt.Println(events, "events arrived at the endpoint that answers")

	close(release)
	cancel()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// 100 events arrived at the endpoint that answers
	// stopped: <nil>
}
