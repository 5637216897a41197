package webhook

import (
	"sync"
	"time"
)

// scheduler holds claimed deliveries in one queue per endpoint and serves the
// queues round-robin. Each endpoint has a cap on attempts in flight and a
// breaker, so that a dead endpoint costs the others nothing. Queues are
// bounded; what does not fit stays in the store.
type scheduler struct {
	limits schedulerLimits
	// spawn starts a worker, which calls next until that returns nil.
	spawn func()
	// wake is signalled when the store may hold due deliveries that fit now.
	wake chan struct{}

	mu       sync.Mutex
	open     bool
	queues   map[Endpoint]*endpointQueue
	ready    readyRing
	held     map[DeliveryID]*task // all that is leased to this process
	queued   int                  // in queues, or reserved for an offer
	bytes    int                  // of the payloads in queues, each counted once
	payload  int                  // bytes that a claimed payload is expected to have
	workers  int                  // busy, or about to call next
	busy     int                  // workers with an attempt under way
	hungry   bool                 // a claim waits for room
	idleCond *sync.Cond           // workers == 0

	hostLimits map[limitKey]*limit
}

type schedulerLimits struct {
	inFlight, inFlightPerEndpoint int
	queued, queuedPerEndpoint     int
	bytes                         int
}

// task is a claimed delivery in this process.
type task struct {
	Task
	queue  *endpointQueue
	pushed time.Time // when it was queued
	load   *load
	limit  *limit // that the attempt under way counts for
	lost   bool   // the lease is somebody else's, or the delivery was cancelled
}

func newScheduler(l schedulerLimits) *scheduler {
	s := &scheduler{
		limits:  l,
		wake:    make(chan struct{}, 1),
		queues:  make(map[Endpoint]*endpointQueue),
		held:    make(map[DeliveryID]*task),
		payload: MaxPayload, // the first claim is a careful one

		hostLimits: make(map[limitKey]*limit),
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
	for _, q := range s.queues {
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

// reserve takes room for one offered delivery, if there is any.
func (s *scheduler) reserve(e Endpoint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open || s.queued >= s.limits.queued || s.bytes >= s.limits.bytes {
		return false
	}
	q := s.queue(e)
	if q.spilled || q.breaker.open() || q.len()+q.reserved >= s.queueShare() || q.bytes >= s.byteShare() {
		return false
	}
	q.reserved++
	s.queued++
	return true
}

// unreserve gives back what reserve took.
func (s *scheduler) unreserve(endpoints []Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range endpoints {
		q := s.queue(e)
		q.reserved--
		s.queued--
		s.forgetIfIdle(q)
	}
}

// spill marks endpoints whose deliveries were stored without being taken.
func (s *scheduler) spill(endpoints []Endpoint) {
	if len(endpoints) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range endpoints {
		q := s.queue(e)
		q.spilled = true
		s.wakeIfRoom(q)
	}
}

// push queues claimed deliveries. It returns those that came too late, after stop.
func (s *scheduler) push(tasks []Task) (late []*task) {
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
		q := s.queue(t.Endpoint)
		t.queue = q
		q.add(t)
		s.enqueued(t)
		s.held[t.DeliveryID] = t
		s.list(q)
	}
	s.staff()
	return late
}

// staff sees to it that a worker is on its way when something can run. Each
// worker that finds something does the same for the next.
func (s *scheduler) staff() {
	if s.workers > s.busy || s.workers >= s.limits.inFlight {
		return
	}
	for q := s.ready.head; q != nil; q = q.next {
		if s.canRun(q) {
			s.workers++
			s.spawn()
			return
		}
	}
}

// next returns the delivery whose turn it is. It returns nil when there is
// nothing to run; the calling worker has then left.
func (s *scheduler) next() *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	var passed readyRing // over their share: they stay in the ring
	defer func() { s.ready.append(passed) }()
	for q := s.ready.pop(); q != nil; q = s.ready.pop() {
		if !s.canRun(q) {
			if q.choose(s.limits.inFlightPerEndpoint) != giveNone {
				passed.push(q)
			} else {
				q.listed = false
				s.await(q)
			}
			continue
		}
		q.listed = false
		t := q.take(q.choose(s.limits.inFlightPerEndpoint))
		s.join(t)
		s.dequeued(t)
		s.busy++
		s.list(q)
		s.staff()
		s.wakeIfRoom(q)
		if s.hungry && s.roomy() {
			s.hungry = false
			s.signal()
		}
		return t
	}
	s.workers--
	if s.workers == 0 {
		s.idleCond.Broadcast()
	}
	return nil
}

// finish ends an attempt. The delivery stays held until it is settled. What the
// breaker does not let through is returned, to be requeued; what has failed
// before has no business here until the returned time.
func (s *scheduler) finish(t *task, h health) (unstarted []*task, retriesUntil time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := t.queue
	q.finished(t)
	s.leave(t)
	s.busy--
	q.breaker.record(h, t.DeliveryID, t.Tries > 0)
	switch {
	case q.breaker.open():
		unstarted = s.takeAll(q)
		q.spilled = true
	case q.breaker.openForRetries():
		unstarted, q.retries = q.retries, nil
		s.dequeued(unstarted...)
	}
	s.list(q)
	s.forgetIfIdle(q)
	return unstarted, q.breaker.retriesBlockedUntil()
}

// release forgets settled or abandoned deliveries.
func (s *scheduler) release(ids []Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range ids {
		if t, ok := s.held[l.DeliveryID]; ok && t.Token == l.Token {
			delete(s.held, l.DeliveryID)
		}
	}
}

// lose gives a held delivery up: it will not be attempted.
func (s *scheduler) lose(id DeliveryID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.held[id]; ok {
		t.lost = true
	}
}

// drop takes what is queued for a webhook's endpoints out of the scheduler.
func (s *scheduler) drop(webhookID string) []*task {
	s.mu.Lock()
	defer s.mu.Unlock()
	var unstarted []*task
	for e, q := range s.queues {
		if e.WebhookID == webhookID {
			unstarted = append(unstarted, s.takeAll(q)...)
			q.breaker = breaker{}
			s.forgetIfIdle(q)
		}
	}
	return unstarted
}

// expiring returns the leases that end before the given time.
func (s *scheduler) expiring(before time.Time) []Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	var leases []Lease
	for _, t := range s.held {
		if !t.lost && t.Until.Before(before) {
			leases = append(leases, t.Lease)
		}
	}
	return leases
}

// extended notes leases that were extended, and those that were lost.
func (s *scheduler) extended(leases, lost []Lease, until time.Time) {
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

// revive serves endpoints again whose breaker has let go in the meantime.
func (s *scheduler) revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return
	}
	for _, q := range s.queues {
		s.list(q)
		s.forgetIfIdle(q)
	}
	s.staff()
}

// canRun reports whether the endpoint may have one more attempt in flight.
func (s *scheduler) canRun(q *endpointQueue) bool {
	return q.choose(min(s.limits.inFlightPerEndpoint, s.flightShare())) != giveNone
}

func (s *scheduler) queue(e Endpoint) *endpointQueue {
	q, ok := s.queues[e]
	if !ok {
		q = &endpointQueue{endpoint: e}
		s.queues[e] = q
	}
	return q
}

// takeAll empties the queue.
func (s *scheduler) takeAll(q *endpointQueue) []*task {
	tasks := q.empty()
	s.dequeued(tasks...)
	return tasks
}

// list puts the queue at the end of the ring if it can run something.
func (s *scheduler) list(q *endpointQueue) {
	if !q.listed && q.choose(s.limits.inFlightPerEndpoint) != giveNone {
		q.listed = true
		s.ready.push(q)
		return
	}
	if !q.listed {
		s.await(q)
	}
}

// wakeIfRoom asks for a claim when the endpoint has more in the store and its
// queue runs low.
func (s *scheduler) wakeIfRoom(q *endpointQueue) {
	if q.spilled && q.len() <= s.limits.queuedPerEndpoint/4 && !q.breaker.open() {
		s.signal()
	}
}

func (s *scheduler) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *scheduler) forgetIfIdle(q *endpointQueue) {
	if q.len() == 0 && q.reserved == 0 && q.inFlight == 0 && !q.spilled && !q.listed && q.breaker.forgettable() {
		delete(s.queues, q.endpoint)
		s.setLimit(q, limitKey{})
	}
}
