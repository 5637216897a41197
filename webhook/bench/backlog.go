package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// spread is the number of webhooks that a backlog is spread over, unless it is
// all of one.
const spread = 1000

// claimSize is what one claim asks for, and claims the number of them.
const (
	claimSize = 64
	claims    = 200
)

// emitSamples is how many emits are measured with each number of callers.
const emitSamples = 16 * claimSize

// backlog prints what claims and emits cost beside deliveries that wait. Nothing
// is delivered, and the number of those that wait stays what it is.
func backlog(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "%-24s %9s %9s %21s %21s %10s %21s %21s\n", "backlog", "pending", "webhooks",
		fmt.Sprintf("claim %d: p50 · p99", claimSize), fmt.Sprintf("settle %d: p50 · p99", claimSize),
		"each",
		"Emit alone: p50 · p99", "16 callers: p50 · p99")
	return eachBacklog(o, func(name string, pending, subscriptions int) error {
		return backlogRow(ctx, o, s, out, name, pending, subscriptions)
	})
}

// eachBacklog calls row for each store with each number of pending deliveries, spread over many
// webhooks and all of one.
func eachBacklog(o options, row func(name string, pending, subscriptions int) error) error {
	for _, name := range o.stores() {
		for _, pending := range o.pending {
			for _, subscriptions := range []int{spread, 1} {
				if err := row(name, pending, subscriptions); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	return nil
}

func backlogRow(
	ctx context.Context, o options, s *sink, out io.Writer, name string, pending, subscriptions int,
) (err error) {
	opened, err := openStore(ctx, o, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	if o.hold && name == "postgres" {
		release, err := holdTransaction(ctx, o.dsn)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, release()) }()
	}
	q, err := newQueue(ctx, o, s, opened, subscriptions)
	if err != nil {
		return err
	}
	if err := q.add(ctx, pending); err != nil {
		return err
	}
	var claimed, settled []time.Duration
	for range claims {
		claim, settle, err := q.work(ctx)
		if err != nil {
			return err
		}
		claimed, settled = append(claimed, claim), append(settled, settle)
		if err := q.add(ctx, claimSize); err != nil {
			return err
		}
	}
	each := (sum(claimed) + sum(settled)) / (claims * claimSize)
	alone, err := q.emits(ctx, 1)
	if err != nil {
		return err
	}
	together, err := q.emits(ctx, 16)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%-24s %9d %9d %21s %21s %10s %21s %21s\n", engineNames[name], pending,
		subscriptions,
		quantiles(claimed), quantiles(settled), fmt.Sprintf("%.1f µs", micros(each)), quantiles(alone),
		quantiles(together))
	return nil
}

// holdTransaction begins a transaction that sees what is stored now, and keeps the server from
// cleaning up what is removed after that, until it is released.
func holdTransaction(ctx context.Context, dsn string) (release func() error, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return func() error { return conn.Close(context.WithoutCancel(ctx)) }, nil
}

// queue is a store with webhooks of as many organizations, which share what is
// emitted evenly.
type queue struct {
	store         *store
	dispatcher    *dispatch.Dispatcher // does not run
	organizations []string
	next          int
	payload       []byte
}

func newQueue(
	ctx context.Context, o options, s *sink, opened *store, subscriptions int,
) (*queue, error) {
	d, err := newDispatcher(o, s, opened)
	if err != nil {
		return nil, err
	}
	q := &queue{store: opened, dispatcher: d, payload: examplePayload()}
	for i := range subscriptions {
		organization := organizationName(i)
		if err := d.CreateSubscription(ctx, newSubscription(organization, s.url)); err != nil {
			return nil, err
		}
		q.organizations = append(q.organizations, organization)
	}
	return q, nil
}

// organization returns whose turn it is.
func (q *queue) organization() string {
	q.next++
	return q.organizations[q.next%len(q.organizations)]
}

// add enqueues deliveries, many at a time.
func (q *queue) add(ctx context.Context, n int) error {
	const batch = 2000
	for n > 0 {
		events := make([]webhook.NewEvent, min(n, batch))
		for i := range events {
			events[i] = webhook.NewEvent{
				OrganizationID: q.organization(), ID: event.NewID(), Type: string(event.ObjectCreated),
				Payload: q.payload,
			}
		}
		if _, err := q.store.Enqueue(ctx, time.Now(), events, nil); err != nil {
			return err
		}
		n -= len(events)
	}
	return nil
}

// work claims as many deliveries as one claim may, settles them, and returns
// how long each of the two took. Where there are many webhooks it takes one
// delivery of each, which is the most that a claim has to look for.
func (q *queue) work(ctx context.Context) (claim, settle time.Duration, err error) {
	perEndpoint := 1
	if len(q.organizations) == 1 {
		perEndpoint = claimSize
	}
	start := time.Now()
	tasks, err := q.store.Claim(ctx, start, webhook.ClaimRequest{
		Until: start.Add(time.Minute), Limit: claimSize, PerEndpoint: perEndpoint,
	})
	claim = time.Since(start)
	if err == nil && len(tasks) < claimSize {
		err = fmt.Errorf("a claim of %d deliveries found %d", claimSize, len(tasks))
	}
	if err != nil {
		return 0, 0, err
	}
	settlements := make([]webhook.Settlement, len(tasks))
	for i := range tasks {
		settlements[i] = webhook.Settlement{
			Lease: tasks[i].Lease, Status: webhook.StatusSucceeded,
			Attempt: &webhook.Attempt{StartedAt: start, Duration: time.Millisecond, StatusCode: 200},
		}
	}
	start = time.Now()
	refused, err := q.store.Settle(ctx, start, settlements)
	if err == nil && len(refused) > 0 {
		err = fmt.Errorf("%d verdicts were refused", len(refused))
	}
	return claim, time.Since(start), err
}

// emits returns how long callers waited for each of their emits, while as much
// is worked off.
func (q *queue) emits(ctx context.Context, callers int) ([]time.Duration, error) {
	took := make([]time.Duration, 0, emitSamples)
	for len(took) < emitSamples {
		var mu sync.Mutex
		var failed error
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range claimSize / callers {
					mu.Lock()
					e := newEvent()
					e.OrganizationID = q.organization()
					mu.Unlock()
					start := time.Now()
					_, err := q.dispatcher.Emit(ctx, e)
					wait := time.Since(start)
					mu.Lock()
					took, failed = append(took, wait), errors.Join(failed, err)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if failed != nil {
			return nil, failed
		}
		if _, _, err := q.work(ctx); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// quantiles prints the median and the 99th percentile.
func quantiles(times []time.Duration) string {
	return fmt.Sprintf("%.2f · %.2f ms", millis(quantile(times, 0.5)), millis(quantile(times, 0.99)))
}

// quantile sorts the times.
func quantile(times []time.Duration, q float64) time.Duration {
	slices.Sort(times)
	return times[int(q*float64(len(times)-1))]
}

func sum(times []time.Duration) (total time.Duration) {
	for _, t := range times {
		total += t
	}
	return total
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
