package dispatch

import (
	"errors"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// simProcess is a Dispatcher that runs, without its goroutines: each method is what one of them does
// between two waits. What it decides is decided by the code of the package. Every start of a process
// makes a new one.
type simProcess struct {
	w                         *simWorld
	id                        int
	name                      string
	random                    uint64
	alive, stopping, isPaused bool
	deferred                  []simStep // what happens when it goes on
	crashIn                   int       // steps; 0 is never
	faults                    []simFault

	// What its clocks are ahead of w.now. The monotonic one stands still while the machine sleeps.
	monotonic, wall, sleptUntil, setAt time.Duration
	known                              storeClock

	core    *fairqueue.Core[*task]
	leases  heldLeases
	entries map[webhook.Endpoint]*cacheEntry
	flights []*simFlight
	tickAt  time.Duration

	pace                       claimPace
	claiming, failing, claimed bool // a round is under way; it failed; a claim is asked for
	claimTimer                 int  // the latest one counts
	failures                   int
	extending                  bool
	asking, askAgain           bool // for permits
	results                    []result
	settling                   bool
	requeues                   int // calls under way
	putBack                    int // since there was room and no claim
	aloneBusy                  bool
	aloneWaiting               []*simFlight
}

// simFlight is a delivery that a worker has.
type simFlight struct {
	item      *fairqueue.Item[*task]
	t         *task
	entry     *cacheEntry
	since     time.Time // see task.lookupSince
	alone     bool
	delivery  *simDelivery // of an attempt under way
	attempt   endedAttempt
	at        int           // in simProcess.flights
	checkedAt time.Duration // when it was last known that it may be attempted
}

var simConfig = Config{
	Lease: 30 * time.Second, PollInterval: 5 * time.Second, MaxLostAttempts: 5,
	AttemptTimeout: 10 * time.Second,
	Retention:      Retention{Succeeded: 3 * time.Minute, Dead: 6 * time.Minute},
	Lifecycle: Lifecycle{DegradedAfter: 20 * time.Second, FirstProbe: 10 * time.Second,
		MaxProbe: time.Minute, DisabledAfter: 5 * time.Minute},
}

var simRetry = RetrySchedule{0, time.Second, 10 * time.Second, time.Minute}

func (w *simWorld) start(id int) {
	old := w.processes[id]
	p := &simProcess{
		w: w, id: id, name: simNames[id], alive: true, pace: newClaimPace(simConfig.PollInterval),
		core: fairqueue.NewCore[*task](w.limits), entries: make(map[webhook.Endpoint]*cacheEntry),
		random: w.seed + uint64(id)*1000 + uint64(w.starts),
	}
	w.starts++
	if old != nil { // the machine has the clocks
		p.monotonic, p.wall, p.faults = old.monotonic, old.wall, old.faults
	} else {
		p.wall = time.Duration(p.draw(7)-3) * 20 * time.Minute
		p.monotonic = p.wall
	}
	w.processes[id] = p
	p.core.Start()
	p.after(0, simRound, nil)
	p.after(simConfig.Lease/4, simExtend, nil)
	p.after(firstPruneAfter, simPrune, nil)
	w.log(p.name, "starts")
}

func (p *simProcess) crash() {
	p.w.log(p.name, "crashes")
	p.w.disturbed()
	p.alive = false
	for _, f := range p.flights {
		if f.delivery != nil {
			f.delivery.running--
		}
	}
	p.w.schedule(simStep{at: p.w.now + time.Duration(1+p.draw(20))*time.Second, do: simStart, n: p.id})
}

// stop is the end of the context of Run.
func (p *simProcess) stop() {
	if p.stopping {
		return
	}
	p.w.log(p.name, "stops")
	p.stopping = true
	for _, t := range p.core.Stop() {
		p.result(requeue(t))
	}
	p.act()
}

// endIfStopped ends the process once it has nothing more to do.
func (p *simProcess) endIfStopped() {
	if !p.stopping || p.claiming || p.settling || p.requeues > 0 || !p.core.NoWorkers() ||
		len(p.results) > 0 {
		return
	}
	p.w.log(p.name, "has stopped")
	p.w.disturbed()
	p.alive = false
	p.w.schedule(simStep{at: p.w.now + time.Duration(1+p.draw(20))*time.Second, do: simStart, n: p.id})
}

// draw returns a number below n.
func (p *simProcess) draw(n int) int {
	p.random += 0x9e3779b97f4a7c15
	z := p.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}

func (p *simProcess) local() time.Time     { return simEpoch.Add(p.w.now + p.monotonic) }
func (p *simProcess) wallClock() time.Time { return simEpoch.Add(p.w.now + p.wall) }

func (p *simProcess) now() time.Time {
	if p.w.bug == bugOwnClock {
		return p.wallClock()
	}
	return p.known.at(p.local())
}

func (p *simProcess) after(wait time.Duration, do simWork, f *simFlight) {
	p.w.schedule(simStep{at: p.w.now + wait, p: p, do: do, flight: f})
}

// act does what the core asks for.
func (p *simProcess) act() {
	a := p.core.TakeActions()
	for range a.StartWorkers {
		p.after(time.Duration(p.draw(100))*time.Microsecond, simNext, nil)
	}
	if a.Claim {
		p.signalClaim()
	}
	if a.RequestPermits {
		if p.askAgain = p.asking; !p.asking {
			p.asking = true
			p.after(0, simAsk, nil)
		}
	}
	if a.TickAt.IsZero() {
		p.tickAt = 0
		return
	}
	if at := max(p.w.now+a.TickAt.Sub(p.local()), p.w.now); at != p.tickAt {
		p.tickAt = at
		p.after(at-p.w.now, simTick, nil)
	}
}

func (p *simProcess) tick() {
	if p.tickAt != p.w.now {
		return // there is a later one
	}
	p.tickAt = 0
	p.core.Tick(p.local())
	p.act()
}

// The claim loop.

func (p *simProcess) signalClaim() {
	p.claimed = true
	if !p.claiming && !p.failing && p.claimTimer > 0 {
		p.waitToClaim(0)
	}
}

func (p *simProcess) waitToClaim(wait time.Duration) {
	p.claiming = false
	if p.claimed && !p.failing {
		wait = 0
	}
	p.claimTimer++
	p.w.schedule(simStep{at: p.w.now + wait, p: p, do: simClaim, n: p.claimTimer})
}

func (p *simProcess) wake(timer int) {
	if timer != p.claimTimer {
		return
	}
	signalled := p.claimed && !p.failing
	if signalled {
		p.claimed = false
	}
	p.pace.waited(signalled)
	p.round()
}

func (p *simProcess) round() {
	if p.stopping {
		p.claiming = false
		return
	}
	p.claiming = true
	p.withClock((*simProcess).prepareClaim)
}

func (p *simProcess) prepareClaim() {
	if p.clockUnknown() {
		p.planClaim(false)
		return
	}
	for _, t := range p.core.RescheduleAll(p.local()) {
		p.result(requeue(t))
	}
	p.act()
	if leases := p.leases.expiring(p.now()); len(leases) > 0 {
		p.extend(leases, (*simProcess).planClaim)
		return
	}
	p.planClaim(true)
}

func (p *simProcess) planClaim(ok bool) {
	if p.stopping {
		p.claiming = false
		return
	}
	if !ok {
		p.failed()
		return
	}
	p.failing = false
	b := p.core.PlanClaim(p.local())
	p.act()
	if b.Limit == 0 {
		p.waitToClaim(simConfig.PollInterval)
		return
	}
	c := p.newCall(callClaim)
	c.at, c.held, c.budget = p.now(), p.local(), b
	c.until = c.at.Add(simConfig.Lease)
	p.send(c)
}

func (p *simProcess) failed() {
	p.failing = true
	p.failures++
	p.waitToClaim(min(50*time.Millisecond<<min(p.failures, 7), 5*time.Second))
}

func (p *simProcess) claimEnded(c *simCall) {
	if p.stopping {
		for _, t := range p.push(newItems(c.held, c.tasks)) {
			p.result(requeue(t))
		}
		p.claiming = false
		return
	}
	if c.failed {
		p.core.AbandonClaim()
		p.failed()
		return
	}
	if p.w.bug == bugHoldsSinceTheReply {
		c.held = p.local()
	}
	p.failing, p.failures = false, 0
	items := newItems(c.held, c.tasks)
	p.core.RecordClaim(p.local(), items, c.budget)
	p.push(items)
	p.act()
	p.waitToClaim(p.pace.afterClaim(len(c.tasks), c.budget.Limit))
}

func (p *simProcess) push(items []*fairqueue.Item[*task]) (rejected []*task) {
	p.leases.hold(items)
	if rejected = p.core.Push(p.local(), items); len(rejected) > 0 {
		p.leases.release(leases(rejected))
	}
	return rejected
}

// withClock asks the store for the time if that was long ago, and goes on.
func (p *simProcess) withClock(then func(*simProcess)) {
	if !p.known.stale(p.local(), p.wallClock()) || p.w.bug == bugOwnClock {
		then(p)
		return
	}
	c := p.newCall(callNow)
	c.held, c.heldByWall, c.then = p.local(), p.wallClock(), then
	p.send(c)
}

// clockUnknown is clock.unknown.
func (p *simProcess) clockUnknown() bool {
	return p.known.said.IsZero() && p.w.bug != bugOwnClock && p.w.bug != bugGuessesTheTime
}

func (p *simProcess) clockEnded(c *simCall) {
	if c.failed {
		p.known.failedAt = p.local()
	} else {
		took, byWall := p.local().Sub(c.held), p.wallClock().Sub(c.heldByWall)
		if p.w.bug == bugSleepsWhileAsking {
			byWall = took
		}
		p.known.answered(c.at, took, byWall, p.local(), p.wallClock())
	}
	c.then(p)
}

// Leases.

func (p *simProcess) extendTick() {
	p.after(simConfig.Lease/4, simExtend, nil)
	if p.extending {
		return
	}
	if list := p.leases.toExtend(p.now(), simConfig.Lease); len(list) > 0 {
		p.extending = true
		p.extend(list, func(p *simProcess, _ bool) { p.extending = false })
	}
}

func (p *simProcess) extend(list []webhook.Lease, then func(p *simProcess, ok bool)) {
	slices.SortFunc(list, func(a, b webhook.Lease) int { return int(a.DeliveryID - b.DeliveryID) })
	c := p.newCall(callExtend)
	c.leases, c.until, c.ended = list, p.now().Add(simConfig.Lease), then
	p.send(c)
}

func (p *simProcess) extendEnded(c *simCall) {
	if !c.failed {
		p.leases.recordExtended(c.leases, c.lost, c.until)
		for _, t := range p.leases.probes(c.leases) {
			select {
			case t.storingProbe <- struct{}{}:
				next := t.storedProbe.Load().Clone()
				next.NextProbe = c.until
				probe := p.newCall(callExtendProbe)
				probe.state, probe.t = next, t
				p.send(probe)
			default:
			}
		}
	}
	c.ended(p, !c.failed)
}

func (p *simProcess) probeExtended(c *simCall) {
	if !c.failed && c.stored {
		c.t.storedProbe.Store(c.state)
	}
	<-c.t.storingProbe
}

// Workers.

func (p *simProcess) next() {
	item := p.core.Next(p.local())
	if item != nil {
		p.w.checkShare(p, item.OrganizationID)
		f := &simFlight{item: item, t: item.Value, at: len(p.flights)}
		p.flights = append(p.flights, f)
		p.act()
		p.attempt(f)
		return
	}
	p.act()
}

func (p *simProcess) drop(f *simFlight) {
	last := p.flights[len(p.flights)-1]
	p.flights[f.at], last.at = last, f.at
	p.flights = p.flights[:len(p.flights)-1]
}

func (p *simProcess) lease(t *task) leaseState {
	if p.w.bug == bugAsksNoLease {
		return leaseOwned
	}
	return p.leases.state(t, p.known.latest(p.local(), p.wallClock()))
}

// attempt is attemptSuspect, and then attempt.
func (p *simProcess) attempt(f *simFlight) {
	t := f.t
	switch {
	case t.Lost > 0 && !t.LostAt.IsZero():
		p.over(f, resultOfLostAttempt(t, simConfig.MaxLostAttempts, retryRules{policy: simRetry}, p.now()),
			true)
	case t.Lost > 1 && p.aloneBusy && len(p.aloneWaiting) > 0:
		res := requeue(t)
		res.settlement.DueAt = p.now().Add(suspectPause)
		p.over(f, res, true)
	case t.Lost > 1 && p.aloneBusy:
		p.aloneWaiting = append(p.aloneWaiting, f)
	case t.Lost > 1:
		f.alone, p.aloneBusy = true, true
		p.prepare(f)
	default:
		p.prepare(f)
	}
}

func (p *simProcess) leaveAlone() {
	p.aloneBusy = false
	if len(p.aloneWaiting) > 0 {
		f := p.aloneWaiting[0]
		p.aloneWaiting = p.aloneWaiting[1:]
		f.alone, p.aloneBusy = true, true
		p.prepare(f)
	}
}

func (p *simProcess) prepare(f *simFlight) {
	t := f.t
	f.checkedAt = p.w.now
	if res, next := turnBeforeLookup(t, p.lease(t), false, p.now()); next != lookUp {
		p.over(f, res, next == settleTurn)
		return
	}
	f.since = t.lookupSince(p.local(), simConfig.PollInterval)
	if f.entry = p.entries[t.Endpoint]; f.entry != nil && f.entry.serves(t.Revision, f.since) {
		p.lookedUp(f, nil)
		return
	}
	c := p.newCall(callLookup)
	c.flight, c.held = f, p.local()
	p.send(c)
}

func (p *simProcess) lookupEnded(c *simCall) {
	err := error(nil)
	switch {
	case c.failed:
		err = webhook.ErrUnavailable
	case c.entry == nil:
		err = webhook.ErrNotFound
	default:
		p.entries[c.flight.t.Endpoint] = c.entry
	}
	c.flight.entry = c.entry
	p.lookedUp(c.flight, err)
}

func (p *simProcess) lookedUp(f *simFlight, err error) {
	t := f.t
	lease := p.lease(t)
	if p.w.bug == bugLooksUpForLong {
		lease = leaseOwned
	}
	res, next := turnAfterLookup(t,
		lookup{entry: f.entry, err: err, lease: lease, checkHealth: !f.since.IsZero()},
		simConfig.PollInterval)
	if next != beginAttempt {
		p.over(f, res, next == settleTurn)
		return
	}
	to := f.entry.channels[t.Endpoint.Channel]
	begun := p.core.TryBegin(p.local(), f.item, to.host, to.rate)
	p.act()
	switch begun {
	case fairqueue.PutBack:
		p.putBack++
		p.drop(f)
		if f.alone {
			p.leaveAlone()
		}
		p.next()
	case fairqueue.Rejected:
		p.over(f, requeue(t), true)
	case fairqueue.Begun:
		if t.Lost > 0 {
			p.core.PauseStopwatch(p.local(), f.item)
			p.act()
			c := p.newCall(callStart)
			c.leases, c.at, c.flight = append(c.leases, t.Lease), p.now(), f
			p.send(c)
			return
		}
		p.request(f)
	}
}

func (p *simProcess) startEnded(c *simCall) {
	f := c.flight
	p.leases.lose(c.lost)
	if lease := p.lease(f.t); c.failed || lease != leaseOwned {
		p.over(f, requeue(f.t), lease != leaseLost)
		return
	}
	p.core.ResumeStopwatch(p.local(), f.item)
	p.act()
	p.request(f)
}

// request sends the event to the endpoint.
func (p *simProcess) request(f *simFlight) {
	var took time.Duration
	f.delivery = p.w.attemptBegins(p, f)
	if f.delivery == nil {
		return // the story is over
	}
	f.attempt, took = p.w.answer(f.delivery)
	p.after(took, simAnswer, f)
}

func (p *simProcess) answered(f *simFlight) {
	t, now := f.t, p.now()
	p.w.attemptEnds(p, f)
	f.delivery = nil
	attempt := &webhook.Attempt{Number: t.Attempts + 1, StartedAt: now, Class: string(f.attempt.class)}
	res := resultOf(t, attempt, decide(&t.Task, f.attempt, retryRules{own: f.entry.retry, policy: simRetry}, now))
	res.revision = f.entry.revision
	if throttles(f.attempt.err) {
		p.core.Throttle(p.local(), f.item, res.observed.RetryAfter)
	}
	if t.Probe != nil {
		settleAsProbe(&res, now)
	}
	p.over(f, res, true)
}

// over ends the turn of a delivery, and goes on with the next.
func (p *simProcess) over(f *simFlight, res result, settle bool) {
	p.drop(f)
	if !settle && p.w.bug == bugKeepsSlot {
		return
	}
	finished := p.core.Finish(p.local(), f.item, res.observed)
	res.failingSince = finished.FailingAsAWholeSince
	if f.alone {
		if settle {
			res.onSettled = p.leaveAlone
		} else {
			p.leaveAlone()
		}
	}
	if settle {
		p.result(res)
	} else {
		p.leases.release([]webhook.Lease{f.t.Lease})
	}
	if p.w.bug != bugDropsRequeued {
		for _, u := range finished.Requeue {
			notBefore := p.now().Add(finished.RetriesNotBefore.Sub(p.local()))
			p.result(requeueBehind(u, &res, notBefore))
		}
	}
	p.act()
	p.after(0, simNext, nil)
}

// Results.

func (p *simProcess) result(res result) {
	p.results = append(p.results, res)
	if !p.settling {
		p.settling = true
		p.after(time.Duration(p.draw(200))*time.Microsecond, simSettle, nil)
	}
}

func (p *simProcess) settle() {
	if p.settling = len(p.results) > 0; !p.settling {
		return
	}
	c, n := p.newCall(callSettle), min(len(p.results), maxSettle)
	c.results = append(c.results, p.results[:n]...)
	p.results = slices.Delete(p.results, 0, n)
	for i := range c.results {
		c.settlements = append(c.settlements, c.results[i].settlement)
		c.leases = append(c.leases, c.results[i].settlement.Lease)
	}
	c.at = p.now()
	p.send(c)
}

func (p *simProcess) settleEnded(c *simCall) {
	if c.failed && p.w.bug == bugDropsResults {
		p.settle()
		return
	}
	if c.failed {
		c.tries++
		again := &simCall{kind: callSettle, results: c.results, settlements: c.settlements,
			leases: c.leases, tries: c.tries}
		p.w.schedule(simStep{at: p.w.now + min(50*time.Millisecond<<min(c.tries, 7), 5*time.Second),
			p: p, do: simSendAgain, call: again})
		return
	}
	local := p.local()
	at := p.known.at(local)
	for i := range c.results {
		res := &c.results[i]
		s := &res.settlement
		if simConfig.Lifecycle.mayChangeState(res, local, false) {
			p.changeState(*res)
		}
		if slices.Contains(c.lost, s.Lease) {
			continue
		}
		if wait, ok := claimWait(s, at, simConfig.PollInterval); ok {
			p.core.ClaimAt(local.Add(wait))
		}
	}
	p.leases.release(c.leases)
	for i := range c.results {
		if c.results[i].onSettled != nil {
			c.results[i].onSettled()
		}
	}
	p.act()
	p.settle()
}

// requeueRemoved is requeueRemoved, and requeueByWorkers.
func (p *simProcess) requeueRemoved(removed []*task) {
	if len(removed) == 0 {
		return
	}
	c := p.newCall(callRequeue)
	c.at, c.removed, c.leases = p.now(), removed, leases(removed)
	for _, t := range removed {
		c.settlements = append(c.settlements, requeue(t).settlement)
	}
	p.requeues++
	p.send(c)
}

func (p *simProcess) requeueEnded(c *simCall) {
	p.requeues--
	if c.failed {
		items := make([]*fairqueue.Item[*task], len(c.removed))
		for i, t := range c.removed {
			t.requeueOnly = true
			items[i] = &t.item
		}
		p.push(items)
		p.act()
		return
	}
	for _, t := range c.removed {
		if t.storedProbe.Load() != nil {
			p.changeState(result{task: t})
		}
	}
	p.leases.release(c.leases)
}

// States of endpoints.

func (p *simProcess) changeState(res result) {
	c := p.newCall(callState)
	c.results, c.began = append(c.results, res), p.w.now
	p.tryChangeState(c)
}

func (p *simProcess) tryChangeState(c *simCall) {
	t := c.results[0].task
	c.at = p.now()
	if !c.results[0].gone && t.storedProbe.Load() != nil {
		select {
		case t.storingProbe <- struct{}{}:
			c.t = t
		default:
			p.w.schedule(simStep{at: p.w.now + time.Millisecond, p: p, do: simSendAgain, call: c})
			return
		}
	}
	if since := c.results[0].failingSince; !since.IsZero() {
		c.until = p.known.at(since)
	}
	p.send(c)
}

func (p *simProcess) stateEnded(c *simCall) {
	if c.t != nil {
		<-c.t.storingProbe
	}
	if c.failed {
		if p.w.now-c.began < storeTimeout {
			c.tries++
			again := &simCall{kind: callState, results: c.results, began: c.began, tries: c.tries}
			p.w.schedule(simStep{at: p.w.now + 100*time.Millisecond<<min(c.tries, 8), p: p,
				do: simSendAgain, call: again})
		}
		return
	}
	if c.t != nil {
		c.t.storedProbe.Store(nil)
		if c.stored {
			p.signalClaim()
		}
	}
	if c.reset {
		p.requeueRemoved(p.core.ResetEndpoint(p.local(),
			fairqueue.Endpoint(c.results[0].task.Endpoint)))
		p.act()
	}
}

// Permits.

func (p *simProcess) ask() {
	p.askAgain = false
	asked := p.core.TakePermitDemands(p.local(), maxPermitRequests)
	if len(asked) == 0 || p.stopping {
		p.asking = false
		p.act()
		return
	}
	c := p.newCall(callPermits)
	c.asked, c.at = asked, p.now()
	p.send(c)
}

func (p *simProcess) permitsEnded(c *simCall) {
	if p.asking = p.askAgain; p.asking {
		p.after(0, simAsk, nil)
	}
	if c.failed {
		p.core.SupplyPermits(p.local(), noPermits(c.asked, p.local().Add(time.Second)))
	} else {
		p.core.SupplyPermits(p.local(),
			supplies(c.asked, c.granted, p.local(), p.now(), simConfig.PollInterval))
	}
	p.act()
}

// Emits and changes.

func (p *simProcess) emit(e *simEvent, o *simOrganization) {
	p.withClock(func(p *simProcess) {
		c := p.newCall(callEmit)
		c.event, c.organization, c.at, c.held = e, o, p.now(), p.local()
		c.until, c.unprefetched = c.at.Add(simConfig.Lease), p.clockUnknown()
		p.send(c)
	})
}

// take is Prefetch.Take.
func (p *simProcess) take(c *simCall, e *simEndpoint) bool {
	d := destination(e.organization.id, e.key)
	if !c.over && p.core.ReservePrefetch(p.local(), d) {
		c.reserved = append(c.reserved, d)
		return true
	}
	c.backlog = append(c.backlog, d)
	return false
}

func (p *simProcess) emitEnded(c *simCall) {
	p.core.ReleasePrefetch(p.local(), c.reserved)
	if !c.failed {
		if c.unprefetched {
			p.core.MarkBacklogSomewhere()
		}
		p.core.MarkBacklog(p.local(), c.backlog)
		p.requeueRemoved(p.push(newItems(c.held, c.tasks)))
	}
	p.act()
}

// changed is subscriptionChanged.
func (p *simProcess) changed(e *simEndpoint) {
	delete(p.entries, e.key)
	p.requeueRemoved(p.core.ResetSubscription(p.local(), e.key.SubscriptionID))
	p.act()
	p.signalClaim()
}

// Pruning.

func (p *simProcess) prune() {
	if p.clockUnknown() {
		p.after(firstPruneAfter, simPrune, nil)
		return
	}
	p.after(pruneInterval, simPrune, nil)
	if p.stopping {
		return
	}
	c := p.newCall(callRepair)
	c.at = p.now()
	p.send(c)
}

func (p *simProcess) repaired(c *simCall) {
	if !c.failed && !p.stopping {
		next := p.newCall(callPrune)
		next.at = p.now()
		p.send(next)
	}
}

// simBehaviour is how an endpoint answers.
type simBehaviour int

const (
	answers simBehaviour = iota
	answersSlowly
	refuses     // all events
	refusesSome // and takes the others
	hangs
	fails
	asksForTime
	isGone
	breaksOff    // connections are refused
	saysAnything // each class of answer there is
	behaviours
)

var simBehaviours = [behaviours]string{"answers", "answers slowly", "refuses all", "refuses some",
	"hangs", "fails", "asks for time", "is gone", "cannot be reached", "answers anything"}

// answersAll reports whether each attempt has an answer soon.
func (b simBehaviour) answersAll() bool { return b <= refusesSome }

var simClasses = []channel.Class{channel.ClassDNS, channel.ClassConnect, channel.ClassProxy,
	channel.ClassTLS, channel.ClassTimeout, channel.ClassRefusedAddress, channel.ClassClosed,
	channel.ClassProtocol, channel.ClassTooLarge, channel.ClassRedirect, channel.ClassStatus,
	channel.ClassRejected, channel.ClassAuth, channel.ClassPartial, channel.ClassTemplate,
	channel.ClassPayload, channel.ClassConfig, channel.ClassPanic, channel.ClassUnknown}

// slowestAnswer is how long an attempt takes at an endpoint that answers all.
const slowestAnswer = 2 * time.Second

// answer says how an endpoint answers an attempt, and after how long.
func (w *simWorld) answer(d *simDelivery) (endedAttempt, time.Duration) {
	random := (uint64(d.id)*31 + uint64(d.attempts) + uint64(d.token)*7) * 0x9e3779b97f4a7c15 >> 33
	took := time.Duration(20+random%180) * time.Millisecond
	failed := func(e channel.Error) endedAttempt { return endedAttempt{err: &e, class: e.Class} }
	e := d.endpoint
	switch e.behaviour {
	case answersSlowly:
		return endedAttempt{}, slowestAnswer - 7*took
	case refuses, refusesSome:
		if e.behaviour == refuses || d.event.number%3 == 0 {
			return failed(channel.Error{Class: channel.ClassStatus, StatusCode: 400}), took
		}
	case hangs:
		return failed(channel.Error{Class: channel.ClassTimeout}), simConfig.AttemptTimeout
	case fails:
		return failed(channel.Error{Class: channel.ClassStatus, StatusCode: 503}), took
	case asksForTime:
		return failed(channel.Error{Action: channel.Wait, Class: channel.ClassStatus, StatusCode: 429,
			RetryAfter: time.Duration(1+random%20) * time.Second}), took
	case isGone:
		return failed(channel.Error{Action: channel.Disable, Class: channel.ClassStatus,
			StatusCode: 410}), took
	case breaksOff:
		return failed(channel.Error{Class: channel.ClassConnect}), took / 10
	case saysAnything:
		if n := int(random % 24); n < len(simClasses) {
			return failed(channel.Error{Action: channel.Action(random / 24 % 3), Class: simClasses[n],
				RetryAfter: time.Duration(random/24%3%2) * time.Second}), took
		}
	}
	return endedAttempt{}, took
}

// attemptBegins checks that the process may attempt the delivery now.
func (w *simWorld) attemptBegins(p *simProcess, f *simFlight) *simDelivery {
	t := f.t
	d := w.store.delivery(t.DeliveryID)
	if d == nil {
		w.fail("%s attempts delivery %d, which was pruned", p.name, t.DeliveryID)
		return nil
	}
	e := d.endpoint
	w.log(p.name, "attempts %v", d)
	switch {
	case d.settled != "" || w.now-d.replayed < simConfig.Lease:
		// It was cancelled. Another process learns that when it extends the lease.
	case d.tokens != t.Token && d.claimed+maxClockError < w.now:
		w.fail("%s attempts %v, of which another claim has the lease", p.name, d)
	case d.tokens == t.Token && d.leaseEnd+maxClockError < w.now:
		w.fail("%s attempts %v %v after the end of its lease", p.name, d, w.now-d.leaseEnd)
	}
	// A machine that sleeps does not count the sleep: see RELIABILITY.md.
	if e.paused && d.settled == "" && e.pausedSince > p.sleptUntil &&
		f.checkedAt-e.pausedSince > simConfig.PollInterval+maxSimLatency {
		w.fail("%s attempts %v, which was paused %v ago", p.name, d, w.now-e.pausedSince)
	}
	e.begun++
	since := w.now - e.createdAt + webhook.PermitLife + 2*maxClockError
	if r := e.rate; r.PerSecond > 0 && float64(e.begun) > float64(r.Burst)+r.PerSecond*since.Seconds() {
		w.fail("%d attempts began at %s, whose limit is %+v", e.begun, e.name, r)
	}
	d.running++
	return d
}

func (w *simWorld) attemptEnds(p *simProcess, f *simFlight) {
	d := f.delivery
	d.running--
	d.waits = w.now
	switch {
	case f.attempt.err == nil:
		w.log(p.name, "has the answer for %v", d)
	case w.tracing:
		w.log(p.name, "is told %s for %v", channelText(f.attempt.err), d)
	}
}

func channelText(err error) string {
	var e *channel.Error
	errors.As(err, &e)
	return string(e.Class) + " " + e.Action.String()
}
