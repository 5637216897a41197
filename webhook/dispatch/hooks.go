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

// Hooks are functions that the Dispatcher calls as things happen: for traces, metrics,
// audit. A nil one costs nothing. [JoinHooks] makes one of several.
//
// A Start hook takes the context of what begins and returns the one to go on with, which
// is derived from it, such as one that holds a span. The store or the channel that
// is called gets that, and the End hook, which is called exactly once for each Start. Nil
// leaves the context as it was.
//
// All but Attempted are called where the thing happens, from many goroutines at a time:
// what they take is added to an emit, an attempt or a claim. They must not block. They
// must not change what they are given. A panic in a hook is logged, and all goes on as
// though it had returned; a Start hook that panics leaves the context as it was. A hook must
// not end its goroutine, as t.FailNow of a test does.
type Hooks struct {
	// EmitStart and EmitEnd enclose each [Dispatcher.Emit] and [Dispatcher.EmitTx]. The
	// events are stored with the trace that tracecontext.From finds in what EmitStart
	// returns. Calls of Emit at the same time share one call of the store, which gets the
	// context of one of them.
	EmitStart func(context.Context, EmitStart) context.Context
	EmitEnd   func(context.Context, EmitEnd)

	// AttemptStart and AttemptEnd enclose each call of a channel for a delivery. In the
	// context of AttemptStart, tracecontext.From finds the trace of the emit; in what it
	// returns, that which the channel is to send to its endpoint. When AttemptEnd is called
	// the result is not stored yet: see Attempted.
	AttemptStart func(context.Context, AttemptStart) context.Context
	AttemptEnd   func(context.Context, AttemptEnd)

	// ClaimStart and ClaimEnd enclose each time that the store is asked for due
	// deliveries, at least once in Config.PollInterval. What Emit hands to this
	// process at once is not claimed.
	ClaimStart func(context.Context, ClaimStart) context.Context
	ClaimEnd   func(context.Context, ClaimEnd)

	// SettleStart and SettleEnd enclose each time that results are handed to the store,
	// many at a time. What fails is tried again, with hooks of its own.
	SettleStart func(context.Context, SettleStart) context.Context
	SettleEnd   func(context.Context, SettleEnd)

	// PruneStart and PruneEnd enclose each time that the store is asked to remove what is older than
	// Config.Retention, about once a minute.
	PruneStart func(context.Context, PruneStart) context.Context
	PruneEnd   func(context.Context, PruneEnd)

	// LeasesLost is called when the store has refused to extend leases of this process: another
	// process has claimed the deliveries, or they were cancelled.
	LeasesLost func(context.Context, LeasesLost)

	// RunStart and RunEnd enclose each Run, or a Drain that does the work of one. The
	// contexts of its attempts, claims and results are derived from what RunStart
	// returns. RunDrain is called when the context of Run has ended, and attempts
	// under way still go on.
	RunStart func(context.Context, RunStart) context.Context
	RunDrain func(context.Context, RunDrain)
	RunEnd   func(context.Context, RunEnd)

	// HealthChanged is called when the stored health of an endpoint has changed, by the one process
	// that has changed it: once for each change, whatever the number of processes. The
	// change is stored by then. Calls for one endpoint may overlap when it changes twice at about the
	// same time: the Revision of the states tells their order.
	HealthChanged func(context.Context, HealthChange)

	// Attempted is called after each attempt, once its result is stored, from one
	// goroutine at a time. Results are stored while it works, but only until 4096 calls
	// wait. It is not called for a result that came too late and was refused.
	Attempted func(Result)
}

// EmitStart is a call of [Dispatcher.Emit] or [Dispatcher.EmitTx] that begins.
type EmitStart struct {
	// Events are the caller's, not checked nor completed yet: ids may be empty, and
	// elements nil.
	Events []*event.Event
	// Tx says that it is EmitTx.
	Tx bool
}

// EmitEnd is what the call returns.
type EmitEnd struct {
	// Events are those of EmitStart, which are complete now unless there was an error.
	Events  []*event.Event
	Emitted []webhook.Emitted
	Err     error
}

// AttemptStart is an attempt that begins.
type AttemptStart struct {
	DeliveryID     webhook.DeliveryID
	OrganizationID string
	Endpoint       webhook.Endpoint
	EventID        string
	EventType      string
	// Number of the attempt of its delivery, from 1.
	Number int
	// DueAt is since when it could have been made, by the store's clock.
	DueAt time.Time
	// QueuedAt is when the event was emitted, or when the delivery was last replayed, by the same
	// clock.
	QueuedAt time.Time
	// Capabilities are what the channel says of its attempts, such as the host that they go to. They
	// are zero if it cannot be opened.
	Capabilities channel.Capabilities
}

// AttemptEnd is an attempt that is over.
type AttemptEnd struct {
	AttemptStart
	// Attempt is what the history will say of it.
	Attempt webhook.Attempt
	// Err is the channel's, nil if it delivered. [channel.AsError] says what it
	// means. It is that of a context that ended if Run has cancelled the attempt: then
	// the history says nothing of it, and the delivery is requeued.
	Err error
}

// ClaimStart is a claim that begins.
type ClaimStart struct {
	// Limit is how many deliveries are asked for at most.
	Limit int
}

// ClaimEnd is what the claim brought.
type ClaimEnd struct {
	Deliveries int
	Err        error
}

// SettleStart is a call of the store with results.
type SettleStart struct {
	// Deliveries is how many results there are, those that requeue a delivery among
	// them.
	Deliveries int
}

// SettleEnd is what the call came to.
type SettleEnd struct {
	Deliveries int
	// Refused is how many came too late: another process had claimed the delivery, or
	// it was cancelled.
	Refused int
	Err     error
}

// PruneStart is a call of the store that begins, to remove what is old.
type PruneStart struct {
	// Limit is how many rows it may remove.
	Limit int
}

// PruneEnd is what the call came to.
type PruneEnd struct {
	// Rows is how many deliveries and events were removed.
	Rows int
	Err  error
}

// LeasesLost are leases that another process has taken over, or of deliveries that were cancelled.
type LeasesLost struct{ Deliveries int }

// RunStart is a [Dispatcher.Run] that begins.
type RunStart struct {
	// Drain says that it is the work of a [Dispatcher.Drain].
	Drain bool
}

// RunDrain is a Run that takes on nothing more.
type RunDrain struct {
	// Unstarted is how many deliveries were in memory and not in flight: they are
	// requeued.
	Unstarted int
}

// RunEnd is a Run that is over.
type RunEnd struct {
	// Requeued is how many deliveries went back to the store since the context had
	// ended.
	Requeued int
	// Leased is how many wait for the end of their lease: see [UnfinishedError].
	Leased int
	// Err is what Run returns.
	Err error
}

// HealthChange is an endpoint whose health has changed: see Health of an endpoint in the
// documentation of the package.
type HealthChange struct {
	// Before and After are the stored states. After says why, since when, and who changed it. When
	// the endpoint is healthy again, Before.FailingSince is since when it had failed.
	Before, After webhook.EndpointState
}

// Result is an attempt and what follows from it.
type Result struct {
	DeliveryID     webhook.DeliveryID
	OrganizationID string
	Endpoint       webhook.Endpoint
	EventID        string
	EventType      string
	// QueuedAt is when the event was emitted, or when the delivery was last replayed.
	QueuedAt time.Time
	Attempt  webhook.Attempt
	// Status is what the delivery becomes: StatusSucceeded, StatusPending (the
	// next attempt is made at DueAt or soon after) or StatusDead.
	Status webhook.Status
	DueAt  time.Time
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
	hookEnd(ctx, d, "SettleEnd", hooks.SettleEnd,
		SettleEnd{Deliveries: n, Refused: len(refused), Err: err})
	return refused, err
}

// tellLoop calls Attempted.
func (r *run) tellLoop() {
	for o := range r.hookResults {
		r.tell(o)
		r.untold.Add(-1)
		r.lookIfDrained()
	}
}

// tell calls Attempted for one attempt. A hook that panics misses that one.
func (r *run) tell(o Result) {
	defer r.d.recoverHook(r.storing, "Attempted")
	r.d.cfg.Hooks.Attempted(o)
}
