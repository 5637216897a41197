package main

import (
	"context"
	"errors"
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
	written      int64 // bytes, by the store
	err          error
}

func (u usage) perSecond() float64 { return float64(u.deliveries) / u.elapsed.Seconds() }

// cpuEach is in microseconds.
func (u usage) cpuEach() float64 { return float64(u.cpu.Microseconds()) / float64(u.deliveries) }

func (u usage) allocsEach() float64 { return float64(u.allocs) / float64(u.deliveries) }

func (u usage) writtenEach() float64 { return float64(u.written) / float64(u.deliveries) }

// retention is for how long finished deliveries are kept, and warmUp what passes before a
// measurement counts: from then on as many are pruned as are delivered.
const (
	retention = 500 * time.Millisecond
	warmUp    = 2 * retention
)

// observe counts the sink's arrivals for a while, and what is written, if that can be told.
func observe(
	ctx context.Context, d time.Duration, s *sink, written func(context.Context) (int64, error),
) usage {
	if written == nil {
		written = func(context.Context) (int64, error) { return 0, nil }
	}
	pause(ctx, warmUp)
	before, start := snapshot(s), time.Now()
	writtenBefore, err := written(ctx)
	pause(ctx, d)
	after := snapshot(s)
	writtenAfter, errAfter := written(ctx)
	return usage{
		written:    writtenAfter - writtenBefore,
		err:        errors.Join(err, errAfter),
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
