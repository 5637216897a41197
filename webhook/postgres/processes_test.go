//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

// service is a number of processes on one database, and what they said about the events that they
// emitted.
type service struct {
	t        testing.TB
	dsn      string
	endpoint *endpoint
	hooks    map[string]string // paths of the endpoint, by subscription id
	lease    time.Duration

	mu              sync.Mutex
	tried, accepted map[string]bool // event ids
	settled         map[string]bool // leases whose result was accepted: delivery id and fencing token
	refused         map[string]bool // leases whose result was refused
	stale           int             // results of deliveries that another process had taken over
	kills, pauses   int
	terminations    int
}

// newService makes the tables, two subscriptions, and a trigger that records changes of settled
// deliveries.
func newService(t testing.TB, lease time.Duration, moody bool) *service {
	t.Helper()
	return newServiceWith(t, lease, newEndpoint(t, moody, 0), []string{
		`CREATE TABLE overwritten (id bigint, was integer, became integer, was_token bigint,
			became_token bigint)`,
		`CREATE FUNCTION note_overwritten() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF OLD.state >= 2 OR NEW.token < OLD.token THEN
				INSERT INTO overwritten VALUES (OLD.id, OLD.state, NEW.state, OLD.token, NEW.token);
			END IF;
			RETURN NEW;
		END $$`,
		`CREATE TRIGGER overwritten BEFORE UPDATE ON webhooks_deliveries FOR EACH ROW
			EXECUTE FUNCTION note_overwritten()`})
}

// takenOverTriggers record the leases of deliveries that were in flight when another process took
// them over.
var takenOverTriggers = []string{
	`CREATE TABLE taken_over (id bigint, token bigint)`,
	`CREATE FUNCTION note_taken_over() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO taken_over VALUES (OLD.id, OLD.token);
		RETURN NEW;
	END $$`,
	`CREATE TRIGGER taken_over BEFORE UPDATE ON webhooks_deliveries FOR EACH ROW
		WHEN (OLD.state = 1 AND NEW.token > OLD.token) EXECUTE FUNCTION note_taken_over()`,
}

// newServiceWith makes the tables, two subscriptions of an endpoint, and triggers.
func newServiceWith(
	t testing.TB, lease time.Duration, e *endpoint, triggers []string,
) *service {
	t.Helper()
	s := &service{
		t: t, dsn: schemaDSN(t), endpoint: e, lease: lease,
		hooks: make(map[string]string), tried: make(map[string]bool), accepted: make(map[string]bool),
		settled: make(map[string]bool), refused: make(map[string]bool),
	}
	d, store, err := childDispatcher(t.Context(), childConfig{DSN: s.dsn, Lease: lease})
	require.NoError(t, err)
	for i := range 2 {
		path := fmt.Sprintf("/%d", i)
		sub := &webhook.Subscription{
			Name: path, EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: s.endpoint.URL + path})},
		}
		require.NoError(t, d.CreateSubscription(t.Context(), sub))
		s.hooks[sub.ID] = path
	}
	require.NoError(t, store.Close())
	execAt(t, s.dsn, triggers...)
	execAt(t, s.dsn, takenOverTriggers...)
	return s
}

// start starts a process and waits until it has emitted an event.
func (s *service) start() *child {
	s.t.Helper()
	c := startChild(s.t, childConfig{Mode: "dispatch", DSN: s.dsn, Lease: s.lease},
		s.heard)
	c.await(s.t, "accepted")
	return c
}

// heard notes what a process says.
func (s *service) heard(what, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch what {
	case "accepted":
		s.accepted[id] = true
	case "settled":
		s.settled[id] = true
	case "refused":
		s.refused[id] = true
	default:
		s.tried[id] = true
	}
}

// disturb kills, pauses or replaces one process again and again until the time.
func (s *service) disturb(until time.Time, start func() *child) {
	c := start()
	for time.Now().Before(until) {
		time.Sleep(time.Duration(200+rand.IntN(1000)) * time.Millisecond)
		switch n := rand.IntN(10); {
		case n < 5:
			c.kill(s.t)
			s.count(&s.kills)
			c = start()
		case n < 9:
			c.signal(s.t, syscall.SIGSTOP)
			time.Sleep(s.lease + time.Duration(200+rand.IntN(1000))*time.Millisecond)
			c.signal(s.t, syscall.SIGCONT)
			s.count(&s.pauses)
		default:
			c.terminate(s.t)
			s.count(&s.terminations)
			c = start()
		}
	}
	c.terminate(s.t)
	s.count(&s.terminations)
}

func (s *service) count(counter *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*counter++
}

// checkStale compares the results that the processes had for the store with the leases that were
// taken over, and counts those that came after that.
func (s *service) checkStale() {
	s.t.Helper()
	taken := queryAt[[]string](s.t, s.dsn,
		"SELECT coalesce(array_agg(id || ' ' || token), '{}') FROM taken_over")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, lease := range taken {
		assert.False(s.t, s.settled[lease], "a result was accepted although another process had "+
			"taken the delivery over: delivery id and token %s", lease)
		if s.refused[lease] {
			s.stale++
		}
	}
}

// drain delivers the remaining deliveries in this process. The endpoint accepts all of them: if it
// refused the doomed ones, and no others were left, its breaker would pause it for minutes.
func (s *service) drain() {
	s.t.Helper()
	s.drainWithin(patience)
}

func (s *service) drainWithin(limit time.Duration) {
	s.t.Helper()
	s.endpoint.moody.Store(false)
	d, store, err := childDispatcher(s.t.Context(), childConfig{DSN: s.dsn, Lease: s.lease})
	require.NoError(s.t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	eventuallyWithin(s.t, limit, "all deliveries must be settled", func() bool {
		return queryAt[int](s.t, s.dsn, "SELECT count(*) FROM webhooks_deliveries WHERE state < 2") == 0
	})
	stop()
	require.NoError(s.t, <-ended)
	require.NoError(s.t, store.Close())
}

// totals counts all deliveries by their result.
type totals struct{ succeeded, dead, duplicates int }

// account compares what the processes said, what the database holds, and what the endpoint
// accepted.
func (s *service) account() totals {
	s.t.Helper()
	assert.Zero(s.t, queryAt[int](s.t, s.dsn, "SELECT count(*) FROM overwritten"),
		"settled deliveries must not change")
	d, store, err := childDispatcher(s.t.Context(), childConfig{DSN: s.dsn, Lease: s.lease})
	require.NoError(s.t, err)
	defer func() { assert.NoError(s.t, store.Close()) }()
	all, err := d.Deliveries(s.t.Context(), webhook.DeliveryQuery{Limit: 10_000_000})
	require.NoError(s.t, err)
	s.endpoint.mu.Lock()
	defer s.endpoint.mu.Unlock()
	s.checkStale()
	var sum totals
	stored, arrived := make(map[string]int), 0
	for i := range all {
		stored[all[i].EventID]++
		n := s.endpoint.accepted[s.hooks[all[i].SubscriptionID]+" "+all[i].EventID]
		arrived += n
		s.checkDelivery(&all[i], n, &sum)
	}
	for id := range s.accepted {
		assert.Equal(s.t, len(s.hooks), stored[id], "accepted event %s", id)
	}
	for id, n := range stored {
		assert.True(s.t, s.tried[id], "event %s was never emitted", id)
		assert.Equal(s.t, len(s.hooks), n, "event %s is stored in part", id)
	}
	seen := 0
	for _, n := range s.endpoint.accepted {
		seen += n
	}
	assert.Equal(s.t, seen, arrived, "the endpoint accepted a request that belongs to no delivery")
	assert.Equal(s.t, len(stored)*len(s.hooks), sum.succeeded+sum.dead)
	s.t.Logf("%d kills, %d pauses past the lease, %d terminations; %d events accepted, %d stored: "+
		"%d deliveries = %d succeeded + %d dead; %d duplicates; %d stale results refused",
		s.kills, s.pauses, s.terminations, len(s.accepted), len(stored), len(all), sum.succeeded,
		sum.dead, sum.duplicates, s.stale)
	return sum
}

// checkDelivery checks one delivery. The endpoint accepted it as often as arrived says.
func (s *service) checkDelivery(d *webhook.Delivery, arrived int, sum *totals) {
	s.t.Helper()
	for i, a := range d.Attempts {
		last := i == len(d.Attempts)-1
		assert.Equal(s.t, i+1, a.Number)
		assert.Equal(s.t, last && d.Status == webhook.StatusSucceeded, a.Succeeded(),
			"%s: attempt %d of a delivery that %s", d.ID, a.Number, d.Status)
	}
	switch d.Status {
	case webhook.StatusSucceeded:
		sum.succeeded++
		sum.duplicates += arrived - 1
		assert.Positive(s.t, arrived, "%s has not arrived", d.ID)
	case webhook.StatusDead:
		sum.dead++
		// If the endpoint accepted it, the process was killed before it stored that result.
		sum.duplicates += arrived
		assert.True(s.t, len(d.Attempts) == childAttempts || lostInARow(d.Attempts) == childMaxLost,
			"%s died before its budget: %v", d.ID, d.Attempts)
	default:
		assert.Fail(s.t, "not settled", "%s is %s", d.ID, d.Status)
	}
}

// lostInARow counts the last attempts, which were lost with their process.
func lostInARow(attempts []webhook.Attempt) int {
	n := 0
	for n < len(attempts) && attempts[len(attempts)-1-n].Class == string(dispatch.ClassLost) {
		n++
	}
	return n
}

// TestEightProcesses randomly kills, pauses and replaces processes that emit and deliver.
func TestEightProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	s := newService(t, time.Second, true)
	until := time.Now().Add(*outageDuration)
	var slots sync.WaitGroup
	for range 8 {
		slots.Go(func() { s.disturb(until, s.start) })
	}
	slots.Wait()
	s.drain()
	sum := s.account()
	assert.Positive(t, sum.succeeded)
	// In less time, none of these may happen on a busy machine. A delivery dies after six attempts, and
	// few processes live that long.
	if *outageDuration >= 5*time.Minute {
		assert.Positive(t, sum.dead)
	}
	if *outageDuration >= time.Minute {
		assert.Positive(t, s.kills)
		assert.Positive(t, s.pauses)
	}
}

// TestKilledReadersMissNothing kills, pauses and replaces processes that emit and deliver, and at the
// same time kills the one that reads both tails of a subscription from named positions on.
func TestKilledReadersMissNothing(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	s := newService(t, time.Second, true)
	var subscriptionID string
	for id := range s.hooks {
		subscriptionID = id
	}
	until := time.Now().Add(*outageDuration)
	var slots sync.WaitGroup
	for range 3 {
		slots.Go(func() { s.disturb(until, s.start) })
	}
	over := make(chan struct{}) // closed when no more events come
	go func() {
		slots.Wait()
		close(over)
	}()
	var readings sqltest.Readings
	cfg := childConfig{Mode: "read", DSN: s.dsn, Lease: s.lease, Read: subscriptionID}
	kills := 0
	for ; time.Now().Before(until); kills++ {
		read := make(chan struct{})
		isRead := sync.OnceFunc(func() { close(read) })
		c := startChild(t, cfg, func(what, id string) {
			if readings.Heard(what, id); what == "event" {
				isRead()
			}
		})
		select {
		case <-read:
		case <-over: // there may be nothing left to read
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		c.kill(t)
	}
	<-over
	s.drain()
	s.account()
	require.NoError(t, readTails(cfg, false, func(what, id string) { readings.Heard(what, id) }))
	d, store, err := childDispatcher(t.Context(), cfg)
	require.NoError(t, err)
	all, err := d.Deliveries(t.Context(),
		webhook.DeliveryQuery{SubscriptionID: subscriptionID, Limit: 1_000_000})
	require.NoError(t, err)
	require.NoError(t, store.Close())
	t.Logf("%d readers were killed", kills)
	s.mu.Lock()
	defer s.mu.Unlock()
	readings.Require(t, s.accepted, all)
}

// TestRollingRestart replaces processes one after the other while they emit and deliver.
func TestRollingRestart(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	s := newService(t, 30*time.Second, false)
	var running []*child
	for range 3 {
		running = append(running, s.start())
	}
	for range 6 {
		running = append(running, s.start())
		running[0].terminate(t)
		s.count(&s.terminations)
		running = running[1:]
	}
	for _, c := range running {
		c.terminate(t)
		s.count(&s.terminations)
	}
	assert.Zero(t, queryAt[int](t, s.dsn, "SELECT count(*) FROM webhooks_deliveries WHERE state = 1"),
		"a terminated process requeues the deliveries that it holds")
	s.drain()
	sum := s.account()
	assert.Zero(t, sum.dead)
	assert.Zero(t, sum.duplicates, "a terminated process finishes the attempts that it has started")
	assert.Zero(t, s.stale)
	assert.Len(t, s.accepted, len(s.tried))
}
