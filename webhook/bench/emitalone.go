package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// emitAlone prints how many events per second are stored, each with one
// delivery, by callers that wait for each of theirs. Nothing is delivered.
func emitAlone(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "%-32s %12s %12s %12s\n", "emit alone", "callers", "events/s", "mean wait")
	for _, name := range o.engines {
		for _, callers := range o.callers {
			n, err := emitFor(ctx, o, s, name, callers)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rate := float64(n) / o.duration.Seconds()
			wait := time.Duration(float64(callers) / rate * float64(time.Second))
			fmt.Fprintf(out, "%-32s %12d %12.0f %12s\n", engineNames[name], callers, rate,
				wait.Round(time.Microsecond))
		}
	}
	return nil
}

func emitFor(ctx context.Context, o options, s *sink, name string, callers int) (int64, error) {
	e, err := openEngine(ctx, o, s, name, shapes[0])
	if err != nil {
		return 0, err
	}
	var emitted atomic.Int64
	var stopped atomic.Bool
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for !stopped.Load() {
				if err := e.emit(ctx); err != nil {
					failed.Store(&err)
					return
				}
				emitted.Add(1)
			}
		})
	}
	pause(ctx, o.duration)
	n := emitted.Load()
	stopped.Store(true)
	wg.Wait()
	if err := e.close(); err != nil {
		return n, err
	}
	if err := failed.Load(); err != nil {
		return n, *err
	}
	return n, nil
}
