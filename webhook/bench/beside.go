package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// besideEndpoints are those of other organizations, beside the one that has a backlog.
const besideEndpoints = 10_000

// beside prints what a backlog of one endpoint does to the endpoints of others, which get events as
// fast as they take them. All endpoints answer at once, so the backlog is worked off meanwhile.
func beside(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "%-24s %9s %9s %12s %12s %21s %10s\n", "beside a backlog", "pending", "others",
		"others/s", "backlog/s", "claim: p50 · p99", "Go memory")
	for _, name := range o.stores() {
		for _, pending := range append([]int{0}, o.pending...) {
			if err := besideOf(ctx, o, s, out, name, pending); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func besideOf(
	ctx context.Context, o options, s *sink, out io.Writer, name string, pending int,
) (err error) {
	opened, err := openStore(ctx, o, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	timed := &timedClaims{Store: opened}
	d, err := newDispatcher(o, s, timed)
	if err != nil {
		return err
	}
	for i := range besideEndpoints + 1 {
		sub := newSubscription(organizationName(i), s.url)
		sub.ID, sub.CreatedAt = webhook.NewID(), time.Now().UTC()
		sub.UpdatedAt = sub.CreatedAt
		if err := opened.CreateSubscription(ctx, sub, webhook.Quota{}); err != nil {
			return err
		}
	}
	// The events of the backlog have no time of their emit, by which the sink tells them apart.
	q := &queue{store: opened, organizations: []string{organizationName(0)},
		payload: bytes.ReplaceAll(examplePayload(), []byte(emittedMark), []byte(`"stored_ns":`))}
	if err := q.add(ctx, pending); err != nil {
		return err
	}

	var others, backlog atomic.Int64
	sent := newOnTheWay(8 * o.inFlight)
	arrived := func(body []byte) {
		if _, ok := emittedAt(body); ok {
			others.Add(1)
			sent.arrived()
		} else {
			backlog.Add(1)
		}
	}
	s.onBody.Store(&arrived)
	defer s.onBody.Store(nil)

	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(running) }()
	var emits atomic.Int64
	var failed atomic.Pointer[error]
	var emitters sync.WaitGroup
	for range 8 * o.inFlight {
		emitters.Go(func() {
			for sent.add(1) {
				e := newEvent()
				e.OrganizationID = organizationName(1 + int(emits.Add(1))%besideEndpoints)
				if _, err := d.Emit(ctx, e); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	pause(ctx, warmUp)
	timed.reset()
	start, othersBefore, backlogBefore := time.Now(), others.Load(), backlog.Load()
	pause(ctx, o.duration)
	elapsed := time.Since(start).Seconds()
	othersEach := float64(others.Load()-othersBefore) / elapsed
	backlogEach := float64(backlog.Load()-backlogBefore) / elapsed
	claims := timed.reset()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	sent.close()
	emitters.Wait()
	stop()
	err = <-ended
	if f := failed.Load(); f != nil {
		err = errors.Join(err, *f)
	}
	if err != nil {
		return err
	}
	waits := "none"
	if len(claims.took) > 0 {
		waits = quantiles(claims.took)
	}
	fmt.Fprintf(out, "%-24s %9d %9d %12.0f %12.0f %21s %6d MiB\n", engineNames[name], pending,
		besideEndpoints, othersEach, backlogEach, waits, (mem.Sys-mem.HeapReleased)>>20)
	return ctx.Err()
}

// timedClaims is a store that notes what claims cost and bring, of those that bring anything.
type timedClaims struct {
	webhook.Store
	mu    sync.Mutex
	noted claimed
}

// claimed is what claims cost and brought.
type claimed struct {
	took             []time.Duration // each
	tasks, endpoints int             // all
}

func (t *timedClaims) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	start := time.Now()
	tasks, err := t.Store.Claim(ctx, now, r)
	took := time.Since(start)
	if len(tasks) == 0 {
		return tasks, err
	}
	endpoints := make(map[webhook.Endpoint]struct{})
	for i := range tasks {
		endpoints[tasks[i].Endpoint] = struct{}{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noted.took = append(t.noted.took, took)
	t.noted.tasks += len(tasks)
	t.noted.endpoints += len(endpoints)
	return tasks, err
}

// reset returns what was noted since the last call.
func (t *timedClaims) reset() claimed {
	t.mu.Lock()
	defer t.mu.Unlock()
	noted := t.noted
	t.noted = claimed{}
	return noted
}
