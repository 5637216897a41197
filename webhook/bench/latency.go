package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// latency prints the time from emit to arrival at a steady rate.
func latency(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "%-32s %12s %10s %10s %10s\n", "emit to arrival", "events/s", "p50", "p99", "max")
	for _, name := range o.engines {
		for _, rate := range o.rates {
			times, err := paced(ctx, o, s, name, rate)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			at := func(q float64) string { return fmt.Sprintf("%.2f ms", millis(quantile(times, q))) }
			fmt.Fprintf(out, "%-32s %12d %10s %10s %10s\n", engineNames[name], rate, at(0.5), at(0.99),
				at(1))
		}
	}
	return nil
}

// paced emits at a rate and returns how long each event took to arrive.
func paced(
	ctx context.Context, o options, s *sink, name string, rate int,
) ([]time.Duration, error) {
	e, err := startEngine(ctx, o, s, name, shapes[0])
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
			if err := e.emit(ctx); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	err = eventually(ctx, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(times)+len(failed) >= total
	})
	close(failed)
	return times, errors.Join(err, e.close(), <-failed)
}
