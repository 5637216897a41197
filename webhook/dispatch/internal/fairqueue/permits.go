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

// soon is how many items of an endpoint with that limit can begin before long. It has no use for
// more of them in the buffer.
func (r Rate) soon() int { return int(r.PerSecond*soonSeconds) + r.Burst }

const soonSeconds = 10

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
	// Permits is how many there are: the first one for a time from First on, each further one later
	// by Interval, and each for as long as Life.
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
	// starting are the items that were taken and have neither begun nor ended. They will need a
	// permit each.
	starting int
	// asked says that a request is on its way, and askAgain when there may be another.
	asked    bool
	askAgain time.Time
	wakeAt   time.Time // in Core.permitTimes; zero if it is not
	// What the next request tells.
	throttled  bool
	retryAfter time.Duration
	// begun counts the attempts that have begun since begunSince, for a second, and begunBefore those of
	// the second before that: as many will follow, and need not be asked for one by one.
	begun, begunBefore int
	begunSince         time.Time
}

// lapse drops the permits whose life is over.
func (g *PermitGrant) lapse(now time.Time) {
	for g.Permits > 0 && now.After(g.First.Add(g.Life)) {
		if g.Interval <= 0 {
			g.Permits = 0
			return
		}
		g.Permits--
		g.First = g.First.Add(g.Interval)
	}
}

// timeOf is the time of a permit that is left, counted from 0.
func (g *PermitGrant) timeOf(i int) time.Time {
	return g.First.Add(time.Duration(i) * g.Interval)
}

// mayStart reports whether the endpoint may begin one item more than those that are starting.
func (p *pacing) mayStart(now time.Time) bool {
	if p.rate.PerSecond == 0 {
		return true
	}
	p.permits.lapse(now)
	return p.permits.Permits > p.starting && !p.permits.timeOf(p.starting).After(now)
}

// ensurePermit reports what mayStart does. If the endpoint may not start an item, it asks for more
// permits or waits for those that are on their way, and is scheduled again when it may.
func (c *Core[T]) ensurePermit(e *endpointQueue[T]) bool {
	if e.mayStart(c.now) {
		return true
	}
	switch g := &e.permits; {
	case g.Permits > e.starting:
		c.wakeForPermit(e, g.timeOf(e.starting))
	case g.Permits > 0 || e.asked: // those that are starting take the last ones, or more will come
	case e.askAgain.After(c.now):
		c.wakeForPermit(e, e.askAgain)
	default:
		c.askForPermits(e)
	}
	return false
}

// usePermit takes a permit for an item that begins, if there is one.
func (c *Core[T]) usePermit(e *endpointQueue[T]) bool {
	if e.rate.PerSecond == 0 {
		return true
	}
	g := &e.permits
	g.lapse(c.now)
	if g.Permits == 0 || g.First.After(c.now) {
		return false
	}
	g.Permits--
	g.First = g.First.Add(g.Interval)
	if since := c.now.Sub(e.begunSince); since >= time.Second {
		e.begunBefore, e.begun, e.begunSince = e.begun, 0, c.now
		if since >= 2*time.Second {
			e.begunBefore = 0
		}
	}
	e.begun++
	return true
}

// setRate notes the limit of the endpoint, which is known when an attempt is about to begin.
func (c *Core[T]) setRate(e *endpointQueue[T], rate Rate) {
	if e.rate != rate {
		e.rate, e.permits = rate, PermitGrant{}
	}
}

func (c *Core[T]) askForPermits(e *endpointQueue[T]) {
	e.asked = true
	c.permitRequests = append(c.permitRequests, e)
	c.actions.AskForPermits = true
}

// PermitRequests returns up to limit requests that were not returned yet.
func (c *Core[T]) PermitRequests(now time.Time, limit int) (requests []PermitRequest) {
	c.now = now
	n := min(limit, len(c.permitRequests))
	for _, e := range c.permitRequests[:n] {
		r := PermitRequest{Endpoint: e.endpoint, Rate: e.rate, Want: e.len(), Throttled: e.throttled,
			RetryAfter: e.retryAfter}
		if r.Want > 0 && now.Sub(e.begunSince) < 2*time.Second {
			r.Want = max(r.Want, e.begun, e.begunBefore)
		}
		if e.rate.PerSecond == 0 || r.Want == 0 && !r.Throttled {
			e.asked = false // it has changed since
			continue
		}
		e.throttled, e.retryAfter = false, 0
		requests = append(requests, r)
	}
	c.permitRequests = append(c.permitRequests[:0], c.permitRequests[n:]...)
	c.actions.AskForPermits = len(c.permitRequests) > 0
	return requests
}

// GrantPermits takes the answers to requests.
func (c *Core[T]) GrantPermits(now time.Time, grants []PermitGrant) {
	c.now = now
	for _, g := range grants {
		e := c.endpoints[g.Endpoint]
		if e == nil || !e.asked {
			continue
		}
		e.asked = false
		e.permits, e.askAgain = g, g.AskAgain
		if e.throttled { // since it asked
			e.permits.Permits = 0
			c.askForPermits(e)
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
	if !e.asked {
		c.askForPermits(e)
	}
}

// dropPermitRequests forgets the requests that were not returned yet.
func (c *Core[T]) dropPermitRequests() {
	for _, e := range c.permitRequests {
		e.asked = false
	}
	c.permitRequests = nil
}

// permitTimes is a heap of endpoints that wait for the time of a permit.
type permitTimes[T any] []permitTime[T]

type permitTime[T any] struct {
	at time.Time
	e  *endpointQueue[T]
}

func (p permitTimes[T]) Len() int           { return len(p) }
func (p permitTimes[T]) Less(i, j int) bool { return p[i].at.Before(p[j].at) }
func (p permitTimes[T]) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }

// Push is what heap.Push calls.
func (p *permitTimes[T]) Push(x any) { *p = append(*p, x.(permitTime[T])) }

// Pop is what heap.Pop calls.
func (p *permitTimes[T]) Pop() any {
	last := (*p)[len(*p)-1]
	(*p)[len(*p)-1] = permitTime[T]{}
	*p = (*p)[:len(*p)-1]
	return last
}

// wakeForPermit has the endpoint scheduled at the time.
func (c *Core[T]) wakeForPermit(e *endpointQueue[T], at time.Time) {
	if e.wakeAt.IsZero() || at.Before(e.wakeAt) {
		e.wakeAt = at
		heap.Push(&c.permitTimes, permitTime[T]{at, e})
	}
}

// wakePermitted schedules the endpoints that have a permit now.
func (c *Core[T]) wakePermitted() {
	for len(c.permitTimes) > 0 && !c.permitTimes[0].at.After(c.now) {
		woken := heap.Pop(&c.permitTimes).(permitTime[T])
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
