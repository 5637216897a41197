package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// A consumer that was away catches up without a request being made to it, from the position that it
// acknowledged last, and goes on with what comes.
func ExampleDispatcher_Tail() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, nil
	}, dispatch.Config{})
	sub := &webhook.Subscription{
		Name:       "search index",
		EventTypes: []event.Pattern{"object.*"},
		Channels:   []webhook.ChannelConfig{{Channel: "print", Configs: json.RawMessage(`{}`)}},
	}
	if err := d.CreateSubscription(ctx, sub); err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range []string{"obj_1", "obj_2"} {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: id})
		e.Namespace = "acme"
		if _, err := d.Emit(ctx, e); err != nil {
			fmt.Println(err)
			return
		}
	}

	for round := range 2 {
		q := webhook.TailQuery{SubscriptionID: sub.ID}
		positions, err := d.Positions(ctx, "", sub.ID)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, p := range positions { // there is none at first
			q.After = p.Position
		}
		for record, err := range d.Tail(ctx, q) {
			if err != nil {
				fmt.Println(err)
				return
			}
			var e event.Event
			if err := json.Unmarshal(record.Payload, &e); err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println("indexing", e.Subject.ID)
			_, err := d.Acknowledge(ctx, "", sub.ID, "indexer", record.Position)
			if err != nil {
				fmt.Println(err)
				return
			}
			if round == 0 {
				break // the process ends, and another begins
			}
			cancel() // otherwise it waits for the next event
		}
	}
	// Output:
	// indexing obj_1
	// indexing obj_2
}
