package dispatch

import "github.com/mixpeek/webhooks-go/webhook"

// claimBudget says how much can be claimed, and for whom nothing should be.
type claimBudget struct {
	limit, perOrganization, perEndpoint int
	skipOrganizations                   []string
	skip                                []webhook.Endpoint
	// idle says that nothing is held, so that only endpoints are skipped that are left
	// alone.
	idle bool
}

// claimBudget returns what may be claimed now. A limit of 0 means nothing.
func (s *scheduler) claimBudget() claimBudget {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return claimBudget{}
	}
	if s.claimWaits = !s.canClaim(); s.claimWaits {
		return claimBudget{}
	}
	// Some of the memory stays for prefetching, so that a new delivery need not wait until
	// old ones are done.
	limit := min(s.limits.queued-s.queued-s.minClaim()/2, (s.limits.bytes-s.bytes)/s.payload)
	b := claimBudget{limit: min(max(limit, 1), maxClaim), idle: s.holdsNothing()}
	m := s.memoryShares()
	b.perOrganization = min(max(min(m.organization, m.bytes/s.payload)/8, 1), b.limit)
	b.perEndpoint = min(max(min(m.endpoint, m.bytes/s.payload)/2, 1), b.limit)
	s.budgets++
	for _, q := range s.active {
		o := q.organization
		switch {
		case o.queued > m.organization-b.perOrganization || o.bytes >= m.bytes:
			if o.skippedIn != s.budgets {
				o.skippedIn = s.budgets
				b.skipOrganizations = append(b.skipOrganizations, o.id)
			}
		case q.breaker.Open() || !m.claimBudget(q, b.perEndpoint) || !m.allow(q, b.perOrganization):
			b.skip = append(b.skip, q.endpoint)
		}
	}
	return b
}

// canClaim reports whether enough memory is free to make a claim worth its cost.
func (s *scheduler) canClaim() bool {
	return s.limits.queued-s.queued >= s.minClaim() && s.limits.bytes-s.bytes >= s.limits.bytes/8
}

func (s *scheduler) minClaim() int { return max(min(s.limits.queued/8, maxClaim), 1) }

// memoryShares is what one party may have in memory now: see slot.
type memoryShares struct {
	organization, endpoint int // deliveries in queues
	bytes                  int // of payload, of an organization and of an endpoint
}

func (s *scheduler) memoryShares() memoryShares {
	most := share(s.limits.queued, s.queued)
	return memoryShares{
		organization: min(most, s.limits.queued),
		endpoint:     min(most, s.limits.queuedPerEndpoint),
		bytes:        share(s.limits.bytes, s.bytes),
	}
}

// room reports whether the endpoint may have n more deliveries in memory. One that
// is slow, or new, has no use for more that were never attempted than it can have
// in flight soon; if it has none of those, it may have n. Those that have failed
// before must not keep them out.
func (m *memoryShares) claimBudget(q *endpointQueue, n int) bool {
	if q.standing() != standsFast && len(q.fresh)+q.reserved > max(4*q.allowed-n, 0) {
		return false
	}
	return q.len()+q.reserved+n <= m.endpoint
}

// allow reports whether the endpoint's organization may have n more deliveries in
// memory for it. Of its share, three eighths are for endpoints that have been
// answering at once, and one each for those that are new, for those that are slow,
// and for those of each kind that have nothing yet: none of them keeps out others.
func (m *memoryShares) allow(q *endpointQueue, n int) bool {
	o, parts, bytes := q.organization, 1, m.bytes/2
	if q.counted == standsFast {
		parts, bytes = 3, m.bytes
	}
	if q.len()+q.reserved == 0 {
		parts, n = parts+1, 1
	}
	return o.queued < m.organization && o.waiting[q.counted]+n <= max(m.organization*parts/8, 1) &&
		o.bytes < max(bytes, 1) && q.bytes < m.bytes
}

// recount is called after the endpoint's record has changed.
func (q *endpointQueue) recount() {
	if st := q.standing(); st != q.counted {
		n := q.len() + q.reserved
		q.organization.waiting[q.counted] -= n
		q.organization.waiting[st] += n
		q.counted = st
	}
}

// reserve sets memory aside for one delivery that may be prefetched, if there is any.
func (s *scheduler) reserve(organizationID string, e webhook.Endpoint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open || s.queued >= s.limits.queued || s.bytes >= s.limits.bytes {
		return false
	}
	q, m := s.queue(organizationID, e), s.memoryShares()
	if q.backlog || q.breaker.Open() || !m.claimBudget(q, 1) || !m.allow(q, 1) {
		s.retire(q)
		return false
	}
	q.reserved++
	s.add(q, 1)
	return true
}

// unreserve frees what reserve set aside.
func (s *scheduler) unreserve(prefetched []prefetched) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range prefetched {
		q := s.queue(o.organizationID, o.endpoint)
		q.reserved--
		s.add(q, -1)
		s.retire(q)
	}
}

// prefetched is a delivery that the store has asked about.
type prefetched struct {
	organizationID string
	endpoint       webhook.Endpoint
}

// spill marks endpoints whose deliveries were stored without being taken.
func (s *scheduler) markBacklog(refused []prefetched) {
	if len(refused) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range refused {
		q := s.queue(o.organizationID, o.endpoint)
		q.backlog = true
		s.wakeIfClaimable(q)
	}
}

// wakeIfClaimable asks for a claim when the endpoint has more in the store and its
// queue runs low.
func (s *scheduler) wakeIfClaimable(q *endpointQueue) {
	if q.backlog && q.len() <= s.limits.queuedPerEndpoint/4 && !q.breaker.Open() &&
		q.organization.queued < share(s.limits.queued, s.queued)/2 {
		s.signal()
	}
}

func (s *scheduler) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// claimed notes what a claim says about the store: an endpoint that gave less
// than was asked of it has nothing more that is due.
func (s *scheduler) claimed(tasks []webhook.Task, b claimBudget) {
	counts, ofOrganization, bytes := make(map[webhook.Endpoint]int), make(map[string]int), 0
	for i := range tasks {
		counts[tasks[i].Endpoint]++
		ofOrganization[tasks[i].OrganizationID]++
		bytes += len(tasks[i].Payload)
	}
	skipped := make(map[webhook.Endpoint]bool, len(b.skip))
	for _, e := range b.skip {
		skipped[e] = true
	}
	passed := make(map[string]bool, len(b.skipOrganizations))
	for _, id := range b.skipOrganizations {
		passed[id] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(tasks) > 0 {
		// Larger ones are believed at once, smaller ones little by little: how
		// large they are is known only after they have been claimed.
		s.payload = max(bytes/len(tasks), s.payload/2, 1)
	}
	full := len(tasks) >= b.limit
	for i := range tasks {
		t := &tasks[i]
		if full || counts[t.Endpoint] >= b.perEndpoint || ofOrganization[t.OrganizationID] >= b.perOrganization {
			s.queue(t.OrganizationID, t.Endpoint).backlog = true
		}
	}
	for i := len(s.active) - 1; i >= 0 && !full; i-- {
		q := s.active[i]
		id := q.organization.id
		if counts[q.endpoint] < b.perEndpoint && ofOrganization[id] < b.perOrganization && !skipped[q.endpoint] && !passed[id] {
			q.backlog = false
			s.retire(q)
		}
	}
}

// load is a payload in memory, which all deliveries of an event may have.
type load struct {
	bytes  int
	queued int // tasks in queues that have it
}

// add counts deliveries in memory.
func (s *scheduler) add(q *endpointQueue, n int) {
	s.queued += n
	q.organization.queued += n
	q.organization.waiting[q.counted] += n
}

// enqueued and dequeued count tasks that came to their queue, or left it.
func (s *scheduler) enqueued(t *task) {
	s.add(t.queue, 1)
	t.queue.bytes += t.load.bytes
	if t.load.queued++; t.load.queued == 1 {
		s.bytes += t.load.bytes
		t.queue.organization.bytes += t.load.bytes
	}
}

func (s *scheduler) dequeued(tasks ...*task) {
	for _, t := range tasks {
		s.add(t.queue, -1)
		t.queue.bytes -= t.load.bytes
		if t.load.queued--; t.load.queued == 0 {
			s.bytes -= t.load.bytes
			t.queue.organization.bytes -= t.load.bytes
		}
	}
}

// sameSlice reports whether two payloads are one in memory.
func sameSlice(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }
