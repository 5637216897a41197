package receiver

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// retryLater is the Retry-After of an answer that knows no better time.
const retryLater = 5 * time.Second

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

// process claims the event and has it handled. It writes nothing.
func (a *attempt) process(w http.ResponseWriter, r *http.Request, started time.Time) (Result, answer) {
	// The claim does not depend on the sender's patience: one that was made and
	// whose answer nobody waited for would block the event for a lease.
	a.held.w = w
	a.detached = detached{request: r.Context(), delivery: &a.delivery}
	a.begin(started)
	defer a.end()
	cfg := &a.rc.cfg
	claim := a.delivery.Claim
	claim.Token = NewToken()
	standing, err := cfg.Dedupe.Claim(a.ctx, claim, cfg.Lease)
	if err != nil {
		a.abandon(claim)
		if !cfg.FailOpen {
			return Result{Outcome: Unavailable, Err: err}, answer{status: http.StatusServiceUnavailable, retryAfter: retryLater}
		}
		cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "receiver: handling without deduplication",
			slog.String("key", claim.Key), slog.Any("error", err))
		a.end() // waiting for the store may have ended its context
		a.begin(time.Now())
		return a.handle(r)
	}
	switch standing.State {
	case Claimed:
		a.delivery.Claim = claim
		return a.handle(r)
	case InFlight:
		return Result{Outcome: Busy}, answer{status: http.StatusConflict, retryAfter: max(standing.Remaining, time.Second)}
	default:
		return a.duplicate()
	}
}

// duplicate answers for an event that was handled, or given up, before. It
// invalidates once more: a handler that settles the claim itself, as DoneTx
// does, may have died, or the Invalidator failed, after that.
func (a *attempt) duplicate() (Result, answer) {
	a.settle()
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
	a.hold()
	returned := false
	defer func() {
		if !returned {
			// next, or the Invalidator, has ended the goroutine:
			// http.ErrAbortHandler, or runtime.Goexit of a failing test.
			a.settle()
			a.release()
		}
	}()
	err := recovered(func() error {
		if a.typed != nil { // as its ServeHTTP, without a copy of the request
			err := a.typed(a.ctx, a.delivery.Event)
			a.held.WriteHeader(statusOf(err))
			return err
		}
		a.next.ServeHTTP(&a.held, r.WithContext(a.ctx))
		return nil
	})
	a.settle()
	if err == nil {
		err = a.reported()
	}
	held := &a.held
	if statusOf(err) == http.StatusOK {
		if failed := a.invalidate(); failed != nil {
			err, held = failed, nil
		}
	}
	returned = true
	return a.outcome(err, held)
}
