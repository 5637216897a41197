package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// clock is the store's, as this process knows it. So it does not matter how the clocks of processes
// differ, nor that one of them is set.
type clock struct {
	store  webhook.Store
	logger *slog.Logger

	mu      sync.Mutex
	known   storeClock
	differs bool  // that the clocks differed by more than clockTolerance
	failure error // of the last question, nil if there was none
}

// storeClock is what is known of the store's clock: what it said last, and what has passed since by
// the monotonic clock of this process. It is told the time: local is that of the monotonic clock,
// and wall that of the clock that can be set. The zero storeClock is that of a store that was not
// asked yet. It is not safe for concurrent use.
type storeClock struct {
	said        time.Time // what the store said, zero before it was asked
	local, wall time.Time // what the clocks of this process said then
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

// at turns a time of the monotonic clock into one of the store's.
func (c *storeClock) at(local time.Time) time.Time {
	if c.said.IsZero() {
		return local.UTC().Truncate(time.Microsecond)
	}
	return c.said.Add(local.Sub(c.local)).UTC().Truncate(time.Microsecond)
}

// latest is at, or later if the clock that can be set says that more has passed than the monotonic
// one does: that of a machine which slept may have stood still.
func (c *storeClock) latest(local, wall time.Time) time.Time {
	at := c.at(local)
	if c.said.IsZero() {
		return at
	}
	if byWall := c.said.Add(wall.Sub(c.wall)); byWall.After(at) {
		return byWall
	}
	return at
}

// stale reports whether the store should be asked again.
func (c *storeClock) stale(local, wall time.Time) bool {
	if !c.failedAt.IsZero() && local.Sub(c.failedAt) < clockRetryAfter {
		return false
	}
	if c.said.IsZero() {
		return true
	}
	passed := local.Sub(c.local)
	jump := wall.Sub(c.wall) - passed
	return passed > maxClockAge || jump.Abs() > time.Second
}

// answered notes what the store said to a question that took so long until now, by either clock. It
// does nothing if these differ: if the machine slept meanwhile, the answer may be from before.
func (c *storeClock) answered(said time.Time, took, tookByWall time.Duration, local, wall time.Time) {
	if (tookByWall - took).Abs() <= time.Second {
		*c = storeClock{said: said.Add(took / 2), local: local, wall: wall}
	}
}

// fromLocal turns a time of this process's clock into one of the store's.
func (c *clock) fromLocal(local time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.at(local)
}

// latest is the store's time now: see [storeClock.latest].
func (c *clock) latest() time.Time {
	local := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.latest(local, local.Round(0))
}

// stale is [storeClock.stale].
func (c *clock) stale(local time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.stale(local, local.Round(0))
}

// unknown returns an error if the store has not said the time yet. By the clock of this process
// alone, the leases of others could seem to have ended.
func (c *clock) unknown() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known.said.IsZero() {
		return nil
	}
	return fmt.Errorf("the time of the store is not known: %w",
		cmp.Or(c.failure, webhook.ErrUnavailable))
}

// refresh asks the store if that was long ago. If it fails, the last answer stays.
func (c *clock) refresh(ctx context.Context) { c.refreshWithin(ctx, clockTimeout) }

func (c *clock) refreshWithin(ctx context.Context, timeout time.Duration) {
	before := time.Now()
	if !c.stale(before) {
		return
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	said, err := c.store.Now(ctx)
	if err != nil {
		if caller.Err() != nil {
			return // it has gone, which says nothing of the store
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.known.failedAt, c.failure = time.Now(), err
		return
	}
	after := time.Now()
	took := after.Sub(before)
	ahead := after.Round(0).Sub(said.Add(took / 2))
	c.mu.Lock()
	c.known.answered(said, took, after.Round(0).Sub(before.Round(0)), after, after.Round(0))
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
	c.refreshWithin(ctx, briefClockTimeout)
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

// repairRequest says which times are too far ahead at a time, if retries wait for so long at most.
func (c *Config) repairRequest(at time.Time, maxRetryWait time.Duration) webhook.RepairRequest {
	return webhook.RepairRequest{
		Until:        at.Add(c.Lease),
		LeasesAfter:  at.Add(max(maxLeasesAhead*c.Lease, minAhead)),
		FreshAfter:   at.Add(minAhead),
		RetriesAfter: at.Add(maxRetryWait + minAhead),
		ProbesAfter: at.Add(max(c.Lifecycle.MaxProbe, channel.MaxRetryAfter,
			maxLeasesAhead*c.Lease) + minAhead),
		Limit: repairBatch,
	}
}

// repair sets right what a wrong clock has left.
func (r *run) repair(ctx context.Context) error {
	d := r.d
	for {
		at := d.now()
		repairCtx, cancel := context.WithTimeout(ctx, storeTimeout)
		n, err := d.store.Repair(repairCtx, at, d.cfg.repairRequest(at, d.maxRetryWait))
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
