package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/event/tracecontext"
)

// Handler returns a handler that checks each request, claims its event, calls next, and
// settles the claim. next finds the event in the request's context ([EventFrom],
// [DeliveryFrom]) with the trace of the request ([tracecontext.From]), and can read the exact
// body again.
//
// The result of next is the error that a [HandlerFunc] or a [Router] returns, or else the status of
// the answer: 2xx is success, and with any other status the event is released and the sender gets
// that status. A panic releases the event too. [Outcome] lists the answers. The answer is sent
// after the claim is settled.
//
// The ResponseWriter should be the server's, or unwrap to it (see [http.ResponseController]). With
// one that has no read deadlines, such as that of [http.TimeoutHandler], only the server's own
// ReadTimeout stops slow bodies; the Receiver logs a warning about it once.
//
// Like [http.Handle], Handler panics if next is nil.
func (rc *Receiver) Handler(next http.Handler) http.Handler {
	if f, typed := next.(HandlerFunc); next == nil || typed && f == nil {
		panic("receiver: nil handler")
	}
	typed := typedHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &attempt{rc: rc, next: next, typed: typed}
		if rejection := rc.check(w, r, &a.delivery); rejection != nil {
			rc.reject(w, r, rejection)
			return
		}
		result, answer := rc.process(w, r, a)
		rc.report(r.Context(), &result)
		answer.write(w)
	})
}

// process does what the process hooks enclose.
func (rc *Receiver) process(
	w http.ResponseWriter, r *http.Request, a *attempt,
) (result Result, answer answer) {
	started := time.Now()
	ctx := tracecontext.With(r.Context(), a.delivery.Trace)
	if hook := rc.cfg.Hooks.ProcessStart; hook != nil {
		ctx = rc.startHook(ctx, hook, &a.delivery)
	}
	returned := false
	defer func() {
		if !returned {
			result = Result{Outcome: Panicked, Err: errGoroutineEnded}
		}
		result.Delivery, result.Status = &a.delivery, answer.status
		result.Duration = time.Since(started)
		if hook := rc.cfg.Hooks.ProcessEnd; hook != nil {
			rc.endHook(ctx, hook, result)
		}
	}()
	result, answer = a.process(ctx, w, r, started)
	returned = true
	return result, answer
}

var errGoroutineEnded = errors.New("receiver: the handler has ended its goroutine")

// startHook calls ProcessStart and returns the context to go on with.
func (rc *Receiver) startHook(
	ctx context.Context, hook func(context.Context, *Delivery) context.Context, d *Delivery,
) (out context.Context) {
	out = ctx
	defer rc.recoverHook(ctx, "ProcessStart")
	if given := hook(ctx, d); given != nil {
		out = given
	}
	return out
}

// endHook calls ProcessEnd.
func (rc *Receiver) endHook(
	ctx context.Context, hook func(context.Context, Result), result Result,
) {
	defer rc.recoverHook(ctx, "ProcessEnd")
	hook(ctx, result)
}

// recoverHook is deferred where a hook is called, and logs its panic.
func (rc *Receiver) recoverHook(ctx context.Context, name string) {
	if p := recover(); p != nil {
		// Its type and not its value, which may hold a secret.
		rc.cfg.Logger.LogAttrs(ctx, slog.LevelError, "receiver: a hook panicked",
			slog.String("hook", name), slog.String("panic", fmt.Sprintf("%T", p)),
			slog.String("stack", string(debug.Stack())))
	}
}

// reject answers a request that did not pass the checks. All answers about credentials
// are the same.
func (rc *Receiver) reject(w http.ResponseWriter, r *http.Request, why *Rejection) {
	rc.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "receiver: request rejected",
		slog.Int("status", why.Status), slog.Any("error", why.Err),
		slog.String("peer", r.RemoteAddr))
	if rc.cfg.Hooks.OnReject != nil {
		rc.cfg.Hooks.OnReject(r, why)
	}
	if why.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	if r.ProtoMajor != 1 || r.Context().Value(http.ServerContextKey) == nil {
		refuse(w, why.Status)
		return // HTTP/2 can end one stream, and a recorder in a test has no connection
	}
	// The connection ends, because otherwise the server would wait for the rest of the
	// body before it sends the answer. It ends for all rejections, so that the sender
	// cannot tell them apart.
	w.Header().Set("Connection", "close")
	refuse(w, why.Status)
	switch {
	case !why.read && waitsForContinue(r):
		// Nothing more will come. Without the deadline the server could wait for it.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	case why.known:
		rc.senders.run(w, r)
	default:
		rc.strangers.run(w, r)
	}
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
			slog.String("event_id", r.Delivery.Event.ID),
			slog.String("event_type", r.Delivery.Event.Type),
			slog.String("claim_key", r.Delivery.Claim.Key),
			slog.Duration("duration", r.Duration.Round(time.Microsecond)),
		}
		if r.Err != nil {
			attrs = append(attrs, slog.Any("error", r.Err))
		}
		var panicked *PanicError
		if errors.As(r.Err, &panicked) {
			attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
		}
		rc.cfg.Logger.LogAttrs(ctx, level, "receiver: event processed", attrs...)
	}
	if rc.cfg.Hooks.OnResult != nil {
		rc.cfg.Hooks.OnResult(*r)
	}
}

// An answer is what is written when the outcome is recorded.
type answer struct {
	status     int
	held       *heldResponse // the handler's answer, if that is to be sent
	retryAfter time.Duration // 0: none is sent
}

func (a answer) write(w http.ResponseWriter) {
	if a.retryAfter > 0 {
		seconds := int((a.retryAfter + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	switch {
	case a.held != nil:
		a.held.send()
	case a.status == http.StatusOK:
		w.WriteHeader(http.StatusOK)
	default:
		http.Error(w, http.StatusText(a.status), a.status)
	}
}

// heldResponse holds a handler's answer until the outcome is recorded: it is replaced if
// the store then says that the claim was lost. For the same reason it has no Flush,
// Hijack or Unwrap.
type heldResponse struct {
	w      http.ResponseWriter
	status int // 0 until the handler has answered
	body   []byte
}

func (h *heldResponse) Header() http.Header { return h.w.Header() }

func (h *heldResponse) WriteHeader(status int) {
	if h.status == 0 && status >= 200 { // 1xx is not an answer
		h.status = status
	}
}

func (h *heldResponse) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	h.body = append(h.body, p...)
	return len(p), nil
}

// code returns the status of the handler's answer, 200 if it wrote none, as in net/http.
func (h *heldResponse) code() int {
	if h.status == 0 {
		return http.StatusOK
	}
	return h.status
}

// send sends the answer.
func (h *heldResponse) send() {
	h.w.WriteHeader(h.code())
	if len(h.body) > 0 {
		_, _ = h.w.Write(h.body) // the client may have left; the outcome is recorded
	}
}
