package main

import (
	"context"
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
