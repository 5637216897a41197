package receiver_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// counting counts the claims that find an event handled. All else is done by the Deduper that
// it embeds.
type counting struct {
	receiver.Deduper
	duplicates int
}

func (c *counting) Claim(
	ctx context.Context, claim receiver.Claim, lease time.Duration,
) (receiver.Standing, error) {
	standing, err := c.Deduper.Claim(ctx, claim, lease)
	if standing.State == receiver.Done {
		c.duplicates++ // a program with several senders uses an atomic counter
	}
	return standing, err
}

// A Deduper can be wrapped, here to count duplicates. The Receiver calls no methods but
// those of the interface, so that a wrapper which embeds a Deduper loses nothing.
func ExampleDeduper_wrapper() {
	memory, err := receiver.NewMemory(receiver.MemoryConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	dedupe := &counting{Deduper: memory}
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		Dedupe:  dedupe,
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := rcv.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error { return nil }))
	for range 3 {
		deliver(h, "correct-horse-battery-staple", created)
	}
	fmt.Println(dedupe.duplicates, "duplicates")
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
	// 2 duplicates
}
