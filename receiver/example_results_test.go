package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// The result of a handler decides whether the sender retries.
func ExamplePermanent() {
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		Logger:  slog.New(slog.DiscardHandler),
		Hooks: receiver.Hooks{OnResult: func(r receiver.Result) {
			fmt.Println(r.Outcome)
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	attempt := 0
	h := rcv.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
		if attempt++; attempt == 1 {
			return errors.New("database is down")
		}
		return receiver.Permanent(errors.New("no such customer"))
	}))
	deliver(h, "correct-horse-battery-staple", created)
	deliver(h, "correct-horse-battery-staple", created)
	deliver(h, "correct-horse-battery-staple", created)
	// Output:
	// failed
	// 503 Service Unavailable
	// given_up
	// 200 OK
	// duplicate
	// 200 OK
}
