package fairqueue

import "time"

// SetRecord makes it as if the endpoint had been answering so as to have the score and the window.
func (q *Queue[T]) SetRecord(d Destination, score, window int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.core.ensureActive(d)
	e.score, e.window = score, window
	q.core.updateCountedSpeed(e)
}

// Score returns the score of the endpoint's record.
func (q *Queue[T]) Score(d Destination) int { return q.core.ensureActive(d).score }

// BufferedBytes returns the size of the payloads that the endpoint has queued.
func (q *Queue[T]) BufferedBytes(d Destination) int { return q.core.ensureActive(d).bufferedBytes }

// ActiveEndpoints returns how many endpoints each plan walks over.
func (q *Queue[T]) ActiveEndpoints() int { return len(q.core.activeEndpoints) }

const (
	BestScore   = bestScore
	SlowPenalty = slowPenalty
	IdleTTL     = idleTTL
)

// Runnable returns an endpoint that could run something now, if there is one.
func (c *Core[T]) Runnable(now time.Time) (Endpoint, bool) {
	c.now = now
	for _, e := range c.activeEndpoints {
		if e.nextKind(now, c.limits.InFlightPerEndpoint) == noItem || !e.hasPermit(now) {
			continue
		}
		if kind, _ := c.slotFor(e); kind != noSlot {
			return e.endpoint, true
		}
	}
	return Endpoint{}, false
}

// Forgotten returns an endpoint that could run something if it had a permit, and has not requested
// one, if there is such an endpoint.
func (c *Core[T]) Forgotten(now time.Time) (Endpoint, bool) {
	for _, e := range c.activeEndpoints {
		if e.nextKind(now, c.limits.InFlightPerEndpoint) != noItem && !e.hasPermit(now) &&
			!e.requested && e.wakeAt.IsZero() && e.preparing == 0 && e.inList == nil {
			return e.endpoint, true
		}
	}
	return Endpoint{}, false
}

// DynamicThreshold is dynamicThreshold.
var DynamicThreshold = dynamicThreshold

// ReservePrefetch is [Core.ReservePrefetch].
func (q *Queue[T]) ReservePrefetch(d Destination) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.core.ReservePrefetch(time.Now(), d)
}

// ReleasePrefetch is [Core.ReleasePrefetch].
func (q *Queue[T]) ReleasePrefetch(reserved []Destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.core.ReleasePrefetch(time.Now(), reserved)
}

// MarkBacklog is [Core.MarkBacklog].
func (q *Queue[T]) MarkBacklog(list []Destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.core.MarkBacklog(time.Now(), list)
}

// RemoveQueued takes out what the endpoint has queued, as a breaker that opens does.
func (q *Queue[T]) RemoveQueued(d Destination) []*Item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.core.removeQueued(q.core.ensureActive(d))
}
