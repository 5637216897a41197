package fairqueue

import (
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
)

// A Queue is a Core with a clock, a lock, the one timer that it needs, and a signal. Its methods are
// safe for concurrent use; those that it shares with Core are documented there.
type Queue[T any] struct {
	// spawnWorker starts a worker, which calls Next until that returns nil.
	spawnWorker func()
	claimSignal chan struct{}

	mu        sync.Mutex
	core      *Core[T]
	noWorkers *sync.Cond  // core.Idle()
	slowTimer *time.Timer // calls markSlow
	slowAt    time.Time   // when it does so; zero if it is not armed
}

// New makes a Queue, which takes in nothing before Start.
func New[T any](l Limits) *Queue[T] {
	q := &Queue[T]{claimSignal: make(chan struct{}, 1), core: NewCore[T](l)}
	q.noWorkers = sync.NewCond(&q.mu)
	return q
}

// unlock does what the core asks for, and lets others in. To take the time after the lock is what
// lets it never go backwards for the core.
func (q *Queue[T]) unlock() {
	actions, spawnWorker := q.core.Actions(), q.spawnWorker
	if at := actions.SlowAt; !at.IsZero() && (q.slowAt.IsZero() || at.Before(q.slowAt)) {
		q.slowAt = at
		if q.slowTimer == nil {
			q.slowTimer = time.AfterFunc(time.Until(at), q.markSlow)
		} else {
			q.slowTimer.Reset(time.Until(at))
		}
	}
	q.mu.Unlock()
	for range actions.Workers {
		spawnWorker()
	}
	if actions.Claim {
		q.SignalClaim()
	}
}

func (q *Queue[T]) markSlow() {
	q.mu.Lock()
	defer q.unlock()
	q.slowAt = time.Time{}
	q.core.MarkSlow(time.Now())
}

// Start lets items in. spawnWorker is called whenever there is something to run and no worker on
// its way. It must start a goroutine that calls Next until that returns nil, and return at once.
func (q *Queue[T]) Start(spawnWorker func()) {
	q.mu.Lock()
	defer q.unlock()
	q.spawnWorker = spawnWorker
	q.core.Start()
}

// Stop lets nothing more in, and returns what was queued. Attempts in flight go on: see WaitWorkers.
// The Queue can be started again.
func (q *Queue[T]) Stop() []T {
	q.mu.Lock()
	defer q.unlock()
	return q.core.Stop()
}

// WaitWorkers returns when no worker is left.
func (q *Queue[T]) WaitWorkers() {
	q.mu.Lock()
	defer q.unlock()
	for !q.core.Idle() {
		q.noWorkers.Wait()
	}
}

// Stats returns how full the Queue is.
func (q *Queue[T]) Stats() Stats {
	q.mu.Lock()
	defer q.unlock()
	return q.core.Stats()
}

// Empty reports whether nothing is queued or reserved. Attempts may be in flight.
func (q *Queue[T]) Empty() bool {
	q.mu.Lock()
	defer q.unlock()
	return q.core.Empty()
}

// Push is [Core.Push].
func (q *Queue[T]) Push(items []*Item[T]) (late []T) {
	if len(items) == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.unlock()
	return q.core.Push(time.Now(), items)
}

// Next is [Core.Next].
func (q *Queue[T]) Next() *Item[T] {
	q.mu.Lock()
	defer q.unlock()
	item := q.core.Next(time.Now())
	if item == nil && q.core.Idle() {
		q.noWorkers.Broadcast()
	}
	return item
}

// Begin is [Core.Begin].
func (q *Queue[T]) Begin(item *Item[T], to Host) bool {
	q.mu.Lock()
	defer q.unlock()
	return q.core.Begin(time.Now(), item, to)
}

// Finish is [Core.Finish].
func (q *Queue[T]) Finish(item *Item[T], observed breaker.Observation) Finished[T] {
	q.mu.Lock()
	defer q.unlock()
	return q.core.Finish(time.Now(), item, observed)
}

// PurgeSubscription is [Core.PurgeSubscription].
func (q *Queue[T]) PurgeSubscription(id string) []T {
	q.mu.Lock()
	defer q.unlock()
	return q.core.PurgeSubscription(time.Now(), id)
}

// WakeBlocked is [Core.WakeBlocked].
func (q *Queue[T]) WakeBlocked() {
	q.mu.Lock()
	defer q.unlock()
	q.core.WakeBlocked(time.Now())
}

// PauseClock is [Core.PauseClock].
func (q *Queue[T]) PauseClock(item *Item[T]) {
	q.mu.Lock()
	defer q.unlock()
	q.core.PauseClock(time.Now(), item)
}

// ResumeClock is [Core.ResumeClock].
func (q *Queue[T]) ResumeClock(item *Item[T]) {
	q.mu.Lock()
	defer q.unlock()
	q.core.ResumeClock(time.Now(), item)
}

// PausedTime is [Core.PausedTime].
func (q *Queue[T]) PausedTime(item *Item[T]) time.Duration {
	q.mu.Lock()
	defer q.unlock()
	return q.core.PausedTime(item)
}

// Reserve is [Core.Reserve].
func (q *Queue[T]) Reserve(d Destination) bool {
	q.mu.Lock()
	defer q.unlock()
	return q.core.Reserve(time.Now(), d)
}

// Release is [Core.Release].
func (q *Queue[T]) Release(reserved []Destination) {
	q.mu.Lock()
	defer q.unlock()
	q.core.Release(time.Now(), reserved)
}

// MarkBacklog is [Core.MarkBacklog].
func (q *Queue[T]) MarkBacklog(destinations []Destination) {
	if len(destinations) == 0 {
		return
	}
	q.mu.Lock()
	defer q.unlock()
	q.core.MarkBacklog(time.Now(), destinations)
}

// MarkUnknownBacklog is [Core.MarkUnknownBacklog].
func (q *Queue[T]) MarkUnknownBacklog() {
	q.mu.Lock()
	defer q.unlock()
	q.core.MarkUnknownBacklog()
}

// ClaimBudget is [Core.ClaimBudget].
func (q *Queue[T]) ClaimBudget() ClaimBudget {
	q.mu.Lock()
	defer q.unlock()
	return q.core.ClaimBudget(time.Now())
}

// Claimed is [Core.Claimed].
func (q *Queue[T]) Claimed(items []*Item[T], b ClaimBudget) {
	q.mu.Lock()
	defer q.unlock()
	q.core.Claimed(time.Now(), items, b)
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
