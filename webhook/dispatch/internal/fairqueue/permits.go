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

// PermitDemand requests permits for an endpoint with a rate limit, which has something to run and
// no permit for it, or says that the endpoint is throttled. The caller gets permits from where
// processes share them, and answers each PermitDemand with SupplyPermits, also when it got none.
type PermitDemand struct {
	Endpoint Endpoint
	Limit    RateLimit
	// Want is how many permits are of use: as many as items are queued, or as began within a second
	// lately if those were more.
	Want int
	// Throttled and RetryAfter are those of Throttle.
	Throttled  bool
	RetryAfter time.Duration
}

// PermitSupply answers a PermitDemand.
type PermitSupply struct {
	Endpoint Endpoint
	// Permits is how many there are. The first one may be used from First on, and each further one
	// from Interval later than the one before. Each lapses when ValidFor has passed since then.
	Permits            int
	First              time.Time
	Interval, ValidFor time.Duration
	// RequestAgainAt is when the endpoint may request permits again, if there are none.
	RequestAgainAt time.Time
	// Throttled and RetryAfter are those of the PermitDemand if they were not stored, because the
	// store has failed: the next PermitDemand of the endpoint has them again. Otherwise they are zero.
	Throttled  bool
	RetryAfter time.Duration
}

// rateState is the rate limit of an endpoint, and what is known of its permits. For an endpoint
// without a limit, only preparing is of use.
type rateState struct {
	rateLimit RateLimit
	permits   PermitSupply // those that are left
	// preparing counts the items that Next has returned and that have neither begun nor finished. Of
	// an endpoint with a rate limit, each is about to need a permit.
	preparing int
	// requested says that a request waits for its answer, requestedFor which limit it was made for,
	// and requestAgainAt is from when on there may be another one.
	requested      bool
	requestedFor   RateLimit
	requestAgainAt time.Time
	wakeAt         time.Time // in Core.permitWakeups; zero if it is not
	// What the next request says: see Throttle.
	throttled  bool
	retryAfter time.Duration
	// begunThisSecond counts the attempts that began within a second from secondStart, and
	// begunLastSecond those of the second before. A request wants at least as many permits.
	begunThisSecond, begunLastSecond int
	secondStart                      time.Time
}

// dropExpired drops the permits that have lapsed.
func (s *PermitSupply) dropExpired(now time.Time) {
	for s.Permits > 0 && now.After(s.First.Add(s.ValidFor)) {
		if s.Interval <= 0 {
			s.Permits = 0
			return
		}
		s.Permits--
		s.First = s.First.Add(s.Interval)
	}
}

// timeOfPermit returns from when on permit i may be used, of those that are left, counted from 0.
func (s *PermitSupply) timeOfPermit(i int) time.Time {
	return s.First.Add(time.Duration(i) * s.Interval)
}

// hasPermit reports whether the endpoint may begin one item more than those that are preparing. One
// without a rate limit always may.
func (r *rateState) hasPermit(now time.Time) bool {
	if r.rateLimit.PerSecond == 0 {
		return true
	}
	r.permits.dropExpired(now)
	return r.permits.Permits > r.preparing && !r.permits.timeOfPermit(r.preparing).After(now)
}

// permitOrWait reports whether the endpoint has a permit for one item more. If it has none, the
// endpoint requests more permits or waits for those that it has requested, and is scheduled again
// when it may begin an item.
func (c *Core[T]) permitOrWait(e *endpointQueue[T]) bool {
	if e.hasPermit(c.now) {
		return true
	}
	switch s := &e.permits; {
	case s.Permits > e.preparing:
		c.addPermitWakeup(e, s.timeOfPermit(e.preparing))
	case s.Permits > 0 || e.requested: // those preparing take the last ones, or more come
	case e.requestAgainAt.After(c.now):
		c.addPermitWakeup(e, e.requestAgainAt)
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
	s := &e.permits
	s.dropExpired(c.now)
	if s.Permits == 0 || s.First.After(c.now) {
		return false
	}
	s.Permits--
	s.First = s.First.Add(s.Interval)
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
		e.rateLimit, e.permits, e.requestAgainAt = limit, PermitSupply{}, time.Time{}
	}
}

func (c *Core[T]) requestPermits(e *endpointQueue[T]) {
	e.requested = true
	o := e.organization
	if len(o.permitDemands) == 0 {
		c.permitRequesters = append(c.permitRequesters, o)
	}
	o.permitDemands = append(o.permitDemands, e)
	c.actions.RequestPermits = true
}

// nextPermitDemand takes out the endpoint whose PermitDemand is next. Organizations take turns, so
// that one with many endpoints does not keep the others waiting. It returns nil if there is none.
func (c *Core[T]) nextPermitDemand() *endpointQueue[T] {
	if len(c.permitRequesters) == 0 {
		return nil
	}
	o := c.permitRequesters[0]
	c.permitRequesters[0] = nil
	c.permitRequesters = c.permitRequesters[1:]
	e := o.permitDemands[0]
	o.permitDemands[0] = nil
	if o.permitDemands = o.permitDemands[1:]; len(o.permitDemands) > 0 {
		c.permitRequesters = append(c.permitRequesters, o)
	}
	return e
}

// TakePermitDemands returns at most maxDemands of those that it has not returned yet.
func (c *Core[T]) TakePermitDemands(now time.Time, maxDemands int) (demands []PermitDemand) {
	c.now = now
	for range maxDemands {
		e := c.nextPermitDemand()
		if e == nil {
			break
		}
		d := PermitDemand{Endpoint: e.endpoint, Limit: e.rateLimit, Want: e.len(),
			Throttled: e.throttled, RetryAfter: e.retryAfter}
		if d.Want > 0 && now.Sub(e.secondStart) < 2*time.Second {
			d.Want = max(d.Want, e.begunThisSecond, e.begunLastSecond)
		}
		if e.rateLimit.PerSecond == 0 || d.Want == 0 && !d.Throttled {
			e.requested = false // since it asked, its rate limit or its queue has gone
			c.schedule(e)
			continue
		}
		e.requestedFor, e.throttled, e.retryAfter = e.rateLimit, false, 0
		demands = append(demands, d)
	}
	c.actions.RequestPermits = len(c.permitRequesters) > 0
	c.ensureWorker()
	return demands
}

// SupplyPermits takes the answers to what TakePermitDemands has returned.
func (c *Core[T]) SupplyPermits(now time.Time, supplies []PermitSupply) {
	c.now = now
	for _, s := range supplies {
		e := c.endpoints[s.Endpoint]
		if e == nil || !e.requested {
			continue
		}
		e.requested = false
		unreported, retryAfter := s.Throttled, s.RetryAfter
		if e.requestedFor != e.rateLimit { // it was changed since: schedule makes another request
			s = PermitSupply{}
		}
		e.permits, e.requestAgainAt = s, s.RequestAgainAt
		throttledAgain := e.throttled // after the PermitDemand was taken
		e.throttled, e.retryAfter = e.throttled || unreported, max(e.retryAfter, retryAfter)
		switch {
		case throttledAgain, unreported && !e.requestAgainAt.After(now):
			e.permits.Permits = 0
			c.requestPermits(e)
		case unreported: // also if there is nothing to run: the store is to tell other processes
			c.addPermitWakeup(e, e.requestAgainAt)
		}
		c.schedule(e)
	}
	c.ensureWorker()
}

// Throttle notes that the endpoint of an item has refused the attempt because there are too many,
// and asks for no more attempts for retryAfter, which is zero if it does not say. It loses its
// permits, and the next PermitDemand says so. For an endpoint without a rate limit, Throttle does
// nothing: its breaker makes it back off. Throttle is called before Finish.
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

// dropPermitDemands forgets those that TakePermitDemands has not returned yet.
func (c *Core[T]) dropPermitDemands() {
	for e := c.nextPermitDemand(); e != nil; e = c.nextPermitDemand() {
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
		if e := woken.e; e.throttled && !e.requested && !e.requestAgainAt.After(c.now) {
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
