package receiver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// settleTimeout bounds each call to the store that does not depend on whether
// the sender is still there.
const settleTimeout = 10 * time.Second

// A lease keeps a claim alive while its handler runs. Handlers that are done
// within a third of the lease cost no call to the store.
type lease struct {
	store  Deduper
	claim  Claim
	length time.Duration
	log    *slog.Logger
	ctx    context.Context
	lost   context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

// keepLease begins to extend the claim. When somebody else has taken it over,
// the context is cancelled with ErrStaleToken as its cause.
func (rc *Receiver) keepLease(ctx context.Context, claim Claim) (context.Context, *lease) {
	l := &lease{store: rc.cfg.Dedupe, claim: claim, length: rc.cfg.Lease, log: rc.cfg.Logger}
	l.ctx, l.lost = context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(l.length/3, l.extend)
	return l.ctx, l
}

func (l *lease) extend() {
	// The claim is kept also after the sender has gone: the handler may not
	// look at its context.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), min(settleTimeout, l.length/3))
	defer cancel()
	err := l.store.Extend(ctx, l.claim, l.length)

	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return // settled meanwhile: what Extend says is of no interest
	}
	if errors.Is(err, ErrStaleToken) {
		l.lost(ErrStaleToken)
		return
	}
	if err != nil {
		l.log.Warn("receiver: lease not extended, trying again", "key", l.claim.Key, "error", err)
	}
	l.timer.Reset(l.length / 3)
}

// stop ends the extending. A call to the store that is under way is harmless:
// the claim is settled by now, and Extend of a settled claim changes nothing.
func (l *lease) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.timer.Stop()
	l.lost(context.Canceled)
}
