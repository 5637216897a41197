package receiver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// storeTimeout bounds claiming, and again invalidating and recording together.
const storeTimeout = 10 * time.Second

// abandonTimeout bounds giving back what may have been claimed, by a store that
// has just failed to say.
const abandonTimeout = time.Second

// An attempt is one request whose event is claimed and handled. It bounds the
// time for claiming, keeps the claim alive while the handler runs, and then
// bounds the time for settling it. Everything of it is one allocation, and one
// timer.
type attempt struct {
	rc       *Receiver
	delivery Delivery
	held     heldResponse
	// ctx does not end with the request: see HandlerFunc. cancel ends it when
	// the claim is lost or the store takes too long.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	phase phase
	until time.Time // when claiming or settling has taken too long
}

type phase int

const (
	claiming phase = iota
	handling
	settling
)

var errStoreTimeout = errors.New("receiver: the store did not answer in time")

// begin makes the context, and bounds the time for claiming.
func (a *attempt) begin(w http.ResponseWriter, r *http.Request) {
	a.held.w = w
	ctx := context.WithValue(context.WithoutCancel(r.Context()), contextKey{}, &a.delivery)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	a.phase, a.until = claiming, time.Now().Add(storeTimeout)
	a.timer = time.AfterFunc(storeTimeout, a.tick)
}

// hold is called when the event is claimed: it keeps the claim alive from now on.
func (a *attempt) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = handling
	a.timer.Reset(a.rc.cfg.Lease / 3)
}

// claimed reports whether there is a claim, and not a store that is down.
func (a *attempt) claimed() bool { return a.delivery.Claim.Token != Token{} }

// tick is called when the timer fires. It may come late, when the next phase has
// begun and the timer is set anew.
func (a *attempt) tick() {
	a.mu.Lock()
	phase := a.phase
	if phase != handling && !time.Now().Before(a.until) {
		a.cancel(errStoreTimeout)
	}
	a.mu.Unlock()
	if phase == handling && a.claimed() {
		a.extend()
	}
}

// extend makes the lease end later. A handler that is done within a third of the
// lease costs no call to the store.
func (a *attempt) extend() {
	lease := a.rc.cfg.Lease
	ctx, cancel := context.WithTimeout(a.ctx, min(storeTimeout, lease/3))
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
	a.phase, a.until = settling, time.Now().Add(storeTimeout)
	a.timer.Reset(storeTimeout)
}

// end is called last.
func (a *attempt) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer.Stop()
	a.cancel(context.Canceled)
}

// lost reports whether the claim is known to be somebody else's.
func (a *attempt) lost() bool {
	return errors.Is(context.Cause(a.ctx), ErrStaleToken)
}
