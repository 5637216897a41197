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
			fmt.Fprintf(out, "%-32s %12d %10s %10s %10s\n", engineNames[name], rate, times.at(0.5),
				times.at(0.99), times.at(1))
		}
	}
	return nil
}

// paced emits at a rate and returns how long each event took to arrive.
func paced(
	ctx context.Context, o options, s *sink, name string, rate int,
) (*arrivals, error) {
	e, err := startEngine(ctx, o, s, name, shapes[0])
	if err != nil {
		return nil, err
	}
	times := &arrivals{}
	arrived := times.add
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
		return times.count()+len(failed) >= total
	})
	close(failed)
	return times, errors.Join(err, e.close(), <-failed)
}

// arrivals are the times from emit to arrival.
type arrivals struct {
	mu    sync.Mutex
	times []time.Duration
}

func (a *arrivals) add(body []byte) {
	at, ok := emittedAt(body)
	if !ok {
		return
	}
	took := time.Since(at)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = append(a.times, took)
}

func (a *arrivals) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = nil
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.times)
}

// at returns a quantile as it is printed.
func (a *arrivals) at(q float64) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.times) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f ms", millis(quantile(a.times, q)))
}
