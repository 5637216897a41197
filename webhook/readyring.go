package webhook

// readyRing is a queue of queues. Taking from the front and putting back at the
// end is what makes the scheduler round-robin.
type readyRing struct{ head, tail *endpointQueue }

func (r *readyRing) push(q *endpointQueue) {
	q.next = nil
	if r.tail == nil {
		r.head = q
	} else {
		r.tail.next = q
	}
	r.tail = q
}

// append adds the queues of another ring.
func (r *readyRing) append(other readyRing) {
	switch {
	case other.head == nil:
	case r.tail == nil:
		*r = other
	default:
		r.tail.next = other.head
		r.tail = other.tail
	}
}

func (r *readyRing) pop() *endpointQueue {
	q := r.head
	if q == nil {
		return nil
	}
	r.head = q.next
	if r.head == nil {
		r.tail = nil
	}
	q.next = nil
	return q
}
