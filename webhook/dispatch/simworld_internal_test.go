package dispatch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// simWorld is a few processes over one store, with the endpoints that they deliver to. Time is a
// number: the world goes from one step to the next, and all that is left to chance follows from the
// seed. So the same seed and the same actions tell the same story.
type simWorld struct {
	seed      uint64
	bug       simBug
	limits    fairqueue.Limits
	store     simStore
	processes []*simProcess
	starts    int
	events    []*simEvent
	emitted   map[simEmitted]bool

	now       time.Duration
	queue     []simTurn // a heap
	waiting   []simStep // those in the queue, and places of others that are done
	places    []int     // in waiting, that can be used again
	scheduled int
	spare     []*simCall // whose memory can be used again: see reuse
	steps     int
	actions   []simAction
	quiet     bool          // nothing fails any more
	disturbAt time.Duration // when something was last done to a process
	longest   float64       // the longest wait, as a part of the bound
	problem   string
	tracing   bool
	trace     []string
}

type simEmitted struct {
	event    int
	endpoint *simEndpoint
}

var simNames = [8]string{"A", "B", "C", "D", "E", "F", "G", "H"}

// simWork is what happens in a step.
type simWork uint8

const (
	simAct       simWork = iota // the next action of the story
	simWatch                    // waits are checked
	simEnd                      // of the story
	simStart                    // a process starts
	simGoOn                     // a process goes on that was paused
	simEffect                   // a call takes effect in the store
	simReply                    // a process has the reply of a call
	simSendAgain                // a call is made again
	simRound                    // a claim loop begins
	simClaim                    // its timer fires
	simTick                     // the core has something to do
	simExtend
	simPrune
	simNext // a worker asks for something to do
	simAnswer
	simSettle
	simAsk
)

type simStep struct {
	at     time.Duration
	p      *simProcess
	do     simWork
	n      int
	flight *simFlight
	call   *simCall
}

// simTurn is when a step has its turn: what is moved about in the queue is small, and no pointer.
type simTurn struct {
	at           time.Duration
	order, place int // in which steps were scheduled; of the step in simWorld.waiting
}

func (t *simTurn) before(other *simTurn) bool {
	return t.at < other.at || t.at == other.at && t.order < other.order
}

func (w *simWorld) schedule(s simStep) {
	place := len(w.waiting)
	if n := len(w.places); n > 0 {
		place, w.places = w.places[n-1], w.places[:n-1]
		w.waiting[place] = s
	} else {
		w.waiting = append(w.waiting, s)
	}
	w.scheduled++
	t := simTurn{s.at, w.scheduled, place}
	w.queue = append(w.queue, t)
	i := len(w.queue) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !t.before(&w.queue[parent]) {
			break
		}
		w.queue[i] = w.queue[parent]
		i = parent
	}
	w.queue[i] = t
}

func (w *simWorld) pop() simStep {
	first, last := w.queue[0], w.queue[len(w.queue)-1]
	w.queue = w.queue[:len(w.queue)-1]
	n := len(w.queue)
	for i := 0; n > 0; {
		child := 2*i + 1
		if child+1 < n && w.queue[child+1].before(&w.queue[child]) {
			child++
		}
		if child >= n || !w.queue[child].before(&last) {
			w.queue[i] = last
			break
		}
		w.queue[i] = w.queue[child]
		i = child
	}
	w.places = append(w.places, first.place)
	return w.waiting[first.place]
}

// simulate tells the story of a seed until something is wrong, or to its end.
func simulate(seed uint64, actions []simAction, bug simBug, tracing bool) *simWorld {
	w := newSimWorld(seed, actions, bug)
	w.tracing = tracing
	for w.problem == "" && len(w.queue) > 0 {
		s := w.pop()
		w.now = s.at
		w.steps++
		w.step(&s)
		if s.p != nil && s.p.alive {
			w.checkSlots(s.p)
		}
		if w.steps%16 == 0 {
			w.account()
		}
	}
	return w
}

func newSimWorld(seed uint64, actions []simAction, bug simBug) *simWorld {
	random := rand.New(rand.NewPCG(seed, 1))
	w := &simWorld{
		seed: seed, bug: bug, actions: actions, now: time.Hour, disturbAt: time.Hour,
		emitted: make(map[simEmitted]bool),
		limits: fairqueue.Limits{
			InFlight: 8 << random.IntN(3), InFlightPerEndpoint: 2 + random.IntN(4),
			Buffered: 16 << random.IntN(3), BufferedPerEndpoint: 8, BufferedBytes: 4000, PerClaim: 8,
			ExpectedPayloadBytes: 100,
		},
		processes: make([]*simProcess, 3+random.IntN(6)),
	}
	w.store = simStore{w: w, events: make(map[string]bool)}
	for i := range 3 {
		w.store.organizations = append(w.store.organizations,
			&simOrganization{id: fmt.Sprint("org", i)})
	}
	for i := range 6 + random.IntN(6) {
		// The first organization has half of them.
		w.store.endpoints = append(w.store.endpoints,
			w.newEndpoint(i, w.store.organizations[max(i%6-3, 0)], random))
	}
	for i := range w.processes {
		w.start(i)
	}
	for i, a := range actions {
		w.schedule(simStep{at: time.Hour + a.at, do: simAct, n: i})
	}
	w.schedule(simStep{at: time.Hour + time.Second, do: simWatch})
	last := time.Hour
	if len(actions) > 0 {
		last += actions[len(actions)-1].at
	}
	w.schedule(simStep{at: last + time.Second, do: simEnd})
	return w
}

func (w *simWorld) newEndpoint(i int, o *simOrganization, random *rand.Rand) *simEndpoint {
	e := &simEndpoint{
		organization: o, key: webhook.Endpoint{SubscriptionID: fmt.Sprint("sub", i), Channel: "c"},
		name: fmt.Sprint("sub", i), revision: int64(w.now), answersSince: w.now, createdAt: w.now,
	}
	e.state = webhook.EndpointState{OrganizationID: o.id, Endpoint: e.key, Health: webhook.Healthy}
	if random.IntN(4) == 0 {
		e.rate = webhook.RateLimit{PerSecond: float64(1 + random.IntN(5)), Burst: 1 + random.IntN(5)}
	}
	return e
}

func (w *simWorld) fail(format string, args ...any) {
	if w.problem == "" {
		w.problem = fmt.Sprintf(format, args...)
		w.log("", "WRONG: %s", w.problem)
	}
}

func (w *simWorld) log(process, format string, args ...any) {
	if !w.tracing {
		return
	}
	line := fmt.Sprintf("%10.3fs  ", (w.now - time.Hour).Seconds())
	if process != "" {
		line += process + " "
	}
	w.trace = append(w.trace, line+fmt.Sprintf(format, args...))
}

// disturbed notes that something was done to a process: what it held may have to wait for the end of
// a lease.
func (w *simWorld) disturbed() { w.disturbAt = w.now }

func (w *simWorld) step(s *simStep) {
	p := s.p
	if p != nil && s.do != simEffect || s.do == simEffect && s.call.kind == callEmit && !s.call.over {
		if !p.alive {
			return
		}
		if p.isPaused && s.do != simGoOn {
			p.deferred = append(p.deferred, *s)
			return
		}
	}
	switch s.do {
	case simAct:
		w.act(w.actions[s.n])
	case simWatch:
		w.watch()
	case simEnd:
		w.end()
	case simStart:
		w.start(s.n)
		w.disturbed()
	case simGoOn:
		p.goOn()
	case simEffect:
		s.call.effect(w, p)
	case simReply:
		s.call.reply(p)
		w.reuse(s.call)
	case simSendAgain:
		if s.call.kind == callState {
			p.tryChangeState(s.call)
		} else {
			s.call.at = p.now()
			p.send(s.call)
		}
	case simRound:
		p.round()
	case simClaim:
		p.wake(s.n)
	case simTick:
		p.tick()
	case simExtend:
		p.extendTick()
	case simPrune:
		p.prune()
	case simNext:
		p.next()
	case simAnswer:
		p.answered(s.flight)
	case simSettle:
		p.settle()
	case simAsk:
		p.ask()
	}
	if p != nil && p.alive {
		p.endIfStopped()
		if p.crashIn > 0 {
			if p.crashIn--; p.crashIn == 0 {
				p.crash()
			}
		}
	}
}

// checkSlots compares the slots that are taken with the deliveries that workers have.
func (w *simWorld) checkSlots(p *simProcess) {
	stats := p.core.Stats()
	if n := stats.FastSlotsUsed + stats.GeneralSlotsUsed; n != len(p.flights) {
		w.fail("%s has %d slots taken by %d attempts", p.name, n, len(p.flights))
	}
	if stats.Buffered <= w.limits.Buffered && !p.claiming {
		p.putBack = 0 // what a worker puts back is let in without room
	}
	if len(p.flights) > w.limits.InFlight || stats.Buffered > w.limits.Buffered+p.putBack ||
		stats.FastSlotsUsed > max(w.limits.InFlight/4, 1) {
		w.fail("%s exceeds its limits: %+v", p.name, stats)
	}
}

// Bounds of what is left to chance.
const (
	maxSimLatency = 5 * time.Millisecond // of a call, without a fault
	maxClockError = clockTimeout/2 + time.Second
)

// bound is how long a delivery that is due may wait for an attempt to begin, while nothing is done to
// a process, at an endpoint that answers all, and has answered all for as long. What other endpoints
// do is no excuse.
func (w *simWorld) bound(e *simEndpoint) time.Duration {
	const (
		// A process that died, or was paused, has the lease. It is claimed at the next poll.
		lease = 30*time.Second + 2*5*time.Second
		// The endpoint is degraded, or some process has a breaker that is open, from before.
		pause = time.Minute + breaker.MaxBackoff
		// All places are taken by attempts that hang, and so are those that come next.
		place = 2 * 10 * time.Second
	)
	// Those of the same endpoint come first, one at a time.
	each := slowestAnswer
	if e.rate.PerSecond > 0 {
		share := 1.0
		if e.bucket.Share > 0 {
			share = e.bucket.Share // it grows
		}
		each = max(each, time.Duration(float64(time.Second)/(e.rate.PerSecond*share)))
	}
	return lease + pause + place + time.Duration(len(e.unfinished))*each
}

// checkShare checks that an organization whose endpoint gets one more slot has fewer than its share,
// and the endpoint no more than its limit.
func (w *simWorld) checkShare(p *simProcess, organizationID string) {
	limit, used, own := w.limits.InFlight, len(p.flights), 0
	for _, f := range p.flights {
		if f.t.OrganizationID == organizationID {
			own++
		}
	}
	if share := max(1, 4*(limit-used-limit/32)); own >= share {
		w.fail("%s of %s has %d of %d slots that are taken, and gets one more", organizationID, p.name,
			own, used)
	}
}

// watch checks that nothing which is due waits for too long.
func (w *simWorld) watch() {
	for _, e := range w.store.endpoints {
		if e.gone || e.held() || !e.behaviour.answersAll() || len(e.unfinished) == 0 {
			continue
		}
		bound := w.bound(e)
		for _, d := range e.unfinished {
			since := max(d.waits, e.answersSince, w.disturbAt)
			if waited := w.now - since; d.running == 0 && waited > 0 {
				w.longest = max(w.longest, float64(waited)/float64(bound))
				if waited > bound {
					w.fail("%v waits for %v, and is %s until %v", d, waited, d.status, d.at-time.Hour)
				}
			}
		}
	}
	if !w.quiet || w.now < w.endsAt() {
		w.schedule(simStep{at: w.now + time.Second, do: simWatch})
		return
	}
	w.account()
	for _, e := range w.store.endpoints {
		for _, d := range e.unfinished {
			if e.held() {
				break // a call of before has disabled it
			}
			w.fail("%v is %s in the end", d, d.status)
		}
	}
	for _, p := range w.processes {
		if stats := p.core.Stats(); p.alive && (stats.Buffered > 0 || p.leases.any() || len(p.flights) > 0) {
			w.fail("%s holds %d leases in the end: %+v", p.name, len(p.leases.tasks), stats)
		}
	}
	w.queue = nil
}

// endsAt is when the last retry has had its time. What still waits then waits for longer than bound.
func (w *simWorld) endsAt() time.Duration { return w.disturbAt + 6*time.Minute }

// end lets all processes run, and all endpoints answer.
func (w *simWorld) end() {
	w.log("", "nothing fails any more")
	w.quiet = true
	for _, e := range w.store.endpoints {
		w.behaves(e, answers)
		e.paused = false
		if e.state.Health == webhook.Disabled {
			e.state = e.state.Recovered(simTime(w.now), "a person")
			e.state.Revision++
		}
	}
	for _, p := range w.processes {
		p.faults, p.crashIn = nil, 0
		if p.isPaused {
			p.goOn()
		}
	}
	w.disturbed()
}

func (w *simWorld) behaves(e *simEndpoint, b simBehaviour) {
	if e.behaviour.answersAll() && b.answersAll() {
		e.behaviour = b
		return
	}
	e.behaviour, e.answersSince = b, w.now
}

// Calls of the store.

type simCallKind uint8

const (
	callNow simCallKind = iota
	callEmit
	callClaim
	callExtend
	callStart
	callSettle
	callRequeue
	callLookup
	callState
	callExtendProbe
	callPermits
	callRepair
	callPrune
)

var simCallNames = [...]string{"Now", "Enqueue", "Claim", "Extend", "Start", "Settle",
	"Settle of what is requeued", "Subscription", "SetEndpointStates",
	"SetEndpointStates of probes", "TakePermits", "Repair", "Prune"}

// simCall is a call of the store, with its reply.
type simCall struct {
	kind             simCallKind
	failed           bool
	over             bool // the caller waits no longer
	at               time.Time
	until            time.Time
	held, heldByWall time.Time // when the process called, by its clocks
	unprefetched     bool
	began            time.Duration
	tries            int

	budget       fairqueue.ClaimBudget
	tasks        []webhook.Task
	leases, lost []webhook.Lease
	settlements  []webhook.Settlement
	results      []result
	removed      []*task
	flight       *simFlight
	entry        *cacheEntry
	t            *task
	state        *webhook.EndpointState
	stored       bool
	reset        bool
	asked        []fairqueue.PermitDemand
	granted      []webhook.PermitGrant
	event        *simEvent
	organization *simOrganization
	reserved     []fairqueue.Destination
	backlog      []fairqueue.Destination
	then         func(*simProcess)
	ended        func(p *simProcess, ok bool)
}

// newCall makes a call, in spare memory if there is any.
func (p *simProcess) newCall(kind simCallKind) *simCall {
	w := p.w
	n := len(w.spare)
	if n == 0 {
		return &simCall{kind: kind}
	}
	c := w.spare[n-1]
	w.spare = w.spare[:n-1]
	*c = simCall{kind: kind, tasks: c.tasks[:0], leases: c.leases[:0], lost: c.lost[:0],
		settlements: c.settlements[:0], results: c.results[:0], granted: c.granted[:0],
		reserved: c.reserved[:0], backlog: c.backlog[:0]}
	return c
}

// reuse lets newCall use the memory of a call again whose reply was dealt with. What has failed may
// take effect yet, and may be made again with the same results.
func (w *simWorld) reuse(c *simCall) {
	if !c.failed && c.tries == 0 {
		w.spare = append(w.spare, c)
	}
}

// simFault is what goes wrong with a call that is to come.
type simFault struct {
	in   int // calls from now
	kind simFaultKind
	late time.Duration
}

type simFaultKind int

const (
	noFault   simFaultKind = iota
	lost                   // it does not reach the store
	replyLost              // it takes effect, and fails
	late                   // it takes effect late
	replyLate              // its reply is late
	simFaultKinds
)

func (p *simProcess) fault() (f simFault) {
	for i := range p.faults {
		p.faults[i].in--
	}
	if i := slices.IndexFunc(p.faults, func(f simFault) bool { return f.in < 0 }); i >= 0 {
		f = p.faults[i]
		p.faults = slices.Delete(p.faults, i, i+1)
		p.w.disturbed()
	}
	return f
}

// send makes a call. It takes effect in a later step, and the reply comes in another.
func (p *simProcess) send(c *simCall) {
	effect := 200*time.Microsecond + time.Duration(p.draw(2000))*time.Microsecond
	reply := effect + 200*time.Microsecond + time.Duration(p.draw(2000))*time.Microsecond
	f := p.fault()
	switch f.kind {
	case lost:
		c.failed = true
	case replyLost:
		c.failed = true
	case late:
		effect += f.late
		reply += f.late
	case replyLate:
		reply += f.late
	case noFault, simFaultKinds:
	}
	if f.kind != noFault {
		p.w.log(p.name, "calls %s, %s", simCallNames[c.kind], [...]string{"", "which is lost",
			"which takes effect and fails", fmt.Sprintf("which takes effect %v late", f.late),
			fmt.Sprintf("and has the reply %v late", f.late)}[f.kind])
	}
	timeout := storeTimeout
	switch c.kind {
	case callExtend:
		timeout = simConfig.Lease / 4
	case callNow:
		timeout = clockTimeout
	}
	if reply > timeout {
		reply, c.failed = timeout, true
	}
	if f.kind != lost {
		p.w.schedule(simStep{at: p.w.now + effect, p: p, do: simEffect, call: c})
	}
	p.w.schedule(simStep{at: p.w.now + reply, p: p, do: simReply, call: c})
}

// effect is what the call does in the store.
func (c *simCall) effect(w *simWorld, p *simProcess) {
	s, at := &w.store, sinceEpoch(c.at)
	switch c.kind {
	case callNow:
		c.at = simTime(w.now)
	case callEmit:
		take := func(e *simEndpoint) bool { return p.take(c, e) }
		if c.unprefetched {
			take = nil
		}
		c.tasks = s.emit(c.event, c.organization, at, take, c.until, c.tasks)
	case callClaim:
		c.tasks = s.claim(at, claimRequest(c.until, c.budget), c.tasks)
		if w.tracing && len(c.tasks) > 0 {
			var names []string
			for i := range c.tasks {
				names = append(names, strconv.FormatInt(int64(c.tasks[i].DeliveryID), 10))
			}
			w.log(p.name, "claims %s", strings.Join(names, ", "))
		}
	case callExtend:
		c.lost = s.extend(c.until, c.leases, c.lost)
	case callStart:
		c.lost = s.start(at, c.leases, c.lost)
	case callSettle, callRequeue:
		c.lost = s.settle(at, c.settlements, c.lost)
	case callLookup:
		c.entry = w.lookup(c.flight.t.Endpoint, c.held, !c.flight.since.IsZero())
	case callState:
		c.changeState(w)
	case callExtendProbe:
		if e := w.endpoint(c.state.Endpoint); e != nil {
			c.stored = e.setState(c.state)
		}
	case callPermits:
		for i := range c.asked {
			q := &c.asked[i]
			var g webhook.PermitGrant
			if e := w.endpoint(webhook.Endpoint(q.Endpoint)); e != nil {
				g = e.bucket.Take(c.at, &webhook.PermitRequest{Endpoint: e.key,
					Limit: webhook.RateLimit(q.Limit), Want: q.Want, Throttled: q.Throttled,
					RetryAfter: q.RetryAfter})
			}
			c.granted = append(c.granted, g)
		}
	case callRepair:
		s.repair(at, simConfig.repairRequest(c.at, time.Hour))
	case callPrune:
		s.prune(simConfig.Retention.pruneRequest(c.at))
	}
}

// reply is what the process does with the reply.
func (c *simCall) reply(p *simProcess) {
	c.over = true
	if c.failed {
		p.w.disturbed()
	}
	switch c.kind {
	case callNow:
		p.clockEnded(c)
	case callEmit:
		p.emitEnded(c)
	case callClaim:
		p.claimEnded(c)
	case callExtend:
		p.extendEnded(c)
	case callStart:
		p.startEnded(c)
	case callSettle:
		p.settleEnded(c)
	case callRequeue:
		p.requeueEnded(c)
	case callLookup:
		p.lookupEnded(c)
	case callState:
		p.stateEnded(c)
	case callExtendProbe:
		p.probeExtended(c)
	case callPermits:
		p.permitsEnded(c)
	case callRepair:
		p.repaired(c)
	case callPrune:
	}
}

// changeState is tryChangeState: what it reads and what it writes is one step.
func (c *simCall) changeState(w *simWorld) {
	res := &c.results[0]
	t, l := res.task, simConfig.Lifecycle
	e := w.endpoint(t.Endpoint)
	if e == nil {
		return
	}
	if c.t != nil {
		before := t.storedProbe.Load()
		if before == nil {
			return
		}
		after := l.afterClaimedProbe(before, res, c.at, false)
		c.stored = e.setState(&after)
		c.reset = c.stored && before.Health != after.Health
		return
	}
	state, health := *e.state.Clone(), webhook.Degraded
	if res.gone {
		health = webhook.Disabled
	}
	changed, stale := l.afterFailure(&state, res, health, c.until, c.at)
	if changed && (res.revision == 0 || res.revision == e.revision) {
		c.stored = e.setState(&state)
		w.log("", "%s is %s", e.name, e.state.Health)
	}
	c.reset = c.stored || stale || !changed && e.state.Health != webhook.Healthy
}

// endpoint returns the endpoint that has the key now.
func (w *simWorld) endpoint(key webhook.Endpoint) *simEndpoint {
	for _, e := range w.store.endpoints {
		if e.key == key && !e.gone {
			return e
		}
	}
	return nil
}

// lookup is what a process caches of a subscription.
func (w *simWorld) lookup(key webhook.Endpoint, at time.Time, states bool) *cacheEntry {
	e := w.endpoint(key)
	if e == nil {
		return nil
	}
	entry := &cacheEntry{name: e.name, revision: e.revision, paused: e.paused, loadedAt: at,
		statesRead: states,
		channels: map[string]openedChannel{key.Channel: {
			host: fairqueue.Host{Name: e.name}, rate: fairqueue.RateLimit(e.rate.WithDefaults()),
		}}}
	if states && e.state.Health != webhook.Healthy {
		entry.unhealthy = map[string]webhook.Health{key.Channel: e.state.Health}
	}
	return entry
}

// Actions: what is done to the world.

type simAction struct {
	at      time.Duration // since the beginning
	do      simDo
	p, a, b int
}

type simDo int

const (
	doEmit simDo = iota
	doEmitAgain
	doFault
	doCrash
	doStop
	doPause
	doSleep
	doSetClock
	doBehave
	doPauseSubscription
	doResume
	doDelete
	doDisable
	doEnable
	doReplay
	doCancel
	simDos
)

var simDoNames = [simDos]string{"doEmit", "doEmitAgain", "doFault", "doCrash", "doStop", "doPause",
	"doSleep", "doSetClock", "doBehave", "doPauseSubscription", "doResume", "doDelete", "doDisable",
	"doEnable", "doReplay", "doCancel"}

// simWeights is how often each is done, of 100.
var simWeights = [simDos]int{doEmit: 34, doEmitAgain: 3, doFault: 20, doCrash: 5, doStop: 2,
	doPause: 3, doSleep: 2, doSetClock: 2, doBehave: 11, doPauseSubscription: 3, doResume: 4,
	doDelete: 2, doDisable: 1, doEnable: 3, doReplay: 3, doCancel: 2}

// simActions makes the actions of a seed: some at once, some after a while.
func simActions(seed uint64, n int) []simAction {
	random := rand.New(rand.NewPCG(seed, 2))
	actions := make([]simAction, n)
	at := time.Duration(0)
	for i := range actions {
		switch random.IntN(10) {
		case 0:
			at += time.Duration(random.IntN(60)) * time.Second
		case 1, 2:
			at += time.Duration(random.IntN(5000)) * time.Millisecond
		case 3, 4, 5:
			at += time.Duration(random.IntN(100)) * time.Millisecond
		default:
			at += time.Duration(random.IntN(3000)) * time.Microsecond
		}
		weight, do := random.IntN(100), simDo(0)
		for weight >= simWeights[do] {
			weight -= simWeights[do]
			do++
		}
		actions[i] = simAction{at, do, random.IntN(len(simNames)), random.IntN(1000), random.IntN(1000)}
	}
	return actions
}

// act does an action, if it can be done.
func (w *simWorld) act(a simAction) {
	p := w.processes[a.p%len(w.processes)]
	e := w.store.endpoints[a.a%len(w.store.endpoints)]
	switch a.do {
	case doEmit:
		n := 1 + a.b%3
		if a.b%8 == 0 {
			n = 20
		}
		for range n {
			event := &simEvent{number: len(w.events), id: fmt.Sprint("event", len(w.events)),
				payload: make([]byte, 1+a.b%200)}
			if a.b%11 == 0 {
				event.ttl = time.Duration(1+a.b%40) * time.Second
			}
			w.events = append(w.events, event)
			w.emit(p, event, a.a)
		}
		return
	case doEmitAgain:
		if len(w.events) > 0 {
			n := a.b % len(w.events)
			w.emit(p, w.events[n], w.events[n].number)
		}
		return
	case doBehave:
		w.log("", "%s %s", e.name, simBehaviours[a.b%int(behaviours)])
		w.behaves(e, simBehaviour(a.b%int(behaviours)))
		return
	case doReplay, doCancel:
		w.correct(p, a)
		return
	}
	if a.do == doFault { // also for a process that is to start
		p.faults = append(p.faults, simFault{in: a.a % 12, kind: simFaultKind(1 + a.b%4),
			late: time.Duration(a.b%45) * time.Second})
		return
	}
	if !p.alive {
		return
	}
	switch a.do {
	case doCrash:
		p.crashIn = 1 + a.a%40
	case doStop:
		p.stop()
	case doPause, doSleep:
		w.pause(p, a)
	case doSetClock:
		if p.sleptUntil > 0 {
			return // if both clocks are wrong at once, a process cannot know
		}
		p.setAt = w.now
		w.log(p.name, "has its clock set by %ds", a.a*3-1500)
		p.wall += time.Duration(a.a*3-1500) * time.Second
		w.disturbed()
	case doPauseSubscription, doResume:
		if paused := a.do == doPauseSubscription; !e.gone && e.paused != paused {
			w.log(p.name, "sets paused of %s to %t", e.name, paused)
			e.paused, e.pausedSince = paused, w.now
			e.revision++
			w.change(p, e)
		}
	case doDelete:
		w.log(p.name, "deletes %s and creates it again", e.name)
		w.store.delete(e)
		again := w.newEndpoint(a.a%len(w.store.endpoints), e.organization,
			rand.New(rand.NewPCG(w.seed, uint64(a.b))))
		again.behaviour, again.rate = e.behaviour, e.rate
		w.store.endpoints[a.a%len(w.store.endpoints)] = again
		w.change(p, again)
	case doDisable, doEnable:
		w.setHealth(p, e, a.do == doDisable)
	}
}

func (w *simWorld) emit(p *simProcess, event *simEvent, n int) {
	if p.alive && !p.isPaused {
		w.log(p.name, "emits %s", event.id)
		p.emit(event, w.store.organizations[n%len(w.store.organizations)])
	}
}

func (w *simWorld) change(p *simProcess, e *simEndpoint) {
	e.answersSince = w.now
	if p.alive && !p.isPaused {
		p.changed(e)
	}
}

func (w *simWorld) setHealth(p *simProcess, e *simEndpoint, disable bool) {
	if e.gone || disable == (e.state.Health == webhook.Disabled) ||
		!disable && e.state.Health == webhook.Healthy {
		return
	}
	w.log(p.name, "disables %s: %t", e.name, disable)
	at := simTime(w.now)
	if disable {
		e.state.Health, e.state.Since, e.state.ChangedBy = webhook.Disabled, at, "a person"
		e.state.NextProbe = time.Time{}
	} else {
		e.state = e.state.Recovered(at, "a person")
	}
	e.state.Revision++
	e.answersSince = w.now
	if p.alive && !p.isPaused {
		p.requeueRemoved(p.core.ResetEndpoint(p.local(), fairqueue.Endpoint(e.key)))
		p.act()
		p.signalClaim()
	}
}

// correct replays or cancels a delivery.
func (w *simWorld) correct(p *simProcess, a simAction) {
	last := w.store.lastID()
	if last == 0 {
		return
	}
	d := w.store.delivery(last - webhook.DeliveryID(a.a)%min(last, 30))
	if d == nil || !p.alive || p.isPaused {
		return
	}
	if a.do == doReplay {
		w.log(p.name, "replays %v", d)
		w.store.replay(w.now, d)
		p.signalClaim()
	} else {
		w.log(p.name, "cancels %v", d)
		w.store.cancel(w.now, d)
		p.leases.markCancelled(d.id)
	}
}

func (w *simWorld) pause(p *simProcess, a simAction) {
	if p.isPaused {
		return
	}
	wait := time.Duration(1+a.a%50) * time.Second
	p.isPaused = true
	if a.do == doSleep && p.setAt == 0 {
		w.log(p.name, "'s machine sleeps for %v", wait)
		p.monotonic -= wait
		p.sleptUntil = w.now + wait
	} else {
		w.log(p.name, "is paused for %v", wait)
	}
	w.disturbed()
	w.schedule(simStep{at: w.now + wait, p: p, do: simGoOn})
}

func (p *simProcess) goOn() {
	if !p.isPaused {
		return
	}
	p.w.log(p.name, "goes on")
	p.isPaused = false
	p.w.disturbed()
	deferred := p.deferred
	p.deferred = nil
	for _, s := range deferred {
		s.at = p.w.now
		if s.do == simTick {
			p.tickAt = p.w.now
		}
		p.w.schedule(s)
	}
}
