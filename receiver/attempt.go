package receiver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// settleTimeout bounds invalidating and recording, together.
const settleTimeout = 10 * time.Second

// An attempt is one request whose event is being handled. It keeps the claim
// alive while the handler runs, and then bounds the time for settling it.
// Everything of it is one allocation, and one timer.
type attempt struct {
	rc       *Receiver
	delivery Delivery
	held     heldResponse
	// ctx does not end with the request: see HandlerFunc. cancel ends it when
	// the claim is lost or settling takes too long.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	phase phase
}

type phase int

const (
	handling phase = iota
	settling
	ended
)

var errSettleTimeout = errors.New("receiver: recording the outcome took too long")

// begin makes the context for the handler and, if there is a claim, keeps that
// alive from now on.
func (a *attempt) begin(w http.ResponseWriter, r *http.Request) {
	a.held.w = w
	ctx := context.WithValue(context.WithoutCancel(r.Context()), contextKey{}, &a.delivery)
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(a.rc.cfg.Lease/3, a.tick)
}

// claimed reports whether there is a claim, and not a store that is down.
func (a *attempt) claimed() bool { return a.delivery.Claim.Token != Token{} }

// tick is called when the timer fires.
func (a *attempt) tick() {
	a.mu.Lock()
	now := a.phase
	a.mu.Unlock()
	switch now {
	case handling:
		if a.claimed() {
			a.extend()
		}
	case settling:
		a.cancel(errSettleTimeout)
	case ended:
	}
}

// extend makes the lease end later. A handler that is done within a third of the
// lease costs no call to the store.
func (a *attempt) extend() {
	lease := a.rc.cfg.Lease
	ctx, cancel := context.WithTimeout(a.ctx, min(settleTimeout, lease/3))
	defer cancel()
	err := a.rc.cfg.Dedupe.Extend(ctx, a.delivery.Claim, lease)

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase != handling {
		return // what Extend says is of no interest any more
	}
	if errors.Is(err, ErrStaleToken) {
		a.cancel(ErrStaleToken)
		return
	}
	if err != nil {
		a.rc.cfg.Logger.LogAttrs(a.ctx, slog.LevelWarn, "receiver: lease not extended, trying again",
			slog.String("key", a.delivery.Claim.Key), slog.Any("error", err))
	}
	a.timer.Reset(lease / 3)
}

// settle is called when the handler has returned. A call of Extend that is under
// way is harmless: it changes nothing once the claim is settled.
func (a *attempt) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = settling
	a.timer.Reset(settleTimeout)
}

// end is called last.
func (a *attempt) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = ended
	a.timer.Stop()
	a.cancel(context.Canceled)
}

// lost reports whether the claim is known to be somebody else's.
func (a *attempt) lost() bool {
	return errors.Is(context.Cause(a.ctx), ErrStaleToken)
}
