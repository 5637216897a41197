package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// storeTimeout bounds settling. It is longer than DefaultClaimTimeout, because an event that was
// handled and not recorded is handled again.
const storeTimeout = 10 * time.Second

// settleTimeout bounds settling after an Invalidator that took too long.
const settleTimeout = time.Second

// abandonTimeout bounds releasing a claim of which the store has not said whether it
// was made.
const abandonTimeout = time.Second

// retryLater is the Retry-After of answers for which no better time is known.
const retryLater = 5 * time.Second

// maxReason bounds the reason that is stored for a dead event, in bytes.
const maxReason = 1024

// An attempt is one request whose event is claimed and handled. It bounds the time for
// claiming, extends the lease while the handler and the Invalidator run, and bounds the time for
// invalidating and for settling. It is one allocation and has one timer.
type attempt struct {
	rc       *Receiver
	next     http.Handler
	typed    HandlerFunc // next as a function, nil if it is not a handler of this package
	delivery Delivery
	held     heldResponse
	detached detached
	// ctx does not end with the request (see HandlerFunc). cancel ends it when the claim
	// is lost or the store takes too long.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	began time.Time
	phase phase
	until time.Time // when the phase takes too long, or the lease must be extended
	limit time.Time // when the Invalidator takes too long; zero before it is called
}

type phase int

const (
	claiming phase = iota
	handling       // or invalidating, if there is a limit
	settling
	ended
)

var (
	errStoreTimeout      = errors.New("receiver: the store did not answer in time")
	errInvalidateTimeout = errors.New("receiver: the Invalidator took longer than InvalidateTimeout")
)

// process claims the event and has it handled. It writes nothing. ctx is that of the request, or
// derived from it.
func (a *attempt) process(
	ctx context.Context, w http.ResponseWriter, r *http.Request, started time.Time,
) (Result, answer) {
	// The call goes on if the sender disconnects: a claim that was made, but whose answer
	// was not awaited, would block the event for a lease.
	a.held.w = w
	a.detached = detached{request: ctx, delivery: &a.delivery}
	cfg := &a.rc.cfg
	a.begin(started, claiming, cfg.ClaimTimeout)
	defer a.end()
	claim := a.delivery.Claim
	claim.Token = NewToken()
	standing, err := cfg.Dedupe.Claim(a.ctx, claim, cfg.Lease)
	switch {
	case err != nil:
	case standing.State < Claimed || standing.State > Dead:
		// To acknowledge it could lose the event. The zero State is an easy mistake of a store.
		err = fmt.Errorf("receiver: the store answered a claim with an unknown state: %d",
			standing.State)
	case standing.State == Claimed && !a.hold(claim):
		err = errStoreTimeout // the handler would get a context that has ended
	}
	if err != nil {
		a.abandon(claim)
		if !cfg.FailOpen {
			return Result{Outcome: Unavailable, Err: err},
				answer{status: http.StatusServiceUnavailable, retryAfter: retryLater}
		}
		cfg.Logger.LogAttrs(ctx, slog.LevelError,
			"receiver: handling without deduplication",
			slog.String("op", "claim"), slog.String("event_id", a.delivery.Event.ID),
			slog.String("claim_key", claim.Key), slog.Any("error", err))
		a.end() // the wait for the store may have ended its context
		a.begin(time.Now(), handling, cfg.Lease/3)
		return a.handle(r)
	}
	switch standing.State {
	case Claimed:
		return a.handle(r)
	case InFlight:
		return Result{Outcome: Busy},
			answer{status: http.StatusConflict, retryAfter: max(standing.Remaining, time.Second)}
	default: // Done or Dead
		return a.duplicate()
	}
}

// duplicate answers for an event that was handled, or given up, before. It invalidates
// once more: after a handler has settled the claim itself, with DoneTx, it may have died
// or the Invalidator may have failed.
func (a *attempt) duplicate() (Result, answer) {
	a.settle()
	if a.ctx.Err() != nil { // the store has answered too late
		a.end()
		a.begin(time.Now(), settling, storeTimeout)
	}
	err := a.invalidate()
	switch {
	case err == nil:
		return Result{Outcome: Duplicate}, answer{status: http.StatusOK}
	case isPanic(err):
		return Result{Outcome: Panicked, Err: err}, answer{status: http.StatusInternalServerError}
	}
	return Result{Outcome: Failed, Err: err}, answer{status: http.StatusServiceUnavailable}
}

// handle calls next and settles the claim, if there is one.
func (a *attempt) handle(r *http.Request) (Result, answer) {
	returned := false
	defer func() {
		if !returned {
			// next or the Invalidator has ended the goroutine, by http.ErrAbortHandler
			// or, in a test that fails, runtime.Goexit.
			a.settle()
			a.release()
		}
	}()
	err := recovered(func() error {
		if a.typed != nil { // as its ServeHTTP does, without a copy of the request
			err := a.typed(a.ctx, a.delivery.Event)
			a.held.WriteHeader(statusOf(err))
			return err
		}
		a.next.ServeHTTP(&a.held, r.WithContext(a.ctx))
		return nil
	})
	if err == nil {
		err = a.reported()
	}
	held := &a.held
	if statusOf(err) == http.StatusOK {
		if failed := a.invalidate(); failed != nil {
			err, held = failed, nil
		}
	}
	a.settle()
	returned = true
	return a.outcome(err, held)
}

// reported returns the handler's result: the error that a [HandlerFunc] returned, or
// else an error for a status other than 2xx.
func (a *attempt) reported() error {
	if failure := a.delivery.failure.Load(); failure != nil {
		return *failure
	}
	if status := a.held.code(); status < 200 || status > 299 {
		return fmt.Errorf("receiver: handler answered %d", status)
	}
	return nil
}

// invalidate drops from caches what the event makes stale.
func (a *attempt) invalidate() error {
	e, invalidator := a.delivery.Event, a.rc.cfg.Invalidator
	if invalidator == nil || e.CacheScope == nil {
		return nil
	}
	a.limitInvalidator()
	err := recovered(func() error { return invalidator.Invalidate(a.ctx, e) })
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(a.ctx), errInvalidateTimeout):
		return fmt.Errorf("%w: %w", errInvalidateTimeout, err)
	}
	return fmt.Errorf("receiver: invalidate: %w", err)
}

// outcome settles the claim by the handler's error, and returns the answer. held is nil
// if the handler's own answer must not be sent.
func (a *attempt) outcome(err error, held *heldResponse) (Result, answer) {
	switch {
	case err == nil:
		return a.finish(Handled, nil)
	case isPanic(err):
		a.release()
		return Result{Outcome: Panicked, Err: err}, answer{status: http.StatusInternalServerError}
	case errors.Is(err, ErrNoHandler):
		return a.finish(Unhandled, nil)
	case errors.Is(err, ErrAlreadyHandled):
		return a.finish(Duplicate, nil)
	case isPermanent(err):
		return a.finish(GivenUp, err)
	}
	a.release()
	if held == nil || held.code() < 300 { // middleware may have answered before the handler failed
		return Result{Outcome: Failed, Err: err}, answer{status: http.StatusServiceUnavailable}
	}
	return Result{Outcome: Failed, Err: err}, answer{status: held.code(), held: held}
}

// finish records that the event is not to be handled again. If the store fails, the
// sender gets the same answer: the event was handled, and would surely be handled twice
// if it were refused.
func (a *attempt) finish(o Outcome, err error) (Result, answer) {
	failed := a.record(o, err)
	if errors.Is(failed, ErrStaleToken) {
		return Result{Outcome: Lost, Err: failed},
			answer{status: http.StatusConflict, retryAfter: retryLater}
	}
	if failed != nil {
		failed = fmt.Errorf("receiver: outcome not recorded: %w", failed)
	}
	return Result{Outcome: o, Err: errors.Join(err, failed)},
		answer{status: a.held.code(), held: &a.held}
}

func (a *attempt) record(o Outcome, err error) error {
	cfg := &a.rc.cfg
	switch {
	case !a.claimed():
		return nil
	case a.lost():
		return ErrStaleToken
	}
	ctx, cancel := a.toSettle()
	defer cancel()
	if o == GivenUp {
		return cfg.Dedupe.Dead(ctx, a.delivery.Claim, reason(err), cfg.Keep)
	}
	return cfg.Dedupe.Done(ctx, a.delivery.Claim, cfg.Keep)
}

// release releases the claim, unless the handler has settled it or another process has
// it. If the store fails, the event can be claimed when the lease has ended.
func (a *attempt) release() {
	if !a.claimed() || a.lost() {
		return
	}
	ctx, cancel := a.toSettle()
	defer cancel()
	if err := a.rc.cfg.Dedupe.Release(ctx, a.delivery.Claim); err != nil &&
		!errors.Is(err, ErrStaleToken) {
		a.rc.cfg.Logger.LogAttrs(a.ctx, slog.LevelWarn, "receiver: claim not released",
			slog.String("op", "release"), slog.String("event_id", a.delivery.Event.ID),
			slog.String("claim_key", a.delivery.Claim.Key), slog.Any("error", err))
	}
}

// abandon releases a claim after the store has returned an error: it may have made the
// claim.
func (a *attempt) abandon(c Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), abandonTimeout)
	defer cancel()
	_ = a.rc.cfg.Dedupe.Release(ctx, c) // if it fails, the lease ends
}

// begin makes the context and begins a phase, which takes too long after the timeout. It may
// be called again after end.
func (a *attempt) begin(now time.Time, p phase, timeout time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ctx, a.cancel = context.WithCancelCause(&a.detached)
	a.began, a.phase, a.until = now, p, now.Add(timeout)
	a.timer = time.AfterFunc(min(timeout, a.step()), a.tick)
}

// step is the longest time between two ticks. Handling and settling last at least that long, so
// that the timer is not reset when they begin.
func (a *attempt) step() time.Duration { return min(storeTimeout, a.rc.cfg.Lease/3) }

// hold is called when the event is claimed. From then on the lease is extended, which began
// no earlier than the attempt. It returns false, and does nothing, if the store has answered
// too late: its context has ended, and the handler's would be the same.
func (a *attempt) hold(c Claim) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil {
		return false
	}
	a.delivery.Claim = c
	a.phase, a.until = handling, a.began.Add(a.rc.cfg.Lease/3)
	return true
}

// claimed reports whether there is a claim. With FailOpen there may be none.
func (a *attempt) claimed() bool { return a.delivery.Claim.Token != Token{} }

// tick is called when the timer fires, at a.until or before.
func (a *attempt) tick() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); !now.Before(a.until) {
		switch {
		case a.phase != handling:
			a.cancel(errStoreTimeout)
			a.until = now.Add(storeTimeout)
		case !a.limit.IsZero() && !now.Before(a.limit):
			a.cancel(errInvalidateTimeout)
			a.until = now.Add(storeTimeout)
		default:
			a.extend()
		}
	}
	if a.phase != ended {
		a.timer.Reset(min(time.Until(a.until), a.step()))
	}
}

// extend makes the lease end later. It is first called after a third of the lease, so
// that most handlers cost no call of it.
func (a *attempt) extend() {
	lease := a.rc.cfg.Lease
	if a.claimed() && a.ctx.Err() == nil {
		err := a.askToExtend(lease)
		if a.phase != handling {
			return // the handler has returned, and the claim is being settled
		}
		if errors.Is(err, ErrStaleToken) {
			a.cancel(ErrStaleToken)
		} else if err != nil {
			attrs := []slog.Attr{slog.String("op", "extend"),
				slog.String("event_id", a.delivery.Event.ID),
				slog.String("claim_key", a.delivery.Claim.Key), slog.Any("error", err)}
			var panicked *PanicError
			if errors.As(err, &panicked) {
				attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
			}
			a.rc.cfg.Logger.LogAttrs(a.ctx, slog.LevelWarn, "receiver: lease not extended", attrs...)
		}
	}
	a.extendAt(time.Now().Add(lease / 3))
}

// askToExtend calls the store without holding the lock. It returns every panic as an error:
// the timer's goroutine has no server that would recover it, and the process would end.
func (a *attempt) askToExtend(lease time.Duration) (err error) {
	timeout := a.step()
	if !a.limit.IsZero() {
		timeout = min(timeout, time.Until(a.limit))
	}
	a.mu.Unlock()
	defer a.mu.Lock()
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	ctx, cancel := context.WithTimeout(a.ctx, timeout)
	defer cancel()
	return a.rc.cfg.Dedupe.Extend(ctx, a.delivery.Claim, lease)
}

// limitInvalidator is called before the Invalidator. The lease is extended as while the handler ran,
// next after a third of it, because an extension may be under way.
func (a *attempt) limitInvalidator() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.phase, a.limit = handling, now.Add(a.rc.cfg.InvalidateTimeout)
	a.extendAt(now.Add(a.rc.cfg.Lease / 3))
	a.timer.Reset(min(a.until.Sub(now), a.step()))
}

// extendAt sets when the lease must be extended, or the Invalidator takes too long before that.
func (a *attempt) extendAt(at time.Time) {
	a.until = at
	if !a.limit.IsZero() && a.limit.Before(at) {
		a.until = a.limit
	}
}

// settle is called when the handler and the Invalidator have returned. An Extend that is running may
// go on: it changes nothing after the claim is settled.
func (a *attempt) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase, a.until = settling, time.Now().Add(storeTimeout)
}

// toSettle returns the context for settling the claim. The Invalidator may have taken too long.
func (a *attempt) toSettle() (context.Context, context.CancelFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil {
		return context.WithTimeout(context.WithoutCancel(a.ctx), settleTimeout)
	}
	return a.ctx, func() {}
}

// end is called last.
func (a *attempt) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase = ended
	a.timer.Stop()
	a.cancel(context.Canceled)
}

// lost reports whether another process is known to have taken over the claim.
func (a *attempt) lost() bool {
	return errors.Is(context.Cause(a.ctx), ErrStaleToken)
}

// detached is a request's context without its cancellation and with the delivery, as
// [context.WithoutCancel] and [context.WithValue] make it, without their allocations.
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

// recovered calls f, which is the user's code, and returns a panic as an error.
func recovered(f func() error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
			panic(v)
		}
		err = &PanicError{Value: v, Stack: debug.Stack()}
	}()
	return f()
}

func isPanic(err error) bool {
	var panicked *PanicError
	return errors.As(err, &panicked)
}

// reason returns an error's text as every store can take it: short, in UTF-8, without
// NUL.
func reason(err error) string {
	text := err.Error()
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
}
