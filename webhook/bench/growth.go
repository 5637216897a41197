package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// growthRounds is the number of rounds of table growth, and keptRounds of how
// many of them the deliveries are kept.
const (
	growthRounds = 12
	keptRounds   = 4
)

// growth prints the size of the database round by round, while deliveries come
// and go.
func growth(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "growth: rounds of %d deliveries, kept for %d rounds\n", o.perRound, keptRounds)
	fmt.Fprintf(out, "%-24s %6s %12s %12s %14s %14s\n", "", "round", "delivered", "kept", "on disk",
		"bytes each")
	for _, name := range o.stores() {
		if err := growthOf(ctx, o, s, out, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func growthOf(ctx context.Context, o options, s *sink, out io.Writer, name string) (err error) {
	o.retention = 0 // what is pruned, and when, is said below
	e, err := newDispatcherEngine(ctx, o, s, name, shapes[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if e.store.size == nil {
		return nil
	}
	if err := e.start(ctx); err != nil {
		return err
	}
	var began []time.Time
	for round := 1; round <= growthRounds; round++ {
		began = append(began, time.Now())
		if err := deliverAll(ctx, o, s, e, o.perRound); err != nil {
			return err
		}
		if round > keptRounds {
			if err := prune(ctx, e.store, began[round-keptRounds]); err != nil {
				return err
			}
		}
		size, err := e.store.size(ctx)
		if err != nil {
			return err
		}
		kept := min(round, keptRounds) * o.perRound
		fmt.Fprintf(out, "%-24s %6d %12d %12d %11.1f MB %14.0f\n", engineNames[name], round,
			round*o.perRound, kept,
			float64(size)/1e6, float64(size)/float64(kept))
	}
	return nil
}

// deliverAll emits events and returns when all have arrived at the sink.
func deliverAll(ctx context.Context, o options, s *sink, e engine, n int) error {
	arrived := s.arrivals.Load() + int64(n)
	events := make(chan struct{}, n)
	for range n {
		events <- struct{}{}
	}
	close(events)
	failed := make(chan error, n)
	var wg sync.WaitGroup
	for range o.inFlight {
		wg.Go(func() {
			for range events {
				if err := e.emit(ctx); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	return eventually(ctx, func() bool { return s.arrivals.Load() >= arrived })
}

// prune removes what was settled before the time, as a Dispatcher does with
// what is older than its Retention.
func prune(ctx context.Context, s webhook.Store, before time.Time) error {
	const batch = 1000
	for {
		n, err := s.Prune(ctx, time.Now(),
			webhook.PruneRequest{SucceededBefore: before, DeadBefore: before, Limit: batch})
		if err != nil || n < batch {
			return err
		}
	}
}
