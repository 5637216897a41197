package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// wideEndpoints are how many subscriptions match each wide event.
var wideEndpoints = []int{100, 5000}

// wideVictimPause is the time between two emits of the other organization.
const wideVictimPause = 2 * time.Millisecond

// wide prints what it takes to emit an event that matches many subscriptions, and what another
// organization's emits of events with one delivery wait meanwhile. Nothing is delivered.
func wide(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "%-24s %9s %10s %10s %10s | %10s %10s | %10s %10s\n", "wide event", "endpoints",
		"alone", "each", "allocated", "others p50", "p99", "meanwhile", "p99")
	for _, name := range o.stores() {
		for _, endpoints := range wideEndpoints {
			if err := wideOf(ctx, o, s, out, name, endpoints); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func wideOf(
	ctx context.Context, o options, s *sink, out io.Writer, name string, endpoints int,
) (err error) {
	opened, err := openStore(ctx, o, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	d, err := newDispatcher(o, s, opened)
	if err != nil {
		return err
	}
	for i := range endpoints + 1 {
		sub := newSubscription(organizationName(min(i, 1)), s.url)
		sub.ID = webhook.NewID()
		sub.CreatedAt = time.Now().UTC()
		sub.UpdatedAt = sub.CreatedAt
		if err := opened.CreateSubscription(ctx, sub, webhook.Quota{}); err != nil {
			return err
		}
	}
	// In turns, so that what else the machine does meets both alike.
	var alone, others, meanwhile []time.Duration
	var allocated uint64
	for range o.rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		waits, err := emitRepeatedly(ctx, d, organizationName(1), o.duration, 0)
		if err != nil {
			return err
		}
		runtime.ReadMemStats(&after)
		allocated += after.TotalAlloc - before.TotalAlloc
		alone = append(alone, waits...)
		if waits, err = emitRepeatedly(ctx, d, organizationName(0), o.duration,
			wideVictimPause); err != nil {
			return err
		}
		others = append(others, waits...)
		var wide sync.WaitGroup
		var wideErr error
		wide.Go(func() { _, wideErr = emitRepeatedly(ctx, d, organizationName(1), o.duration, 0) })
		waits, err = emitRepeatedly(ctx, d, organizationName(0), o.duration, wideVictimPause)
		wide.Wait()
		if err := errors.Join(err, wideErr); err != nil {
			return err
		}
		meanwhile = append(meanwhile, waits...)
	}
	took := quantile(alone, 0.5)
	fmt.Fprintf(out, "%-24s %9d %10s %10s %6d KiB | %10s %10s | %10s %10s\n", engineNames[name],
		endpoints, took.Round(10*time.Microsecond),
		(took / time.Duration(endpoints)).Round(100*time.Nanosecond),
		allocated/uint64(len(alone))/1024, waited(others, 0.5), waited(others, 0.99),
		waited(meanwhile, 0.5), waited(meanwhile, 0.99))
	return nil
}

func waited(times []time.Duration, q float64) time.Duration {
	return quantile(times, q).Round(10 * time.Microsecond)
}

// emitRepeatedly emits one event after the other, at least one, and returns how long each took.
func emitRepeatedly(
	ctx context.Context, d *dispatch.Dispatcher, organization string, duration, rest time.Duration,
) (waits []time.Duration, err error) {
	for start := time.Now(); len(waits) == 0 || time.Since(start) < duration; {
		e := newEvent()
		e.OrganizationID = organization
		began := time.Now()
		if _, err := d.Emit(ctx, e); err != nil {
			return nil, err
		}
		waits = append(waits, time.Since(began))
		pause(ctx, rest)
	}
	return waits, ctx.Err()
}
