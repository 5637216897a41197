package dispatch

import (
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// endpointQueue is one endpoint's part of the scheduler: its run queue. Those
// that were never attempted are apart from those that have failed before, so
// that they need not wait for them.
type endpointQueue struct {
	record
	endpoint       webhook.Endpoint
	organization   *organization
	host           *host // nil while it is not known where attempts go
	fresh, retries []*task
	bytes          int // of the tasks
	reserved       int
	counted        standing // that its deliveries in memory are counted as
	inFlight       int
	retrying       int // of those in flight, the ones that have failed before
	passedRetries  int // tasks that were taken since a retry was, while one waited
	breaker        breaker.Breaker
	allowed        int       // how many attempts at once it has earned
	answered       time.Time // when it last answered at once
	idleSince      time.Time // while it is only remembered
	// spilled says that the store holds deliveries that did not fit, so that
	// later ones must not overtake them by being prefetched.
	backlog bool

	listed   bool // in a ring: of its organization, or of its host
	next     *endpointQueue
	activeAt int // its place in scheduler.active, from 1; 0 if it is only remembered
}

// firstAllowed is how many attempts an endpoint may have under way that has not
// answered yet. Each answer earns it one more.
const firstAllowed = 2

func (q *endpointQueue) nextInList() *endpointQueue     { return q.next }
func (q *endpointQueue) setNextInList(n *endpointQueue) { q.next = n }

// freshTurns is how many deliveries that were never attempted go before one that
// has failed, as long as there are both.
const freshTurns = 3

func (q *endpointQueue) len() int { return len(q.fresh) + len(q.retries) }

func (q *endpointQueue) add(t *task) {
	if t.AttemptsSinceQueued > 0 {
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

// choose says what the endpoint may be given, if it may never have more than most
// attempts in flight. A tripped breaker lets one through at a time, preferably one
// that was never attempted; beside one that keeps failing it lets one such.
// Otherwise those that have failed before get no more than half of the limit:
// they may take long to fail again.
func (q *endpointQueue) choose(most int) choice {
	limit := min(most, q.allowed)
	// One that hangs again must not keep out what was never attempted.
	fresh := len(q.fresh) > 0 && (q.inFlight < limit || q.inFlight == q.retrying && q.inFlight < most) && !q.breaker.Open()
	retry := len(q.retries) > 0 && q.inFlight < limit && q.retrying < max(limit/2, 1) && !q.breaker.OpenForRetries()
	if q.breaker.Tripped() {
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

// left counts a task that is no longer in flight.
func (q *endpointQueue) left(t *task) {
	q.inFlight--
	if t.AttemptsSinceQueued > 0 {
		q.retrying--
	}
}

// putFirst puts a task that was taken back to where it was.
func (q *endpointQueue) putFirst(t *task) {
	list := &q.fresh
	if t.AttemptsSinceQueued > 0 {
		list = &q.retries
	}
	*list = slices.Insert(*list, 0, t)
}

// learn notes how an attempt has gone.
func (q *endpointQueue) learn(t *task, h breaker.Health, most int) {
	weight := 1
	if t.overdue && q.standing() != standsFast {
		weight = hungWeight
	}
	recovered := q.breaker.Tripped()
	q.breaker.Record(h, int64(t.DeliveryID), t.AttemptsSinceQueued > 0, weight)
	switch {
	case h.Signal == breaker.Healthy && recovered:
		q.allowed = most
	case h.Signal == breaker.Healthy:
		q.allowed = min(q.allowed+1, most)
	case h.Signal == breaker.Unhealthy && t.overdue:
		q.allowed = max(q.allowed/2, 1)
	}
	if h.Signal == breaker.Healthy && !t.overdue {
		q.answered = time.Now()
	}
}

// hungWeight is how many failures one counts for that took long, of an endpoint
// that has no good record: it would take too long to wait for eight of them.
const hungWeight = 4

// empty returns all tasks, those that were never attempted first.
func (q *endpointQueue) empty() []*task {
	tasks := slices.Concat(q.fresh, q.retries)
	q.fresh, q.retries = nil, nil
	return tasks
}
