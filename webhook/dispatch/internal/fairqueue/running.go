package fairqueue

import "time"

// localWait is how long an attempt waits for something in this process, such as a place to render
// its templates. That is no time of its endpoint, which can do nothing about it.
type localWait struct {
	waiting int // how many things it waits for now
	since   time.Time
	total   time.Duration // of what is over
}

func (i *Item[T]) waitsLocally() bool { return i.localWait != nil && i.localWait.waiting > 0 }

// PauseClock stops the clock of an attempt that begins to wait for something in this process. The
// attempt keeps its slot, and does not get slow meanwhile. It may wait for several things at a time:
// the clock goes on when ResumeClock was called as often. Once the attempt is finished both do
// nothing.
func (q *Queue[T]) PauseClock(item *Item[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if item.finished { // by a channel that left something running
		return
	}
	if item.localWait == nil {
		item.localWait = new(localWait)
	}
	w := item.localWait
	if w.waiting++; w.waiting > 1 {
		return
	}
	w.since = time.Now()
	if !item.slow {
		q.slowWatch.remove(item)
	}
}

// ResumeClock lets the clock go on: see PauseClock.
func (q *Queue[T]) ResumeClock(item *Item[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if item.finished || !item.waitsLocally() {
		return
	}
	w := item.localWait
	if w.waiting--; w.waiting > 0 {
		return
	}
	waited := time.Since(w.since)
	w.total += waited
	item.started = item.started.Add(waited)
	if !item.slow {
		q.slowWatch.add(item)
		q.armSlowTimer()
	}
}

// PausedTime returns how long the attempt has waited: see PauseClock.
func (q *Queue[T]) PausedTime(item *Item[T]) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if item.localWait == nil {
		return 0
	}
	return item.localWait.total
}

// slowWatchList has the attempts in flight that may yet become slow, in the order of their starts:
// not those that are slow already, nor those whose clock is paused.
type slowWatchList[T any] struct{ first, last *Item[T] }

func (r *slowWatchList[T]) add(item *Item[T]) {
	previous := r.last
	for previous != nil && previous.started.After(item.started) {
		previous = previous.previous
	}
	item.previous = previous
	if previous == nil {
		item.next, r.first = r.first, item
	} else {
		item.next, previous.next = previous.next, item
	}
	if item.next == nil {
		r.last = item
	} else {
		item.next.previous = item
	}
}

func (r *slowWatchList[T]) remove(item *Item[T]) {
	if item.previous == nil {
		r.first = item.next
	} else {
		item.previous.next = item.next
	}
	if item.next == nil {
		r.last = item.previous
	} else {
		item.next.previous = item.previous
	}
	item.previous, item.next = nil, nil
}

// armSlowTimer sees to it that markSlow is called when the first attempt gets slow.
func (q *Queue[T]) armSlowTimer() {
	if q.slowTimerArmed || q.slowWatch.first == nil {
		return
	}
	q.slowTimerArmed = true
	wait := time.Until(q.slowWatch.first.started.Add(slowAfter))
	if q.slowTimer == nil {
		q.slowTimer = time.AfterFunc(wait, q.markSlow)
	} else {
		q.slowTimer.Reset(wait)
	}
}

// markSlow gives attempts that have lasted longer than slowAfter a general slot for their fast one.
func (q *Queue[T]) markSlow() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.slowTimerArmed = false
	now := time.Now()
	for item := q.slowWatch.first; item != nil &&
		now.Sub(item.started) >= slowAfter; item = q.slowWatch.first {
		q.slowWatch.remove(item)
		item.slow = true
		item.queue.recordSlow()
		item.queue.updateSpeed()
		item.queue.organization.recordSlow()
		if item.host != nil {
			item.host.recordSlow()
		}
		if item.slot == fastSlot {
			q.countSlot(item, -1)
			item.slot = generalSlot
			q.countSlot(item, 1)
			q.slotFreed(item)
		}
	}
	q.armSlowTimer()
	q.ensureWorker()
}
