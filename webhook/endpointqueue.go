package webhook

import "slices"

// endpointQueue is one endpoint's part of the scheduler: its run queue. Those
// that were never attempted are apart from those that have failed before, so
// that they need not wait for them.
type endpointQueue struct {
	endpoint       Endpoint
	fresh, retries []*task
	bytes          int // of the tasks
	reserved       int
	inFlight       int
	retrying       int // of those in flight, the ones that have failed before
	passedRetries  int // tasks that were taken since a retry was, while one waited
	breaker        breaker
	// spilled says that the store holds deliveries that did not fit, so that
	// later ones must not overtake them through an offer.
	spilled bool
	limit   *limit // of its host; nil if there is none
	waits   bool   // in limit.waiting

	listed bool // in the ready ring
	next   *endpointQueue
}

// freshTurns is how many deliveries that were never attempted go before one that
// has failed, as long as there are both.
const freshTurns = 3

func (q *endpointQueue) len() int { return len(q.fresh) + len(q.retries) }

func (q *endpointQueue) add(t *task) {
	if t.Tries > 0 {
		q.retries = append(q.retries, t)
	} else {
		q.fresh = append(q.fresh, t)
	}
}

// choice is which of its tasks a queue may give next.
type choice int

const (
	giveNone choice = iota
	giveFresh
	giveRetry
)

// choose says what the endpoint may be given, if it may have limit attempts in
// flight. A tripped breaker lets one through at a time, preferably one that was
// never attempted; beside one that keeps failing it lets one such.
// Otherwise those that have failed before get no more than half of the limit:
// they may take long to fail again.
func (q *endpointQueue) choose(limit int) choice {
	if q.limit.full() {
		return giveNone
	}
	fresh := len(q.fresh) > 0 && q.inFlight < limit && !q.breaker.open()
	retry := len(q.retries) > 0 && q.inFlight < limit && q.retrying < max(limit/2, 1) && !q.breaker.openForRetries()
	if q.breaker.tripped() {
		fresh = fresh && q.inFlight == q.retrying
		retry = retry && q.inFlight == 0
		if fresh {
			return giveFresh
		}
	}
	switch {
	case fresh && (!retry || q.passedRetries < freshTurns):
		return giveFresh
	case retry:
		return giveRetry
	}
	return giveNone
}

// take removes the task that was chosen.
func (q *endpointQueue) take(c choice) *task {
	list := &q.fresh
	if c == giveRetry {
		list = &q.retries
		q.retrying++
		q.passedRetries = 0
	} else if len(q.retries) > 0 {
		q.passedRetries++
	}
	q.inFlight++
	t := (*list)[0]
	(*list)[0] = nil
	*list = (*list)[1:]
	return t
}

// finished counts an attempt that has ended.
func (q *endpointQueue) finished(t *task) {
	q.inFlight--
	if t.Tries > 0 {
		q.retrying--
	}
}

// putBack makes a task that was taken the next one again.
func (q *endpointQueue) putBack(t *task) {
	q.finished(t)
	if t.Tries > 0 {
		q.retries = slices.Insert(q.retries, 0, t)
	} else {
		q.fresh = slices.Insert(q.fresh, 0, t)
	}
}

// empty returns all tasks, those that were never attempted first.
func (q *endpointQueue) empty() []*task {
	tasks := slices.Concat(q.fresh, q.retries)
	q.fresh, q.retries = nil, nil
	return tasks
}
