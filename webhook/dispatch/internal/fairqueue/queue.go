package fairqueue

import (
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// A Queue is a Core with a clock, a lock, the one timer that it needs, and a signal. Its methods
// are safe for concurrent use; those that it shares with Core are documented there.
type Queue[T any] struct {
	// spawnWorker starts a worker, which calls Next until that returns nil.
	spawnWorker  func()
	claimSignal  chan struct{}
	permitSignal chan struct{}

	mu        sync.Mutex
	core      *Core[T]
	noWorkers *sync.Cond  // core.NoWorkers()
	timer     *time.Timer // calls tick
	tickAt    time.Time   // when it does so; zero if it is not armed
}

// New makes a Queue, which takes in nothing before Start.
func New[T any](l Limits) *Queue[T] {
	q := &Queue[T]{claimSignal: make(chan struct{}, 1),
		permitSignal: make(chan struct{}, 1), core: NewCore[T](l)}
	q.noWorkers = sync.NewCond(&q.mu)
	return q
}

// actAndUnlock does what the core asks for, and lets others in. To take the time after the lock is
// what lets it never go backwards for the core.
func (q *Queue[T]) actAndUnlock() {
	actions, spawnWorker := q.core.TakeActions(), q.spawnWorker
	if at := actions.TickAt; !at.IsZero() && (q.tickAt.IsZero() || at.Before(q.tickAt)) {
		q.tickAt = at
		if q.timer == nil {
			q.timer = time.AfterFunc(time.Until(at), q.tick)
		} else {
			q.timer.Reset(time.Until(at))
		}
	}
	q.mu.Unlock()
	for range actions.StartWorkers {
		spawnWorker()
	}
	if actions.Claim {
		q.SignalClaim()
	}
	if actions.RequestPermits {
		select {
		case q.permitSignal <- struct{}{}:
		default:
		}
	}
}

func (q *Queue[T]) tick() {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.tickAt = time.Time{}
	q.core.Tick(time.Now())
}

// Start lets items in. spawnWorker is called whenever there is something to run and no worker on
// its way. It must start a goroutine that calls Next until that returns nil, and return at once.
func (q *Queue[T]) Start(spawnWorker func()) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.spawnWorker = spawnWorker
	q.core.Start()
}

// Stop lets nothing more in, and returns what was queued. Attempts in flight go on: see
// WaitWorkers. The Queue can be started again.
func (q *Queue[T]) Stop() []T {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.Stop()
}

// WaitWorkers returns when no worker is left.
func (q *Queue[T]) WaitWorkers() {
	q.mu.Lock()
	defer q.actAndUnlock()
	for !q.core.NoWorkers() {
		q.noWorkers.Wait()
	}
}

// Stats returns how full the Queue is.
func (q *Queue[T]) Stats() Stats {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.Stats()
}

// BufferEmpty reports whether nothing is queued or reserved. Attempts may be in flight.
func (q *Queue[T]) BufferEmpty() bool {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.BufferEmpty()
}

// Push is [Core.Push].
func (q *Queue[T]) Push(items []*Item[T]) (rejected []T) {
	if len(items) == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.Push(time.Now(), items)
}

// Next is [Core.Next].
func (q *Queue[T]) Next() *Item[T] {
	q.mu.Lock()
	defer q.actAndUnlock()
	item := q.core.Next(time.Now())
	if item == nil && q.core.NoWorkers() {
		q.noWorkers.Broadcast()
	}
	return item
}

// TryBegin is [Core.TryBegin].
func (q *Queue[T]) TryBegin(item *Item[T], to Host, rate Rate) BeginResult {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.TryBegin(time.Now(), item, to, rate)
}

// PermitSignal receives when PermitRequests has something to return. It is the same channel for the
// life of the Queue, for one reader.
func (q *Queue[T]) PermitSignal() <-chan struct{} { return q.permitSignal }

// PermitRequests is [Core.PermitRequests].
func (q *Queue[T]) PermitRequests(limit int) []PermitRequest {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.PermitRequests(time.Now(), limit)
}

// GrantPermits is [Core.GrantPermits].
func (q *Queue[T]) GrantPermits(grants []PermitGrant) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.GrantPermits(time.Now(), grants)
}

// Throttle is [Core.Throttle].
func (q *Queue[T]) Throttle(item *Item[T], retryAfter time.Duration) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.Throttle(time.Now(), item, retryAfter)
}

// Finish is [Core.Finish].
func (q *Queue[T]) Finish(item *Item[T], observed breaker.Observation) FinishResult[T] {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.Finish(time.Now(), item, observed)
}

// ResetSubscription is [Core.ResetSubscription].
func (q *Queue[T]) ResetSubscription(id string) (removed []T) {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.ResetSubscription(time.Now(), id)
}

// ResetEndpoint is [Core.ResetEndpoint].
func (q *Queue[T]) ResetEndpoint(endpoint Endpoint) (removed []T) {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.ResetEndpoint(time.Now(), endpoint)
}

// RescheduleAll is [Core.RescheduleAll].
func (q *Queue[T]) RescheduleAll() {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.RescheduleAll(time.Now())
}

// PauseStopwatch is [Core.PauseStopwatch].
func (q *Queue[T]) PauseStopwatch(item *Item[T]) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.PauseStopwatch(time.Now(), item)
}

// ResumeStopwatch is [Core.ResumeStopwatch].
func (q *Queue[T]) ResumeStopwatch(item *Item[T]) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.ResumeStopwatch(time.Now(), item)
}

// PausedFor is [Core.PausedFor].
func (q *Queue[T]) PausedFor(item *Item[T]) time.Duration {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.PausedFor(item)
}

// Admission decides what one call of the store may prefetch. It is for one goroutine.
type Admission[T any] struct {
	q                 *Queue[T]
	reserved, backlog []Destination
}

// BeginAdmission begins an Admission, which ends with Push or Cancel.
func (q *Queue[T]) BeginAdmission() *Admission[T] { return &Admission[T]{q: q} }

// TryPrefetch reports whether the delivery that is being stored is to be prefetched. If so,
// capacity is reserved for it; if not, its endpoint has a backlog from then on.
func (a *Admission[T]) TryPrefetch(d Destination) bool {
	a.q.mu.Lock()
	defer a.q.actAndUnlock()
	if a.q.core.ReservePrefetch(time.Now(), d) {
		a.reserved = append(a.reserved, d)
		return true
	}
	a.backlog = append(a.backlog, d)
	return false
}

// Push queues what was prefetched, as [Core.Push] does.
func (a *Admission[T]) Push(items []*Item[T]) (rejected []T) {
	a.q.mu.Lock()
	defer a.q.actAndUnlock()
	now := time.Now()
	a.q.core.ReleasePrefetch(now, a.reserved)
	a.q.core.MarkBacklog(now, a.backlog)
	return a.q.core.Push(now, items)
}

// Cancel ends an Admission of which nothing was stored.
func (a *Admission[T]) Cancel() {
	a.q.mu.Lock()
	defer a.q.actAndUnlock()
	a.q.core.ReleasePrefetch(time.Now(), a.reserved)
}

// MarkBacklogSomewhere is [Core.MarkBacklogSomewhere].
func (q *Queue[T]) MarkBacklogSomewhere() {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.MarkBacklogSomewhere()
}

// PlanClaim is [Core.PlanClaim].
func (q *Queue[T]) PlanClaim() ClaimBudget {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.PlanClaim(time.Now())
}

// AbandonClaim is [Core.AbandonClaim].
func (q *Queue[T]) AbandonClaim() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.core.AbandonClaim()
}

// RecordClaim is [Core.RecordClaim].
func (q *Queue[T]) RecordClaim(items []*Item[T], b ClaimBudget) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.RecordClaim(time.Now(), items, b)
}

// ClaimAt is [Core.ClaimAt].
func (q *Queue[T]) ClaimAt(at time.Time) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.ClaimAt(at)
}

// ClaimSignal receives when the store may hold due deliveries that fit now. It is the same channel
// for the life of the Queue, for one reader.
func (q *Queue[T]) ClaimSignal() <-chan struct{} { return q.claimSignal }

// SignalClaim sends to ClaimSignal, unless a signal waits there. It does not block.
func (q *Queue[T]) SignalClaim() {
	select {
	case q.claimSignal <- struct{}{}:
	default:
	}
}
