package dispatch

import "container/list"

// organization is one tenant's part of the scheduler: its endpoints have their
// turns within its own.
type organization struct {
	party
	id            string
	queued, bytes int // of its deliveries in queues, or reserved; of their payloads
	// waiting is queued by the standing of the endpoints.
	waiting   [standings]int
	endpoints int // that the scheduler remembers
	// ready are the queues that have something to run, by the standing of their
	// endpoints, and turn is where to look first.
	ready     [standings]runList[*endpointQueue]
	turn      standing
	listed    bool // in the ring of turns
	next      *organization
	skippedIn int64 // the last call of room that looked at it
}

func (o *organization) nextInList() *organization     { return o.next }
func (o *organization) setNextInList(n *organization) { o.next = n }

// waits reports whether anything of it may have something to run.
func (o *organization) waits() bool {
	for st := range o.ready {
		if !o.ready[st].empty() {
			return true
		}
	}
	return false
}

// host is where attempts go, of any organization.
type host struct {
	party
	hostKey
	endpoints int // that go there
	// waiting are the organizations that have queues which could run if the host had a slot for
	// them, as *waitingQueues, and byOrganization finds them. They take turns: an organization
	// with many endpoints gets no more of the host than one with a single endpoint.
	waiting        list.List
	byOrganization map[*organization]*list.Element
}

// waitingQueues are the queues of one organization that wait for one host. It keeps its place
// while they look for a slot, so that they lose no turn if they find none.
type waitingQueues struct {
	organization *organization
	queues       runList[*endpointQueue]
}

// wait lines up a queue that is in no list.
func (h *host) wait(q *endpointQueue) {
	e := h.byOrganization[q.organization]
	if e == nil {
		e = h.waiting.PushBack(&waitingQueues{organization: q.organization})
		h.byOrganization[q.organization] = e
	}
	e.Value.(*waitingQueues).queues.push(q)
}

// served ends the organization's turn.
func (h *host) served(o *organization) {
	if e := h.byOrganization[o]; e != nil {
		h.waiting.MoveToBack(e)
	}
}

// nextWaiting takes out up to n queues, of each organization one before another of the same.
func (h *host) nextWaiting(n int) (taken []*endpointQueue) {
	for again := true; again; {
		again = false
		for e := h.waiting.Front(); e != nil && len(taken) < n; {
			w, this := e.Value.(*waitingQueues), e
			e = e.Next()
			switch {
			case !w.queues.empty():
				taken, again = append(taken, w.queues.pop()), true
			case len(taken) == 0: // those looked for a slot and did not come back
				h.waiting.Remove(this)
				delete(h.byOrganization, w.organization)
			}
		}
	}
	return taken
}

// waitingOf takes out the queues of an organization, which keeps its place.
func (h *host) waitingOf(o *organization) (taken []*endpointQueue) {
	if e := h.byOrganization[o]; e != nil {
		for w := e.Value.(*waitingQueues); !w.queues.empty(); {
			taken = append(taken, w.queues.pop())
		}
	}
	return taken
}

func (s *scheduler) organization(id string) *organization {
	o := s.organizations[id]
	if o == nil {
		o = &organization{id: id}
		s.organizations[id] = o
	}
	return o
}

// hostKey tells hosts apart. One whose channels name two limits has two of what is
// scarce.
type hostKey struct {
	name string
	// limit is how many attempts there can be at a time, by the channel's own
	// account (see channel.Capabilities); 0 is no limit.
	limit int
}

// setHost notes where the endpoint's attempts go; without a name it is not known.
func (s *scheduler) setHost(q *endpointQueue, key hostKey) {
	if q.host != nil && q.host.hostKey == key {
		return
	}
	if q.host != nil {
		// The queue may wait for a place at the host that it leaves, where it would not be found
		// again. All of its organization that wait there look for a slot again.
		defer s.relist(q.host.waitingOf(q.organization))
		s.leaveHost(q.host)
		q.host = nil
	}
	if key.name == "" {
		return
	}
	h := s.hosts[key]
	if h == nil {
		h = &host{hostKey: key, byOrganization: make(map[*organization]*list.Element)}
		s.hosts[key] = h
	}
	h.endpoints++
	q.host = h
}

func (s *scheduler) leaveHost(h *host) {
	if h.endpoints--; h.endpoints == 0 {
		delete(s.hosts, h.hostKey)
	}
}

// enter puts the organization at the end of the ring of turns.
func (s *scheduler) enter(o *organization) {
	if o.listed {
		return
	}
	delete(s.parked, o)
	o.listed = true
	s.turns.push(o)
}

// park takes an organization, the first one in the ring, out of it: nothing of it
// can run for now.
func (s *scheduler) park() {
	o := s.turns.pop()
	o.listed = false
	if o.waits() {
		s.parked[o] = struct{}{}
	}
}

// unparkedAtOnce is how many may look for a slot again when one has come free.
const unparkedAtOnce = 4

// freed lets those look for a slot again that may have the one the task had: first
// those that wait for its host, and then its own organization, which has just had a
// turn there. All others do so with the next poll.
func (s *scheduler) freed(t *task) {
	if t.host != nil {
		s.unpark(t.host, unparkedAtOnce)
	}
	if o := t.queue.organization; o.waits() {
		s.enter(o)
	}
	n := 0
	for o := range s.parked {
		if n++; n > unparkedAtOnce {
			break
		}
		s.enter(o)
	}
}

// unpark lists up to n queues again that waited for the host.
func (s *scheduler) unpark(h *host, n int) {
	s.relist(h.nextWaiting(n))
}

// relist lists queues that were taken out of a host's line.
func (s *scheduler) relist(queues []*endpointQueue) {
	for _, q := range queues {
		q.listed = false
		s.list(q)
	}
}
