package dispatch_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// A program that ends, such as a nightly job, emits, drains, and exits. It does not call
// Run: Drain delivers. What has to be tried again later stays in the store, for the
// next start or for another process.
func ExampleDispatcher_Drain() {
	ctx := context.Background()
	d := exampleDispatcher(func(_ context.Context, m *channel.Message) (channel.Result, error) {
		fmt.Println("delivered:", m.EventID)
		return channel.Result{}, nil
	}, dispatch.Config{})
	subscribeAll(ctx, d)

	if _, err := d.Emit(ctx, exampleEvent(event.ObjectCreated)); err != nil {
		fmt.Println(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := d.Drain(ctx); err != nil {
		fmt.Println("not all could be delivered in time:", err)
	}
	// Output: delivered: evt_example
}
