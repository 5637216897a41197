package webhook

// ring is a queue whose nodes hold their own links, so that it allocates nothing.
// Taking from the front and putting back at the end is what makes the scheduler
// round-robin. A node is in one ring at a time. The zero value is empty.
type ring[N ringNode[N]] struct{ head, tail N }

// ringNode is a pointer to what can stand in a ring.
type ringNode[N any] interface {
	comparable
	nextInRing() N
	setNextInRing(next N)
}

func (r *ring[N]) empty() bool {
	var none N
	return r.head == none
}

func (r *ring[N]) push(n N) {
	var none N
	n.setNextInRing(none)
	if r.tail == none {
		r.head = n
	} else {
		r.tail.setNextInRing(n)
	}
	r.tail = n
}

// pop takes the first node out. The ring must not be empty.
func (r *ring[N]) pop() N {
	var none N
	n := r.head
	r.head = n.nextInRing()
	if r.head == none {
		r.tail = none
	}
	n.setNextInRing(none)
	return n
}
