package dispatch_test

import (
	"context"
	"fmt"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// A span is what a tracer would record; this one prints its path when it ends.
type span struct{}

func startSpan(ctx context.Context, name string) context.Context {
	if parent, ok := ctx.Value(span{}).(string); ok {
		name = parent + " > " + name
	}
	return context.WithValue(ctx, span{}, name)
}

func endSpan(ctx context.Context, attributes ...any) {
	fmt.Println(append([]any{ctx.Value(span{})}, attributes...)...)
}

// A tracer: a Start hook puts a span into the context, and the End hook ends it. The
// channel is called with that context too, so that what it does is part of the span.
func ExampleHooks() {
	hooks := dispatch.Hooks{
		EmitStart: func(ctx context.Context, _ dispatch.EmitStart) context.Context {
			return startSpan(ctx, "emit")
		},
		EmitEnd: func(ctx context.Context, e dispatch.EmitEnd) {
			endSpan(ctx, len(e.Emitted), "event,", "error:", e.Err)
		},
		AttemptStart: func(ctx context.Context, a dispatch.AttemptStart) context.Context {
			return startSpan(ctx, "attempt")
		},
		AttemptEnd: func(ctx context.Context, a dispatch.AttemptEnd) {
			endSpan(ctx, a.Number, "of", a.EventID, "status:", a.Attempt.StatusCode)
		},
		RunStart: func(ctx context.Context, _ dispatch.RunStart) context.Context {
			return startSpan(ctx, "run")
		},
	}
	d := exampleDispatcher(func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
		endSpan(startSpan(ctx, "request"))
		return channel.Result{StatusCode: 200}, nil
	}, dispatch.Config{Hooks: hooks})

	ctx := startSpan(context.Background(), "job")
	subscribeAll(ctx, d)
	if _, err := d.Emit(ctx, exampleEvent(event.ObjectCreated)); err != nil {
		fmt.Println(err)
	}
	if err := d.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// job > emit 1 event, error: <nil>
	// job > run > attempt > request
	// job > run > attempt 1 of evt_example status: 200
}
