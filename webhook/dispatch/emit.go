package dispatch

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/webhook"
)

// MaxPayload is the largest size of an event's JSON in bytes: 1 MiB. Emit returns an
// [*event.ValidationError] for a larger event.
const MaxPayload = 1 << 20

// storeTimeout bounds one call of the store that is made for many callers, or
// for none that waits.
const storeTimeout = 30 * time.Second

// maxCommitBytes bounds what one shared commit of emits writes, in bytes.
const maxCommitBytes = 4 << 20

// Emit publishes events: it returns once they are durable, with one delivery for each channel of
// each subscription that matches. The result says for each event, in the order of the call, how
// many deliveries that makes. Emit stores all events of one call or none. Concurrent calls share
// commits. Without events, Emit does nothing and returns nil.
//
// So that the events of others need not wait, a store may write the deliveries of an event that
// matches many in several transactions, after the one that makes all of them durable. Emit returns
// when the last is written. If ctx ends before, or the store fails, Emit returns no error, because
// the event has been emitted, and sets Unfinished in its result: a Dispatcher that runs, in any
// process, writes the rest within seconds of [webhook.FanOutLease].
//
// Emit fills in the fields that every event needs and that the caller left empty, in the caller's
// event: the id, the time, the version, and "system" as the actor. If an event is invalid, or its
// JSON has more than [MaxPayload] bytes, Emit stores nothing and returns an
// [*event.ValidationError] that lists every problem. Any other error is the store's, or that of
// ctx: after it, the events may or may not be stored.
//
// Emit accepts an event whose id the organization has emitted before, stores nothing for it, and
// reports it as a duplicate. So it is safe to emit the same events again after any error. If a
// transaction of a caller has emitted the event and stays open, Emit waits for it, and fails with
// [webhook.ErrBlocked] if that takes too long for the store.
//
// The trace that [tracecontext.From] finds in ctx, or in what Hooks.EmitStart makes of it, is
// stored with the events, apart from their JSON. Each attempt to deliver them has it in its
// context, whichever process makes it.
//
// Emit works whether or not Run is running, in this process or another.
func (d *Dispatcher) Emit(ctx context.Context, events ...*event.Event) ([]webhook.Emitted, error) {
	ctx = d.emitStart(ctx, events, false)
	emitted, err := d.emit(ctx, events)
	d.emitEnd(ctx, events, emitted, err)
	return emitted, err
}

func (d *Dispatcher) emit(ctx context.Context, events []*event.Event) ([]webhook.Emitted, error) {
	records, err := newEvents(ctx, events)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	emitted, err := d.emits.Do(ctx, records)
	if err != nil {
		return nil, fmt.Errorf("webhook: emit: %w", err)
	}
	d.fanOut(ctx, records, emitted)
	return emitted, nil
}

// EmitTx publishes events in a transaction of the caller: they are published if and only if it
// commits, together with everything else that it changes. The transaction is on the store's
// database, and the store's package makes it a [webhook.Tx]: postgres.Tx of a pgx.Tx, sqlite.Tx of
// a *sql.Tx, memstore.Store.Begin. EmitTx returns an error that matches [webhook.ErrWrongTx] if the
// transaction belongs to another store, and ErrNoTx if the store has no [webhook.Capabilities] for
// transactions.
//
// In all other ways EmitTx does what [Dispatcher.Emit] does, but writes everything in the
// transaction; it reports what the transaction sees.
// Nothing is delivered before the commit. After it, a Dispatcher finds the events at once if the
// store has Notifications, and otherwise within Config.PollInterval.
func (d *Dispatcher) EmitTx(
	ctx context.Context, tx webhook.Tx, events ...*event.Event,
) ([]webhook.Emitted, error) {
	ctx = d.emitStart(ctx, events, true)
	emitted, err := d.emitTx(ctx, tx, events)
	d.emitEnd(ctx, events, emitted, err)
	return emitted, err
}

func (d *Dispatcher) emitTx(
	ctx context.Context, tx webhook.Tx, events []*event.Event,
) ([]webhook.Emitted, error) {
	queue := d.store.Capabilities().Transactions
	if queue == nil {
		return nil, ErrNoTx
	}
	records, err := newEvents(ctx, events)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	d.clock.refreshBriefly(ctx)
	emitted, err := queue.EnqueueTx(ctx, tx, d.now(), records)
	if err != nil {
		return nil, fmt.Errorf("webhook: emit: %w", err)
	}
	return emitted, nil
}

// newEvents completes, checks and encodes events. They are a part of the trace of ctx.
func newEvents(ctx context.Context, events []*event.Event) ([]webhook.NewEvent, error) {
	var p event.Problems
	trace := tracecontext.From(ctx)
	records := make([]webhook.NewEvent, 0, len(events))
	for i, e := range events {
		path := ""
		if len(events) > 1 {
			path = fmt.Sprintf("events[%d]", i)
		}
		if e == nil {
			p.Add(path, "the event is nil")
			continue
		}
		complete(e)
		var wrong event.Problems
		wrong.AddError("", e.Validate())
		webhook.CheckOrganizationID(&wrong, "OrganizationID", e.OrganizationID)
		webhook.CheckTTL(&wrong, "TTL", e.TTL)
		if err := wrong.Err(); err != nil {
			p.AddError(path, err)
			continue
		}
		payload, err := encode(e)
		if err != nil {
			p.AddError(path, err)
			continue
		}
		if len(payload) > MaxPayload {
			p.Add(path, "the event's JSON must have at most %d bytes, has %d", MaxPayload, len(payload))
			continue
		}
		records = append(records, webhook.NewEvent{
			OrganizationID: e.OrganizationID, ID: e.ID, Type: e.Type, Payload: payload,
			Trace: trace, Subject: e.Subject, TTL: e.TTL.Truncate(time.Microsecond),
		})
	}
	return records, p.Err()
}

// encodeBuffers hold *[]byte.
var encodeBuffers = sync.Pool{New: func() any { return new([]byte) }}

// encode returns the event's JSON in a slice of just its size: payloads are kept.
func encode(e *event.Event) ([]byte, error) {
	buf := encodeBuffers.Get().(*[]byte)
	defer encodeBuffers.Put(buf)
	b, err := e.AppendJSON((*buf)[:0])
	if err != nil {
		return nil, err
	}
	*buf = b
	return bytes.Clone(b), nil
}

func complete(e *event.Event) {
	if e.ID == "" {
		e.ID = event.NewID()
	}
	if e.OccurredAt.IsZero() {
		e.OccurredAt = localNow()
	}
	settings.Default(&e.Version, event.Version1)
	settings.Default(&e.Actor, event.ActorSystem)
}

// commitEmits stores the events of several calls of Emit at once, and takes
// what it has room for straight to this process's workers.
func (d *Dispatcher) commitEmits(
	ctx context.Context, records []webhook.NewEvent,
) (emitted []webhook.Emitted, err error) {
	err = d.prefetching(ctx, func(at time.Time, p *webhook.Prefetch) ([]webhook.Task, error) {
		enqueued, err := d.store.Enqueue(ctx, at, records, p)
		emitted = enqueued.Events
		return enqueued.Tasks, err
	})
	if err != nil {
		return nil, err
	}
	d.claimOrdered(emitted)
	return emitted, nil
}

// claimOrdered claims what stands in line, which is never prefetched.
func (d *Dispatcher) claimOrdered(emitted []webhook.Emitted) {
	if slices.ContainsFunc(emitted, func(e webhook.Emitted) bool { return e.Ordered }) {
		d.queue.SignalClaim()
	}
}

// prefetching calls store, which stores deliveries, and queues those that it prefetched.
func (d *Dispatcher) prefetching(
	ctx context.Context, store func(time.Time, *webhook.Prefetch) ([]webhook.Task, error),
) error {
	d.clock.refresh(ctx)
	local := time.Now()
	at := d.clock.fromLocal(local)
	defer d.tails.wake()
	r := d.running.Load()
	if r == nil || d.clock.unknown() != nil {
		_, err := store(at, nil)
		if d.running.Load() != nil { // its first claim may have been too early
			d.queue.MarkBacklogSomewhere()
		}
		return err
	}
	admission := d.queue.BeginAdmission()
	tasks, err := store(at, &webhook.Prefetch{
		Until: at.Add(d.cfg.Lease),
		Take: func(organizationID string, e webhook.Endpoint) bool {
			return admission.ReservePrefetch(destination(organizationID, e))
		},
	})
	if err != nil {
		admission.Cancel()
		return err
	}
	if rejected := d.push(newItems(local, tasks), admission.Push); len(rejected) > 0 {
		r.requeueRejected(ctx, rejected)
	}
	return nil
}

// requeueAll returns deliveries to the store that were not attempted.
func (d *Dispatcher) requeueAll(ctx context.Context, tasks []*task) error {
	settlements := make([]webhook.Settlement, len(tasks))
	for i, t := range tasks {
		settlements[i] = requeue(t).settlement
	}
	ctx = context.WithoutCancel(ctx)
	_, err := d.settle(ctx, settlements)
	if err == nil {
		for _, t := range tasks {
			// A probe that was not made. It is not stored again if that fails: a caller waits, and the
			// next probe comes when the lease would have ended.
			if err := d.endProbe(ctx, &result{task: t}); err != nil {
				d.logStateNotStored(ctx, t, err)
			}
		}
	}
	return err
}

// localNow is the time by the clock of this process, as stores keep it.
func localNow() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
