package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// maxReason bounds what is stored about a dead event, in bytes.
const maxReason = 1024

// reported returns what the handler made of the delivery: the error that a
// [HandlerFunc] returned, or else what the status says.
func (d *Delivery) reported(held *heldResponse) error {
	if failure := d.failure.Load(); failure != nil {
		return *failure
	}
	if status := held.code(); status < 200 || status > 299 {
		return fmt.Errorf("receiver: handler answered %d", status)
	}
	return nil
}

// A settler records the outcome of one claim, whether or not the sender still
// waits for it.
type settler struct {
	rc    *Receiver
	ctx   context.Context
	claim Claim
	done  bool // nothing is left to be recorded
}

func (rc *Receiver) settler(ctx context.Context, d *Delivery) *settler {
	return &settler{rc: rc, ctx: ctx, claim: d.Claim, done: d.Claim.Token == Token{}}
}

// invalidate drops what the event makes stale.
func (s *settler) invalidate(e *event.Event) error {
	ctx, cancel := s.context()
	defer cancel()
	if err := s.rc.cfg.Invalidator.Invalidate(ctx, e); err != nil {
		return fmt.Errorf("receiver: invalidate: %w", err)
	}
	return nil
}

// outcome records what the handler's error means and says how to answer. held
// is nil if the handler's own answer no longer fits.
func (s *settler) outcome(err error, held *heldResponse) (Result, answer) {
	var panicked *PanicError
	switch {
	case errors.As(err, &panicked):
		s.release()
		return Result{Outcome: Panicked, Err: err}, answer{status: http.StatusInternalServerError}
	case err == nil:
		return s.finish(Handled, nil, held)
	case errors.Is(err, ErrNoHandler):
		return s.finish(Unhandled, nil, held)
	case isPermanent(err):
		return s.finish(GivenUp, err, held)
	}
	s.release()
	if held == nil {
		return Result{Outcome: Failed, Err: err}, answer{status: http.StatusServiceUnavailable}
	}
	return Result{Outcome: Failed, Err: err}, answer{status: held.code(), held: held}
}

// finish records that the event is not to be handled again. If the store cannot
// take that, the event was handled all the same, and the sender is told so: to
// refuse would surely have it handled twice.
func (s *settler) finish(o Outcome, err error, held *heldResponse) (Result, answer) {
	if s.done {
		return Result{Outcome: o, Err: err}, answer{status: held.code(), held: held}
	}
	s.done = true
	ctx, cancel := s.context()
	defer cancel()
	var failed error
	if o == GivenUp {
		failed = s.rc.cfg.Dedupe.Dead(ctx, s.claim, reason(err), s.rc.cfg.Keep)
	} else {
		failed = s.rc.cfg.Dedupe.Done(ctx, s.claim, s.rc.cfg.Keep)
	}
	if errors.Is(failed, ErrStaleToken) {
		return Result{Outcome: Lost, Err: failed}, answer{status: http.StatusConflict, retryAfter: retryLater}
	}
	if failed != nil {
		failed = fmt.Errorf("receiver: outcome not recorded: %w", failed)
	}
	return Result{Outcome: o, Err: errors.Join(err, failed)}, answer{status: held.code(), held: held}
}

// release gives the event back. If that fails, the end of the lease does it.
func (s *settler) release() {
	if s.done {
		return
	}
	s.done = true
	ctx, cancel := s.context()
	defer cancel()
	if err := s.rc.cfg.Dedupe.Release(ctx, s.claim); err != nil {
		s.rc.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "receiver: event not given back, its lease has to end first",
			slog.String("key", s.claim.Key), slog.Any("error", err))
	}
}

func (s *settler) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(s.ctx), settleTimeout)
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
