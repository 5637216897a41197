package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// maxReason bounds what is stored about a dead event, in bytes.
const maxReason = 1024

// reported returns what the handler made of the delivery: the error that a
// [HandlerFunc] returned, or else what the status says.
func (a *attempt) reported() error {
	if failure := a.delivery.failure.Load(); failure != nil {
		return *failure
	}
	if status := a.held.code(); status < 200 || status > 299 {
		return fmt.Errorf("receiver: handler answered %d", status)
	}
	return nil
}

// invalidate drops what the event makes stale.
func (a *attempt) invalidate() error {
	e, invalidator := a.delivery.Event, a.rc.cfg.Invalidator
	if invalidator == nil || e.CacheScope == nil {
		return nil
	}
	err := recovered(func() error { return invalidator.Invalidate(a.ctx, e) })
	if err != nil {
		return fmt.Errorf("receiver: invalidate: %w", err)
	}
	return nil
}

// recovered calls what others have written and makes an error of its panic.
func recovered(f func() error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler { //nolint:errorlint // a sentinel for panics, compared as net/http does
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

// outcome records what the handler's error means and says how to answer. held
// is nil if the handler's own answer no longer fits.
func (a *attempt) outcome(err error, held *heldResponse) (Result, answer) {
	switch {
	case err == nil:
		return a.finish(Handled, nil)
	case isPanic(err):
		a.release()
		return Result{Outcome: Panicked, Err: err}, answer{status: http.StatusInternalServerError}
	case errors.Is(err, ErrNoHandler):
		return a.finish(Unhandled, nil)
	case isPermanent(err):
		return a.finish(GivenUp, err)
	}
	a.release()
	if held == nil || held.code() < 300 { // middleware may have answered before the handler failed
		return Result{Outcome: Failed, Err: err}, answer{status: http.StatusServiceUnavailable}
	}
	return Result{Outcome: Failed, Err: err}, answer{status: held.code(), held: held}
}

// finish records that the event is not to be handled again. If the store cannot
// take that, the event was handled all the same, and the sender is told so: to
// refuse would surely have it handled twice.
func (a *attempt) finish(o Outcome, err error) (Result, answer) {
	failed := a.record(o, err)
	if errors.Is(failed, ErrStaleToken) {
		return Result{Outcome: Lost, Err: failed}, answer{status: http.StatusConflict, retryAfter: retryLater}
	}
	if failed != nil {
		failed = fmt.Errorf("receiver: outcome not recorded: %w", failed)
	}
	return Result{Outcome: o, Err: errors.Join(err, failed)}, answer{status: a.held.code(), held: &a.held}
}

func (a *attempt) record(o Outcome, err error) error {
	cfg := &a.rc.cfg
	switch {
	case !a.claimed():
		return nil
	case a.lost():
		return ErrStaleToken
	case o == GivenUp:
		return cfg.Dedupe.Dead(a.ctx, a.delivery.Claim, reason(err), cfg.Keep)
	default:
		return cfg.Dedupe.Done(a.ctx, a.delivery.Claim, cfg.Keep)
	}
}

// release gives the event back. If that fails, the end of the lease does it. One
// that the handler has settled, or somebody else has, is not ours to give.
func (a *attempt) release() {
	if !a.claimed() || a.lost() {
		return
	}
	if err := a.rc.cfg.Dedupe.Release(a.ctx, a.delivery.Claim); err != nil && !errors.Is(err, ErrStaleToken) {
		a.rc.cfg.Logger.LogAttrs(a.ctx, slog.LevelWarn, "receiver: event not given back, its lease has to end first",
			slog.String("key", a.delivery.Claim.Key), slog.Any("error", err))
	}
}

// abandon gives back what may have been claimed: a store that returned an error
// has not said.
func (a *attempt) abandon(c Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), abandonTimeout)
	defer cancel()
	_ = a.rc.cfg.Dedupe.Release(ctx, c) // else the end of the lease does it
}

// reason is an error's text as it can be stored: bounded, in UTF-8, without NUL.
func reason(err error) string {
	text := err.Error()
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
}

// report logs a result and calls the hook.
func (rc *Receiver) report(ctx context.Context, r *Result) {
	level := slog.LevelDebug
	switch r.Outcome {
	case Failed, Lost:
		level = slog.LevelWarn
	case GivenUp, Panicked, Unavailable:
		level = slog.LevelError
	default:
		if r.Err != nil {
			level = slog.LevelError
		}
	}
	if rc.cfg.Logger.Enabled(ctx, level) {
		attrs := []slog.Attr{
			slog.String("outcome", string(r.Outcome)), slog.Int("status", r.Status),
			slog.String("type", r.Delivery.Event.Type), slog.String("key", r.Delivery.Claim.Key),
			slog.Duration("took", r.Duration.Round(time.Microsecond)),
		}
		if r.Err != nil {
			attrs = append(attrs, slog.Any("error", r.Err))
		}
		var panicked *PanicError
		if errors.As(r.Err, &panicked) {
			attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
		}
		rc.cfg.Logger.LogAttrs(ctx, level, "receiver: event "+string(r.Outcome), attrs...)
	}
	if rc.cfg.Hooks.OnResult != nil {
		rc.cfg.Hooks.OnResult(*r)
	}
}
