package dispatch_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Stop with a signal and drain: the attempt that is under way ends and its result is
// stored, for up to DrainTimeout. What has not begun stays in the store for the next start.
func ExampleDispatcher_Run_signal() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	underWay, answer := make(chan struct{}), make(chan struct{})
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		close(underWay)
		<-answer
		return channel.Result{}, nil
	}, dispatch.Config{
		DrainTimeout: 20 * time.Second, // less than the orchestrator waits before it kills
		Hooks: dispatch.Hooks{Attempted: func(r dispatch.Result) {
			fmt.Println("delivered:", r.EventID, r.Status)
		}},
	})
	subscribeAll(ctx, d)
	stopped := make(chan error)
	go func() { stopped <- d.Run(ctx) }()

	if _, err := d.Emit(ctx, exampleEvent(event.ObjectCreated)); err != nil {
		fmt.Println(err)
	}
	<-underWay
	stop() // in this example, instead of the signal
	fmt.Println("draining")
	close(answer)
	fmt.Println("stopped:", <-stopped)
	// Output:
	// draining
	// delivered: evt_example succeeded
	// stopped: <nil>
}
