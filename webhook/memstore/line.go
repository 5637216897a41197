package memstore

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// line has the deliveries of one subject at one endpoint that are in order: see [webhook.Ordering].
type line struct {
	endpoint *endpoint
	key      lineKey
	// front has its turn: it is pending, in flight, or dead and holds the line.
	front *delivery
	// next waits for the time at which the front, which is dead, is skipped. It is pending, and due
	// then. Nil if nothing waits for a time.
	next *delivery
	// waiting are the others, the smallest id first. They are in no other heap.
	waiting heap[*delivery]
}

type lineKey struct{ subjectType, subjectID string }

// turn is where a delivery stands in its line.
type turn int

const (
	noTurn   turn = iota // in no line
	awaiting             // pending
	inFront
)

// lineOf returns the line of the subject at the endpoint.
func (e *endpoint) lineOf(subject event.Subject) *line {
	key := lineKey{subject.Type, subject.ID}
	l := e.lines[key]
	if l == nil {
		l = &line{endpoint: e, key: key}
		if e.lines == nil {
			e.lines = make(map[lineKey]*line)
		}
		e.lines[key] = l
	}
	return l
}

// join lets a delivery stand in line that stood in none. It is pending, and due at the time if it is
// its turn.
func (s *Store) join(d *delivery, due int64) {
	l := d.endpoint.lineOf(d.event.subject)
	d.line = l
	if l.front == nil {
		s.toFront(d, due)
		return
	}
	d.turn = awaiting
	s.put(d, webhook.StatusPending, 0)
	s.schedule(l)
}

func (s *Store) toFront(d *delivery, due int64) {
	d.line.front, d.turn, d.skipAt = d, inFront, 0
	s.put(d, webhook.StatusPending, due)
}

// schedule makes the first one that waits due when the front is skipped, if that is dead and has a
// time, and otherwise none.
func (s *Store) schedule(l *line) {
	at := int64(0)
	if l.front != nil && l.front.status == webhook.StatusDead {
		at = l.front.skipAt
	}
	if next := l.next; next != nil {
		l.next = nil
		s.put(next, webhook.StatusPending, 0)
	}
	if at != 0 && l.waiting.len() > 0 {
		l.next = l.waiting.head()
		s.put(l.next, webhook.StatusPending, at)
	}
}

// leave takes a delivery out of its line. If it stood in front, the next one has its turn now.
func (s *Store) leave(d *delivery, now int64) {
	l := d.line
	if d.turn == noTurn {
		return
	}
	wasFront := d.turn == inFront
	d.turn, d.skipAt = noTurn, 0
	if !wasFront {
		if l.next == d {
			l.next = nil
			s.schedule(l)
		}
		return
	}
	l.front = nil
	s.schedule(l)
	if l.waiting.len() > 0 {
		next := l.waiting.head()
		s.toFront(next, max(now, next.queuedAt))
		return
	}
	delete(l.endpoint.lines, l.key)
}

// takeTurn lets a delivery that waited until now have its turn, in place of a dead one.
func (s *Store) takeTurn(d *delivery) {
	l, skipped := d.line, d.line.front
	l.next = nil
	s.leaveDead(skipped)
	s.toFront(d, d.at)
}

// leaveDead has a dead delivery hold its line no more. It does not say which one is next.
func (s *Store) leaveDead(d *delivery) {
	d.turn, d.skipAt = noTurn, 0
	s.put(d, webhook.StatusDead, d.at)
}

// Skip implements [webhook.OrderingStore].
func (s *Store) Skip(
	ctx context.Context, now time.Time, organizationID string, id webhook.DeliveryID,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.find(organizationID, id)
	if err != nil {
		return err
	}
	if !d.holds() {
		return webhook.ErrWrongStatus
	}
	if !d.endpoint.orphaned { // otherwise Prune cancels what waits, unless it was replayed elsewhere
		s.leave(d, micros(now))
	}
	s.leaveDead(d)
	return nil
}

// holds reports whether the delivery is dead and holds its line.
func (d *delivery) holds() bool { return d.status == webhook.StatusDead && d.turn == inFront }
