package fairqueue

import (
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// A Queue is a Core with a clock, a lock, the one timer that it needs, and signals. Its methods are
// safe for concurrent use; those that it shares with Core are documented there.
type Queue[T any] struct {
	// spawnWorker starts a worker, which calls Next until that returns nil.
	spawnWorker  func()
	claimSignal  chan struct{}
	permitSignal chan struct{}

	// The time that core is told is read with mu locked, so that it never goes back.
	mu        sync.Mutex
	core      *Core[T]
	noWorkers *sync.Cond  // core.NoWorkers()
	timer     *time.Timer // calls tick
	tickAt    time.Time   // when it does so; zero if it is not armed
}

// New makes a Queue, which rejects items before Start.
func New[T any](l Limits) *Queue[T] {
	q := &Queue[T]{claimSignal: make(chan struct{}, 1),
		permitSignal: make(chan struct{}, 1), core: NewCore[T](l)}
	q.noWorkers = sync.NewCond(&q.mu)
	return q
}

// actAndUnlock arms the timer, unlocks mu, and then does what else the core asks for.
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

// Start makes the Queue accept items. It calls spawnWorker whenever something can run and no worker
// is about to call Next. spawnWorker must start a goroutine that calls Next until that returns nil,
// and return at once.
func (q *Queue[T]) Start(spawnWorker func()) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.spawnWorker = spawnWorker
	q.core.Start()
}

// Stop is [Core.Stop]. WaitWorkers waits for the attempts that go on.
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

// Stats is [Core.Stats].
func (q *Queue[T]) Stats() Stats {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.Stats()
}

// BufferEmpty is [Core.BufferEmpty].
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
func (q *Queue[T]) TryBegin(item *Item[T], to Host, limit RateLimit) BeginResult {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.TryBegin(time.Now(), item, to, limit)
}

// PermitSignal returns a channel that receives when TakePermitDemands has something to return. It
// is always the same one, and for one reader.
func (q *Queue[T]) PermitSignal() <-chan struct{} { return q.permitSignal }

// TakePermitDemands is [Core.TakePermitDemands].
func (q *Queue[T]) TakePermitDemands(maxDemands int) []PermitDemand {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.TakePermitDemands(time.Now(), maxDemands)
}

// SupplyPermits is [Core.SupplyPermits].
func (q *Queue[T]) SupplyPermits(supplies []PermitSupply) {
	q.mu.Lock()
	defer q.actAndUnlock()
	q.core.SupplyPermits(time.Now(), supplies)
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
func (q *Queue[T]) RescheduleAll() (removed []T) {
	q.mu.Lock()
	defer q.actAndUnlock()
	return q.core.RescheduleAll(time.Now())
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
	q        *Queue[T]
	reserved []Destination // one for each delivery that may be prefetched
	backlog  []Destination // one for each that may not
}

// BeginAdmission begins an Admission, which ends with Push or Cancel.
func (q *Queue[T]) BeginAdmission() *Admission[T] { return &Admission[T]{q: q} }

// ReservePrefetch is [Core.ReservePrefetch]. If there is no capacity, the endpoint has a backlog
// from Push on.
func (a *Admission[T]) ReservePrefetch(d Destination) bool {
	a.q.mu.Lock()
	defer a.q.actAndUnlock()
	if a.q.core.ReservePrefetch(time.Now(), d) {
		a.reserved = append(a.reserved, d)
		return true
	}
	a.backlog = append(a.backlog, d)
	return false
}

// Push ends an Admission: it queues what was prefetched, as [Core.Push] does.
func (a *Admission[T]) Push(items []*Item[T]) (rejected []T) {
	a.q.mu.Lock()
	defer a.q.actAndUnlock()
	now := time.Now()
	a.q.core.ReleasePrefetch(now, a.reserved)
	a.q.core.MarkBacklog(now, a.backlog)
	a.reserved, a.backlog = nil, nil
	return a.q.core.Push(now, items)
}

// Cancel ends an Admission whose call has stored nothing. It does nothing to one that has ended.
func (a *Admission[T]) Cancel() {
	a.q.mu.Lock()
	defer a.q.actAndUnlock()
	a.q.core.ReleasePrefetch(time.Now(), a.reserved)
	a.reserved, a.backlog = nil, nil
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
	defer q.actAndUnlock()
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

// ClaimSignal returns a channel that receives when the store may hold due deliveries that fit now.
// It is always the same one, and for one reader.
func (q *Queue[T]) ClaimSignal() <-chan struct{} { return q.claimSignal }

// SignalClaim makes ClaimSignal receive, unless a signal waits there. It does not block.
func (q *Queue[T]) SignalClaim() {
	select {
	case q.claimSignal <- struct{}{}:
	default:
	}
}
