package memstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// never is when ClaimExpired looks at events of which nothing is unfinished.
const never = math.MaxInt64

// ClaimExpired implements [webhook.Queue].
func (s *Store) ClaimExpired(
	ctx context.Context, now, until time.Time, limit int,
) (tasks []webhook.Task, err error) {
	if limit < 1 {
		return nil, fmt.Errorf("memstore: claiming what has expired needs a limit of at least 1, not %d",
			limit)
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return tasks, err
		}
		tasks, more = s.claimExpiredPiece(now, until, limit, tasks)
	}
	return tasks, nil
}

// claimExpiredPiece looks at up to maxHeld deliveries, adds tasks of those that have expired, and
// reports whether there are more to look at.
func (s *Store) claimExpiredPiece(
	now, until time.Time, limit int, tasks []webhook.Task,
) (_ []webhook.Task, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastLook = max(s.lastLook, micros(now))
	// All that is unfinished of an event is looked at again within that time.
	later := micros(now.Add(webhook.ExpiredWithin))
	looked := 0
	for s.expiring.len() > 0 && s.expiring.head().at <= micros(now) {
		e := s.expiring.head()
		if e.looked == 0 {
			e.again = never
		}
		for d := range e.deliveries.oldestBetween(e.looked, 0) {
			if looked == maxHeld || len(tasks) == limit {
				return tasks, len(tasks) < limit // the next piece goes on with this event
			}
			looked++
			e.looked = d.id
			switch expires := d.expiresAt(); {
			case d.reported().Settled():
				continue
			case expires.After(now): // it was replayed
				e.again = min(e.again, micros(expires))
				continue
			case d.leftToExpire(now):
				tasks = append(tasks, s.lease(d, until))
			}
			e.again = min(e.again, later)
		}
		e.looked = 0
		if e.again == never {
			s.expiring.remove(e)
		} else {
			s.expiring.move(e, e.again)
		}
		if looked++; looked >= maxHeld {
			return tasks, len(tasks) < limit
		}
	}
	return tasks, false
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
	case e.looked != 0: // the look that is under way may be past it
		e.again = min(e.again, at)
	case at < e.at:
		s.expiring.move(e, at)
	}
}

// repairExpiries has ClaimExpired look now at up to limit events at which it would look later than is
// possible. That can only be if it has looked while the clock was ahead.
func (s *Store) repairExpiries(now time.Time, r *webhook.RepairRequest, limit int) int {
	if s.lastLook <= micros(r.FreshAfter) {
		return 0
	}
	latest := micros(r.FreshAfter.Add(webhook.ExpiredWithin))
	var wrong []*storedEvent
	for _, e := range s.expiring.items {
		if len(wrong) == limit {
			break
		}
		if e.at > latest && e.at > e.lastExpiry() {
			wrong = append(wrong, e)
		}
	}
	for _, e := range wrong {
		s.expiring.move(e, micros(now))
	}
	if len(wrong) < limit {
		s.lastLook = micros(now)
	}
	return len(wrong)
}

// lastExpiry returns when the last of the event's deliveries expires.
func (e *storedEvent) lastExpiry() int64 {
	last := micros(moment(e.createdAt).Add(e.ttl))
	for d := range e.deliveries.newestBefore(0) {
		last = max(last, micros(d.expiresAt()))
	}
	return last
}
