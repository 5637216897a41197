package dispatch

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// ClassExpired is the class of the last entry in the history of a delivery that became dead because
// the time to live of its event had ended: see [event.Event.TTL]. The entry stands for the attempt
// that was not made. No channel was called.
const ClassExpired channel.Class = "expired"

const (
	expiredText = "the event's time to live has ended, no attempt was made"
	// expiresBefore is added to the error of an attempt that is the last one for this reason.
	expiresBefore = "; the event's time to live ends before the next attempt"
)

// expired reports whether no attempt of the delivery may begin at the time.
func expired(t *webhook.Task, at time.Time) bool {
	return !t.ExpiresAt.IsZero() && !at.Before(t.ExpiresAt)
}

// expireBatch is how many deliveries one call of the store hands out that have expired.
const expireBatch = 500

// expire settles what has expired and is not claimed, or only bit by bit, because its endpoint gets
// nothing. It reports whether there is more. Hooks.ClaimStart and ClaimEnd are not called: they
// are for what is due.
func (r *run) expire(ctx context.Context) (more bool, err error) {
	d := r.d
	at := d.now()
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	local := time.Now()
	tasks, err := d.store.ClaimExpired(bounded, at, at.Add(d.cfg.Lease), expireBatch)
	items := newItems(local, tasks)
	d.leases.hold(items)
	for _, item := range items {
		r.results <- resultOfExpired(item.Value, at)
	}
	return len(tasks) == expireBatch, err
}

// resultOfExpired is the result of a delivery whose turn comes too late. If it was claimed as a
// probe, there was none: result.attempt is nil.
func resultOfExpired(t *task, at time.Time) result {
	return result{task: t, settlement: webhook.Settlement{
		Lease: t.Lease, Status: webhook.StatusDead, SkipAt: at, // it holds up no line
		Attempt: &webhook.Attempt{Number: t.Attempts + 1, StartedAt: at, Class: string(ClassExpired),
			Error: expiredText},
	}}
}
