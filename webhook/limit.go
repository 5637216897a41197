package webhook

// limit bounds the attempts in flight to the host of channels that can make only
// so many at a time; see channel.Limited. Endpoints wait for their turn in the
// order in which they came, without a worker and without an attempt.
type limit struct {
	limitKey
	inFlight  int
	endpoints int // that have it
	waiting   []*endpointQueue
}

// limitKey tells limits apart: a host with two numbers has two of what is scarce.
type limitKey struct {
	host string
	most int
}

func (l *limit) full() bool { return l != nil && l.inFlight >= l.most }

// begin is called before the channel is, once it is known what limits its
// attempts; the key is zero if nothing does. If there are as many as can be it returns
// false: the task is queued again, as the next of its endpoint.
func (s *scheduler) begin(t *task, key limitKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := t.queue
	s.setLimit(q, key)
	if t.limit == q.limit {
		return true
	}
	s.leave(t)
	if q.limit.full() && s.open {
		q.putBack(t)
		s.busy--
		s.enqueued(t)
		s.list(q)
		return false
	}
	s.join(t)
	return true
}

// join counts an attempt, and leave counts it no longer and gives its place to
// the endpoint that has waited the longest.
func (s *scheduler) join(t *task) {
	if t.limit = t.queue.limit; t.limit != nil {
		t.limit.inFlight++
	}
}

func (s *scheduler) leave(t *task) {
	l := t.limit
	if t.limit = nil; l == nil {
		return
	}
	l.inFlight--
	for len(l.waiting) > 0 {
		q := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		q.waits = false
		if s.list(q); q.listed {
			return
		}
	}
}

// await lines an endpoint up that has something to do, and cannot for its limit.
func (s *scheduler) await(q *endpointQueue) {
	if q.limit.full() && q.len() > 0 && !q.waits {
		q.waits = true
		q.limit.waiting = append(q.limit.waiting, q)
	}
}

// setLimit notes what limits the endpoint's attempts.
func (s *scheduler) setLimit(q *endpointQueue, key limitKey) {
	if q.limit != nil {
		if q.limit.limitKey == key {
			return
		}
		if q.limit.endpoints--; q.limit.endpoints == 0 {
			delete(s.hostLimits, q.limit.limitKey)
		}
		q.limit, q.waits = nil, false
	}
	if key.most == 0 {
		return
	}
	l := s.hostLimits[key]
	if l == nil {
		l = &limit{limitKey: key}
		s.hostLimits[key] = l
	}
	l.endpoints++
	q.limit = l
}
