package dispatch_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// A subscriber that can take so many requests a second gets no more, from all processes
// together. What waits uses up no attempt.
func ExampleDispatcher_CreateSubscription_rateLimit() {
	ctx := context.Background()
	var attempts atomic.Int64
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		attempts.Add(1)
		return channel.Result{}, nil
	}, dispatch.Config{})
	sub := subscribeAll(ctx, d)
	sub.RateLimit = &webhook.RateLimit{PerSecond: 20, Burst: 1}
	if err := d.UpdateSubscription(ctx, sub); err != nil {
		fmt.Println(err)
	}
	for i := range 4 {
		e := exampleEvent(event.ObjectCreated)
		e.ID = fmt.Sprint("evt_", i)
		if _, err := d.Emit(ctx, e); err != nil {
			fmt.Println(err)
		}
	}
	began := time.Now()
	if err := d.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(attempts.Load(), "attempts, slowly:", time.Since(began) > 140*time.Millisecond)
	// Output: 4 attempts, slowly: true
}

// An event may be worth delivering for a while only, such as a code that is valid for ten
// minutes. No attempt begins after that.
func ExampleDispatcher_Emit_timeToLive() {
	ctx := context.Background()
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, channel.Classify(http.StatusBadGateway, nil, time.Now())
	}, dispatch.Config{
		Retry:  dispatch.RetrySchedule(webhook.StandardRetryDelays()[2:]), // half an hour, two hours, …
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	subscribeAll(ctx, d)
	e := exampleEvent("code.sent")
	e.TTL = 10 * time.Minute
	if _, err := d.Emit(ctx, e); err != nil {
		fmt.Println(err)
	}
	if err := d.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	list, err := d.Deliveries(ctx, webhook.DeliveryQuery{EventID: e.ID})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(list[0].Status)
	fmt.Println(list[0].Attempts[0].Error)
	// Output:
	// dead
	// the endpoint answered 502 Bad Gateway; the event's time to live ends before the next attempt
}
