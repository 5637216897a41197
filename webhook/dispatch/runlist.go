package dispatch

// ring is a queue whose nodes hold their own links, so that it allocates nothing.
// Taking from the front and putting back at the end is what makes the scheduler
// round-robin. A node is in one ring at a time. The zero value is empty.
type runList[N runListNode[N]] struct{ head, tail N }

// runListNode is a pointer to what can stand in a ring.
type runListNode[N any] interface {
	comparable
	nextInList() N
	setNextInList(next N)
}

func (r *runList[N]) empty() bool {
	var none N
	return r.head == none
}

func (r *runList[N]) push(n N) {
	var none N
	n.setNextInList(none)
	if r.tail == none {
		r.head = n
	} else {
		r.tail.setNextInList(n)
	}
	r.tail = n
}

// pop takes the first node out. The ring must not be empty.
func (r *runList[N]) pop() N {
	var none N
	n := r.head
	r.head = n.nextInList()
	if r.head == none {
		r.tail = none
	}
	n.setNextInList(none)
	return n
}
