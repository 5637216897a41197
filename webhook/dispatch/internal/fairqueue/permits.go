package fairqueue

import (
	"container/heap"
	"time"
)

// Rate is a limit of how many attempts begin at an endpoint, over all processes. The zero Rate is
// no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// bufferLimit is how many items of an endpoint with that limit the buffer should hold: as many as
// can begin within rateBufferSeconds.
func (r Rate) bufferLimit() int { return int(r.PerSecond*rateBufferSeconds) + r.Burst }

const rateBufferSeconds = 10

// PermitRequest says that an endpoint with a limit has something to run and no permit for it, or
// that it is throttled. The caller gets permits where processes share them, and calls GrantPermits
// for each request, whatever comes of it.
type PermitRequest struct {
	Endpoint Endpoint
	Rate     Rate
	// Want is how many items could begin, if there were permits.
	Want int
	// Throttled and RetryAfter are those of Throttle.
	Throttled  bool
	RetryAfter time.Duration
}

// PermitGrant answers a PermitRequest.
type PermitGrant struct {
	Endpoint Endpoint
	// Permits is how many there are. The first one may be used from First on, each further one later
	// than the one before by Interval, and each for as long as Life.
	Permits        int
	First          time.Time
	Interval, Life time.Duration
	// AskAgain is when the endpoint may ask again, if there are none.
	AskAgain time.Time
}

// pacing is what an endpoint with a limit may begin. All is zero for an endpoint without one.
type pacing struct {
	rate    Rate
	permits PermitGrant // those that are left
	// preparing counts the items that Next returned and that have neither begun nor ended: each is
	// about to need a permit.
	preparing int
	// requested says that a request waits for its answer, and askAgain when there may be another.
	requested bool
	askAgain  time.Time
	wakeAt    time.Time // in Core.permitWakeups; zero if it is not
	// What the next request says.
	throttled  bool
	retryAfter time.Duration
	// begunThisSecond counts the attempts that began within a second from secondStart, and
	// begunLastSecond those of the second before. A request asks for that many permits at once.
	begunThisSecond, begunLastSecond int
	secondStart                      time.Time
}

// dropExpired drops the permits whose life is over.
func (g *PermitGrant) dropExpired(now time.Time) {
	for g.Permits > 0 && now.After(g.First.Add(g.Life)) {
		if g.Interval <= 0 {
			g.Permits = 0
			return
		}
		g.Permits--
		g.First = g.First.Add(g.Interval)
	}
}

// timeOfPermit returns from when on the permit may be used, of those that are left, counted from 0.
func (g *PermitGrant) timeOfPermit(i int) time.Time {
	return g.First.Add(time.Duration(i) * g.Interval)
}

// hasPermit reports whether the endpoint may begin one item more than those that are preparing. One
// without a limit always may.
func (p *pacing) hasPermit(now time.Time) bool {
	if p.rate.PerSecond == 0 {
		return true
	}
	p.permits.dropExpired(now)
	return p.permits.Permits > p.preparing && !p.permits.timeOfPermit(p.preparing).After(now)
}

// hasPermitOrWaits reports whether the endpoint has a permit. If it has none, the endpoint requests
// more permits or waits for those that it has requested, and is scheduled again when it may begin
// an item.
func (c *Core[T]) hasPermitOrWaits(e *endpointQueue[T]) bool {
	if e.hasPermit(c.now) {
		return true
	}
	switch g := &e.permits; {
	case g.Permits > e.preparing:
		c.addPermitWakeup(e, g.timeOfPermit(e.preparing))
	case g.Permits > 0 || e.requested: // those preparing take the last ones, or more come
	case e.askAgain.After(c.now):
		c.addPermitWakeup(e, e.askAgain)
	default:
		c.requestPermits(e)
	}
	return false
}

// usePermit takes a permit for an item that begins, if there is one.
func (c *Core[T]) usePermit(e *endpointQueue[T]) bool {
	if e.rate.PerSecond == 0 {
		return true
	}
	g := &e.permits
	g.dropExpired(c.now)
	if g.Permits == 0 || g.First.After(c.now) {
		return false
	}
	g.Permits--
	g.First = g.First.Add(g.Interval)
	if since := c.now.Sub(e.secondStart); since >= time.Second {
		e.begunLastSecond, e.begunThisSecond, e.secondStart = e.begunThisSecond, 0, c.now
		if since >= 2*time.Second {
			e.begunLastSecond = 0
		}
	}
	e.begunThisSecond++
	return true
}

// setRate notes the limit of the endpoint, which is known when an attempt is about to begin.
func (c *Core[T]) setRate(e *endpointQueue[T], rate Rate) {
	if e.rate != rate {
		e.rate, e.permits = rate, PermitGrant{}
	}
}

func (c *Core[T]) requestPermits(e *endpointQueue[T]) {
	e.requested = true
	c.permitRequests = append(c.permitRequests, e)
	c.actions.RequestPermits = true
}

// PermitRequests returns up to limit requests that were not returned yet.
func (c *Core[T]) PermitRequests(now time.Time, limit int) (requests []PermitRequest) {
	c.now = now
	n := min(limit, len(c.permitRequests))
	for _, e := range c.permitRequests[:n] {
		r := PermitRequest{Endpoint: e.endpoint, Rate: e.rate, Want: e.len(), Throttled: e.throttled,
			RetryAfter: e.retryAfter}
		if r.Want > 0 && now.Sub(e.secondStart) < 2*time.Second {
			r.Want = max(r.Want, e.begunThisSecond, e.begunLastSecond)
		}
		if e.rate.PerSecond == 0 || r.Want == 0 && !r.Throttled {
			e.requested = false // it has changed since
			continue
		}
		e.throttled, e.retryAfter = false, 0
		requests = append(requests, r)
	}
	c.permitRequests = append(c.permitRequests[:0], c.permitRequests[n:]...)
	c.actions.RequestPermits = len(c.permitRequests) > 0
	return requests
}

// GrantPermits takes the answers to requests.
func (c *Core[T]) GrantPermits(now time.Time, grants []PermitGrant) {
	c.now = now
	for _, g := range grants {
		e := c.endpoints[g.Endpoint]
		if e == nil || !e.requested {
			continue
		}
		e.requested = false
		e.permits, e.askAgain = g, g.AskAgain
		if e.throttled { // since the request
			e.permits.Permits = 0
			c.requestPermits(e)
		}
		c.schedule(e)
	}
	c.ensureWorker()
}

// Throttle notes that the endpoint of an item refuses attempts because there are too many, and asks
// to be left alone for a time, zero if it does not say. An endpoint without a limit is left to its
// breaker. It is called before Finish.
func (c *Core[T]) Throttle(now time.Time, item *Item[T], retryAfter time.Duration) {
	c.now = now
	e := item.endpointQueue
	if e.rate.PerSecond == 0 {
		return
	}
	e.permits.Permits = 0
	e.throttled, e.retryAfter = true, max(e.retryAfter, retryAfter)
	if !e.requested {
		c.requestPermits(e)
	}
}

// dropPermitRequests forgets the requests that were not returned yet.
func (c *Core[T]) dropPermitRequests() {
	for _, e := range c.permitRequests {
		e.requested = false
	}
	c.permitRequests = nil
}

// permitWakeups is a heap of endpoints that wait for the time of a permit, or of a further request.
type permitWakeups[T any] []permitWakeup[T]

type permitWakeup[T any] struct {
	at time.Time
	e  *endpointQueue[T]
}

func (p permitWakeups[T]) Len() int           { return len(p) }
func (p permitWakeups[T]) Less(i, j int) bool { return p[i].at.Before(p[j].at) }
func (p permitWakeups[T]) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }

// Push is what heap.Push calls.
func (p *permitWakeups[T]) Push(x any) { *p = append(*p, x.(permitWakeup[T])) }

// Pop is what heap.Pop calls.
func (p *permitWakeups[T]) Pop() any {
	last := (*p)[len(*p)-1]
	(*p)[len(*p)-1] = permitWakeup[T]{}
	*p = (*p)[:len(*p)-1]
	return last
}

// addPermitWakeup has the endpoint scheduled at that time.
func (c *Core[T]) addPermitWakeup(e *endpointQueue[T], at time.Time) {
	if e.wakeAt.IsZero() || at.Before(e.wakeAt) {
		e.wakeAt = at
		heap.Push(&c.permitWakeups, permitWakeup[T]{at, e})
	}
}

// runPermitWakeups schedules the endpoints whose wakeup is due.
func (c *Core[T]) runPermitWakeups() {
	for len(c.permitWakeups) > 0 && !c.permitWakeups[0].at.After(c.now) {
		woken := heap.Pop(&c.permitWakeups).(permitWakeup[T])
		if woken.e.wakeAt.Equal(woken.at) { // not an earlier entry, which there may be too
			woken.e.wakeAt = time.Time{}
		}
		c.schedule(woken.e)
	}
}

// endpointsWaitingForPermits counts the endpoints that have something to run, but no permit for it
// now.
func (c *Core[T]) endpointsWaitingForPermits() (n int) {
	for _, e := range c.activeEndpoints {
		if e.rate.PerSecond > 0 && e.len() > 0 &&
			(e.permits.Permits == 0 || e.permits.First.After(c.now)) {
			n++
		}
	}
	return n
}
