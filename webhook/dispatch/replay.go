package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// MaxReplayed is the number of attempts from which a delivery can no longer be replayed. Replay
// then returns an error that matches webhook.ErrWrongStatus, and ReplayAll skips the delivery. The
// bound exists because the history is stored in one row and read with every attempt. With the
// default retry policy a delivery can be replayed three times; a policy of more than MaxReplayed
// attempts leaves deliveries that can never be replayed.
const MaxReplayed = 250

// Replay delivers a settled delivery again. Its retries count from the beginning. For its place in
// line see [webhook.Ordering]. It returns ErrWrongStatus if the delivery is not settled or has
// [MaxReplayed] attempts, and ErrNotFound if the organization has no such delivery, or no longer
// has its subscription or channel. It returns an error, too, if the store has not told this process
// the time yet.
func (d *Dispatcher) Replay(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) error {
	if !storable(organizationID) {
		return webhook.ErrNotFound
	}
	switch delivery, err := d.store.Delivery(ctx, organizationID, id); {
	case err != nil:
		return err
	case len(delivery.Attempts) >= MaxReplayed:
		return fmt.Errorf("%w: it has %d attempts, and is replayed up to %d", webhook.ErrWrongStatus,
			len(delivery.Attempts), MaxReplayed)
	}
	d.clock.refresh(ctx)
	if err := d.clock.unknown(); err != nil {
		return err
	}
	if err := d.store.Replay(ctx, d.now(), organizationID, id); err != nil {
		return err
	}
	d.queue.SignalClaim()
	d.results.wake()
	return nil
}

// ReplayOptions are the options of [Dispatcher.ReplayAll] and [Dispatcher.StartReplay].
type ReplayOptions struct {
	// PerSecond is how many deliveries become due each second, evenly spread, so that they do not
	// flood the endpoint. Required. ReplayAll returns an error if it is below 1.0/3600, which is one
	// an hour.
	PerSecond float64
	// SettledBefore limits the replay to deliveries that were settled before this time, by the store's
	// clock (see [Dispatcher.Now]). Set it when you repeat a call that was interrupted without
	// returning its progress, so that deliveries that the first call replayed are not replayed again.
	// A delivery that was settled at about that time may fall on either side. Zero means no limit.
	SettledBefore time.Time
}

// includes says whether the delivery is to be replayed, if it can be.
func (o ReplayOptions) includes(d *webhook.Delivery) bool {
	return o.SettledBefore.IsZero() || d.SettledAt.Before(o.SettledBefore)
}

// ReplayProgress says how far ReplayAll came.
type ReplayProgress struct {
	// Replayed is how many deliveries were replayed.
	Replayed int
	// Before is where to continue: the Before of the query for the rest.
	Before webhook.DeliveryID

	after webhook.DeliveryID // the same of a query that is OldestFirst
}

// ReplayAll replays the settled deliveries that fit the query, the newest first, q.Limit of them at
// most if that is not 0. Deliveries that are not settled, that have [MaxReplayed] attempts, or
// whose subscription or channel is gone, are skipped, and the progress does not count them. A
// delivery that is not settled is still being delivered; to have it delivered once more, replay it
// when it is settled.
//
// ReplayAll works in small steps, and can be continued after an error or the end of ctx: call it
// again with q.Before set to the Before of the progress. [Dispatcher.StartReplay] has the
// Dispatchers do that.
//
// Deliveries of subscriptions with a [webhook.Ordering] come after all others, the oldest first, so
// that those of a subject are made in their order. There may be up to 100,000 of them: with more,
// ReplayAll returns an error before it replays any of those. Until the last one is replayed, Before
// stays where the first one was found. So set SettledBefore when you continue. StartReplay has no
// such bound: it replays all deliveries the oldest first.
func (d *Dispatcher) ReplayAll(
	ctx context.Context, q webhook.DeliveryQuery, options ReplayOptions,
) (ReplayProgress, error) {
	if !(options.PerSecond >= minReplayRate) {
		return ReplayProgress{Before: q.Before},
			errors.New("webhook: ReplayAll: the rate must be at least one an hour")
	}
	q.OldestFirst = false
	return d.replayFrom(ctx, q, options, time.Time{})
}

// minReplayRate is the lowest rate of replays of many deliveries, each second.
const minReplayRate = 1.0 / 3600

// replayFrom is ReplayAll with the time at which the first delivery becomes due; zero is now. If the
// query is OldestFirst, all deliveries are replayed in that order.
func (d *Dispatcher) replayFrom(
	ctx context.Context, q webhook.DeliveryQuery, options ReplayOptions, start time.Time,
) (ReplayProgress, error) {
	const page = 100
	progress := ReplayProgress{Before: q.Before, after: q.After}
	limit := q.Limit
	r := replaying{d: d, organizationID: q.OrganizationID, options: &options, progress: &progress,
		start: start, oldestFirst: q.OldestFirst, ordered: make(map[string]bool)}
	q.WithoutAttempts = true
	if q.AttemptsBelow <= 0 || q.AttemptsBelow > MaxReplayed {
		q.AttemptsBelow = MaxReplayed
	}
	reached := func() bool { return limit > 0 && progress.Replayed+len(r.later) >= limit }
	for before := q.Before; ; {
		q.Limit, q.Before = page, before
		deliveries, err := d.Deliveries(ctx, q)
		if err != nil {
			return progress, err
		}
		for i := range deliveries {
			if reached() {
				return r.replayLater(ctx, before)
			}
			if options.includes(&deliveries[i]) {
				if err := r.visit(ctx, &deliveries[i]); err != nil {
					return progress, err
				}
			}
			switch id := deliveries[i].ID; {
			case q.OldestFirst:
				q.After, progress.after = id, id
			case len(r.later) == 0:
				before, progress.Before = id, id
			default:
				before = id
			}
		}
		d.queue.SignalClaim()
		d.results.wake()
		if len(deliveries) < page || reached() { // the next page could fail, and is not needed
			return r.replayLater(ctx, before)
		}
	}
}

// maxReplayedInOrder bounds the memory of one ReplayAll.
const maxReplayedInOrder = 100_000

// replaying is one call of ReplayAll.
type replaying struct {
	d              *Dispatcher
	organizationID string
	options        *ReplayOptions
	progress       *ReplayProgress
	start          time.Time
	oldestFirst    bool
	// ordered says which subscriptions have an Ordering, as far as they were read, and later has their
	// deliveries, the newest first.
	ordered map[string]bool
	later   []webhook.DeliveryID
}

// visit replays a delivery, or leaves it to replayLater.
func (r *replaying) visit(ctx context.Context, d *webhook.Delivery) error {
	if r.oldestFirst {
		return r.replay(ctx, d.ID)
	}
	ordered, known := r.ordered[d.SubscriptionID]
	if !known {
		sub, err := r.d.store.Subscription(ctx, r.organizationID, d.SubscriptionID)
		if err != nil && !errors.Is(err, webhook.ErrNotFound) {
			return err
		}
		ordered = err == nil && sub.Ordering != nil
		r.ordered[d.SubscriptionID] = ordered
	}
	switch {
	case !ordered:
		return r.replay(ctx, d.ID)
	case !d.Status.Settled():
		return nil
	case len(r.later) == maxReplayedInOrder:
		return fmt.Errorf("webhook: ReplayAll: more than %d deliveries are of subscriptions with an "+
			"ordering: choose a shorter time", maxReplayedInOrder)
	}
	r.later = append(r.later, d.ID)
	return nil
}

// replayLater replays those of ordered subscriptions, the oldest first. Then all is done before an
// id.
func (r *replaying) replayLater(
	ctx context.Context, before webhook.DeliveryID,
) (ReplayProgress, error) {
	for _, id := range slices.Backward(r.later) {
		if err := r.replay(ctx, id); err != nil {
			return *r.progress, err
		}
	}
	r.d.queue.SignalClaim()
	r.d.results.wake()
	r.progress.Before = before
	return *r.progress, nil
}

func (r *replaying) replay(ctx context.Context, id webhook.DeliveryID) error {
	if r.start.IsZero() {
		r.d.clock.refresh(ctx)
		if err := r.d.clock.unknown(); err != nil {
			return err
		}
		r.start = r.d.now()
	}
	due := r.start.Add(time.Duration(
		float64(r.progress.Replayed) / r.options.PerSecond * float64(time.Second)))
	err := r.d.store.Replay(ctx, due.Truncate(time.Microsecond), r.organizationID, id)
	switch {
	case err == nil:
		r.progress.Replayed++
	case !errors.Is(err, webhook.ErrWrongStatus) && !errors.Is(err, webhook.ErrNotFound):
		return err
	}
	return nil
}
