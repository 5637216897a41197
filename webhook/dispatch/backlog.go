package dispatch

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

// HourlyBacklog returns how much was waiting, hour by hour, the oldest first, as the Run of any process
// has counted it each minute. Hours in which it was not counted, such as those in which none was
// running, are left out. It returns [ErrNoBacklog] if the store does not keep that.
func (d *Dispatcher) HourlyBacklog(
	ctx context.Context, q webhook.BacklogQuery,
) ([]webhook.HourlyBacklog, error) {
	store := d.store.Capabilities().Backlog
	if store == nil {
		return nil, ErrNoBacklog
	}
	if !q.AllOrganizations && !storable(q.OrganizationID) {
		return nil, nil
	}
	return store.HourlyBacklog(ctx, q)
}

// firstSampleAfter is after how long a Run first counts the backlog: not while it starts.
const firstSampleAfter = 5 * time.Second

// sampleLoop has the store count the backlog.
func (r *run) sampleLoop(ctx context.Context, store webhook.BacklogStore) {
	d := r.d
	failures := outage.NewLog(d.cfg.Logger, "count the backlog")
	for wait := firstSampleAfter; sleep(ctx, wait); {
		wait = webhook.BacklogSampleInterval
		if d.clock.unknown() != nil {
			continue // claims ask for it
		}
		bounded, cancel := context.WithTimeout(ctx, storeTimeout)
		err := store.SampleBacklog(bounded, d.now())
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = max(wait, failures.Failed(ctx, err))
		default:
			failures.Over(ctx)
		}
	}
}
