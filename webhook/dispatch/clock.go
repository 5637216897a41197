package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// clock is the store's, as this process knows it: what it said last, and what has passed since by
// the monotonic clock. So it does not matter how the clocks of processes differ, nor that one of
// them is set.
type clock struct {
	store  webhook.Store
	logger *slog.Logger

	mu        sync.Mutex
	storeTime time.Time // what the store said, zero before it was asked
	localTime time.Time // what this process's clock said then
	differs   bool      // that they differed by more than clockTolerance
	// failedAt is when the store could not be asked; it is left alone for a while.
	failedAt time.Time
}

const (
	// clockTolerance is how much the clocks of a process and of its store may differ before that is
	// logged.
	clockTolerance = 5 * time.Second
	// maxClockAge is for how long this process goes on from what the store said.
	maxClockAge = time.Minute
	// clockRetryAfter is for how long a store is left alone that could not be asked, and clockTimeout
	// bounds asking: a slower answer says too little.
	clockRetryAfter = 5 * time.Second
	clockTimeout    = 5 * time.Second
	// briefClockTimeout bounds asking from within a transaction of the caller's.
	briefClockTimeout = 100 * time.Millisecond
)

// fromLocal turns a time of this process's clock into one of the store's.
func (c *clock) fromLocal(local time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fromLocalLocked(local)
}

func (c *clock) fromLocalLocked(local time.Time) time.Time {
	if c.storeTime.IsZero() {
		return local.UTC().Truncate(time.Microsecond)
	}
	return c.storeTime.Add(local.Sub(c.localTime)).UTC().Truncate(time.Microsecond)
}

// latest is now, or later if this process's clock says that more has passed than the monotonic one
// does: that of a machine which slept may have stood still.
func (c *clock) latest() time.Time {
	local := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.fromLocalLocked(local)
	if c.storeTime.IsZero() {
		return at
	}
	if byWall := c.storeTime.Add(local.Round(0).Sub(c.localTime.Round(0))); byWall.After(at) {
		return byWall
	}
	return at
}

// stale reports whether the store should be asked again.
func (c *clock) stale(local time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.failedAt.IsZero() && local.Sub(c.failedAt) < clockRetryAfter {
		return false
	}
	if c.storeTime.IsZero() {
		return true
	}
	passed := local.Sub(c.localTime)
	jump := local.Round(0).Sub(c.localTime.Round(0)) - passed
	return passed > maxClockAge || jump.Abs() > time.Second
}

// refresh asks the store if that was long ago. If it fails, the last answer stays.
func (c *clock) refresh(ctx context.Context) {
	before := time.Now()
	if !c.stale(before) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	said, err := c.store.Now(ctx)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failedAt = time.Now()
		return
	}
	after := time.Now()
	took := after.Sub(before)
	said = said.Add(took / 2)
	ahead := after.Round(0).Sub(said)
	c.mu.Lock()
	c.storeTime, c.localTime, c.failedAt = said, after, time.Time{}
	changed := (ahead.Abs() > clockTolerance+took) != c.differs
	if changed {
		c.differs = !c.differs
	}
	differs := c.differs
	c.mu.Unlock()
	switch {
	case changed && differs:
		c.logger.WarnContext(ctx,
			"webhook: the clock of this process differs from that of its store, which is used", "ahead",
			ahead)
	case changed:
		c.logger.InfoContext(ctx,
			"webhook: the clock of this process agrees with that of its store again")
	}
}

// refreshBriefly is refresh for a caller that may hold connections which others wait for: it does
// not wait for one of the store's.
func (c *clock) refreshBriefly(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, briefClockTimeout)
	defer cancel()
	c.refresh(ctx)
}

// now is the time by the store's clock, as stores keep it.
func (d *Dispatcher) now() time.Time { return d.clock.fromLocal(time.Now()) }

// Times that lie further ahead than any that this process would have set are what a clock left that
// was wrong: leases by more than maxLeasesAhead of its own or minAhead, what was never attempted by
// more than minAhead.
const (
	maxLeasesAhead = 4
	minAhead       = 5 * time.Minute
	repairBatch    = 1000
)

// repair sets right what a wrong clock has left.
func (r *run) repair(ctx context.Context) error {
	d := r.d
	for {
		at := d.now()
		repairCtx, cancel := context.WithTimeout(ctx, storeTimeout)
		n, err := d.store.Repair(repairCtx, at, webhook.RepairRequest{
			Until:        at.Add(d.cfg.Lease),
			LeasesAfter:  at.Add(max(maxLeasesAhead*d.cfg.Lease, minAhead)),
			FreshAfter:   at.Add(minAhead),
			RetriesAfter: at.Add(d.maxRetryWait + minAhead),
			ProbesAfter: at.Add(max(d.cfg.Lifecycle.MaxProbe, channel.MaxRetryAfter,
				maxLeasesAhead*d.cfg.Lease) + minAhead),
			Limit: repairBatch,
		})
		cancel()
		if err != nil {
			return err
		}
		if n > 0 {
			d.cfg.Logger.WarnContext(ctx,
				"webhook: deliveries waited for times far ahead, a clock must have been wrong", "deliveries", n)
			d.queue.SignalClaim()
		}
		if n < repairBatch {
			return nil
		}
	}
}
