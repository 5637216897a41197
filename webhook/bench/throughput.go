package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

var bareConcurrencies = []int{8, 16, 32, 64, 128}

// throughput prints deliveries per second of a bare POST loop and of each
// engine, measured in turn.
func throughput(ctx context.Context, o options, s *sink, out io.Writer) error {
	samples := make(map[string][]usage)
	var names []string
	measure := func(name string, f func() (usage, error)) error {
		u, err := f()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, ok := samples[name]; !ok {
			names = append(names, name)
		}
		samples[name] = append(samples[name], u)
		return ctx.Err()
	}
	for range o.rounds {
		for _, c := range bareConcurrencies {
			if err := measure(fmt.Sprintf("bare POST loop, %d at a time", c), func() (usage, error) {
				return barePosts(ctx, o, s, c)
			}); err != nil {
				return err
			}
		}
		for _, name := range o.engines {
			if err := measure(engineNames[name], func() (usage, error) {
				return delivered(ctx, o, s, name)
			}); err != nil {
				return err
			}
		}
	}
	best := 0.0
	for _, name := range names[:len(bareConcurrencies)] {
		best = max(best, median(samples[name], func(u usage) float64 { return u.perSecond() }))
	}
	fmt.Fprintf(out, "%-32s %12s %8s %14s %14s\n", "deliveries", "per second", "ratio", "CPU each",
		"allocs each")
	for _, name := range names {
		rate := median(samples[name], func(u usage) float64 { return u.perSecond() })
		fmt.Fprintf(out, "%-32s %12.0f %8.2f %11.1f µs %14.0f\n", name, rate, rate/best,
			median(samples[name], func(u usage) float64 { return u.cpuEach() }),
			median(samples[name], func(u usage) float64 { return u.allocsEach() }))
	}
	return nil
}

// barePosts posts as fast as it can with nothing but net/http.
func barePosts(ctx context.Context, o options, s *sink, concurrency int) (usage, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: concurrency,
		MaxIdleConnsPerHost: concurrency}}
	defer client.CloseIdleConnections()
	payload := examplePayload()
	var stopped atomic.Bool
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range concurrency {
		wg.Go(func() {
			for !stopped.Load() {
				//nolint:noctx // as a user would write it
				resp, err := client.Post(s.url, "application/json", bytes.NewReader(payload))
				if err != nil {
					failed.Store(&err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	u := observe(ctx, o.duration, s)
	stopped.Store(true)
	wg.Wait()
	if err := failed.Load(); err != nil {
		return u, *err
	}
	return u, nil
}

// delivered emits as fast as deliveries arrive. Emitters wait for the sink
// when twice as much is on its way as can be in flight, so that what is
// measured is a steady state and not a growing backlog.
func delivered(ctx context.Context, o options, s *sink, name string) (usage, error) {
	e, err := startEngine(ctx, o, s, name)
	if err != nil {
		return usage{}, err
	}
	emitters, tokens := 8*o.inFlight, make(chan struct{}, 8*o.inFlight)
	arrived := func([]byte) { <-tokens }
	s.onBody.Store(&arrived)
	defer s.onBody.Store(nil)

	emitCtx, stop := context.WithCancel(ctx)
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range emitters {
		wg.Go(func() {
			for {
				select {
				case tokens <- struct{}{}:
				case <-emitCtx.Done():
					return
				}
				if err := e.emit(ctx); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	u := observe(ctx, o.duration, s)
	stop()
	wg.Wait()
	if failed.Load() == nil {
		err = eventually(ctx, func() bool { return len(tokens) == 0 })
	} else {
		err = *failed.Load()
	}
	return u, errors.Join(err, e.close())
}

func median(samples []usage, of func(usage) float64) float64 {
	values := make([]float64, len(samples))
	for i, u := range samples {
		values[i] = of(u)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
