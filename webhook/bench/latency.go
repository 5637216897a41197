package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// latency prints the time from emit to arrival at a steady rate.
func latency(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "%-32s %12s %10s %10s %10s\n", "emit to arrival", "events/s", "p50", "p99", "max")
	for _, store := range o.stores {
		for _, rate := range o.rates {
			times, err := paced(ctx, o, s, store, rate)
			if err != nil {
				return fmt.Errorf("%s: %w", store, err)
			}
			slices.Sort(times)
			at := func(q float64) string {
				return fmt.Sprintf("%.2f ms", float64(times[int(q*float64(len(times)-1))].Microseconds())/1000)
			}
			fmt.Fprintf(out, "%-32s %12d %10s %10s %10s\n", "Dispatcher, "+store, rate, at(0.5), at(0.99), at(1))
		}
	}
	return nil
}

// paced emits at a rate and returns how long each event took to arrive.
func paced(ctx context.Context, o options, s *sink, storeName string, rate int) ([]time.Duration, error) {
	b, err := newBench(ctx, o, s, storeName)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var times []time.Duration
	arrived := func(body []byte) {
		if at, ok := emittedAt(body); ok {
			took := time.Since(at)
			mu.Lock()
			defer mu.Unlock()
			times = append(times, took)
		}
	}
	s.onBody.Store(&arrived)
	defer s.onBody.Store(nil)

	total := max(int(float64(rate)*o.duration.Seconds()), 1)
	failed := make(chan error, total)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range total {
		pause(ctx, time.Until(start.Add(time.Duration(i)*time.Second/time.Duration(rate))))
		wg.Go(func() {
			if err := b.dispatcher.Emit(ctx, newEvent()); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	for ctx.Err() == nil {
		mu.Lock()
		n := len(times)
		mu.Unlock()
		if n+len(failed) >= total {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := errors.Join(b.close(), ctx.Err()); err != nil {
		return nil, err
	}
	close(failed)
	return times, <-failed
}
