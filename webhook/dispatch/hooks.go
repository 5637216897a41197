package dispatch

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Hooks are functions that the Dispatcher calls for traces, metrics and audits. A nil hook is not
// called and costs nothing. [JoinHooks] makes one Hooks of several.
//
// A Start hook gets the context of the operation that begins, and returns the context to use for
// it: the same one, or one derived from it that holds a span, for example. The Dispatcher passes it
// to the store or the channel, and to the End hook, which it calls exactly once for each Start
// hook. If a Start hook returns nil, the context stays as it was.
//
// The Dispatcher calls all hooks but Attempted synchronously, from many goroutines at a time: the
// time that they take is added to the emit, attempt or claim. Hooks must be safe for concurrent
// use, must not block, and must not change what they are given. A panic in a hook is logged and has
// no other effect; a Start hook that panics leaves the context as it was. A hook must not end its
// goroutine, as t.FailNow of a test does.
type Hooks struct {
	// EmitStart and EmitEnd enclose each call of [Dispatcher.Emit] and [Dispatcher.EmitTx]. The
	// events are stored with the trace that tracecontext.From finds in the context that EmitStart
	// returns. Concurrent calls of Emit share one call of the store, which gets the context of one
	// of them.
	EmitStart func(context.Context, EmitStart) context.Context
	EmitEnd   func(context.Context, EmitEnd)

	// AttemptStart and AttemptEnd enclose each call of a channel for a delivery. In the context that
	// AttemptStart gets, tracecontext.From finds the trace of the emit. The channel sends the trace
	// in the context that AttemptStart returns to its endpoint. AttemptEnd is called before the
	// result is stored: see Attempted.
	AttemptStart func(context.Context, AttemptStart) context.Context
	AttemptEnd   func(context.Context, AttemptEnd)

	// ClaimStart and ClaimEnd enclose each call that asks the store for due deliveries. There is at
	// least one in each Config.PollInterval, unless there is no room in memory for more deliveries, the
	// time of the store is not known, or the store has failed and is left alone for a while. Deliveries
	// that Emit prefetches are not claimed, and calls that ask for what has expired while it waited are
	// not enclosed.
	ClaimStart func(context.Context, ClaimStart) context.Context
	ClaimEnd   func(context.Context, ClaimEnd)

	// SettleStart and SettleEnd enclose each call that stores results, many at a time. A call that
	// fails is repeated, with hooks of its own.
	SettleStart func(context.Context, SettleStart) context.Context
	SettleEnd   func(context.Context, SettleEnd)

	// PruneStart and PruneEnd enclose each call that has the store remove what is older than
	// Config.Retention. There is one each minute or more often.
	PruneStart func(context.Context, PruneStart) context.Context
	PruneEnd   func(context.Context, PruneEnd)

	// LeasesLost is called when the store no longer knows leases of this process: another process has
	// claimed the deliveries, or they were cancelled. The store has refused to extend them, or to note
	// that an attempt begins, or a result after it had refused one of these.
	LeasesLost func(context.Context, LeasesLost)

	// RunStart and RunEnd enclose each Run, or a Drain that does its work. The contexts of attempts,
	// claims and results are derived from the one that RunStart returns. RunDrain is called when the
	// context of Run has ended, while attempts are still in flight.
	RunStart func(context.Context, RunStart) context.Context
	RunDrain func(context.Context, RunDrain)
	RunEnd   func(context.Context, RunEnd)

	// HealthChanged is called when the stored health of an endpoint has changed, by the one process
	// that has changed it: once for each change, whatever the number of processes. The
	// change is stored by then. Calls for one endpoint may overlap when it changes twice at about the
	// same time: the Revision of the states tells their order.
	HealthChanged func(context.Context, HealthChange)

	// Throttled is called when an endpoint with a rate limit has refused an attempt because there are
	// too many (429), and the store has lowered its rate for all processes.
	Throttled func(context.Context, Throttled)

	// Attempted is called after each attempt, once its result is stored, from one goroutine at a
	// time. Up to 4096 calls can wait for it; then no further results are stored until it returns.
	// It is not called for a result that the store refused because it came too late.
	Attempted func(Result)
}

// EmitStart describes a call of [Dispatcher.Emit] or [Dispatcher.EmitTx] that begins.
type EmitStart struct {
	// Events are the caller's. They are not checked or completed yet: ids may be empty, and
	// elements nil.
	Events []*event.Event
	// Tx is true for EmitTx.
	Tx bool
}

// EmitEnd describes what the call returns.
type EmitEnd struct {
	// Events are those of EmitStart. They are complete now, unless Err is not nil.
	Events  []*event.Event
	Emitted []webhook.Emitted
	Err     error
}

// AttemptStart describes an attempt that begins.
type AttemptStart struct {
	DeliveryID     webhook.DeliveryID
	OrganizationID string
	Endpoint       webhook.Endpoint
	EventID        string
	EventType      string
	// Number counts the attempts of the delivery, from 1.
	Number int
	// DueAt is the time from which the attempt could have been made, by the store's clock.
	DueAt time.Time
	// QueuedAt is when the event was emitted, or when the delivery was last replayed, by the same
	// clock.
	QueuedAt time.Time
	// Capabilities are those of the channel, such as the host of its attempts. They are zero if the
	// channel cannot be opened.
	Capabilities channel.Capabilities
	// RateLimit is that of the endpoint: the subscription's, or the channel's own. Zero is none. The
	// time from DueAt on is then in part, or all, what the endpoint's own limit made the delivery wait.
	RateLimit webhook.RateLimit
	// FailingSince is since when the endpoint has been failing if it is degraded, so that the attempt
	// is a probe. It is zero for all other attempts.
	FailingSince time.Time
}

// AttemptEnd describes an attempt that has ended.
type AttemptEnd struct {
	AttemptStart
	// Attempt is what the history will say.
	Attempt webhook.Attempt
	// Err is the channel's error, or nil if it delivered: see [channel.AsError]. If Run has cancelled
	// the attempt, Err matches [context.Canceled]; the attempt is then not in the history, and the
	// delivery is requeued.
	Err error
}

// ClaimStart describes a claim that begins.
type ClaimStart struct {
	// Limit is the largest number of deliveries to claim.
	Limit int
}

// ClaimEnd describes what a claim returned.
type ClaimEnd struct {
	// Deliveries is how many were claimed.
	Deliveries int
	// Err is the store's error.
	Err error
}

// SettleStart describes a call that stores results.
type SettleStart struct {
	// Deliveries is the number of results, including those that requeue a delivery.
	Deliveries int
}

// SettleEnd describes what the call returned.
type SettleEnd struct {
	// Deliveries is that of SettleStart.
	Deliveries int
	// Refused is how many results came too late: another process had claimed the delivery, or it was
	// cancelled.
	Refused int
	// Err is the store's error.
	Err error
}

// PruneStart describes a call that removes what is old.
type PruneStart struct {
	// Limit is the largest number of deliveries and events to remove.
	Limit int
}

// PruneEnd describes what the call returned.
type PruneEnd struct {
	// Rows is how many deliveries and events were removed, or the Limit if the store has left
	// deliveries of deleted subscriptions for the next call.
	Rows int
	// Err is the store's error.
	Err error
}

// LeasesLost describes leases of this process that the store no longer knows: see Hooks.LeasesLost.
type LeasesLost struct {
	// Deliveries is how many leases there are, one for each delivery.
	Deliveries int
}

// RunStart describes a [Dispatcher.Run] that begins.
type RunStart struct {
	// Drain is true if the work is that of a [Dispatcher.Drain].
	Drain bool
}

// RunDrain says that Run has stopped claiming, and waits for its attempts in flight.
type RunDrain struct {
	// Unstarted is how many deliveries in memory were not attempted. They are requeued.
	Unstarted int
}

// RunEnd describes a Run that has ended.
type RunEnd struct {
	// Requeued is how many deliveries were requeued after the context had ended.
	Requeued int
	// Leased is how many deliveries wait for the end of their lease: see [UnfinishedError].
	Leased int
	// Err is what Run returns.
	Err error
}

// HealthChange describes a change of an endpoint's stored health: see "Health of an endpoint" in
// the package documentation.
type HealthChange struct {
	// Before and After are the stored states. After says why the health changed, and who changed it.
	// If the endpoint is healthy again, Before.FailingSince is when its failures began.
	Before, After webhook.EndpointState
	// EventType is that of the event whose attempt has changed it. Empty if a person has.
	EventType string
}

// Throttled describes an endpoint whose rate was lowered: see "Rate limits" in the package
// documentation.
type Throttled struct {
	Endpoint webhook.Endpoint
	// Limit is the rate limit of the endpoint, and PerSecond the rate that is in force now.
	Limit     webhook.RateLimit
	PerSecond float64
	// RetryAfter is how long the endpoint has asked to be left alone; zero if it did not say.
	RetryAfter time.Duration
}

// Result describes an attempt and what follows from it.
type Result struct {
	DeliveryID     webhook.DeliveryID
	OrganizationID string
	Endpoint       webhook.Endpoint
	EventID        string
	EventType      string
	// QueuedAt is when the event was emitted, or when the delivery was last replayed.
	QueuedAt time.Time
	Attempt  webhook.Attempt
	// Status is that of the delivery now: StatusSucceeded, StatusPending or StatusDead.
	Status webhook.Status
	// DueAt is when the next attempt is due. It is zero unless Status is StatusPending.
	DueAt time.Time
}

// hookStart calls a Start hook, if it is not nil, and returns the context to go on with.
func hookStart[T any](
	ctx context.Context, d *Dispatcher, name string,
	hook func(context.Context, T) context.Context, about T,
) (out context.Context) {
	if hook == nil {
		return ctx
	}
	out = ctx
	defer d.recoverHook(ctx, name)
	if given := hook(ctx, about); given != nil {
		out = given
	}
	return out
}

// hookEnd calls a hook that returns nothing, if it is not nil.
func hookEnd[T any](
	ctx context.Context, d *Dispatcher, name string, hook func(context.Context, T), about T,
) {
	if hook == nil {
		return
	}
	defer d.recoverHook(ctx, name)
	hook(ctx, about)
}

// recoverHook is deferred where a hook is called, and logs its panic.
func (d *Dispatcher) recoverHook(ctx context.Context, name string) {
	if p := recover(); p != nil {
		// Its type and not its value, which may hold a secret.
		d.cfg.Logger.ErrorContext(ctx, "webhook: a hook panicked",
			"hook", name, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	}
}

func (d *Dispatcher) emitStart(
	ctx context.Context, events []*event.Event, tx bool,
) context.Context {
	hook := d.cfg.Hooks.EmitStart
	if hook == nil {
		return ctx
	}
	// A copy, so that the slice of a caller without hooks stays on its stack.
	about := EmitStart{Events: slices.Clone(events), Tx: tx}
	return hookStart(ctx, d, "EmitStart", hook, about)
}

func (d *Dispatcher) emitEnd(
	ctx context.Context, events []*event.Event, emitted []webhook.Emitted, err error,
) {
	if hook := d.cfg.Hooks.EmitEnd; hook != nil {
		// A copy, as in emitStart.
		about := EmitEnd{Events: slices.Clone(events), Emitted: emitted, Err: err}
		hookEnd(ctx, d, "EmitEnd", hook, about)
	}
}

// prune asks the store to remove what is old.
func (d *Dispatcher) prune(
	ctx context.Context, at time.Time, req webhook.PruneRequest,
) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	hooks := &d.cfg.Hooks
	ctx = hookStart(ctx, d, "PruneStart", hooks.PruneStart, PruneStart{Limit: req.Limit})
	n, err := d.store.Prune(ctx, at, req)
	hookEnd(ctx, d, "PruneEnd", hooks.PruneEnd, PruneEnd{Rows: n, Err: err})
	return n, err
}

// claim asks the store for due deliveries.
func (r *run) claim(
	ctx context.Context, at time.Time, req webhook.ClaimRequest,
) ([]webhook.Task, error) {
	d := r.d
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	ctx = hookStart(ctx, d, "ClaimStart", d.cfg.Hooks.ClaimStart, ClaimStart{Limit: req.Limit})
	tasks, err := d.store.Claim(ctx, at, req)
	hookEnd(ctx, d, "ClaimEnd", d.cfg.Hooks.ClaimEnd, ClaimEnd{Deliveries: len(tasks), Err: err})
	return tasks, err
}

// settle hands results to the store once.
func (d *Dispatcher) settle(
	ctx context.Context, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	n, hooks := len(settlements), &d.cfg.Hooks
	ctx = hookStart(ctx, d, "SettleStart", hooks.SettleStart, SettleStart{Deliveries: n})
	refused, err := d.store.Settle(ctx, d.now(), settlements)
	d.results.wake()
	hookEnd(ctx, d, "SettleEnd", hooks.SettleEnd,
		SettleEnd{Deliveries: n, Refused: len(refused), Err: err})
	return refused, err
}

// hookLoop calls Attempted.
func (r *run) hookLoop() {
	for o := range r.hookResults {
		r.callAttempted(o)
		r.pendingHooks.Add(-1)
		r.claimIfDrained()
	}
}

// callAttempted calls Attempted for one attempt. A hook that panics misses that one.
func (r *run) callAttempted(o Result) {
	defer r.d.recoverHook(r.storeCtx, "Attempted")
	r.d.cfg.Hooks.Attempted(o)
}
