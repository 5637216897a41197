// Package rate bounds how often each organization may do something, in this process.
package rate

import (
	"sync"
	"time"
)

// Allowance is a token bucket that counts what has been spent, so that the zero value, with
// At set to now, is a full one.
type Allowance struct {
	Spent float64
	At    time.Time // of the last refill
}

// Refill takes off what was earned since the last call.
func (a *Allowance) Refill(now time.Time, perMinute int) {
	earned := now.Sub(a.At).Minutes() * float64(perMinute)
	a.Spent, a.At = max(0, a.Spent-max(0, earned)), now
}

// Limiter is a token bucket for each organization. The zero value with a rate and a burst is
// ready. Its methods are safe for concurrent use.
type Limiter struct {
	PerMinute, Burst int

	mu   sync.Mutex
	used map[string]*Allowance // of organizations whose bucket is not full
}

// Take returns zero if the organization may do it once more now, and otherwise the time
// after which it may.
func (l *Limiter) Take(organizationID string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.used[organizationID]
	if a == nil {
		l.forget(now)
		a = &Allowance{At: now}
		l.used[organizationID] = a
	}
	a.Refill(now, l.PerMinute)
	if over := a.Spent + 1 - float64(l.Burst); over > 0 {
		wait = time.Duration(over / float64(l.PerMinute) * float64(time.Minute))
		return max(wait, time.Millisecond)
	}
	a.Spent++
	return 0
}

// forget drops full buckets, once there are many.
func (l *Limiter) forget(now time.Time) {
	const few = 1000
	if l.used == nil {
		l.used = make(map[string]*Allowance)
	}
	if len(l.used) < few {
		return
	}
	for id, a := range l.used {
		if a.Refill(now, l.PerMinute); a.Spent == 0 {
			delete(l.used, id)
		}
	}
}
