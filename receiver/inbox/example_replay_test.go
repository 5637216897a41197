package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/inbox"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// Inspect dead events, and replay them when the cause is fixed.
func ExampleInbox_Dispatcher() {
	known, outcomes := false, make(chan webhook.Status)
	in, err := inbox.New(memstore.New(), func(context.Context, *event.Event) error {
		if known {
			return nil
		}
		return receiver.Permanent(errors.New("no such customer"))
	}, inbox.Config{Dispatcher: dispatch.Config{
		Logger: slog.New(slog.DiscardHandler),
		Hooks:  dispatch.Hooks{Attempted: func(o dispatch.Result) { outcomes <- o.Status }},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- in.Run(ctx) }()
	if err := in.HandleEvent(ctx, &event.Event{ID: "evt_1", Type: "customer.updated"}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-outcomes)

	dead, err := in.Dispatcher().Deliveries(ctx, webhook.DeliveryQuery{
		OrganizationID: in.OrganizationID(), Status: webhook.StatusDead,
	})
	if err != nil {
		fmt.Println(err)
	}
	known = true
	for _, d := range dead {
		fmt.Println(d.EventID, d.EventType, d.Attempts[0].Error)
		if err := in.Dispatcher().Replay(ctx, in.OrganizationID(), d.ID); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(<-outcomes)
	cancel()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// dead
	// evt_1 customer.updated no such customer
	// succeeded
	// stopped: <nil>
}
