package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// clock is the store's, as this process knows it: what it said last, and what
// has passed since by the monotonic clock. So it does not matter how the clocks
// of processes differ, nor that one of them is set.
type clock struct {
	store  webhook.Store
	logger *slog.Logger

	mu   sync.Mutex
	said time.Time // what the store said, zero before it was asked
	when time.Time // what this process's clock said then
	off  bool      // that they differed by more than clockTolerance
	// failed is when the store could not be asked; it is left alone for a while.
	failed time.Time
}

const (
	// clockTolerance is how much the clocks of a process and of its store may
	// differ before that is logged.
	clockTolerance = 5 * time.Second
	// clockAge is for how long this process goes on from what the store said.
	clockAge = time.Minute
	// clockPause is for how long a store is left alone that could not be asked,
	// and clockTimeout bounds asking: a slower answer says too little.
	clockPause   = 5 * time.Second
	clockTimeout = 5 * time.Second
	// clockBrief bounds asking from within a transaction of the caller's.
	clockBrief = 100 * time.Millisecond
)

// of turns a time of this process's clock into one of the store's.
func (c *clock) of(local time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ofLocked(local)
}

func (c *clock) ofLocked(local time.Time) time.Time {
	if c.said.IsZero() {
		return local.UTC().Truncate(time.Microsecond)
	}
	return c.said.Add(local.Sub(c.when)).UTC().Truncate(time.Microsecond)
}

// latest is now, or later if this process's clock says that more has passed than
// the monotonic one does: that of a machine which slept may have stood still.
func (c *clock) latest() time.Time {
	local := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.ofLocked(local)
	if c.said.IsZero() {
		return at
	}
	if byWall := c.said.Add(local.Round(0).Sub(c.when.Round(0))); byWall.After(at) {
		return byWall
	}
	return at
}

// stale reports whether the store should be asked again.
func (c *clock) stale(local time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.failed.IsZero() && local.Sub(c.failed) < clockPause {
		return false
	}
	if c.said.IsZero() {
		return true
	}
	passed := local.Sub(c.when)
	jump := local.Round(0).Sub(c.when.Round(0)) - passed
	return passed > clockAge || jump.Abs() > time.Second
}

// ask asks the store if that was long ago. If it fails, the last answer stays.
func (c *clock) ask(ctx context.Context) {
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
		c.failed = time.Now()
		return
	}
	after := time.Now()
	took := after.Sub(before)
	said = said.Add(took / 2)
	ahead := after.Round(0).Sub(said)
	c.mu.Lock()
	c.said, c.when, c.failed = said, after, time.Time{}
	changed := (ahead.Abs() > clockTolerance+took) != c.off
	if changed {
		c.off = !c.off
	}
	off := c.off
	c.mu.Unlock()
	switch {
	case changed && off:
		c.logger.WarnContext(ctx,
			"webhook: the clock of this process differs from that of its store, which is used", "ahead",
			ahead)
	case changed:
		c.logger.InfoContext(ctx,
			"webhook: the clock of this process agrees with that of its store again")
	}
}

// askBriefly is ask for a caller that may hold connections which others wait for: it does not wait
// for one of the store's.
func (c *clock) askBriefly(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clockBrief)
	defer cancel()
	c.ask(ctx)
}

// now is the time by the store's clock, as stores keep it.
func (d *Dispatcher) now() time.Time { return d.clock.of(time.Now()) }

// Times that lie further ahead than any that this process would have set are
// what a clock left that was wrong: leases by more than aheadLeases of its own
// or aheadLeast, what was never attempted by more than aheadLeast.
const (
	aheadLeases = 4
	aheadLeast  = 5 * time.Minute
	repairBatch = 1000
)

// repair sets right what a wrong clock has left.
func (r *run) repair(ctx context.Context) error {
	d := r.d
	for {
		at := d.now()
		repairCtx, cancel := context.WithTimeout(ctx, storeTimeout)
		n, err := d.store.Repair(repairCtx, at, webhook.RepairRequest{
			Until:        at.Add(d.cfg.Lease),
			LeasesAfter:  at.Add(max(aheadLeases*d.cfg.Lease, aheadLeast)),
			FreshAfter:   at.Add(aheadLeast),
			RetriesAfter: at.Add(d.maxRetryWait + aheadLeast),
			ProbesAfter: at.Add(max(d.cfg.Lifecycle.MaxProbe, channel.MaxRetryAfter,
				aheadLeases*d.cfg.Lease) + aheadLeast),
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
