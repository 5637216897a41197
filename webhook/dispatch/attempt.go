package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// result is what an attempt means for its delivery and for its endpoint.
type result struct {
	task       *task
	settlement webhook.Settlement
	observed   breaker.Observation
	// gone and permanent are those of the decision, and revision is that of the subscription that
	// was attempted.
	gone, permanent bool
	revision        int64
	// expires says that the event expires before the delivery could be tried again.
	expires bool
	// attempt is the one that was made, nil if there was none.
	attempt *webhook.Attempt
	// failingSince is since when the endpoint fails as a whole, by the clock of this process. Zero if
	// it does not.
	failingSince time.Time
	// leftToOthers says that only another process can make the attempt.
	leftToOthers bool
	// putBack says that the task is in the queue again, and the worker is done with it.
	putBack bool
	// tried is the change of the endpoint's state that the store did not answer to, nil if there is none:
	// it may have been stored.
	tried *stateChange
	// onSettled is called once the result is stored, or given up; nil calls nothing.
	onSettled func()
}

// requeue is the result on a delivery that was not attempted: it goes back to
// the store as it was, and so keeps its place in the order.
func requeue(t *task) result {
	return result{task: t, settlement: webhook.Settlement{Lease: t.Lease,
		Status: webhook.StatusPending, DueAt: t.DueAt}}
}

// requeueForOthers requeues a delivery that another process may be able to attempt
// at once. This one leaves the endpoint alone for the time, or longer if it goes
// on like that.
func requeueForOthers(t *task, wait time.Duration) result {
	res := requeue(t)
	res.observed = breaker.Observation{Health: breaker.Unhealthy, RetryAfter: wait}
	res.leftToOthers = true
	return res
}

// workLoop makes attempts until there is nothing to do.
func (r *run) workLoop() {
	for item := r.d.queue.Next(); item != nil; item = r.d.queue.Next() {
		t := item.Value
		attempt := r.attempt
		if t.Lost > 0 {
			attempt = r.attemptSuspect
		}
		res, ok := attempt(t)
		if res.putBack {
			continue
		}
		finished := r.d.queue.Finish(item, res.observed)
		res.failingSince = finished.FailingAsAWholeSince
		if ok {
			r.results <- res
		} else {
			r.d.leases.release([]webhook.Lease{t.Lease})
			r.claimIfDrained()
		}
		for _, u := range finished.Requeue {
			// The pause is told by the time here, and due times by the store's.
			notBefore := r.d.now().Add(time.Until(finished.RetriesNotBefore))
			r.results <- requeueBehind(u, &res, notBefore)
		}
	}
}

// requeueBehind is the result of a delivery that was queued behind an attempt with that result,
// after which the endpoint is left alone. Those that have failed before are not due before a time,
// unless another process can attempt them.
func requeueBehind(t *task, res *result, retriesNotBefore time.Time) result {
	back := requeue(t)
	if t.AttemptsSinceQueued > 0 && !res.leftToOthers {
		back.settlement.DueAt = later(t.DueAt, retriesNotBefore)
	}
	return back
}

// prepare gets what an attempt needs. It returns nil, with the result, if there is
// no attempt to be made, and false if there is nothing to settle either, because
// the delivery is no longer this process's.
func (r *run) prepare(t *task) (entry *cacheEntry, res result, settle bool) {
	d := r.d
	lease := d.leases.state(t, d.clock.latest())
	if res, next := turnBeforeLookup(t, lease, r.attemptCtx.Err() != nil, d.now()); next != lookUp {
		return nil, res, next == settleTurn
	}
	since := t.lookupSince(time.Now(), d.cfg.PollInterval)
	entry, err := d.channels.get(r.attemptCtx, t.OrganizationID, t.Endpoint.SubscriptionID, t.Revision,
		since)
	res, next := turnAfterLookup(t, lookup{
		entry: entry, err: err, lease: d.leases.state(t, d.clock.latest()),
		stopping: r.attemptCtx.Err() != nil, checkHealth: !since.IsZero(),
	}, d.cfg.PollInterval)
	if next == beginAttempt {
		return entry, result{}, true
	}
	if res.leftToOthers {
		r.logLeftToOthers(t, err)
	}
	return nil, res, next == settleTurn
}

// logLeftToOthers logs that only another process can make an attempt. err is why its subscription
// cannot be read; nil if this process does not have the channel.
func (r *run) logLeftToOthers(t *task, err error) {
	d := r.d
	if err != nil {
		if unlogged, ok := d.unreadable.Allow(time.Now()); ok {
			d.cfg.Logger.WarnContext(r.attemptCtx,
				"webhook: a subscription cannot be read, its deliveries wait",
				"webhook_id", t.Endpoint.SubscriptionID, "error", err, "unlogged", unlogged)
		}
		return
	}
	if unlogged, ok := d.noDriver.Allow(time.Now()); ok {
		d.cfg.Logger.WarnContext(r.attemptCtx,
			"webhook: left to other processes, this one does not have the channel",
			"webhook_id", t.Endpoint.SubscriptionID, "channel", t.Endpoint.Channel, "unlogged", unlogged)
	}
}

// turn is what follows for a delivery whose turn has come.
type turn int

const (
	lookUp       turn = iota // its subscription
	beginAttempt             // an attempt
	settleTurn               // there is no attempt, and a result
	dropTurn                 // nothing: the delivery is no longer this process's
)

// turnBeforeLookup says what follows, whatever the subscription says, and with which result. stopping
// says that attempts are no longer made.
//
// A delivery whose lease has ended is given back. If another process has it, or it was cancelled, the
// store refuses that. If a clock was set ahead, or no other process was there, it counts as no lost
// lease.
func turnBeforeLookup(t *task, lease leaseState, stopping bool, at time.Time) (result, turn) {
	switch {
	case lease == leaseLost:
		return result{}, dropTurn
	case lease == leaseEnded || t.requeueOnly || stopping:
		return requeue(t), settleTurn
	case expired(&t.Task, at):
		return resultOfExpired(t, at), settleTurn
	}
	return result{}, lookUp
}

// lookupSince returns since when the subscription must have been read, by the clock of this process.
// Zero if it does not matter: much may have happened only to what was queued for a while.
func (t *task) lookupSince(now time.Time, poll time.Duration) time.Time {
	if now.Sub(t.heldSince) > poll {
		return now.Add(-poll)
	}
	return time.Time{}
}

// lookup is what was found about the subscription of a delivery.
type lookup struct {
	entry *cacheEntry
	err   error
	// lease is asked for again: to look up may take longer than that.
	lease leaseState
	// stopping says that attempts are no longer made, and checkHealth that the health of the endpoint
	// was read too.
	stopping, checkHealth bool
}

// turnAfterLookup says what follows, and with which result.
func turnAfterLookup(t *task, found lookup, poll time.Duration) (result, turn) {
	switch entry := found.entry; {
	case found.lease == leaseLost:
		return result{}, dropTurn
	case found.lease == leaseEnded:
		return requeue(t), settleTurn // see turnBeforeLookup
	case errors.Is(found.err, webhook.ErrNotFound):
		return requeue(t), settleTurn // deleted: the store counts it as cancelled
	case found.err != nil && found.stopping:
		return requeue(t), settleTurn
	case found.err != nil:
		return requeueForOthers(t, poll), settleTurn
	case entry.paused:
		return requeue(t), settleTurn // held
	case found.checkHealth && entry.waits(t.Endpoint.Channel, t.Probe != nil):
		return requeue(t), settleTurn // its health changed since it was claimed: see cacheEntry
	case entry.channels[t.Endpoint.Channel].noDriver:
		// Leave it to a process that has the channel, and look again in a while.
		return requeueForOthers(t, breaker.MaxBackoff), settleTurn
	}
	return result{}, beginAttempt
}

// attempt makes one attempt. It returns false when there is nothing to settle.
func (r *run) attempt(t *task) (result, bool) {
	d := r.d
	entry, res, settle := r.prepare(t)
	if entry == nil {
		return res, settle
	}
	t.names = entry.names(t.Endpoint.Channel)
	to := entry.channels[t.Endpoint.Channel]
	switch d.queue.TryBegin(&t.item, to.host, to.rate) {
	case fairqueue.Begun:
	case fairqueue.PutBack:
		return result{putBack: true}, false
	case fairqueue.Rejected:
		return requeue(t), true
	}
	if t.Lost > 0 && !r.noteStart(t) {
		return requeue(t), d.leases.state(t, d.clock.latest()) != leaseLost
	}
	ctx := d.cfg.Renders.ContextFor(r.attemptCtx, template.Turn{
		OrganizationID: t.OrganizationID,
		Waiting: func(waits bool) {
			if waits {
				d.pauseStopwatch(t)
			} else {
				d.queue.ResumeStopwatch(&t.item)
			}
		},
	})
	ctx = tracecontext.With(ctx, t.Trace) // in place of one that Run was called with
	about := AttemptStart{
		DeliveryID: t.DeliveryID, OrganizationID: t.OrganizationID, Endpoint: t.Endpoint,
		EventID: t.EventID, EventType: t.EventType, Number: t.Attempts + 1, DueAt: t.DueAt,
		QueuedAt:     t.QueuedAt,
		Capabilities: to.capabilities, RateLimit: webhook.RateLimit(to.rate),
	}
	if t.Probe != nil {
		about.FailingSince = t.Probe.FailingSince
	}
	ctx = hookStart(ctx, d, "AttemptStart", d.cfg.Hooks.AttemptStart, about)
	waitedBefore := d.pausedFor(t)
	attempt, progress, err := d.try(ctx, t.Endpoint.Channel, entry.channels[t.Endpoint.Channel],
		&channel.Message{
			EventID:        t.EventID,
			EventType:      t.EventType,
			SubscriptionID: t.Endpoint.SubscriptionID,
			DeliveryID:     t.DeliveryID.String(),
			Attempt:        t.Attempts + 1,
			Payload:        t.Payload,
			Progress:       t.Progress,
		})
	endedAt := attempt.StartedAt.Add(attempt.Duration)
	waited := d.pausedFor(t) - waitedBefore
	attempt.Duration = max(attempt.Duration-waited, 0)
	if hook := d.cfg.Hooks.AttemptEnd; hook != nil {
		hookEnd(ctx, d, "AttemptEnd", hook, AttemptEnd{about, *attempt, err})
	}
	d.logAttempt(ctx, t, attempt)
	if err != nil && r.attemptCtx.Err() != nil && errors.Is(err, context.Canceled) {
		// This process is stopping: no result on the endpoint. What the channel
		// did get done is not to be done again.
		res := requeue(t)
		res.settlement.Progress = progress
		return res, true
	}
	res = resultOf(t, attempt, decide(&t.Task, endedAttempt{
		err: err, class: channel.Class(attempt.Class), waitedHere: waited >= attempt.Duration,
	}, retryRules{entry.retry, d.retry, d.cfg.ScheduleJitter}, endedAt))
	res.settlement.Progress, res.revision = progress, entry.revision
	res.setSkip(entry.ordering, endedAt)
	if throttles(err) {
		d.queue.Throttle(&t.item, res.observed.RetryAfter)
	}
	d.observeReach(t, entry.channels[t.Endpoint.Channel].host.Name, res.observed.Health)
	if t.Probe != nil {
		settleAsProbe(&res, endedAt)
	}
	return res, true
}

// pauseStopwatch pauses the stopwatch of the attempt: see Queue.PauseStopwatch.
func (d *Dispatcher) pauseStopwatch(t *task) {
	t.hasWaited.Store(true)
	d.queue.PauseStopwatch(&t.item)
}

// pausedFor is for how long the stopwatch of the attempt was paused: see Queue.PausedFor.
func (d *Dispatcher) pausedFor(t *task) time.Duration {
	if !t.hasWaited.Load() {
		return 0
	}
	return d.queue.PausedFor(&t.item)
}

// resultOf is the result of a delivery that had that attempt.
func resultOf(t *task, attempt *webhook.Attempt, next decision) result {
	if next.expires {
		attempt.Error = cut(attempt.Error, maxExcerpt-len(expiresBefore)) + expiresBefore
	}
	return result{
		task: t, observed: next.observed, gone: next.gone, permanent: next.permanent,
		expires: next.expires, attempt: attempt,
		settlement: webhook.Settlement{Lease: t.Lease, Attempt: attempt, Status: next.status,
			DueAt: next.dueAt},
	}
}

// setSkip says when the next delivery of the line has its turn, if this one is dead: at once if
// that is because its event expires, and otherwise as the subscription says, which may be never.
func (res *result) setSkip(ordering *webhook.Ordering, at time.Time) {
	switch {
	case !res.task.Ordered || res.settlement.Status != webhook.StatusDead:
	case res.expires:
		res.settlement.SkipAt = at
	case ordering != nil && ordering.SkipAfter > 0:
		res.settlement.SkipAt = at.Add(ordering.SkipAfter)
	}
}

// hookResult is a stored result as Attempted sees it.
func hookResult(t *task, s *webhook.Settlement) Result {
	attempt := *s.Attempt
	attempt.Number = t.Attempts + 1
	return Result{
		DeliveryID:     t.DeliveryID,
		OrganizationID: t.OrganizationID,
		Endpoint:       t.Endpoint,
		EventID:        t.EventID,
		EventType:      t.EventType,
		QueuedAt:       t.QueuedAt,
		Attempt:        attempt,
		Status:         s.Status,
		DueAt:          s.DueAt,
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
