package fairqueue_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// TestSimulation drives a Core through random courses of events, and checks after each event that
// no slot is lost, that what is queued is counted exactly, that the bounds hold, and that each
// delivery leaves the queue exactly once. From time to time it checks that nothing which could run
// waits. A failure names the seed, which repeats it.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := uint64(20)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := newSimulation(t, seed)
			for range 5_000 {
				s.step()
			}
			s.runOut()
		})
	}
}

// BenchmarkSimulation is what a step of the simulation takes, with its checks. A large
// -benchtime=100000000x makes it a long test.
func BenchmarkSimulation(b *testing.B) {
	s := newSimulation(b, uint64(b.N))
	for range b.N {
		s.step()
	}
	s.runOut()
	b.ReportMetric(float64(s.done)/float64(b.N), "deliveries/op")
}

var simulatedLimits = fairqueue.Limits{
	InFlight: 32, InFlightPerEndpoint: 5, Buffered: 96, BufferedPerEndpoint: 16,
	BufferedBytes: 20_000, PerClaim: 24,
	ExpectedPayloadBytes: 400,
}

// where a delivery is.
type where int

const (
	inStore   where = iota
	committed       // claimed by the call that stored it, and not pushed yet
	queued
	picked // by a worker, which has not begun the attempt
	inFlight
	done
)

type delivery struct {
	id       int64
	endpoint *simulatedEndpoint
	payload  *fairqueue.PayloadSize
	retry    bool
	where    where
	index    int // in the list of those that are picked or in flight
	item     *fairqueue.Item[*delivery]
	host     fairqueue.Host // of the attempt
}

type simulatedEndpoint struct {
	fairqueue.Destination
	host      fairqueue.Host
	rateLimit fairqueue.RateLimit
	permits   []time.Time // the times of those that were granted, for permitLife each
	health    breaker.Health
	stored    []*delivery
	queued    int // and reserved
	inFlight  int // and picked
}

const permitLife = time.Second

// simulation is a model of all around a Core, with accounts of its own.
type simulation struct {
	t      testing.TB
	seed   uint64
	steps  int
	random *rand.Rand
	core   *fairqueue.Core[*delivery]
	now    time.Time
	tickAt time.Time
	open   bool

	endpoints        []*simulatedEndpoint
	hosts            []fairqueue.Host
	commits          [][]*delivery
	picked           []*delivery
	inFlight         []*delivery
	paused           []*delivery
	workers          int // that have been started, and are to call Next
	deliveries, done int

	queued         int // and reserved
	queuedPayloads map[*fairqueue.PayloadSize]int
	queuedBytes    int
	slots          map[string]int         // by organization
	atHost         map[fairqueue.Host]int // attempts that began while the queue was open
	claimTimes     []time.Time            // that were asked for, and are to come
}

func newSimulation(t testing.TB, seed uint64) *simulation {
	s := &simulation{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, seed)),
		core: fairqueue.NewCore[*delivery](simulatedLimits),
		now:  time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC), open: true,
		queuedPayloads: make(map[*fairqueue.PayloadSize]int), slots: make(map[string]int),
		atHost: make(map[fairqueue.Host]int),
	}
	for i := range 6 {
		s.hosts = append(
			s.hosts,
			fairqueue.Host{Name: fmt.Sprint("host", i), MaxInFlight: i % 3 * 2},
		)
	}
	s.hosts = append(s.hosts, fairqueue.Host{})
	for i := range 30 {
		s.endpoints = append(s.endpoints, &simulatedEndpoint{
			// The first organization has as many endpoints as all others.
			Destination: endpoint(fmt.Sprint("org", max(i-14, 0)/4), fmt.Sprint("wh", i)),
			host:        s.hosts[s.random.IntN(len(s.hosts))], health: breaker.Healthy,
			rateLimit: s.rateLimit(),
		})
	}
	s.core.Start()
	return s
}

// rateLimit returns the rate limit of an endpoint, which a third of them have.
func (s *simulation) rateLimit() fairqueue.RateLimit {
	if s.random.IntN(3) > 0 {
		return fairqueue.RateLimit{}
	}
	return fairqueue.RateLimit{PerSecond: float64(1 + s.random.IntN(5)), Burst: 1 + s.random.IntN(5)}
}

// grant answers what endpoints have asked for: most get some permits, for now or later.
func (s *simulation) grant() {
	var grants []fairqueue.PermitSupply
	for _, r := range s.core.TakePermitDemands(s.now, 1+s.random.IntN(10)) {
		s.require(r.Limit.PerSecond > 0 && (r.Want > 0 || r.Throttled), "%v asks for nothing", r.Endpoint)
		g := fairqueue.PermitSupply{Endpoint: r.Endpoint, ValidFor: permitLife}
		if s.random.IntN(4) == 0 {
			g.RequestAgainAt = s.now.Add(time.Duration(s.random.IntN(2000)) * time.Millisecond)
			g.Throttled, g.RetryAfter = r.Throttled, r.RetryAfter
		} else {
			g.Permits = 1 + s.random.IntN(5)
			g.First = s.now.Add(time.Duration(s.random.IntN(1000)) * time.Millisecond)
			g.Interval = time.Duration(s.random.IntN(300)) * time.Millisecond
		}
		for _, e := range s.endpoints {
			if e.Endpoint == r.Endpoint {
				for i := range g.Permits {
					e.permits = append(e.permits, g.First.Add(time.Duration(i)*g.Interval))
				}
			}
		}
		grants = append(grants, g)
	}
	s.core.SupplyPermits(s.now, grants)
}

// usePermit checks that the endpoint may begin an attempt now.
func (s *simulation) usePermit(e *simulatedEndpoint) {
	if e.rateLimit.PerSecond == 0 {
		return
	}
	slices.SortFunc(e.permits, time.Time.Compare)
	for i, at := range e.permits {
		if !at.After(s.now) && !s.now.After(at.Add(permitLife)) {
			e.permits = slices.Delete(e.permits, i, i+1)
			return
		}
	}
	s.require(false, "%v begins an attempt without a permit", e.Endpoint)
}

// require fails the test unless ok.
func (s *simulation) require(ok bool, format string, args ...any) {
	if !ok {
		s.t.Helper()
		s.t.Fatalf("seed %d, step %d: %s", s.seed, s.steps, fmt.Sprintf(format, args...))
	}
}

// move notes that a delivery leaves a place for another one.
func (s *simulation) move(d *delivery, from, to where) {
	s.require(d.where == from, "delivery %d moves from %d to %d, and is in %d",
		d.id, from, to, d.where)
	d.where = to
	e := d.endpoint
	switch from {
	case queued:
		s.queued--
		e.queued--
		if s.queuedPayloads[d.payload]--; s.queuedPayloads[d.payload] == 0 {
			delete(s.queuedPayloads, d.payload)
			s.queuedBytes -= d.payload.Bytes
		}
	case picked:
		s.picked = remove(s.picked, d)
	case inFlight:
		s.inFlight = remove(s.inFlight, d)
		if s.atHost[d.host] > 0 {
			s.atHost[d.host]--
		}
	case inStore, committed, done:
	}
	if (from == picked || from == inFlight) && to != picked && to != inFlight {
		e.inFlight--
		s.slots[e.OrganizationID]--
	}
	switch to {
	case queued:
		s.queued++
		e.queued++
		if s.queuedPayloads[d.payload]++; s.queuedPayloads[d.payload] == 1 {
			s.queuedBytes += d.payload.Bytes
		}
	case picked:
		d.index = len(s.picked)
		s.picked = append(s.picked, d)
		e.inFlight++
		s.slots[e.OrganizationID]++
	case inFlight:
		d.index = len(s.inFlight)
		s.inFlight = append(s.inFlight, d)
	case inStore:
		d.item = nil
		e.stored = append(e.stored, d)
	case done:
		s.done++
	case committed:
	}
}

func remove(list []*delivery, d *delivery) []*delivery {
	last := list[len(list)-1]
	list[d.index], last.index = last, d.index
	return list[:len(list)-1]
}

// act does what the core asks for, and checks the accounts.
func (s *simulation) act() (claim bool) {
	actions := s.core.TakeActions()
	s.workers += actions.StartWorkers
	s.tickAt = actions.TickAt
	stats := s.core.Stats()
	taken := len(s.picked) + len(s.inFlight)
	s.require(stats.FastSlotsUsed+stats.GeneralSlotsUsed == taken,
		"%d fast and %d general slots are taken by %d", stats.FastSlotsUsed, stats.GeneralSlotsUsed,
		taken)
	s.require(taken <= simulatedLimits.InFlight, "%d in flight", taken)
	s.require(stats.FastSlotsUsed <= simulatedLimits.InFlight/4, "%d fast slots", stats.FastSlotsUsed)
	s.require(stats.Buffered == s.queued, "%d queued, not %d", stats.Buffered, s.queued)
	s.require(stats.BufferedBytes == s.queuedBytes,
		"%d bytes, not %d", stats.BufferedBytes, s.queuedBytes)
	s.require(s.core.BufferEmpty() == (s.queued == 0), "%d queued", s.queued)
	s.require(s.core.NoWorkers() == (s.workers+taken == 0), "%d workers", s.workers+taken)
	return actions.Claim
}

func (s *simulation) step() {
	s.steps++
	switch n := s.random.IntN(100); {
	case n < 14:
		s.emit()
	case n < 28:
		s.commit()
	case n < 34:
		s.claim()
	case n < 56:
		s.work()
	case n < 68:
		s.begin()
	case n < 86:
		s.finish()
	case n < 89:
		s.pause()
	case n < 93:
		s.pass(time.Duration(s.random.IntN(200)) * time.Millisecond)
	case n < 97:
		s.reschedule()
	case n < 99:
		s.grant()
	default:
		s.rare()
	}
	if s.act() && s.random.IntN(4) > 0 {
		s.claim()
		s.act()
	}
}

// rare are the events that change much.
func (s *simulation) rare() {
	switch n := s.random.IntN(60); {
	case n < 20:
		e := s.endpoints[s.random.IntN(len(s.endpoints))]
		e.health = []breaker.Health{
			breaker.Healthy, breaker.Healthy, breaker.Unknown, breaker.Unhealthy,
		}[s.random.IntN(4)]
	case n < 30:
		e := s.endpoints[s.random.IntN(len(s.endpoints))]
		e.host = s.hosts[s.random.IntN(len(s.hosts))]
	case n < 33:
		e := s.endpoints[s.random.IntN(len(s.endpoints))]
		e.rateLimit = s.rateLimit()
	case n < 40:
		for _, d := range s.core.ResetSubscription(s.now, s.endpoints[n-20].Endpoint.SubscriptionID) {
			s.move(d, queued, inStore)
		}
	case n < 50:
		s.pass(time.Duration(s.random.IntN(60)) * time.Second)
	case n < 58:
		s.settle()
	case n < 59 && s.open:
		s.open = false
		for _, d := range s.core.Stop() {
			s.move(d, queued, inStore)
		}
	default:
		s.open = true
		s.core.Start()
		clear(s.atHost) // a queue that was stopped lets all that is picked begin
	}
}

// emit stores an event of some deliveries, which share its payload. What there is room for is
// prefetched, and pushed by a later step.
func (s *simulation) emit() {
	if s.deliveries-s.done > 20*len(s.endpoints) {
		return // so that it does not end with more than it can deliver
	}
	payload := &fairqueue.PayloadSize{Bytes: 1 + s.random.IntN(800)}
	var prefetched []*delivery
	var backlog []fairqueue.Destination
	first := s.endpoints[s.random.IntN(len(s.endpoints))]
	for range 1 + s.random.IntN(4) {
		e := s.endpoints[s.random.IntN(len(s.endpoints))]
		if e.OrganizationID != first.OrganizationID {
			e = first
		}
		s.deliveries++
		d := &delivery{id: int64(s.deliveries), endpoint: e, payload: payload}
		if s.core.ReservePrefetch(s.now, e.Destination) {
			s.queued++
			e.queued++
			s.require(s.queued <= simulatedLimits.Buffered, "%d are queued", s.queued)
			s.require(e.queued <= simulatedLimits.BufferedPerEndpoint, "%d for one endpoint", e.queued)
			d.where = committed
			prefetched = append(prefetched, d)
		} else {
			e.stored = append(e.stored, d)
			backlog = append(backlog, e.Destination)
		}
	}
	s.core.MarkBacklog(s.now, backlog)
	if len(prefetched) > 0 {
		s.commits = append(s.commits, prefetched)
	}
}

// commit pushes what an earlier emit prefetched. Some commits fail.
func (s *simulation) commit() {
	if len(s.commits) == 0 {
		return
	}
	i := s.random.IntN(len(s.commits))
	list := s.commits[i]
	s.commits = append(s.commits[:i], s.commits[i+1:]...)
	var reserved []fairqueue.Destination
	for _, d := range list {
		reserved = append(reserved, d.endpoint.Destination)
		s.queued--
		d.endpoint.queued--
	}
	s.core.ReleasePrefetch(s.now, reserved)
	if s.random.IntN(20) == 0 {
		for _, d := range list {
			s.move(d, committed, inStore)
		}
		return
	}
	s.push(list, committed)
}

func (s *simulation) push(list []*delivery, from where) {
	items := make([]*fairqueue.Item[*delivery], len(list))
	for i, d := range list {
		d.item = &fairqueue.Item[*delivery]{
			Destination: d.endpoint.Destination, ID: d.id, PayloadSize: d.payload, Value: d,
			Retry: d.retry,
		}
		items[i] = d.item
		s.move(d, from, queued)
	}
	rejected := s.core.Push(s.now, items)
	s.require(s.open == (len(rejected) == 0) || len(list) == 0, "%d of %d are rejected", len(rejected),
		len(list))
	for _, d := range rejected {
		s.move(d, queued, inStore)
	}
}

// claim takes what the budget allows out of the store.
func (s *simulation) claim() {
	b := s.core.PlanClaim(s.now)
	if b.Limit == 0 {
		return
	}
	s.require(s.queued+b.Limit <= simulatedLimits.Buffered,
		"may claim %d beside %d", b.Limit, s.queued)
	skip := make(map[any]bool)
	for _, id := range b.SkipOrganizations {
		skip[id] = true
	}
	for _, e := range b.SkipEndpoints {
		skip[e] = true
	}
	var list []*delivery
	perOrganization := make(map[string]int)
	for _, i := range s.random.Perm(len(s.endpoints)) {
		e := s.endpoints[i]
		if skip[e.OrganizationID] || skip[e.Endpoint] {
			continue
		}
		n := min(len(e.stored), b.PerEndpoint, b.Limit-len(list),
			b.PerOrganization-perOrganization[e.OrganizationID])
		perOrganization[e.OrganizationID] += n
		list = append(list, e.stored[:n]...)
		e.stored = e.stored[n:]
	}
	items := make([]*fairqueue.Item[*delivery], len(list))
	for i, d := range list {
		items[i] = &fairqueue.Item[*delivery]{
			Destination: d.endpoint.Destination, PayloadSize: d.payload,
		}
	}
	s.core.RecordClaim(s.now, items, b)
	s.push(list, inStore)
}

// work lets a worker ask for an item.
func (s *simulation) work() {
	if s.workers == 0 {
		return
	}
	used := len(s.picked) + len(s.inFlight)
	s.workers--
	item := s.core.Next(s.now)
	if item == nil {
		return
	}
	d := item.Value
	s.require(d.item == item, "delivery %d has two items", d.id)
	organization := s.slots[d.endpoint.OrganizationID]
	s.require(organization < fairqueue.DynamicThreshold(simulatedLimits.InFlight, used),
		"organization %q has %d of %d slots, and gets one more",
		d.endpoint.OrganizationID, organization, used)
	s.move(d, queued, picked)
	s.require(d.endpoint.inFlight <= simulatedLimits.InFlightPerEndpoint,
		"%d attempts to one endpoint", d.endpoint.inFlight)
}

// begin lets a worker begin its attempt, or find out that there is none to be made.
func (s *simulation) begin() {
	if len(s.picked) == 0 {
		return
	}
	d := s.picked[s.random.IntN(len(s.picked))]
	if s.random.IntN(20) == 0 {
		s.over(d, picked, breaker.Observation{})
		return
	}
	to := d.endpoint.host
	switch s.core.TryBegin(s.now, d.item, to, d.endpoint.rateLimit) {
	case fairqueue.Begun:
		s.usePermit(d.endpoint)
	case fairqueue.PutBack:
		s.require(s.open, "queued after Stop")
		s.move(d, picked, queued)
		s.workers++
		return
	case fairqueue.Rejected:
		s.require(!s.open, "rejected")
		s.over(d, picked, breaker.Observation{})
		return
	}
	s.move(d, picked, inFlight)
	if d.host = to; s.open && to.MaxInFlight > 0 {
		s.atHost[to]++
		s.require(s.atHost[to] <= to.MaxInFlight, "%d attempts to %v", s.atHost[to], to)
	}
}

// finish ends an attempt.
func (s *simulation) finish() {
	if len(s.inFlight) == 0 {
		return
	}
	d := s.inFlight[s.random.IntN(len(s.inFlight))]
	observed := breaker.Observation{Health: d.endpoint.health}
	if observed.Health == breaker.Unhealthy && s.random.IntN(20) == 0 {
		observed.RetryAfter = time.Duration(s.random.IntN(10)) * time.Second
		s.core.Throttle(s.now, d.item, observed.RetryAfter)
	}
	s.over(d, inFlight, observed)
}

// over ends a delivery's turn. It goes back to the store if it was not attempted, or if the
// endpoint has failed; then it is claimed when it is due.
func (s *simulation) over(d *delivery, from where, observed breaker.Observation) {
	finished := s.core.Finish(s.now, d.item, observed)
	switch {
	case from == picked:
		s.move(d, from, inStore)
	case observed.Health == breaker.Unhealthy:
		d.retry = true
		s.move(d, from, inStore)
		at := s.now.Add(time.Duration(1+s.random.IntN(1000)) * time.Millisecond)
		s.core.ClaimAt(at)
		s.claimTimes = append(s.claimTimes, at)
	default:
		s.move(d, from, done)
	}
	s.workers++
	for _, d := range finished.Requeue {
		s.move(d, queued, inStore)
	}
}

// pause stops the clock of an attempt, or lets one go on.
func (s *simulation) pause() {
	if n := len(s.paused); n > 0 && s.random.IntN(2) == 0 {
		d := s.paused[n-1]
		s.paused = s.paused[:n-1]
		if d.item != nil {
			s.core.ResumeStopwatch(s.now, d.item)
		}
		return
	}
	if len(s.inFlight) > 0 {
		d := s.inFlight[s.random.IntN(len(s.inFlight))]
		s.core.PauseStopwatch(s.now, d.item)
		s.paused = append(s.paused, d)
	}
}

// pass lets time go by, in which attempts become slow and deliveries become due.
func (s *simulation) pass(d time.Duration) {
	claim := false
	for until := s.now.Add(d); ; {
		claim = s.act() || claim
		if s.tickAt.IsZero() || s.tickAt.After(until) {
			s.now = until
			break
		}
		if s.tickAt.After(s.now) {
			s.now = s.tickAt
		}
		s.core.Tick(s.now)
	}
	before := len(s.claimTimes)
	s.claimTimes = slices.DeleteFunc(s.claimTimes, func(at time.Time) bool { return !at.After(s.now) })
	s.require(claim || len(s.claimTimes) == before, "nothing is claimed when it is due")
}

// reschedule is a poll of the store.
func (s *simulation) reschedule() {
	for _, d := range s.core.RescheduleAll(s.now) {
		s.move(d, queued, inStore)
	}
}

// settle lets the workers do all they can, and checks that nothing waits then which could run.
func (s *simulation) settle() {
	for range s.endpoints { // one search passes over a few that are blocked
		s.reschedule()
		for s.act(); s.workers > 0; s.act() {
			s.work()
		}
	}
	if s.open {
		e, waits := s.core.Runnable(s.now)
		s.require(!waits, "%v could run", e)
		e, forgotten := s.core.Forgotten(s.now)
		s.require(!forgotten, "%v waits for permits that it has not asked for", e)
	}
}

// runOut lets all endpoints answer and all deliveries be made.
func (s *simulation) runOut() {
	s.open = true
	s.core.Start()
	for _, e := range s.endpoints {
		e.health = breaker.Healthy
	}
	for round := 0; s.done < s.deliveries; round++ {
		s.require(round < 20*s.deliveries, "only %d of %d are done", s.done, s.deliveries)
		s.pass(time.Minute)
		for len(s.commits) > 0 {
			s.commit()
		}
		s.claim()
		s.settle()
		s.grant()
		s.pass(500 * time.Millisecond)
		s.settle()
		for len(s.picked)+len(s.inFlight) > 0 {
			s.begin()
			s.finish()
			s.act()
		}
	}
	for range s.workers {
		s.work()
	}
	s.pass(fairqueue.IdleTTL + 2*breaker.MaxBackoff)
	s.core.RecordClaim(s.now, nil, s.core.PlanClaim(s.now))
	s.reschedule()
	s.act()
	s.pass(fairqueue.IdleTTL + time.Second)
	s.reschedule()
	require.Equal(s.t, fairqueue.Stats{}, s.core.Stats(), "seed %d: all is forgotten", s.seed)
}
