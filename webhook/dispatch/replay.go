package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// MaxReplayed is how many attempts a delivery may have and still be replayed. Its
// history is kept and read as a whole, so that one which is replayed without end
// would make every attempt of it cost more than the one before, for all who share
// the store. Three times the attempts of the default retry policy fit.
const MaxReplayed = 250

// Replay delivers a settled delivery again, with a new retry budget. It returns
// ErrWrongStatus if the delivery is not settled or has [MaxReplayed] attempts, and
// ErrNotFound if the organization has no such delivery, or no longer has its subscription
// or channel.
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
	d.clock.ask(ctx)
	if err := d.store.Replay(ctx, d.now(), organizationID, id); err != nil {
		return err
	}
	d.queue.SignalClaim()
	return nil
}

// ReplayOptions tune [Dispatcher.ReplayAll].
type ReplayOptions struct {
	// PerSecond is how many deliveries become due each second, one after the
	// other, so that a long list is no flood. Required; at least one an hour.
	PerSecond float64
	// SettledBefore passes over what was settled then or later, such as by an earlier call that
	// was interrupted without telling its progress. It is a time by the store's clock: see
	// [Dispatcher.Now]. What is settled at about that time may fall on either side. Zero passes
	// over nothing.
	SettledBefore time.Time
}

// includes says whether the delivery is to be replayed, if it can be.
func (o ReplayOptions) includes(d *webhook.Delivery) bool {
	return o.SettledBefore.IsZero() || d.SettledAt.Before(o.SettledBefore)
}

// ReplayProgress says how far ReplayAll came.
type ReplayProgress struct {
	Replayed int
	// Before is where to go on: the Before of the query for the rest.
	Before webhook.DeliveryID
}

// ReplayAll replays the settled deliveries that fit the query, the newest
// first, q.Limit of them at most if that is not 0. Deliveries that are not
// settled, that have [MaxReplayed] attempts, or whose subscription or channel is gone,
// are passed over, and the progress does not count them. A delivery that is not settled
// is still being delivered; to have it delivered once more, replay it when it is settled.
//
// It works in small steps and may be stopped at any time, by ctx or an error:
// with q.Before set to that of the progress it goes on where it ended.
func (d *Dispatcher) ReplayAll(
	ctx context.Context, q webhook.DeliveryQuery, options ReplayOptions,
) (ReplayProgress, error) {
	const page = 100
	progress := ReplayProgress{Before: q.Before}
	if !(options.PerSecond >= 1.0/3600) {
		return progress, errors.New("webhook: ReplayAll: the rate must be at least one an hour")
	}
	var start time.Time
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
					d.clock.ask(ctx)
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
		if len(deliveries) < page {
			return progress, nil
		}
	}
}
