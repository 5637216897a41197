package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

const (
	healthyEndpoints = 20
	hangingEndpoints = 4
	healthyRate      = 500 // events a second, for all healthy endpoints; the others get as many
	slowAnswer       = 200 * time.Millisecond
)

// hanging prints what 20 endpoints get while 4 others of the same organization, which have half of
// the traffic, accept each request and never answer: with answers that come at once, and with
// answers that are all slow.
func hanging(ctx context.Context, o options, s *sink, out io.Writer) error {
	hostile, err := startHostile(ctx)
	if err != nil {
		return err
	}
	defer hostile.stop()
	fmt.Fprintf(out, "%-20s %-12s %-16s %10s %10s %10s %10s\n", "20 endpoints", "answers", "others",
		"events/s", "delivered", "p50", "p99")
	for _, name := range o.stores() {
		for _, answers := range []string{"at once", "slow"} {
			for _, hangs := range []bool{false, true} {
				if err := hangingBeside(ctx, o, s, out, name, answers, hostile.url, hangs); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// hangingBeside prints one line of the table.
func hangingBeside(
	ctx context.Context, o options, s *sink, out io.Writer, name, answers, hostile string, hangs bool,
) (err error) {
	o.inFlight = 0 // the Dispatcher's default
	d, stop, err := runDispatcher(ctx, o, s, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if answers == "slow" {
		s.delay.Store(int64(slowAnswer))
		defer s.delay.Store(0)
	}
	if err := subscribeEach(ctx, d, "healthy", s.url, healthyEndpoints); err != nil {
		return err
	}
	if err := subscribeEach(ctx, d, "hangs", hostile+"/silent/", hangingEndpoints); err != nil {
		return err
	}
	var arrived arrivals
	seen := arrived.add
	s.onBody.Store(&seen)
	defer s.onBody.Store(nil)

	others := "none"
	if hangs {
		others = fmt.Sprint(hangingEndpoints, " that hang")
	}
	var emits sync.WaitGroup
	var emitted atomic.Int64
	failed := make(chan error, 2)
	start, end := time.Now(), 2*o.duration
	emits.Go(func() {
		failed <- emitPaced(ctx, d, "healthy", healthyEndpoints, end, &emitted)
	})
	if hangs {
		emits.Go(func() { failed <- emitPaced(ctx, d, "hangs", hangingEndpoints, end, new(atomic.Int64)) })
	}
	emits.Wait()
	err = <-failed
	if hangs {
		err = errors.Join(err, <-failed)
	}
	rate := float64(emitted.Load()) / time.Since(start).Seconds()
	pause(ctx, time.Second)
	delivered := 100 * float64(arrived.count()) / float64(max(emitted.Load(), 1))
	fmt.Fprintf(out, "%-20s %-12s %-16s %10.0f %9.1f%% %10s %10s\n", engineNames[name], answers, others,
		rate, delivered, arrived.at(0.5), arrived.at(0.99))
	return err
}

// subscribeEach makes n subscriptions, each to a type of events of its own.
func subscribeEach(
	ctx context.Context, d *dispatch.Dispatcher, kind, url string, n int,
) error {
	for i := range n {
		err := d.CreateSubscription(ctx, &webhook.Subscription{Name: kind,
			EventTypes: []event.Pattern{event.Pattern(typeFor(kind, i))},
			Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
				URL: strings.TrimSuffix(url, "/") + "/" + kind + strconv.Itoa(i),
			})},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func typeFor(kind string, i int) string { return fmt.Sprintf("%s%d.sent", kind, i) }

// emitPaced emits at healthyRate, for the endpoints in turn.
func emitPaced(
	ctx context.Context, d *dispatch.Dispatcher, kind string, endpoints int, length time.Duration,
	emitted *atomic.Int64,
) error {
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	start := time.Now()
	for i := 0; ; i++ {
		due := time.Duration(i) * time.Second / healthyRate
		if due >= length || failed.Load() != nil || ctx.Err() != nil {
			break
		}
		pause(ctx, time.Until(start.Add(due)))
		e := newEvent()
		e.Type = typeFor(kind, i%endpoints)
		wg.Go(func() {
			if _, err := d.Emit(ctx, e); err != nil {
				failed.Store(&err)
				return
			}
			emitted.Add(1)
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}
