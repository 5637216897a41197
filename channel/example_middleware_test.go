package channel_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
)

// figures counts attempts and failures of all channels: it is shared by many goroutines.
type figures struct{ attempts, failures atomic.Int64 }

// middleware is a [channel.Middleware].
func (f *figures) middleware(_ string, next channel.Channel) channel.Channel {
	return channel.WithSend(next, func(
		ctx context.Context, m *channel.Message,
	) (channel.Result, error) {
		result, err := next.Send(ctx, m)
		f.attempts.Add(1)
		if err != nil {
			f.failures.Add(1)
		}
		return result, err
	})
}

// Measure the attempts of all channels.
func ExampleRegistry_Use() {
	registry := channel.NewRegistry()
	pager := channel.Func(func(_ context.Context, m *channel.Message) (channel.Result, error) {
		if m.Attempt == 1 {
			return channel.Result{}, errors.New("the pager is busy")
		}
		return channel.Result{}, nil
	})
	if err := registry.Register("pager", pager); err != nil {
		fmt.Println(err)
		return
	}
	var measured figures
	registry.Use(measured.middleware)

	c, err := registry.Open("pager", nil) // as the Dispatcher does
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := channel.NewMessage(event.New("alert.raised", event.Subject{Type: "alert", ID: "a_1"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for m.Attempt = 1; m.Attempt <= 2; m.Attempt++ {
		if _, err := c.Send(context.Background(), m); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(measured.attempts.Load(), "attempts,", measured.failures.Load(), "failed")
	// Output:
	// the pager is busy
	// 2 attempts, 1 failed
}
