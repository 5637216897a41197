package memstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// ClaimExpired implements [webhook.Queue]. One call looks at a thousand deliveries, or at those of one
// event, and may then return fewer than limit although there are more.
func (s *Store) ClaimExpired(
	ctx context.Context, now, until time.Time, limit int,
) (tasks []webhook.Task, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("memstore: claiming what has expired needs a limit of at least 1, not %d",
			limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// All that is unfinished of an event is looked at again within that time.
	later := micros(now.Add(webhook.ExpiredWithin))
	for looked := 0; looked < maxHeld && s.expiring.len() > 0; {
		e := s.expiring.head()
		if e.at > micros(now) {
			break
		}
		again := int64(math.MaxInt64)
		for d := range e.deliveries.newestBefore(0) {
			looked++
			switch expires := d.expiresAt(); {
			case d.reported().Settled():
			case expires.After(now): // it was replayed
				again = min(again, micros(expires))
			case !d.leftToExpire(now):
				again = min(again, later)
			case len(tasks) == limit:
				return tasks, nil // the next call goes on with this event
			default:
				tasks = append(tasks, s.lease(d, until))
				again = min(again, later)
			}
		}
		if again == math.MaxInt64 {
			s.expiring.remove(e)
		} else {
			s.expiring.move(e, again)
		}
	}
	return tasks, nil
}

// leftToExpire reports whether no claim hands out a delivery that has expired, or only one at a time.
func (d *delivery) leftToExpire(now time.Time) bool {
	e := d.endpoint
	return (e.paused || e.state.Health == webhook.Degraded) && d.turn != awaiting &&
		(d.status == webhook.StatusPending || d.at <= micros(now))
}

// expires has ClaimExpired look at the event of a delivery that was replayed when it expires again.
func (s *Store) expires(d *delivery) {
	e, at := d.event, micros(d.expiresAt())
	switch {
	case e.ttl == 0:
	case e.slot == 0:
		s.expiring.push(e, at)
	case at < e.at:
		s.expiring.move(e, at)
	}
}

// repairExpiries has ClaimExpired look at once at up to limit events at which it would look later than
// is possible, because a clock was ahead.
func (s *Store) repairExpiries(r *webhook.RepairRequest, limit int) int {
	latest := micros(r.FreshAfter.Add(webhook.ExpiredWithin))
	var wrong []*storedEvent
	for _, e := range s.expiring.items {
		if len(wrong) < limit && e.at > latest && !e.expiresAt(e.at) {
			wrong = append(wrong, e)
		}
	}
	for _, e := range wrong {
		s.expiring.move(e, e.createdAt)
	}
	return len(wrong)
}

// expiresAt reports whether the time is that at which deliveries of the event expire, or one that was
// replayed.
func (e *storedEvent) expiresAt(at int64) bool {
	for d := range e.deliveries.newestBefore(0) {
		if micros(d.expiresAt()) == at {
			return true
		}
	}
	return false
}
