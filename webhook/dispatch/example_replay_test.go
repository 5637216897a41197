package dispatch_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// replaySince delivers again what a subscription got since a time, such as after its
// endpoint has lost data. Ten become due each second.
func replaySince(
	ctx context.Context, d *dispatch.Dispatcher, subscriptionID string, since time.Time,
) (int, error) {
	replayed := 0
	q := webhook.DeliveryQuery{SubscriptionID: subscriptionID, Since: since}
	for failures := 0; ; failures++ {
		progress, err := d.ReplayAll(ctx, q, dispatch.ReplayOptions{PerSecond: 10})
		replayed += progress.Replayed
		if err == nil || failures == 3 {
			return replayed, err
		}
		q.Before = progress.Before // go on where it ended
	}
}

// Replay all deliveries of the last hour, those that succeeded included.
func ExampleDispatcher_ReplayAll() {
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan dispatch.Result)
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, nil
	}, dispatch.Config{
		Hooks: dispatch.Hooks{Attempted: func(r dispatch.Result) { results <- r }},
	})
	sub := subscribeAll(ctx, d)
	stopped := make(chan error)
	go func() { stopped <- d.Run(ctx) }()
	if _, err := d.Emit(ctx, exampleEvent(event.ObjectCreated)); err != nil {
		fmt.Println(err)
	}
	r := <-results
	fmt.Println("attempt", r.Attempt.Number, r.Status)

	n, err := replaySince(ctx, d, sub.ID, time.Now().Add(-time.Hour))
	if err != nil {
		fmt.Println(err)
	}
	r = <-results
	fmt.Println("replayed:", n)
	fmt.Println("attempt", r.Attempt.Number, r.Status)
	cancel()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// attempt 1 succeeded
	// replayed: 1
	// attempt 2 succeeded
	// stopped: <nil>
}
