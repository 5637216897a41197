package receiver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// storeTimeout bounds invalidating and recording together. It is longer than a claim
// may take: the event has been handled, and to lose that has it handled twice.
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
	next     http.Handler
	typed    HandlerFunc // what is inside next, nil if it is none of this package
	delivery Delivery
	held     heldResponse
	detached detached
	// ctx does not end with the request: see HandlerFunc. cancel ends it when
	// the claim is lost or the store takes too long.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	began time.Time
	phase phase
	until time.Time // when the phase has lasted too long, or the lease is to be extended
}

type phase int

const (
	claiming phase = iota
	handling
	settling
	ended
)

var errStoreTimeout = errors.New("receiver: the store did not answer in time")

// begin makes the context, and bounds the time for claiming. It may be called
// again after end.
func (a *attempt) begin(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ctx, a.cancel = context.WithCancelCause(&a.detached)
	a.began, a.phase, a.until = now, claiming, now.Add(a.rc.cfg.ClaimTimeout)
	a.timer = time.AfterFunc(min(a.rc.cfg.ClaimTimeout, a.step()), a.tick)
}

// step is the time between two looks at the clock. No phase but the first ends
// sooner after its beginning, so that the timer need not be set again for each.
func (a *attempt) step() time.Duration { return min(storeTimeout, a.rc.cfg.Lease/3) }

// hold is called when the event is claimed: it keeps the claim alive from now on.
// The lease did not begin before the attempt did.
func (a *attempt) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase, a.until = handling, a.began.Add(a.rc.cfg.Lease/3)
}

// claimed reports whether there is a claim, and not a store that is down.
func (a *attempt) claimed() bool { return a.delivery.Claim.Token != Token{} }

// tick is called when the timer fires, which is at a.until or before.
func (a *attempt) tick() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); !now.Before(a.until) {
		if a.phase == handling {
			a.extend()
		} else {
			a.cancel(errStoreTimeout)
			a.until = now.Add(storeTimeout)
		}
	}
	if a.phase != ended {
		a.timer.Reset(min(time.Until(a.until), a.step()))
	}
}

// extend makes the lease end later. A handler that is done within a third of the
// lease costs no call to the store.
func (a *attempt) extend() {
	lease := a.rc.cfg.Lease
	if a.claimed() && a.ctx.Err() == nil {
		err := a.askToExtend(lease)
		if a.phase != handling {
			return // what Extend says is of no interest any more
		}
		if errors.Is(err, ErrStaleToken) {
			a.cancel(ErrStaleToken)
		} else if err != nil {
			a.rc.cfg.Logger.LogAttrs(a.ctx, slog.LevelWarn, "receiver: lease not extended, trying again",
				slog.String("key", a.delivery.Claim.Key), slog.Any("error", err))
		}
	}
	a.until = time.Now().Add(lease / 3)
}

// askToExtend calls the store, without the lock.
func (a *attempt) askToExtend(lease time.Duration) error {
	a.mu.Unlock()
	defer a.mu.Lock()
	ctx, cancel := context.WithTimeout(a.ctx, a.step())
	defer cancel()
	return a.rc.cfg.Dedupe.Extend(ctx, a.delivery.Claim, lease)
}

// settle is called when the handler has returned. A call of Extend that is under
// way is harmless: it changes nothing once the claim is settled.
func (a *attempt) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase, a.until = settling, time.Now().Add(storeTimeout)
}

// end is called last.
func (a *attempt) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = ended
	a.timer.Stop()
	a.cancel(context.Canceled)
}

// lost reports whether the claim is known to be another process's.
func (a *attempt) lost() bool {
	return errors.Is(context.Cause(a.ctx), ErrStaleToken)
}

// detached is what [context.WithoutCancel] and [context.WithValue] make of a
// request's context and a delivery, without their allocations.
type detached struct {
	request  context.Context
	delivery *Delivery
}

func (*detached) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*detached) Done() <-chan struct{}       { return nil }
func (*detached) Err() error                  { return nil }

func (d *detached) Value(key any) any {
	if key == (contextKey{}) {
		return d.delivery
	}
	return d.request.Value(key)
}
