package receiver

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// settleTimeout bounds each call to the store that does not depend on whether
// the sender is still there.
const settleTimeout = 10 * time.Second

// A lease keeps a claim alive while its handler runs. Handlers that are done
// within a third of the lease cost it no call to the store.
type lease struct {
	store   Deduper
	claim   Claim
	length  time.Duration
	log     *slog.Logger
	ctx     context.Context // outlives the sender's patience, not the handler
	lost    context.CancelCauseFunc
	timer   *time.Timer
	stopped atomic.Bool
}

// keepLease begins to extend the claim. When somebody else has taken it over,
// the context is cancelled with ErrStaleToken as its cause.
func (rc *Receiver) keepLease(ctx context.Context, claim Claim) (context.Context, *lease) {
	l := &lease{store: rc.cfg.Dedupe, claim: claim, length: rc.cfg.Lease, log: rc.cfg.Logger}
	ctx, l.lost = context.WithCancelCause(ctx)
	l.ctx = ctx
	l.timer = time.AfterFunc(l.length/3, l.extend)
	return ctx, l
}

func (l *lease) extend() {
	if l.stopped.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), min(settleTimeout, l.length/3))
	defer cancel()
	err := l.store.Extend(ctx, l.claim, l.length)
	switch {
	case errors.Is(err, ErrStaleToken): // or settled meanwhile: then nobody listens any more
		l.lost(ErrStaleToken)
		return
	case err != nil && !l.stopped.Load():
		l.log.Warn("receiver: lease not extended, trying again", "key", l.claim.Key, "error", err)
	}
	l.timer.Reset(l.length / 3)
}

// stop ends the extending. A call to the store that is under way changes
// nothing once the claim is settled.
func (l *lease) stop() {
	l.stopped.Store(true)
	l.timer.Stop()
	l.lost(context.Canceled)
}
