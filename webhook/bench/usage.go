package main

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// usage is what a measurement took.
type usage struct {
	deliveries   int64
	elapsed, cpu time.Duration
	allocs       uint64
}

func (u usage) perSecond() float64 { return float64(u.deliveries) / u.elapsed.Seconds() }

// cpuEach is in microseconds.
func (u usage) cpuEach() float64 { return float64(u.cpu.Microseconds()) / float64(u.deliveries) }

func (u usage) allocsEach() float64 { return float64(u.allocs) / float64(u.deliveries) }

// warmUp is what passes before a measurement counts.
const warmUp = 500 * time.Millisecond

// observe counts the sink's arrivals for a while.
func observe(ctx context.Context, d time.Duration, s *sink) usage {
	pause(ctx, warmUp)
	before, start := snapshot(s), time.Now()
	pause(ctx, d)
	after := snapshot(s)
	return usage{
		deliveries: after.deliveries - before.deliveries,
		elapsed:    time.Since(start),
		cpu:        after.cpu - before.cpu,
		allocs:     after.allocs - before.allocs,
	}
}

func snapshot(s *sink) usage {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return usage{deliveries: s.arrivals.Load(), cpu: cpuTime(), allocs: mem.Mallocs}
}

// cpuTime is the user and system time of this process.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// patience is how long the last deliveries of a measurement may take.
const patience = time.Minute

// eventually returns when what was emitted has been delivered.
func eventually(ctx context.Context, delivered func() bool) error {
	for deadline := time.Now().Add(patience); !delivered(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not all that was emitted was delivered within %s", patience)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}
