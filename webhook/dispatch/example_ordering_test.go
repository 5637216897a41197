package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// The events of each subject arrive in the order of their emits. One that the endpoint refuses holds
// back those of its own subject only, until a person skips it.
func ExampleDispatcher_Skip() {
	ctx := context.Background()
	d := exampleDispatcher(func(_ context.Context, m *channel.Message) (channel.Result, error) {
		if m.EventID == "evt_order_1_paid" {
			return channel.Result{}, &channel.Error{Action: channel.Permanent,
				Class: channel.ClassRejected, Err: errors.New("no such order")}
		}
		fmt.Println(m.EventID)
		return channel.Result{}, nil
	}, dispatch.Config{
		MaxInFlight: 1, // so that the lines here are always in the same order
		Logger:      slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	sub := subscribeAll(ctx, d)
	sub.Ordering = &webhook.Ordering{} // SkipAfter would skip what is dead after a while
	if err := d.UpdateSubscription(ctx, sub); err != nil {
		fmt.Println(err)
	}
	for _, what := range []string{"placed", "paid", "sent"} {
		for _, order := range []string{"order_1", "order_2"} {
			e := event.New("order."+what, event.Subject{Type: "order", ID: order})
			e.ID, e.Namespace = "evt_"+order+"_"+what, "acme"
			if _, err := d.Emit(ctx, e); err != nil {
				fmt.Println(err)
			}
			if err := d.Drain(ctx); err != nil {
				fmt.Println(err)
			}
		}
	}
	dead, err := d.Deliveries(ctx, webhook.DeliveryQuery{Holding: true})
	if err != nil || len(dead) != 1 {
		fmt.Println(len(dead), err)
		return
	}
	fmt.Println("held by", dead[0].EventID)
	if err := d.Skip(ctx, "", dead[0].ID); err != nil {
		fmt.Println(err)
	}
	if err := d.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// evt_order_1_placed
	// evt_order_2_placed
	// evt_order_2_paid
	// evt_order_2_sent
	// held by evt_order_1_paid
	// evt_order_1_sent
}
