package dispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Drain delivers everything that is due, for programs that end: jobs, command lines, tests. It
// returns nil once the store holds no delivery that is due now and can be attempted, this process
// has none in memory or in flight, and Hooks.Attempted has returned for each. Each delivery of an
// event that was emitted before the call is then settled (succeeded, dead or cancelled), or waits:
//
//   - for its next attempt, at a later time;
//   - for an endpoint that is not called, because it has failed or has asked for a pause (see
//     "Endpoints that fail" in the package documentation), or is degraded or disabled (see "Health
//     of an endpoint" there);
//   - for a subscription that is paused, or a channel that this process does not have;
//   - for the end of a lease: that of another process, or one that was abandoned, by a process
//     that died or because the store's answer was lost;
//   - behind another delivery of its subject (see [webhook.Ordering]);
//   - to be stored, if the event matches many and its Emit said Unfinished, or its process died: for
//     [webhook.FanOutLease];
//   - for the moment at which it is due, if it was emitted by a process whose clock is a little
//     ahead.
//
// Drain also delivers retries and new events that become due before it returns. In a process that
// goes on emitting, Drain may not return before ctx ends.
//
// If Run is running in this process, it does the work, and Drain waits. If not, or if Run ends
// meanwhile, Drain does the work itself: like Run, it delivers everything that is due in the store.
// A Run that is called at that time begins when Drain is done.
//
// If ctx ends first, Drain returns ctx.Err(). If Drain itself is delivering, it first stops as Run
// does: it gives the attempts in flight up to Config.DrainTimeout and requeues the rest. If it
// cannot store the last results, it returns an [*UnfinishedError] that also matches ctx.Err(). A
// store that fails does not end Drain: it is tried again until ctx ends.
//
// Drain is safe for concurrent use.
func (d *Dispatcher) Drain(ctx context.Context) error {
	for ctx.Err() == nil {
		r := d.running.Load()
		if r == nil {
			if err := d.runUntilDrained(ctx); !errors.Is(err, ErrRunning) {
				return err
			}
			continue // with the Run that has just begun
		}
		drained := r.drainWaiters.add()
		d.queue.SignalClaim()
		select {
		case <-drained:
			return nil
		case <-r.ended:
		case <-ctx.Done():
			r.drainWaiters.remove(drained)
		}
	}
	return ctx.Err()
}

// runUntilDrained is Run for as long as there is something to do.
func (d *Dispatcher) runUntilDrained(ctx context.Context) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	r := d.newRun()
	r.forDrain = true
	drained := r.drainWaiters.add()
	go func() {
		select {
		case <-drained:
			stop()
		case <-running.Done():
		}
	}()
	err := r.run(running)
	select {
	case <-drained:
		return err
	default:
	}
	if err == nil {
		return ctx.Err()
	}
	return errors.Join(err, ctx.Err())
}

// drainWaiters are the calls of Drain that wait for a run.
type drainWaiters struct {
	mu      sync.Mutex
	waiting map[chan struct{}]struct{}
}

// add adds a call, and returns a channel that is closed once nothing is due.
func (w *drainWaiters) add() chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = make(map[chan struct{}]struct{})
	}
	c := make(chan struct{})
	w.waiting[c] = struct{}{}
	return c
}

func (w *drainWaiters) remove(c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, c)
}

// all returns the calls that wait.
func (w *drainWaiters) all() []chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.waiting))
}

// release tells calls that nothing was due after they were added.
func (w *drainWaiters) release(calls []chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range calls {
		if _, waits := w.waiting[c]; waits {
			delete(w.waiting, c)
			close(c)
		}
	}
}

// any reports whether a call waits.
func (w *drainWaiters) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) > 0
}

// claimIfDrained asks for a claim, which finds out whether anything is left, if a call of Drain
// waits for it and this process holds nothing more.
func (r *run) claimIfDrained() {
	if r.drainWaiters.any() && r.nothingPending() && r.d.idle() {
		r.d.queue.SignalClaim()
	}
}

// nothingPending reports whether all that follows from stored results is done.
func (r *run) nothingPending() bool {
	return r.pendingHooks.Load() == 0 && r.pendingStateChanges.Load() == 0
}
