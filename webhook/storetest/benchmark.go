package storetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Benchmark measures a store. "deliveries/s" is how many deliveries went through all steps in a
// second, and "claim-ns" and the like are the cost of one step for each delivery.
//
// Cycle enqueues, claims and settles in batches; Prefetched leaves the claim to the prefetch;
// Parallel does what Cycle does from 16 goroutines, one event at a time. Claim measures claims in a
// store with many other deliveries: settled ones, a backlog of one endpoint, retries that are not
// due, many endpoints, and what waits behind a dead delivery of its subject. Arrive measures the
// claims that find one more delivery of such a subject. In a good store these numbers do not grow
// with the number of stored deliveries.
func Benchmark(b *testing.B, newStore func(b *testing.B) webhook.Store) {
	for _, size := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("Cycle/batch=%d", size), func(b *testing.B) {
			newBench(b, newStore(b)).cycle(size, false)
		})
	}
	for _, size := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("Prefetched/batch=%d", size), func(b *testing.B) {
			newBench(b, newStore(b)).cycle(size, true)
		})
	}
	b.Run("Parallel/batch=1", func(b *testing.B) { newBench(b, newStore(b)).parallel() })
	for _, n := range []int{1_000, 100_000} {
		for _, c := range []struct {
			name string
			fill func(*bench, int)
		}{
			{"settled", (*bench).fillSettled}, {"backlog", (*bench).fillBacklog},
			{"waiting", (*bench).fillWaiting},
		} {
			b.Run(fmt.Sprintf("Claim/%s=%d", c.name, n), func(b *testing.B) {
				bench := newBench(b, newStore(b))
				c.fill(bench, n)
				bench.claims(64)
			})
		}
	}
	for _, n := range []int{10, 2_000} {
		b.Run(fmt.Sprintf("Claim/endpoints=%d", n), func(b *testing.B) {
			bench := newBench(b, newStore(b))
			bench.fillEndpoints(n)
			bench.claims(64)
		})
	}
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("Claim/held=%d", n), func(b *testing.B) {
			bench := newBench(b, newStore(b))
			bench.fillHeld(n)
			bench.claims(64)
		})
		b.Run(fmt.Sprintf("Arrive/held=%d", n), func(b *testing.B) {
			bench := newBench(b, newStore(b))
			bench.fillHeld(n)
			bench.arrivals()
		})
	}
}

// bench is a store with one subscription for "object.*".
type bench struct {
	webhook.Store
	b   *testing.B
	ctx context.Context
	now time.Time
	// payload has the size of a usual envelope.
	payload []byte
	count   atomic.Int64 // of events
	spent   map[string]time.Duration
}

func newBench(b *testing.B, s webhook.Store) *bench {
	bench := &bench{
		Store: s, b: b, ctx: b.Context(), now: start(),
		payload: fmt.Appendf(nil, `{"event_id":"evt_1","metadata":{"filler":"%0600d"}}`, 0),
		spent:   make(map[string]time.Duration),
	}
	sub := hook()
	sub.EventTypes = []event.Pattern{"object.*"}
	bench.check(s.CreateSubscription(bench.ctx, sub, webhook.Quota{}))
	return bench
}

func (b *bench) check(err error) {
	if err != nil {
		b.b.Error(err)
	}
}

// timed adds what a step takes to its sum.
func (b *bench) timed(step string, run func()) {
	begin := time.Now()
	run()
	b.spent[step] += time.Since(begin)
}

// report turns the sums into metrics.
func (b *bench) report(deliveries int) {
	b.b.ReportMetric(float64(deliveries)/b.b.Elapsed().Seconds(), "deliveries/s")
	for step, d := range b.spent {
		b.b.ReportMetric(float64(d.Nanoseconds())/float64(deliveries), step+"-ns")
	}
}

func (b *bench) events(n int, eventType string) []webhook.NewEvent {
	events := make([]webhook.NewEvent, n)
	for i := range events {
		id := fmt.Sprintf("evt_%032d", b.count.Add(1))
		events[i] = webhook.NewEvent{OrganizationID: org, ID: id, Type: eventType, Payload: b.payload}
	}
	return events
}

func (b *bench) enqueue(events []webhook.NewEvent, prefetch *webhook.Prefetch) []webhook.Task {
	tasks, err := tasksOf(enqueueAll(b.ctx, b.Store, b.now, events, prefetch))
	b.check(err)
	return tasks
}

func (b *bench) claim(limit int) []webhook.Task {
	tasks, err := b.Claim(b.ctx, b.now,
		webhook.ClaimRequest{Until: b.now.Add(lease), Limit: limit, PerEndpoint: limit})
	b.check(err)
	return tasks
}

func (b *bench) settlements(
	tasks []webhook.Task, status webhook.Status, due time.Time,
) []webhook.Settlement {
	settlements := make([]webhook.Settlement, len(tasks))
	for i, task := range tasks {
		settlements[i] = webhook.Settlement{Lease: task.Lease, Status: status, DueAt: due}
		if status == webhook.StatusSucceeded {
			settlements[i].Attempt = attempt(b.now, "")
		}
	}
	return settlements
}

func (b *bench) settle(settlements []webhook.Settlement) {
	refused, err := b.Settle(b.ctx, b.now, settlements)
	b.check(err)
	if len(refused) > 0 {
		b.b.Error("results were refused")
	}
}

func (b *bench) cycle(size int, prefetched bool) {
	var prefetch *webhook.Prefetch
	if prefetched {
		prefetch = &webhook.Prefetch{Until: b.now.Add(lease), Take: always}
	}
	n := 0
	for b.b.Loop() {
		events := b.events(size, created)
		var tasks []webhook.Task
		b.timed("enqueue", func() { tasks = b.enqueue(events, prefetch) })
		if left := size - len(tasks); left > 0 {
			b.timed("claim", func() { tasks = append(tasks, b.claim(left)...) })
		}
		settlements := b.settlements(tasks, webhook.StatusSucceeded, time.Time{})
		b.timed("settle", func() { b.settle(settlements) })
		n += len(tasks)
	}
	b.report(n)
}

func (b *bench) parallel() {
	var n atomic.Int64
	b.b.SetParallelism(16)
	b.b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			b.enqueue(b.events(1, created), nil)
			tasks := b.claim(1)
			b.settle(b.settlements(tasks, webhook.StatusSucceeded, time.Time{}))
			n.Add(int64(len(tasks)))
		}
	})
	b.report(int(n.Load()))
}

// claims measures claims only, and requeues what it claimed.
func (b *bench) claims(limit int) {
	b.enqueue(b.events(limit, created), nil)
	n := 0
	for b.b.Loop() {
		var tasks []webhook.Task
		b.timed("claim", func() { tasks = b.claim(limit) })
		settlements := b.settlements(tasks, webhook.StatusPending, b.now)
		b.timed("requeue", func() { b.settle(settlements) })
		n += len(tasks)
	}
	b.report(n)
}

// fillChunk bounds the batches that fill a store.
const fillChunk = 1_000

func (b *bench) fillBacklog(n int) {
	for ; n > 0; n -= fillChunk {
		b.enqueue(b.events(min(n, fillChunk), created), nil)
	}
}

func (b *bench) fillSettled(n int) {
	for ; n > 0; n -= fillChunk {
		b.fillBacklog(min(n, fillChunk))
		b.settle(b.settlements(b.claim(fillChunk), webhook.StatusSucceeded, time.Time{}))
	}
}

func (b *bench) fillWaiting(n int) {
	for ; n > 0; n -= fillChunk {
		b.fillBacklog(min(n, fillChunk))
		b.settle(b.settlements(b.claim(fillChunk), webhook.StatusPending, b.now.Add(time.Hour)))
	}
}

// fillEndpoints makes n endpoints with a backlog of ten each.
func (b *bench) fillEndpoints(n int) {
	for range n {
		sub := hook()
		sub.EventTypes = []event.Pattern{"invoice.*"}
		b.check(b.CreateSubscription(b.ctx, sub, webhook.Quota{}))
	}
	b.enqueue(b.events(10, "invoice.paid"), nil)
}

// held makes n events about a subject.
func (b *bench) held(n int) []webhook.NewEvent {
	events := b.events(n, "invoice.paid")
	for i := range events {
		events[i].Subject = event.Subject{Type: "invoice", ID: "inv_1"}
	}
	return events
}

// fillHeld has n deliveries of a subject wait behind a dead one.
func (b *bench) fillHeld(n int) {
	if b.Capabilities().Ordering == nil {
		b.b.Skip("the store does not declare Ordering")
	}
	sub := ordered()
	sub.EventTypes = []event.Pattern{"invoice.*"}
	b.check(b.CreateSubscription(b.ctx, sub, webhook.Quota{}))
	b.enqueue(b.held(1), nil)
	tasks := b.claim(1)
	b.settle(b.settlements(tasks, webhook.StatusDead, time.Time{}))
	for ; n > 0; n -= fillChunk {
		b.enqueue(b.held(min(n, fillChunk)), nil)
		for range 3 { // a claim takes a bounded number of them out of the queue
			if len(b.claim(1)) > 0 {
				b.b.Fatal("a subject that is held has a turn")
			}
		}
	}
}

// arrivals measures claims that find one more delivery of a subject that is held.
func (b *bench) arrivals() {
	n := 0
	for b.b.Loop() {
		b.enqueue(b.held(1), nil)
		b.timed("claim", func() {
			if len(b.claim(64)) > 0 {
				b.b.Fatal("a subject that is held has a turn")
			}
		})
		n++
	}
	b.report(n)
}
