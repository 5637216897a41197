package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// drain prints how fast a Dispatcher works off what has waited, as after an outage, and what its own
// claims cost meanwhile. All endpoints answer at once.
func drain(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "%-24s %9s %9s %12s %8s %12s %12s %21s\n", "drain", "pending", "webhooks",
		"deliveries/s", "claims", "in a claim", "endpoints", "claim: each · p99")
	return eachBacklog(o, func(name string, pending, subscriptions int) error {
		return drainOf(ctx, o, s, out, name, pending, subscriptions)
	})
}

func drainOf(
	ctx context.Context, o options, s *sink, out io.Writer, name string, pending, subscriptions int,
) (err error) {
	opened, err := openStore(ctx, o, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	q, err := newQueue(ctx, o, s, opened, subscriptions)
	if err != nil {
		return err
	}
	if err := q.add(ctx, pending); err != nil {
		return err
	}
	timed := &timedClaims{Store: opened}
	d, err := newDispatcher(o, s, timed)
	if err != nil {
		return err
	}
	var delivered atomic.Int64
	drained := make(chan struct{})
	arrived := func([]byte) {
		if delivered.Add(1) == int64(pending) {
			close(drained)
		}
	}
	s.onBody.Store(&arrived)
	defer s.onBody.Store(nil)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	start := time.Now()
	go func() { ended <- d.Run(running) }()
	select {
	case <-drained:
	case <-time.After(o.duration):
	case <-ctx.Done():
	}
	elapsed := time.Since(start)
	n := delivered.Load()
	claims := timed.reset()
	stop()
	if err := <-ended; err != nil {
		return err
	}
	waits := "none"
	var inClaim, endpoints float64
	if n := float64(len(claims.took)); n > 0 {
		inClaim, endpoints = float64(claims.tasks)/n, float64(claims.endpoints)/n
		waits = fmt.Sprintf("%.1f µs · %.2f ms", micros(sum(claims.took))/float64(claims.tasks),
			millis(quantile(claims.took, 0.99)))
	}
	fmt.Fprintf(out, "%-24s %9d %9d %12.0f %8d %12.1f %12.1f %21s\n", engineNames[name], pending,
		subscriptions, float64(n)/elapsed.Seconds(), len(claims.took), inClaim, endpoints, waits)
	return ctx.Err()
}
