package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// MaxReplayed is the number of attempts from which a delivery can no longer be replayed. Replay
// then returns an error that matches webhook.ErrWrongStatus, and ReplayAll skips the delivery. The
// bound exists because the history is stored in one row and read with every attempt. With the
// default retry policy a delivery can be replayed three times; a policy of more than MaxReplayed
// attempts leaves deliveries that can never be replayed.
const MaxReplayed = 250

// Replay delivers a settled delivery again. Its retries count from the beginning. It returns
// ErrWrongStatus if the delivery is not settled or has [MaxReplayed] attempts, and ErrNotFound if
// the organization has no such delivery, or no longer has its subscription or channel.
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
	if err := d.store.Replay(ctx, d.now(), organizationID, id); err != nil {
		return err
	}
	d.queue.SignalClaim()
	d.results.wake()
	return nil
}

// ReplayOptions are the options of [Dispatcher.ReplayAll].
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
func (d *Dispatcher) ReplayAll(
	ctx context.Context, q webhook.DeliveryQuery, options ReplayOptions,
) (ReplayProgress, error) {
	if !(options.PerSecond >= minReplayRate) {
		return ReplayProgress{Before: q.Before},
			errors.New("webhook: ReplayAll: the rate must be at least one an hour")
	}
	return d.replayFrom(ctx, q, options, time.Time{})
}

// minReplayRate is the lowest rate of replays of many deliveries, each second.
const minReplayRate = 1.0 / 3600

// replayFrom is ReplayAll with the time at which the first delivery becomes due; zero is now.
func (d *Dispatcher) replayFrom(
	ctx context.Context, q webhook.DeliveryQuery, options ReplayOptions, start time.Time,
) (ReplayProgress, error) {
	const page = 100
	progress := ReplayProgress{Before: q.Before}
	limit := q.Limit
	q.WithoutAttempts = true
	if q.AttemptsBelow <= 0 || q.AttemptsBelow > MaxReplayed {
		q.AttemptsBelow = MaxReplayed
	}
	for {
		q.Limit, q.Before = page, progress.Before
		deliveries, err := d.Deliveries(ctx, q)
		if err != nil {
			return progress, err
		}
		for i := range deliveries {
			if limit > 0 && progress.Replayed == limit {
				return progress, nil
			}
			if options.includes(&deliveries[i]) {
				if start.IsZero() {
					d.clock.refresh(ctx)
					start = d.now()
				}
				due := start.Add(time.Duration(
					float64(progress.Replayed) / options.PerSecond * float64(time.Second)))
				err = d.store.Replay(ctx, due.Truncate(time.Microsecond), q.OrganizationID, deliveries[i].ID)
				switch {
				case err == nil:
					progress.Replayed++
				case !errors.Is(err, webhook.ErrWrongStatus) && !errors.Is(err, webhook.ErrNotFound):
					return progress, err
				}
			}
			progress.Before = deliveries[i].ID
		}
		d.queue.SignalClaim()
		d.results.wake()
		if len(deliveries) < page {
			return progress, nil
		}
	}
}
