package receiver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Handler returns a handler that checks each request, claims its event, calls
// next with the event in the request's context ([EventFrom], [DeliveryFrom]) and
// records how that ended. next can read the exact body again.
//
// What next is decides how it reports: a [HandlerFunc] or a [Router] by the
// error of the typed handler; any other [http.Handler] by its status, of which
// 2xx is success and everything else gives the event back and is passed on. A
// panic gives it back too. See [Outcome] for what the sender is answered.
//
// The answer of next is held until the outcome is recorded.
//
// Mount it where the ResponseWriter is the server's, or unwraps to it
// ([http.ResponseController]): one that knows no read deadlines, such as that of
// [http.TimeoutHandler], leaves slow bodies to the server's own ReadTimeout. The
// log says so, once.
//
// Like [http.Handle] it panics if next is nil.
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
		started := time.Now()
		result, answer := a.process(w, r, started)
		result.Delivery, result.Status, result.Duration = &a.delivery, answer.status, time.Since(started)
		rc.report(r.Context(), &result)
		answer.write(w)
	})
}

// reject answers a request that did not pass the checks. All that is about
// credentials looks the same from outside.
func (rc *Receiver) reject(w http.ResponseWriter, r *http.Request, why *Rejection) {
	rc.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "receiver: request rejected",
		slog.Int("status", why.Status), slog.Any("reason", why.Err), slog.String("peer", r.RemoteAddr))
	if rc.cfg.Hooks.OnReject != nil {
		rc.cfg.Hooks.OnReject(r, why)
	}
	if why.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	if r.ProtoMajor != 1 || r.Context().Value(http.ServerContextKey) == nil {
		refuse(w, why.Status)
		return // HTTP/2 can end a stream alone, and a recorder in a test has no connection
	}
	// The connection ends, or the server would wait for the rest of the body
	// before it sends the answer. For all rejections, so that they stay alike.
	w.Header().Set("Connection", "close")
	refuse(w, why.Status)
	if why.known {
		rc.senders.run(w, r)
	} else {
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

// An answer is what is written once the outcome is known.
type answer struct {
	status     int
	held       *heldResponse // what the handler answered, if that is to be sent
	retryAfter time.Duration // 0: the sender decides
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

// heldResponse keeps what a handler answers until the outcome is recorded: an
// acknowledgement that has left cannot be taken back when the store says that
// the claim was lost. It offers no Flush, Hijack or Unwrap for the same reason.
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

// code is the status that the handler answered with. Not answering is 200, as
// everywhere in net/http.
func (h *heldResponse) code() int {
	if h.status == 0 {
		return http.StatusOK
	}
	return h.status
}

// send lets the answer go.
func (h *heldResponse) send() {
	h.w.WriteHeader(h.code())
	if len(h.body) > 0 {
		_, _ = h.w.Write(h.body) // the client may be gone; the outcome is recorded
	}
}
