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

// Say yourself how long each retry waits. A delivery that fails after the last wait is
// dead, and can be replayed.
func ExampleRetrySchedule() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dead := make(chan dispatch.Result, 1)
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		return channel.Result{}, channel.Classify(http.StatusBadGateway, nil, time.Now())
	}, dispatch.Config{
		// In production rather: {5 * time.Second, time.Minute, 10 * time.Minute, 2 * time.Hour}
		Retry: dispatch.RetrySchedule{time.Millisecond, 2 * time.Millisecond},
		Hooks: dispatch.Hooks{Attempted: func(r dispatch.Result) {
			if r.Status == webhook.StatusDead {
				dead <- r
			}
		}},
	})
	subscribeAll(ctx, d)
	stopped := make(chan error)
	go func() { stopped <- d.Run(ctx) }()
	if _, err := d.Emit(ctx, exampleEvent(event.ObjectUpdated)); err != nil {
		fmt.Println(err)
	}
	fmt.Println("dead after", (<-dead).Attempt.Number, "attempts")
	cancel()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// dead after 3 attempts
	// stopped: <nil>
}

// businessHours retries each quarter of an hour, but not at night. All else, such as
// when to give up, is as the embedded policy says.
type businessHours struct{ dispatch.ExponentialRetry }

func (p businessHours) Next(f dispatch.Failure) (time.Duration, bool) {
	if _, again := p.ExponentialRetry.Next(f); !again {
		return 0, false
	}
	next := f.At.Add(15 * time.Minute)
	switch morning := time.Date(next.Year(), next.Month(), next.Day(), 8, 0, 0, 0, next.Location()); {
	case next.Hour() < 8:
		next = morning
	case next.Hour() >= 18:
		next = morning.AddDate(0, 0, 1)
	}
	return next.Sub(f.At), true
}

func (businessHours) MaxWait() time.Duration { return 24 * time.Hour }

// Write a policy of your own, on top of one of the package's.
func ExampleRetryPolicy() {
	var policy dispatch.RetryPolicy = businessHours{dispatch.ExponentialRetry{MaxElapsed: dispatch.Forever}}
	evening := time.Date(2026, 3, 2, 17, 50, 0, 0, time.UTC)
	fmt.Println(policy.Next(dispatch.Failure{Attempts: 1, At: evening.Add(-time.Hour),
		QueuedAt: evening.Add(-time.Hour)}))
	fmt.Println(policy.Next(dispatch.Failure{Attempts: 5, At: evening,
		QueuedAt: evening.Add(-time.Hour)}))
	// Output:
	// 15m0s true
	// 14h10m0s true
}
