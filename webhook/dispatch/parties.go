package dispatch

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
	// waiting are the queues that could run if the host had a slot for them.
	waiting runList[*endpointQueue]
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
		s.leaveHost(q.host)
		q.host = nil
	}
	if key.name == "" {
		return
	}
	h := s.hosts[key]
	if h == nil {
		h = &host{hostKey: key}
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

// freed lets those look for a slot again that may have the one the task had. All
// others do so with the next poll.
func (s *scheduler) freed(t *task) {
	if o := t.queue.organization; o.waits() {
		s.enter(o)
	}
	if t.host != nil {
		s.unpark(t.host, unparkedAtOnce)
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
	for ; n > 0 && !h.waiting.empty(); n-- {
		q := h.waiting.pop()
		q.listed = false
		s.list(q)
	}
}
