package fairqueue

import (
	"container/heap"
	"time"
)

// RateLimit bounds how many attempts begin at an endpoint, over all processes. The zero RateLimit
// means no limit.
type RateLimit struct {
	PerSecond float64
	Burst     int
}

// bufferLimit is how many items of an endpoint with that rate limit the buffer should hold: as many
// as can begin within rateBufferSeconds.
func (l RateLimit) bufferLimit() int { return int(l.PerSecond*rateBufferSeconds) + l.Burst }

const rateBufferSeconds = 10

// PermitRequest says that an endpoint with a rate limit has something to run and no permit for it,
// or that it is throttled. The caller gets permits from where processes share them, and answers
// each request with GrantPermits, also when it got none.
type PermitRequest struct {
	Endpoint Endpoint
	Limit    RateLimit
	// Want is how many items are queued, or how many began within a second lately if those were more.
	Want int
	// Throttled and RetryAfter are those of Throttle.
	Throttled  bool
	RetryAfter time.Duration
}

// PermitGrant answers a PermitRequest.
type PermitGrant struct {
	Endpoint Endpoint
	// Permits is how many there are. The first one may be used from First on, and each further one
	// from Interval later than the one before. Each lapses when Life has passed since then.
	Permits        int
	First          time.Time
	Interval, Life time.Duration
	// AskAgain is when the endpoint may request permits again, if there are none.
	AskAgain time.Time
	// Throttled and RetryAfter are those of the request if it has come to nothing: then the next one
	// says so too.
	Throttled  bool
	RetryAfter time.Duration
}

// pacing is what an endpoint with a rate limit may begin. For an endpoint without one, only
// preparing is of use.
type pacing struct {
	rateLimit RateLimit
	permits   PermitGrant // those that are left
	// preparing counts the items that Next has returned and that have neither begun nor finished. Of
	// an endpoint with a rate limit, each is about to need a permit.
	preparing int
	// requested says that a request waits for its answer, requestedFor which limit it was made for,
	// and askAgain from when on there may be another one.
	requested    bool
	requestedFor RateLimit
	askAgain     time.Time
	wakeAt       time.Time // in Core.permitWakeups; zero if it is not
	// What the next request says: see Throttle.
	throttled  bool
	retryAfter time.Duration
	// begunThisSecond counts the attempts that began within a second from secondStart, and
	// begunLastSecond those of the second before. A request wants at least as many permits.
	begunThisSecond, begunLastSecond int
	secondStart                      time.Time
}

// dropExpired drops the permits that have lapsed.
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

// timeOfPermit returns from when on permit i may be used, of those that are left, counted from 0.
func (g *PermitGrant) timeOfPermit(i int) time.Time {
	return g.First.Add(time.Duration(i) * g.Interval)
}

// hasPermit reports whether the endpoint may begin one item more than those that are preparing. One
// without a rate limit always may.
func (p *pacing) hasPermit(now time.Time) bool {
	if p.rateLimit.PerSecond == 0 {
		return true
	}
	p.permits.dropExpired(now)
	return p.permits.Permits > p.preparing && !p.permits.timeOfPermit(p.preparing).After(now)
}

// hasPermitElseWait reports whether the endpoint has a permit. If it has none, the endpoint requests
// more permits or waits for those that it has requested, and is scheduled again when it may begin
// an item.
func (c *Core[T]) hasPermitElseWait(e *endpointQueue[T]) bool {
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
	if e.rateLimit.PerSecond == 0 {
		return true
	}
	g := &e.permits
	g.dropExpired(c.now)
	if g.Permits == 0 || g.First.After(c.now) {
		return false
	}
	g.Permits--
	g.First = g.First.Add(g.Interval)
	if elapsed := c.now.Sub(e.secondStart); elapsed >= time.Second {
		e.begunLastSecond, e.begunThisSecond, e.secondStart = e.begunThisSecond, 0, c.now
		if elapsed >= 2*time.Second {
			e.begunLastSecond = 0
		}
	}
	e.begunThisSecond++
	return true
}

// setRateLimit notes the rate limit of the endpoint, which is known when an attempt is about to
// begin. Permits of another limit are dropped.
func (c *Core[T]) setRateLimit(e *endpointQueue[T], limit RateLimit) {
	if e.rateLimit != limit {
		e.rateLimit, e.permits, e.askAgain = limit, PermitGrant{}, time.Time{}
	}
}

func (c *Core[T]) requestPermits(e *endpointQueue[T]) {
	e.requested = true
	o := e.organization
	if len(o.permitRequests) == 0 {
		c.permitTurns = append(c.permitTurns, o)
	}
	o.permitRequests = append(o.permitRequests, e)
	c.actions.RequestPermits = true
}

// nextPermitRequest takes out the endpoint whose request is next. Organizations take turns, so that
// one with many endpoints does not keep the others waiting. It returns nil if there is none.
func (c *Core[T]) nextPermitRequest() *endpointQueue[T] {
	if len(c.permitTurns) == 0 {
		return nil
	}
	o := c.permitTurns[0]
	c.permitTurns[0] = nil
	c.permitTurns = c.permitTurns[1:]
	e := o.permitRequests[0]
	o.permitRequests[0] = nil
	if o.permitRequests = o.permitRequests[1:]; len(o.permitRequests) > 0 {
		c.permitTurns = append(c.permitTurns, o)
	}
	return e
}

// TakePermitRequests returns at most maxRequests of the requests that it has not returned yet.
func (c *Core[T]) TakePermitRequests(now time.Time, maxRequests int) (requests []PermitRequest) {
	c.now = now
	for range maxRequests {
		e := c.nextPermitRequest()
		if e == nil {
			break
		}
		r := PermitRequest{Endpoint: e.endpoint, Limit: e.rateLimit, Want: e.len(),
			Throttled: e.throttled, RetryAfter: e.retryAfter}
		if r.Want > 0 && now.Sub(e.secondStart) < 2*time.Second {
			r.Want = max(r.Want, e.begunThisSecond, e.begunLastSecond)
		}
		if e.rateLimit.PerSecond == 0 || r.Want == 0 && !r.Throttled {
			e.requested = false // since it asked, its rate limit or its queue has gone
			c.schedule(e)
			continue
		}
		e.requestedFor, e.throttled, e.retryAfter = e.rateLimit, false, 0
		requests = append(requests, r)
	}
	c.actions.RequestPermits = len(c.permitTurns) > 0
	c.ensureWorker()
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
		unsaid, retryAfter := g.Throttled, g.RetryAfter
		if e.requestedFor != e.rateLimit { // it was changed since: schedule makes another request
			g = PermitGrant{}
		}
		e.permits, e.askAgain = g, g.AskAgain
		throttledSince := e.throttled // since the request
		e.throttled, e.retryAfter = e.throttled || unsaid, max(e.retryAfter, retryAfter)
		switch {
		case throttledSince, unsaid && !e.askAgain.After(now):
			e.permits.Permits = 0
			c.requestPermits(e)
		case unsaid: // also if there is nothing to run: other processes are to know
			c.addPermitWakeup(e, e.askAgain)
		}
		c.schedule(e)
	}
	c.ensureWorker()
}

// Throttle notes that the endpoint of an item has refused the attempt because there are too many,
// and asks to be left alone for retryAfter, which is zero if it does not say. It loses its permits,
// and the next request says so. An endpoint without a rate limit is left to its breaker. Throttle
// is called before Finish.
func (c *Core[T]) Throttle(now time.Time, item *Item[T], retryAfter time.Duration) {
	c.now = now
	e := item.endpointQueue
	if e.rateLimit.PerSecond == 0 {
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
	for e := c.nextPermitRequest(); e != nil; e = c.nextPermitRequest() {
		e.requested = false
	}
}

// permitWakeupHeap has the endpoints that wait for the time of a permit, or of a further request.
// The first of them has the earliest.
type permitWakeupHeap[T any] []permitWakeup[T]

type permitWakeup[T any] struct {
	at time.Time
	e  *endpointQueue[T]
}

func (h permitWakeupHeap[T]) Len() int           { return len(h) }
func (h permitWakeupHeap[T]) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h permitWakeupHeap[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is what heap.Push calls.
func (h *permitWakeupHeap[T]) Push(x any) { *h = append(*h, x.(permitWakeup[T])) }

// Pop is what heap.Pop calls.
func (h *permitWakeupHeap[T]) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = permitWakeup[T]{}
	*h = (*h)[:len(*h)-1]
	return last
}

// addPermitWakeup has the endpoint scheduled at that time, or earlier.
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
		if woken.e.wakeAt.Equal(woken.at) { // else an earlier wakeup has superseded it
			woken.e.wakeAt = time.Time{}
		}
		if e := woken.e; e.throttled && !e.requested && !e.askAgain.After(c.now) {
			c.requestPermits(e)
		}
		c.schedule(woken.e)
	}
}

// endpointsWaitingForPermits counts the endpoints that have something to run, but no permit for it
// now.
func (c *Core[T]) endpointsWaitingForPermits() (n int) {
	for _, e := range c.activeEndpoints {
		if e.rateLimit.PerSecond > 0 && e.len() > 0 &&
			(e.permits.Permits == 0 || e.permits.First.After(c.now)) {
			n++
		}
	}
	return n
}
