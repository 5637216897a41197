package fairqueue

// organization is one tenant's part of a Queue. Its endpoints have their turns within its own.
type organization[T any] struct {
	slotUser
	id            string
	queued, bytes int         // as Queue.queued and Queue.bytes
	queuedBySpeed [speeds]int // queued, by the speed of the endpoints
	endpoints     int         // that are known

	// runQueues are its endpoints that have something to run, by their speed, and nextSpeed is
	// whose turn it is. Those that wait for a slot of their host are not in them.
	runQueues [speeds]fifo[*endpointQueue[T]]
	nextSpeed speed
	scheduled bool // in Queue.runQueue
	next      *organization[T]

	skippedInGeneration int64 // the last of Queue.budgetGeneration that left it out
}

func (o *organization[T]) nextInFIFO() *organization[T]     { return o.next }
func (o *organization[T]) setNextInFIFO(n *organization[T]) { o.next = n }

// hasRunnable reports whether any endpoint of it may have something to run.
func (o *organization[T]) hasRunnable() bool {
	for sp := range o.runQueues {
		if !o.runQueues[sp].empty() {
			return true
		}
	}
	return false
}

// organization returns the organization of that id, which it makes when it is new.
func (q *Queue[T]) organization(id string) *organization[T] {
	o := q.organizations[id]
	if o == nil {
		o = &organization[T]{id: id}
		q.organizations[id] = o
	}
	return o
}
