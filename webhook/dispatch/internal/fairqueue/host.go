package fairqueue

import "container/list"

// Host identifies where attempts go, of any organization. One name with two limits is two hosts.
type Host struct {
	Name string
	// MaxInFlight is how many attempts to it may be in flight, by the channel's own account; 0 is no
	// limit but its share.
	MaxInFlight int
}

type host[T any] struct {
	slotUser
	Host
	endpoints int // that go there
	// waiters are the organizations with endpoints that could run something if the host had a slot
	// for them, as *hostWaiters, and byOrganization finds them. They take turns: an organization
	// with many endpoints gets no more of the host than one with a single endpoint.
	waiters        list.List
	byOrganization map[*organization[T]]*list.Element
}

// hostWaiters are the endpoints of one organization that wait for one host. It keeps its place
// while they look for a slot, so that they lose no turn if they find none.
type hostWaiters[T any] struct {
	organization *organization[T]
	endpoints    fifo[*endpointQueue[T]]
}

// addWaiter adds an endpoint that is in no run queue.
func (h *host[T]) addWaiter(e *endpointQueue[T]) {
	element := h.byOrganization[e.organization]
	if element == nil {
		element = h.waiters.PushBack(&hostWaiters[T]{organization: e.organization})
		h.byOrganization[e.organization] = element
	}
	element.Value.(*hostWaiters[T]).endpoints.push(e)
}

// endTurn moves the organization behind the others.
func (h *host[T]) endTurn(o *organization[T]) {
	if element := h.byOrganization[o]; element != nil {
		h.waiters.MoveToBack(element)
	}
}

// popWaiters takes out up to n endpoints: one of each organization before another of the same.
func (h *host[T]) popWaiters(n int) (popped []*endpointQueue[T]) {
	for again := true; again; {
		again = false
		for element := h.waiters.Front(); element != nil && len(popped) < n; {
			w, this := element.Value.(*hostWaiters[T]), element
			element = element.Next()
			switch {
			case !w.endpoints.empty():
				popped, again = append(popped, w.endpoints.pop()), true
			case len(popped) == 0: // its endpoints looked for a slot and did not come back
				h.waiters.Remove(this)
				delete(h.byOrganization, w.organization)
			}
		}
	}
	return popped
}

// popWaitersOf takes out the endpoints of an organization, which keeps its place.
func (h *host[T]) popWaitersOf(o *organization[T]) (popped []*endpointQueue[T]) {
	if element := h.byOrganization[o]; element != nil {
		for w := element.Value.(*hostWaiters[T]); !w.endpoints.empty(); {
			popped = append(popped, w.endpoints.pop())
		}
	}
	return popped
}

// setHost notes where the endpoint's attempts go. The zero Host is not known.
func (q *Queue[T]) setHost(e *endpointQueue[T], to Host) {
	if e.host != nil && e.host.Host == to {
		return
	}
	if e.host != nil {
		// The endpoint may wait for a slot of the host that it leaves, where it would not be found
		// again. All of its organization that wait there look for a slot again.
		defer q.reschedule(e.host.popWaitersOf(e.organization))
		q.leaveHost(e.host)
		e.host = nil
	}
	if to.Name == "" {
		return
	}
	h := q.hosts[to]
	if h == nil {
		h = &host[T]{Host: to, byOrganization: make(map[*organization[T]]*list.Element)}
		q.hosts[to] = h
	}
	h.endpoints++
	e.host = h
}

func (q *Queue[T]) leaveHost(h *host[T]) {
	h.endpoints--
	q.forgetHostIfUnused(h)
}

// forgetHostIfUnused forgets a host that no endpoint has and no attempt in flight goes to: until
// then its attempts count, whatever endpoint has it next.
func (q *Queue[T]) forgetHostIfUnused(h *host[T]) {
	if h.endpoints == 0 && h.total() == 0 && q.hosts[h.Host] == h {
		delete(q.hosts, h.Host)
	}
}

// wakeWaiters lets up to n endpoints that wait for the host look for a slot again.
func (q *Queue[T]) wakeWaiters(h *host[T], n int) {
	q.reschedule(h.popWaiters(n))
}

// reschedule schedules endpoints that have waited for a host.
func (q *Queue[T]) reschedule(endpoints []*endpointQueue[T]) {
	for _, e := range endpoints {
		e.linked = false
		q.schedule(e)
	}
}
