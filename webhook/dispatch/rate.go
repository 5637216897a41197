package dispatch

import (
	"sync"
	"time"
)

// allowance is a token bucket, counted from the other side: what has been spent of it.
type allowance struct {
	spent float64
	at    time.Time // of the last refill
}

// refill gives back what the time since the last call has earned.
func (a *allowance) refill(now time.Time, perMinute int) {
	earned := now.Sub(a.at).Minutes() * float64(perMinute)
	a.spent, a.at = max(0, a.spent-max(0, earned)), now
}

// rateLimiter is a token bucket for each organization. The zero value with a rate
// and a burst is ready. Its methods are safe for concurrent use.
type rateLimiter struct {
	perMinute, burst int

	mu   sync.Mutex
	used map[string]*allowance // of those whose bucket is not full
}

// take returns zero if the organization may do it once more now, or after how long it may.
func (l *rateLimiter) take(organizationID string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.used[organizationID]
	if a == nil {
		l.forget(now)
		a = &allowance{at: now}
		l.used[organizationID] = a
	}
	a.refill(now, l.perMinute)
	if over := a.spent + 1 - float64(l.burst); over > 0 {
		return max(time.Duration(over/float64(l.perMinute)*float64(time.Minute)), time.Millisecond)
	}
	a.spent++
	return 0
}

// forget drops full buckets, once there are many.
func (l *rateLimiter) forget(now time.Time) {
	const few = 1000
	if l.used == nil {
		l.used = make(map[string]*allowance)
	}
	if len(l.used) < few {
		return
	}
	for id, a := range l.used {
		if a.refill(now, l.perMinute); a.spent == 0 {
			delete(l.used, id)
		}
	}
}
