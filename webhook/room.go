package webhook

// room says how much can be claimed, and for which endpoints nothing should be.
func (s *scheduler) room() (limit, perEndpoint int, skip []Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return 0, 0, nil
	}
	if s.hungry = !s.roomy(); s.hungry {
		return 0, 0, nil
	}
	// Some room stays for offers, so that a new delivery need not wait until
	// old ones are done.
	limit = min(s.limits.queued-s.queued-s.goodRoom()/2, (s.limits.bytes-s.bytes)/s.payload)
	limit = max(limit, 1)
	most := s.queueShare()
	perEndpoint = max(min(most, s.byteShare()/s.payload)/2, 1)
	for e, q := range s.queues {
		if q.breaker.open() || q.len()+q.reserved > most-perEndpoint || q.bytes >= s.byteShare() {
			skip = append(skip, e)
		}
	}
	return limit, perEndpoint, skip
}

// roomy reports whether there is room that makes a claim worth its while.
func (s *scheduler) roomy() bool {
	return s.limits.queued-s.queued >= s.goodRoom() && s.limits.bytes-s.bytes >= s.limits.bytes/8
}

func (s *scheduler) goodRoom() int { return max(min(s.limits.queued/8, maxClaim), 1) }

// An endpoint gets no more than eagerness times what is free, of the queues and
// of the attempts in flight, and what is kept free is for endpoints that have
// nothing yet. So slow endpoints, many as they may be, always leave something
// for the others, and one on its own gets nearly all.
const (
	eagerness = 4
	keptFree  = 32 // one part in so many
)

func share(limit, used int) int { return max(1, eagerness*(limit-used-limit/keptFree)) }

func (s *scheduler) queueShare() int {
	return min(s.limits.queuedPerEndpoint, share(s.limits.queued, s.queued))
}

func (s *scheduler) byteShare() int { return share(s.limits.bytes, s.bytes) }

func (s *scheduler) flightShare() int { return share(s.limits.inFlight, s.busy) }

// claimed notes what a claim says about the store: an endpoint that gave less
// than was asked of it has nothing more that is due.
func (s *scheduler) claimed(tasks []Task, limit, perEndpoint int, skip []Endpoint) {
	counts, bytes := make(map[Endpoint]int), 0
	for i := range tasks {
		counts[tasks[i].Endpoint]++
		bytes += len(tasks[i].Payload)
	}
	skipped := make(map[Endpoint]bool, len(skip))
	for _, e := range skip {
		skipped[e] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(tasks) > 0 {
		// Larger ones are believed at once, smaller ones little by little: how
		// large they are is known only after they have been claimed.
		s.payload = max(bytes/len(tasks), s.payload/2, 1)
	}
	for e, n := range counts {
		if n >= perEndpoint || len(tasks) == limit {
			s.queue(e).spilled = true
		}
	}
	for e, q := range s.queues {
		if counts[e] < perEndpoint && !skipped[e] && len(tasks) < limit {
			q.spilled = false
			s.forgetIfIdle(q)
		}
	}
}

// load is a payload in memory, which all deliveries of an event may have.
type load struct {
	bytes  int
	queued int // tasks in queues that have it
}

// enqueued and dequeued count a task that came to its queue, or left it.
func (s *scheduler) enqueued(t *task) {
	s.queued++
	t.queue.bytes += t.load.bytes
	if t.load.queued++; t.load.queued == 1 {
		s.bytes += t.load.bytes
	}
}

func (s *scheduler) dequeued(tasks ...*task) {
	for _, t := range tasks {
		s.queued--
		t.queue.bytes -= t.load.bytes
		if t.load.queued--; t.load.queued == 0 {
			s.bytes -= t.load.bytes
		}
	}
}

// sameSlice reports whether two payloads are one in memory.
func sameSlice(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }
