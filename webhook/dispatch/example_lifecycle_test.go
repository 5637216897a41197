package dispatch_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// An endpoint says that it is gone, and is disabled. A person repairs it and enables it, and what
// has waited is delivered.
func ExampleDispatcher_EnableEndpoint() {
	gone := true
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		if gone {
			return channel.Result{}, channel.Classify(http.StatusGone, nil, time.Now())
		}
		return channel.Result{StatusCode: http.StatusOK}, nil
	}, dispatch.Config{Hooks: dispatch.Hooks{
		HealthChanged: func(_ context.Context, c dispatch.HealthChange) {
			fmt.Printf("%s was %s and is %s", c.After.Channel, c.Before.Health, c.After.Health)
			if cause := c.After.Cause; cause != nil {
				fmt.Printf(", because %s", cause.Error)
			}
			if c.After.ChangedBy != "" {
				fmt.Printf(", thanks to %s", c.After.ChangedBy)
			}
			fmt.Println()
		},
	}})
	ctx := context.Background()
	sub := subscribeAll(ctx, d)
	deliver := func() {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace = "acme"
		if _, err := d.Emit(ctx, e); err != nil {
			fmt.Println(err)
		}
		if err := d.Drain(ctx); err != nil {
			fmt.Println(err)
		}
	}
	count := func(status webhook.Status) {
		found, err := d.Deliveries(ctx, webhook.DeliveryQuery{Status: status})
		fmt.Println(len(found), status, err)
	}

	deliver()
	deliver()
	count(webhook.StatusPaused)

	gone = false
	endpoint := webhook.Endpoint{SubscriptionID: sub.ID, Channel: "print"}
	if err := d.EnableEndpoint(ctx, "", endpoint, "ann@example.com"); err != nil {
		fmt.Println(err)
	}
	if err := d.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	count(webhook.StatusSucceeded)
	// Output:
	// print was healthy and is disabled, because the endpoint answered 410 Gone
	// 1 paused <nil>
	// print was disabled and is healthy, thanks to ann@example.com
	// 1 succeeded <nil>
}

// List the endpoints that are not healthy, page by page.
func ExampleDispatcher_EndpointStates() {
	ctx := context.Background()
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, nil
	}, dispatch.Config{})
	sub := subscribeAll(ctx, d)
	endpoint := webhook.Endpoint{SubscriptionID: sub.ID, Channel: "print"}
	if err := d.DisableEndpoint(ctx, "", endpoint, "bob@example.com"); err != nil {
		fmt.Println(err)
	}

	query := webhook.EndpointQuery{Limit: 100}
	for {
		page, err := d.EndpointStates(ctx, query)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, s := range page {
			fmt.Println(s.Channel, "is", s.Health, "by", s.ChangedBy)
		}
		if len(page) < query.Limit {
			return
		}
		query.After = page[len(page)-1].Endpoint
	}
	// Output: print is disabled by bob@example.com
}
