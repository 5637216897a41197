package dispatch

import (
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// scheduler holds claimed deliveries in one run queue per endpoint. Organizations
// have their turns, and within each its endpoints. What an endpoint, a host and
// an organization may have in flight and in memory is bounded, so that those that
// hang cost the others nothing; see slot. What does not fit stays in the store.
type scheduler struct {
	limits schedulerLimits
	slots  slotLimits
	// spawn starts a worker, which calls next until that returns nil.
	spawn func()
	// wake is signalled when the store may hold due deliveries that fit now.
	wake chan struct{}

	mu             sync.Mutex
	open           bool
	organizations  map[string]*organization
	hosts          map[hostKey]*host
	queues         map[webhook.Endpoint]*endpointQueue
	bySubscription map[string][]*endpointQueue
	active         []*endpointQueue // those that are not only remembered
	pruned         time.Time        // when it was last looked for queues to forget
	turns          runList[*organization]
	parked         map[*organization]struct{} // those that nothing could run of when they had their turn
	budgets        int64                      // calls of claimBudget

	held    map[webhook.DeliveryID]*task // all that is leased to this process
	queued  int                          // in queues, or reserved for a prefetch
	bytes   int                          // of the payloads in queues, each counted once
	payload int                          // bytes that a claimed payload is expected to have

	used       usage
	running    running
	watcher    *time.Timer // calls overdue
	watching   bool        // the watcher is set
	workers    int         // with an attempt in flight, or about to call next
	claimWaits bool        // a claim waits for memory
	idleCond   *sync.Cond  // workers == 0
}

type schedulerLimits struct {
	inFlight, inFlightPerEndpoint int
	queued, queuedPerEndpoint     int
	bytes                         int
}

// task is a claimed delivery in this process.
type task struct {
	webhook.Task
	queue  *endpointQueue
	pushed time.Time // when it was queued
	load   *load
	lost   bool // another process has the lease, or the delivery was cancelled

	// While it is in flight:
	slot          slot
	overdue       bool         // it has lasted longer than slowAfter, without what it waited
	ended         bool         // the attempt is over
	host          *host        // that the slot is counted for
	begun         time.Time    // zero until the channel is called; later by what it has waited to render
	renders       *renderWaits // nil if it has not waited
	before, after *task        // in scheduler.running, unless it is overdue or waits to render
}

func newScheduler(l schedulerLimits) *scheduler {
	s := &scheduler{
		limits:         l,
		slots:          newSlotLimits(l.inFlight),
		wake:           make(chan struct{}, 1),
		organizations:  make(map[string]*organization),
		hosts:          make(map[hostKey]*host),
		queues:         make(map[webhook.Endpoint]*endpointQueue),
		bySubscription: make(map[string][]*endpointQueue),
		parked:         make(map[*organization]struct{}),
		held:           make(map[webhook.DeliveryID]*task),
		payload:        MaxPayload, // the first claim is a careful one
	}
	s.idleCond = sync.NewCond(&s.mu)
	return s
}

// start lets deliveries in. spawn must start a goroutine that calls next until
// it returns nil.
func (s *scheduler) start(spawn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spawn = spawn
	s.open = true
}

// stop lets nothing more in, and returns what was queued.
func (s *scheduler) stop() []*task {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	var unstarted []*task
	for _, q := range s.active {
		unstarted = append(unstarted, s.takeAll(q)...)
	}
	return unstarted
}

// waitIdle returns when no attempt is under way.
func (s *scheduler) waitIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.workers > 0 {
		s.idleCond.Wait()
	}
}

// push queues claimed deliveries. It returns those that came too late, after stop.
func (s *scheduler) push(tasks []webhook.Task) (late []*task) {
	if len(tasks) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now()
	var payload *load
	for i := range tasks {
		// One by one: a slow delivery must not keep its neighbours in memory.
		t := &task{Task: tasks[i], pushed: at}
		if i == 0 || !sameSlice(t.Payload, tasks[i-1].Payload) {
			payload = &load{bytes: len(t.Payload)}
		}
		t.load = payload
		if !s.open {
			late = append(late, t)
			continue
		}
		q := s.queue(t.OrganizationID, t.Endpoint)
		t.queue = q
		q.add(t)
		s.enqueued(t)
		s.held[t.DeliveryID] = t
		s.list(q)
	}
	s.startWorker()
	return late
}

// busy is how many attempts are in flight.
func (s *scheduler) busy() int { return s.used.all() }

// staff sees to it that a worker is on its way when something can run. Each
// worker that finds something does the same for the next.
func (s *scheduler) startWorker() {
	if s.workers > s.busy() || !s.open {
		return
	}
	if q, _ := s.pick(); q != nil {
		s.workers++
		s.spawn()
	}
}

// next returns the delivery whose turn it is. It returns nil when there is
// nothing to run; the calling worker has then left.
func (s *scheduler) next() *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, kind := s.pick()
	if q == nil {
		s.workers--
		if s.workers == 0 {
			s.idleCond.Broadcast()
		}
		return nil
	}
	t := s.take(q, kind)
	s.startWorker()
	s.wakeIfClaimable(q)
	if s.claimWaits && s.canClaim() {
		s.claimWaits = false
		s.signal()
	}
	return t
}

// pick returns the endpoint whose turn it is, and the kind of slot that it may
// have. It is the first in its ring, and its organization is the first in turn.
func (s *scheduler) pick() (*endpointQueue, slot) {
	for !s.turns.empty() && s.busy() < s.slots.all {
		if q, kind := s.pickOf(s.turns.head); q != nil {
			return q, kind
		}
		s.park()
	}
	return nil, noSlot
}

// pickOf picks among the endpoints of an organization. Those that have been
// answering at once, those that are new and those that are slow take turns.
func (s *scheduler) pickOf(o *organization) (*endpointQueue, slot) {
	for again := true; again; {
		again = false
		for i := range standings {
			st := (o.turn + i) % standings
			if !s.admits(o, st) {
				continue
			}
			q, kind, moved := s.firstOf(o, st)
			if q != nil {
				o.turn = st
				return q, kind
			}
			again = again || moved
		}
	}
	return nil, noSlot
}

// firstOf returns the first endpoint in the ring that can run something, if any
// can, and removes those before it. It reports whether one of them has moved to
// another ring of the organization, because its standing has changed.
func (s *scheduler) firstOf(o *organization, st standing) (first *endpointQueue, kind slot, moved bool) {
	r := &o.ready[st]
	for passed := 0; !r.empty() && passed < unparkedAtOnce; {
		q := r.head
		if q.choose(s.limits.inFlightPerEndpoint) == giveNone {
			r.pop()
			q.listed = false
			continue
		}
		if q.standing() != st {
			r.pop()
			q.listed = false
			s.list(q)
			moved = true
			continue
		}
		kind, full := s.slotFor(q)
		switch {
		case kind != noSlot:
			return q, kind, moved
		case full:
			q.host.wait(r.pop())
		default:
			r.push(r.pop())
			passed++
		}
	}
	return nil, noSlot, moved
}

// take gives the next task of a queue that was picked a slot.
func (s *scheduler) take(q *endpointQueue, kind slot) *task {
	o := q.organization
	o.ready[o.turn].pop()
	q.listed = false
	s.turns.pop()
	o.listed = false
	o.turn = (o.turn + 1) % standings

	t := q.take(q.choose(s.limits.inFlightPerEndpoint))
	s.dequeued(t)
	t.slot, t.host, t.begun, t.overdue = kind, q.host, time.Time{}, false
	t.renders, t.ended = nil, false
	s.count(t, 1)
	if q.host != nil {
		q.host.served(o)
	}
	s.list(q)
	if o.waits() {
		s.enter(o)
	}
	return t
}

// begin is called before the channel is, once it is known where the attempt goes.
// If too many are under way to that host it returns false: the task is queued
// again, and the worker goes on to the next.
func (s *scheduler) begin(t *task, to hostKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := t.queue
	s.setHost(q, to)
	if t.host != q.host {
		s.count(t, -1)
		if t.host != nil { // which has a place again
			s.unpark(t.host, unparkedAtOnce)
			defer s.startWorker()
		}
		if q.host != nil && s.open && !s.hostFits(q.host, t.slot, q.standing()) {
			q.left(t)
			q.putFirst(t)
			s.enqueued(t)
			s.list(q)
			return false
		}
		t.host = q.host
		s.count(t, 1)
	}
	t.begun = time.Now()
	s.running.add(t)
	s.watch()
	return true
}

// finish ends an attempt. The delivery stays leased until it is settled. What the
// breaker does not let through is returned, to be requeued; what has failed
// before has no business here until the returned time.
func (s *scheduler) finish(t *task, h breaker.Health) (unstarted []*task, retriesUntil time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := t.queue
	q.left(t)
	s.count(t, -1)
	t.ended = true
	if !t.begun.IsZero() && !t.overdue && !t.waitsToRender() {
		s.running.remove(t)
		q.wasFast()
		q.recount()
		q.organization.wasFast()
		if t.host != nil {
			t.host.wasFast()
		}
	}
	q.learn(t, h, s.limits.inFlightPerEndpoint)
	switch {
	case q.breaker.Open():
		unstarted = s.takeAll(q)
		q.backlog = true
	case q.breaker.OpenForRetries():
		unstarted, q.retries = q.retries, nil
		s.dequeued(unstarted...)
	}
	s.freed(t)
	s.list(q) // behind those that waited
	s.retire(q)
	return unstarted, q.breaker.OpenForRetriesUntil()
}

// release forgets settled or abandoned deliveries.
func (s *scheduler) release(ids []webhook.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range ids {
		if t, ok := s.held[l.DeliveryID]; ok && t.Token == l.Token {
			delete(s.held, l.DeliveryID)
		}
	}
}

// idle reports whether nothing is leased to this process, or about to be.
func (s *scheduler) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holdsNothing()
}

func (s *scheduler) holdsNothing() bool { return len(s.held) == 0 && s.queued == 0 }

// lose notes that the lease of a delivery is lost: it will not be attempted.
func (s *scheduler) lose(id webhook.DeliveryID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.held[id]; ok {
		t.lost = true
	}
}

// drop takes what is queued for a subscription's endpoints out of the scheduler, and
// forgets what is known of them.
func (s *scheduler) drop(subscriptionID string) []*task {
	s.mu.Lock()
	defer s.mu.Unlock()
	var unstarted []*task
	for _, q := range append([]*endpointQueue(nil), s.bySubscription[subscriptionID]...) {
		unstarted = append(unstarted, s.takeAll(q)...)
		q.breaker, q.record, q.allowed = breaker.Breaker{}, record{}, firstAllowed
		q.recount()
		s.retire(q)
	}
	return unstarted
}

// expiring returns the leases that end before the given time.
func (s *scheduler) expiring(before time.Time) []webhook.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	var leases []webhook.Lease
	for _, t := range s.held {
		if !t.lost && t.Until.Before(before) {
			leases = append(leases, t.Lease)
		}
	}
	return leases
}

// boundLeases takes no lease to end later than that: the clock that said so was
// wrong, and the leases are to be extended like any other.
func (s *scheduler) boundLeases(latest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.held {
		if t.Until.After(latest) {
			t.Until = latest
		}
	}
}

// extended notes leases that were extended, and those that were lost.
func (s *scheduler) extended(leases, lost []webhook.Lease, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range leases {
		if t, ok := s.held[l.DeliveryID]; ok && t.Token == l.Token {
			t.Until = until
		}
	}
	for _, l := range lost {
		if t, ok := s.held[l.DeliveryID]; ok && t.Token == l.Token {
			t.lost = true
		}
	}
}

// owns reports whether the delivery's lease is still this process's at now.
func (s *scheduler) owns(t *task, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !t.lost && now.Before(t.Until)
}

// revive serves endpoints again whose breaker has let go in the meantime, and
// lets all look for a slot again that had found none.
func (s *scheduler) revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return
	}
	for o := range s.parked {
		s.enter(o)
	}
	for i := len(s.active) - 1; i >= 0; i-- { // retire moves the last one
		q := s.active[i]
		if q.host != nil {
			s.unpark(q.host, len(s.active))
		}
		s.list(q)
		s.retire(q)
	}
	s.startWorker()
	s.forget()
}

// list lines the queue up if it can run something.
func (s *scheduler) list(q *endpointQueue) {
	if !q.listed && q.choose(s.limits.inFlightPerEndpoint) != giveNone {
		q.listed = true
		o := q.organization
		o.ready[q.standing()].push(q)
		s.enter(o)
	}
}

// takeAll empties the queue.
func (s *scheduler) takeAll(q *endpointQueue) []*task {
	tasks := q.empty()
	s.dequeued(tasks...)
	return tasks
}
