package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Webhooks of a service's customers: each is an organization. It gets its own events, and
// what another one has does not exist for it.
func Example_organizations() {
	ctx := context.Background()
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, nil
	}, dispatch.Config{})

	ids := make(map[string]string)
	for _, customer := range []string{"org_acme", "org_umbrella"} {
		sub := &webhook.Subscription{
			OrganizationID: customer,
			Name:           "accounting",
			EventTypes:     []event.Pattern{"invoice.*"},
			Channels: []webhook.ChannelConfig{
				{Channel: "print", Configs: json.RawMessage(`{}`)},
			},
		}
		if err := d.CreateSubscription(ctx, sub); err != nil {
			fmt.Println(err)
			return
		}
		ids[customer] = sub.ID
	}

	e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"})
	e.OrganizationID = "org_acme" // whose event it is: no receiver sees it
	if _, err := d.Emit(ctx, e); err != nil {
		fmt.Println(err)
		return
	}
	for _, customer := range []string{"org_acme", "org_umbrella"} {
		deliveries, err := d.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: customer})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(customer, "has", len(deliveries), "deliveries")
	}
	_, err := d.Subscription(ctx, "org_umbrella", ids["org_acme"])
	fmt.Println("another customer's webhook is not found:", errors.Is(err, webhook.ErrNotFound))
	// Output:
	// org_acme has 1 deliveries
	// org_umbrella has 0 deliveries
	// another customer's webhook is not found: true
}
