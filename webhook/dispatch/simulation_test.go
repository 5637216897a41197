package dispatch_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

var (
	simulationSeed = flag.Uint64("simulation.seed", 0, "the seed of TestSimulation; 0 for a random one")
	simulationRuns = flag.Int("simulation.runs", 1, "how often TestSimulation runs, with other seeds")
)

// unreliable is a store whose calls fail: before they take effect, or after, or they take long. It
// is shared by all processes of a simulation.
type unreliable struct {
	webhook.Store

	mu      sync.Mutex
	random  *rand.Rand
	calm    bool // nothing fails any more
	failed  int
	refused int
	settled map[webhook.DeliveryID]int // how often a final result was accepted
	bug     plantedBug
}

// plantedBug is a bug that the store has, so that a test can tell whether the check finds it.
type plantedBug int

const (
	noBug plantedBug = iota
	// losesEvents answers a call of Enqueue that has failed as though it had succeeded.
	losesEvents
	// undoesResults makes deliveries pending again if their results were stored and the reply was lost.
	undoesResults
)

var errUnreliable = fmt.Errorf("%w: simulated", webhook.ErrUnavailable)

// fault decides what becomes of a call. A call may take longer than a lease.
func (u *unreliable) fault(ctx context.Context) (before, after error) {
	u.mu.Lock()
	n, wait := 100, time.Duration(u.random.IntN(5))*time.Millisecond
	if !u.calm {
		n = u.random.IntN(40)
	}
	switch n {
	case 0:
		before = errUnreliable
	case 1:
		after = errUnreliable
	case 2:
		wait = time.Duration(u.random.IntN(90)) * time.Second
	}
	if n < 2 {
		u.failed++
	}
	u.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err(), nil
	}
	return before, after
}

// simulated makes a call, which may fail.
func simulated[T any](
	ctx context.Context, u *unreliable, call func() (T, error),
) (none T, err error) {
	before, after := u.fault(ctx)
	if before != nil {
		return none, before
	}
	got, err := call()
	if err = errors.Join(err, after); err != nil {
		return none, err
	}
	return got, nil
}

// Enqueue implements [webhook.Queue].
func (u *unreliable) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (webhook.Enqueued, error) {
	got, err := simulated(ctx, u, func() (webhook.Enqueued, error) {
		return u.Store.Enqueue(ctx, now, events, p)
	})
	if errors.Is(err, errUnreliable) && u.bug == losesEvents {
		return webhook.Enqueued{Events: make([]webhook.Emitted, len(events))}, nil
	}
	return got, err
}

// Claim implements [webhook.Queue].
func (u *unreliable) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	return simulated(ctx, u, func() ([]webhook.Task, error) { return u.Store.Claim(ctx, now, r) })
}

// Start implements [webhook.Queue].
func (u *unreliable) Start(
	ctx context.Context, now time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	return simulated(ctx, u, func() ([]webhook.Lease, error) { return u.Store.Start(ctx, now, leases) })
}

// Extend implements [webhook.Queue].
func (u *unreliable) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	return simulated(ctx, u, func() ([]webhook.Lease, error) { return u.Store.Extend(ctx, until, leases) })
}

// Settle implements [webhook.Queue].
func (u *unreliable) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	refused, err := simulated(ctx, u,
		func() ([]webhook.Lease, error) { return u.settle(ctx, now, settlements) })
	if errors.Is(err, errUnreliable) && u.bug == undoesResults {
		for i := range settlements { // those that are not settled stay as they are
			_ = u.Replay(ctx, now, "", settlements[i].DeliveryID)
		}
	}
	return refused, err
}

func (u *unreliable) settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	refused, err := u.Store.Settle(ctx, now, settlements)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refused += len(refused)
	for i := range settlements {
		s := &settlements[i]
		if err == nil && s.Status != webhook.StatusPending && !slices.Contains(refused, s.Lease) {
			u.settled[s.DeliveryID]++
		}
	}
	return refused, err
}

const (
	simulatedTime      = time.Hour
	simulatedProcesses = 3
	simulatedAttempts  = 8
)

// simulation is a number of Dispatchers that share an unreliable store and two endpoints.
type simulation struct {
	store *unreliable

	mu       sync.Mutex
	random   *rand.Rand
	accepted map[string]bool // events
	arrived  map[string]int  // deliveries that an endpoint accepted
}

// send is the channel: an endpoint that refuses, fails, and hangs.
func (s *simulation) send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	s.mu.Lock()
	n, wait := s.random.IntN(20), time.Duration(s.random.IntN(300))*time.Millisecond
	s.mu.Unlock()
	if n == 0 {
		wait = time.Hour
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return channel.Result{}, ctx.Err()
	}
	switch n {
	case 1, 2:
		return channel.Result{StatusCode: http.StatusServiceUnavailable},
			status(http.StatusServiceUnavailable)
	case 3:
		return channel.Result{StatusCode: http.StatusBadRequest}, status(http.StatusBadRequest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived[m.DeliveryID]++
	return accept(ctx, m)
}

// process emits and delivers, and is replaced by a new one every few minutes.
func (s *simulation) process(t *testing.T, until time.Time) {
	for time.Now().Before(until) {
		b := benchOn(t, s.store, dispatch.Config{PollInterval: 10 * time.Second,
			Retry: dispatch.ExponentialRetry{InitialInterval: time.Second, MaxInterval: time.Minute,
				MaxAttempts: simulatedAttempts}}, s.send)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = b.Run(ctx) // it may leave deliveries to their lease
		}()
		s.mu.Lock()
		emits := 1 + s.random.IntN(20)
		s.mu.Unlock()
		for range emits {
			e := newEvent("object.created")
			if _, err := b.Emit(ctx, e); err == nil {
				s.mu.Lock()
				s.accepted[e.ID] = true
				s.mu.Unlock()
			}
			time.Sleep(10 * time.Second)
		}
		stop()
		<-ended
	}
}

// problems says what is wrong with the account of all deliveries once all is over.
func (s *simulation) problems(deliveries []webhook.Delivery) (problems []string) {
	stored := make(map[string]int)
	for i := range deliveries {
		d := &deliveries[i]
		stored[d.EventID]++
		n := s.store.settled[d.ID]
		switch {
		case d.Status != webhook.StatusSucceeded && d.Status != webhook.StatusDead:
			problems = append(problems, fmt.Sprintf("%s is %s", d.ID, d.Status))
		case n != 1:
			problems = append(problems, fmt.Sprintf("%s was settled %d times", d.ID, n))
		case d.Status == webhook.StatusSucceeded && s.arrived[d.ID.String()] == 0:
			problems = append(problems, fmt.Sprintf("%s has succeeded without an answer", d.ID))
		}
	}
	for id := range s.accepted {
		if stored[id] != 2 {
			problems = append(problems, fmt.Sprintf("%s has %d deliveries", id, stored[id]))
		}
	}
	return problems
}

func simulate(t *testing.T, seed uint64, bug plantedBug) (problems []string) {
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{
			store: &unreliable{Store: memstore.New(), random: rand.New(rand.NewPCG(seed, 1)), bug: bug,
				settled: make(map[webhook.DeliveryID]int)},
			random: rand.New(rand.NewPCG(seed, 2)), accepted: make(map[string]bool),
			arrived: make(map[string]int),
		}
		setUp := benchOn(t, s.store.Store, dispatch.Config{}, s.send)
		for range 2 {
			setUp.subscribe(t, "*")
		}
		until := time.Now().Add(simulatedTime)
		var running sync.WaitGroup
		for range simulatedProcesses {
			running.Go(func() { s.process(t, until) })
		}
		running.Wait()
		s.store.mu.Lock()
		s.store.calm = true
		s.store.mu.Unlock()
		// What is left is delivered within the retries of an endpoint that fails by chance.
		last := benchOn(t, s.store, dispatch.Config{PollInterval: 10 * time.Second}, s.send)
		stop := last.run(t)
		elapse(4 * time.Hour)
		stop()
		deliveries := last.deliveries(t, webhook.DeliveryQuery{Limit: 1_000_000})
		problems = s.problems(deliveries)
		t.Logf("%d events accepted, %d deliveries; %d calls failed, %d results were refused",
			len(s.accepted), len(deliveries), s.store.failed, s.store.refused)
		assert.NotEmpty(t, deliveries)
		assert.Positive(t, s.store.failed)
	})
	return problems
}

// TestSimulation runs Dispatchers for hours over a store whose calls fail before they take effect,
// after that, or take longer than a lease. Once that is over, every accepted event has all its
// deliveries, and each is settled once. A seed repeats the faults, and not the order in which
// goroutines run at the same moment: run it a few times.
func TestSimulation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second of CPU time")
	}
	t.Parallel()
	for range *simulationRuns {
		seed := *simulationSeed
		if seed == 0 {
			seed = rand.Uint64()
		}
		assert.Empty(t, simulate(t, seed, noBug), "-simulation.seed %d", seed)
	}
}

// TestSimulationFindsBugs makes sure that the check can fail.
func TestSimulationFindsBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second of CPU time")
	}
	t.Parallel()
	for _, bug := range []plantedBug{losesEvents, undoesResults} {
		assert.NotEmpty(t, simulate(t, 1, bug), "bug %d", bug)
	}
}
