package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

func ok(context.Context, *event.Event) error { return nil }

func failing(err error) receiver.HandlerFunc {
	return func(context.Context, *event.Event) error { return err }
}

// The handler's result decides the answer, what is recorded, and whether the event is handled
// again when it is sent again.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	broken := errors.New("database is down")
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name    string
		handler http.Handler
		status  int
		body    string
		outcome receiver.Outcome
		calls   []string
		again   receiver.Outcome // of the same event
	}{
		{"typed handler succeeds", receiver.HandlerFunc(ok), 200, "", receiver.Handled,
			[]string{"Claim", "Done"}, receiver.Duplicate},
		{"typed handler fails", failing(broken), 503, "", receiver.Failed,
			[]string{"Claim", "Release"}, receiver.Failed},
		{"typed handler fails for good", failing(receiver.Permanent(broken)), 200, "",
			receiver.GivenUp, []string{"Claim", "Dead"}, receiver.Duplicate},
		{"no handler for the type", receiver.NewRouter(), 200, "", receiver.Unhandled,
			[]string{"Claim", "Done"}, receiver.Duplicate},
		{"typed handler finds its effect already there",
			failing(fmt.Errorf("pay: %w", receiver.ErrAlreadyHandled)), 200, "", receiver.Duplicate,
			[]string{"Claim", "Done"}, receiver.Duplicate},
		{"typed handler panics", receiver.HandlerFunc(func(context.Context, *event.Event) error {
			panic("boom")
		}), 500, "Internal Server Error\n", receiver.Panicked, []string{"Claim", "Release"},
			receiver.Panicked},
		{"plain handler writes nothing",
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), 200, "",
			receiver.Handled, []string{"Claim", "Done"}, receiver.Duplicate},
		{"plain handler writes only a body",
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "thanks")
			}), 200, "thanks", receiver.Handled, []string{"Claim", "Done"}, receiver.Duplicate},
		{"plain handler accepts", status(202, "queued"), 202, "queued", receiver.Handled,
			[]string{"Claim", "Done"}, receiver.Duplicate},
		{"plain handler redirects", status(302, ""), 302, "", receiver.Failed,
			[]string{"Claim", "Release"}, receiver.Failed},
		{"plain handler refuses", status(422, "no"), 422, "no", receiver.Failed,
			[]string{"Claim", "Release"}, receiver.Failed},
		{"plain handler fails", status(502, "upstream"), 502, "upstream", receiver.Failed,
			[]string{"Claim", "Release"}, receiver.Failed},
		{"early hints are not the answer",
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(http.StatusInternalServerError)
			}), 500, "", receiver.Failed, []string{"Claim", "Release"}, receiver.Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := newSpy(t)
			b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
			h := b.Handler(tt.handler)

			w := serve(h, post(envelope(t, "evt_1")))
			assert.Equal(t, tt.status, w.Code)
			assert.Equal(t, tt.body, w.Body.String())
			assert.Equal(t, tt.calls, store.Calls())

			serve(h, post(envelope(t, "evt_1")))
			assert.Equal(t, []receiver.Outcome{tt.outcome, tt.again}, b.outcomes())
			assert.Equal(t, tt.status, b.results[0].Status, "the hook sees the status that is sent")
			assert.NotContains(t, b.log.String(), secret)
		})
	}
}

// A duplicate gets 200 and does not reach the handler.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	handled := 0
	h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
		handled++
		return nil
	}))
	for range 3 {
		assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
	}
	assert.Equal(t, 1, handled)
	serve(h, post(envelope(t, "evt_2")))
	assert.Equal(t, 2, handled)
}

// If the store fails, the answer is 503 and the handler is not called.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	store := newSpy(t)
	store.fail["Claim"] = errors.New("down")
	b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
	w := serve(b.Handler(failing(errors.New("not reached"))), post(envelope(t, "evt_1")))
	assert.Equal(t, 503, w.Code)
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
	assert.Equal(t, []receiver.Outcome{receiver.Unavailable}, b.outcomes())
	assert.Equal(t, []string{"Claim", "Release"}, store.Calls(),
		"the claim may have been made")
}

// With FailOpen the handler runs when the store fails. The claim is released, since it may
// have been made, and nothing is settled.
func TestStoreDownFailOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err     error
		status  int
		outcome receiver.Outcome
	}{
		{nil, 200, receiver.Handled},
		{errors.New("failed"), 503, receiver.Failed},
		{receiver.Permanent(errors.New("failed")), 200, receiver.GivenUp},
	} {
		store := newSpy(t)
		store.fail["Claim"] = errors.New("down")
		b := setup(t, func(c *receiver.Config) { c.Dedupe, c.FailOpen = store, true })
		assert.Equal(t, tt.status, serve(b.Handler(failing(tt.err)),
			post(envelope(t, "evt_1"))).Code)
		assert.Equal(t, []receiver.Outcome{tt.outcome}, b.outcomes())
		assert.Equal(t, []string{"Claim", "Release"}, store.Calls())
	}
}

// answering is a store of one's own with a mistake: all it says of a claim is the State.
type answering struct {
	receiver.Deduper
	state receiver.State
}

func (a answering) Claim(
	context.Context, receiver.Claim, time.Duration,
) (receiver.Standing, error) {
	return receiver.Standing{State: a.state}, nil
}

// An event of which the store does not say whether it was handled is not acknowledged without
// being handled.
func TestStoreThatSaysNothing(t *testing.T) {
	t.Parallel()
	for _, state := range []receiver.State{0, -1, receiver.Dead + 1} {
		for _, failOpen := range []bool{false, true} {
			store, handled := newSpy(t), 0
			store.Deduper = answering{store.Deduper, state}
			b := setup(t, func(c *receiver.Config) { c.Dedupe, c.FailOpen = store, failOpen })
			w := serve(b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
				handled++
				return nil
			})), post(envelope(t, "evt_1")))
			if failOpen {
				assert.Equal(t, 200, w.Code)
				assert.Equal(t, 1, handled)
				assert.Equal(t, []receiver.Outcome{receiver.Handled}, b.outcomes())
				assert.Contains(t, b.log.String(), "unknown state")
			} else {
				assert.Equal(t, 503, w.Code)
				assert.Zero(t, handled)
				require.Equal(t, []receiver.Outcome{receiver.Unavailable}, b.outcomes())
				require.ErrorContains(t, b.results[0].Err, "unknown state")
			}
			assert.Equal(t, []string{"Claim", "Release"}, store.Calls(),
				"the claim may have been made")
		}
	}
}

// An event that was handled but could not be recorded is acknowledged, because it would surely
// be handled twice if it were sent again. The log has an error.
func TestOutcomeNotRecorded(t *testing.T) {
	t.Parallel()
	store := newSpy(t)
	store.fail["Done"] = errors.New("down")
	b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
	assert.Equal(t, 200, serve(b.Handler(receiver.HandlerFunc(ok)),
		post(envelope(t, "evt_1"))).Code)
	require.Equal(t, []receiver.Outcome{receiver.Handled}, b.outcomes())
	assert.ErrorContains(t, b.results[0].Err, "not recorded")
	assert.Contains(t, b.log.String(), "level=ERROR")
}

// If the claim could not be released, the log has a warning.
func TestReleaseFails(t *testing.T) {
	t.Parallel()
	store := newSpy(t)
	store.fail["Release"] = errors.New("down")
	b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
	assert.Equal(t, 503, serve(b.Handler(failing(errors.New("failed"))),
		post(envelope(t, "evt_1"))).Code)
	assert.Contains(t, b.log.String(), "claim not released")
}

// The claim is released if the handler ends its goroutine.
func TestReleaseWithoutReturn(t *testing.T) {
	t.Parallel()
	t.Run("http.ErrAbortHandler passes through", func(t *testing.T) {
		t.Parallel()
		store := newSpy(t)
		b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
		h := b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}))
		assert.PanicsWithValue(t, http.ErrAbortHandler,
			func() { serve(h, post(envelope(t, "evt_1"))) })
		assert.Equal(t, []string{"Claim", "Release"}, store.Calls())
	})
	t.Run("runtime.Goexit", func(t *testing.T) {
		t.Parallel()
		store := newSpy(t)
		b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
		h := b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			runtime.Goexit()
		}))
		body, done := envelope(t, "evt_1"), make(chan struct{})
		go func() {
			defer close(done)
			serve(h, post(body))
		}()
		<-done
		assert.Equal(t, []string{"Claim", "Release"}, store.Calls())
	})
}

// A panic is reported with its stack to the log and to the hook.
func TestPanicIsReported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	serve(b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })),
		post(envelope(t, "evt_1")))
	var panicked *receiver.PanicError
	require.ErrorAs(t, b.results[0].Err, &panicked)
	assert.Equal(t, "boom", panicked.Value)
	assert.Contains(t, string(panicked.Stack), "handler_test.go")
	assert.Contains(t, b.log.String(), "handler_test.go")
}

type traceKey struct{}

// Handlers find the event in the context, in addition to its other values, and the exact body
// in the request.
func TestWhatHandlersSee(t *testing.T) {
	t.Parallel()
	body := " \n" + envelope(t, "evt_1") + " "
	reached := false
	h := setup(t).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached = true
		data, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, body, string(data))
		assert.Equal(t, int64(len(body)), r.ContentLength)
		assert.Equal(t, "evt_1", receiver.EventFrom(r.Context()).ID)
		d := receiver.DeliveryFrom(r.Context())
		assert.Equal(t, body, string(d.Body))
		assert.Equal(t, "evt_1", d.Claim.Key)
		assert.NotZero(t, d.Claim.Token)
		assert.Equal(t, receiver.DefaultKeep, d.Keep)
		assert.Equal(t, "trace", r.Context().Value(traceKey{}))
	}))
	r := post(body)
	assert.Equal(t, 200, serve(h, r.WithContext(context.WithValue(r.Context(), traceKey{},
		"trace"))).Code)
	assert.True(t, reached)
	assert.Nil(t, receiver.EventFrom(t.Context()))
	assert.Nil(t, receiver.DeliveryFrom(t.Context()))
}

// Middleware between the receiver and a typed handler sees the status that the sender gets.
func TestMiddlewareInBetween(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var seen int
	logging := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner := httptest.NewRecorder()
			next.ServeHTTP(inner, r)
			seen = inner.Code
			w.WriteHeader(inner.Code)
		})
	}
	h := b.Handler(logging(failing(errors.New("failed"))))
	assert.Equal(t, 503, serve(h, post(envelope(t, "evt_1"))).Code)
	assert.Equal(t, 503, seen)
}

// If middleware answers before the handler fails, the event is released, and the answer is not
// 2xx, so that the sender sends it again.
func TestEarlyAnswerOfMiddleware(t *testing.T) {
	t.Parallel()
	for early, want := range map[int]int{200: 503, 202: 503, 302: 302, 429: 429} {
		b := setup(t)
		h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			w.WriteHeader(early)
			_, _ = io.WriteString(w, "ok")
			failing(errors.New("failed")).ServeHTTP(w, r)
		}))
		w := serve(h, post(envelope(t, "evt_1")))
		assert.Equal(t, want, w.Code)
		assert.Equal(t, []receiver.Outcome{receiver.Failed}, b.outcomes())
		if want == 503 {
			assert.Equal(t, "Service Unavailable\n", w.Body.String())
			assert.Empty(t, w.Header().Get("Content-Length"), "that of another body")
		}
	}
}

// http.TimeoutHandler answers while the handler still runs. Its 503 decides, and the handler's
// result is ignored.
func TestTimeoutHandler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	left := make(chan struct{})
	h := b.Handler(http.TimeoutHandler(receiver.HandlerFunc(func(ctx context.Context,
		_ *event.Event) error {
		defer close(left)
		<-ctx.Done()
		return nil
	}), time.Millisecond, "too slow"))
	assert.Equal(t, 503, serve(h, post(envelope(t, "evt_1"))).Code)
	<-left
	assert.Equal(t, []receiver.Outcome{receiver.Failed}, b.outcomes())
}

// A typed handler without a Receiver answers 500.
func TestHandlerWithoutReceiver(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 500, serve(receiver.HandlerFunc(ok), post("{}")).Code)
}

// A nil handler panics when it is mounted.
func TestNilHandler(t *testing.T) {
	t.Parallel()
	rcv := setup(t).Receiver
	assert.PanicsWithValue(t, "receiver: nil handler", func() { rcv.Handler(nil) })
	assert.PanicsWithValue(t, "receiver: nil handler",
		func() { rcv.Handler(receiver.HandlerFunc(nil)) })
}

// A middleware may call a handler again. What counts is how it ended the last time.
func TestMiddlewareThatTriesAgain(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		results []error
		status  int
		outcome receiver.Outcome
	}{
		{"success after a failure", []error{broken, nil}, 200, receiver.Handled},
		{"success after a permanent failure", []error{receiver.Permanent(broken), nil}, 200,
			receiver.Handled},
		{"a failure after success", []error{nil, broken}, 503, receiver.Failed},
		{"a permanent failure after another", []error{broken, receiver.Permanent(broken)}, 200,
			receiver.GivenUp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			calls := 0
			handler := receiver.HandlerFunc(func(context.Context, *event.Event) error {
				calls++
				return tt.results[calls-1]
			})
			h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var last *httptest.ResponseRecorder
				for range tt.results {
					last = serve(handler, r)
				}
				w.WriteHeader(last.Code)
			}))
			assert.Equal(t, tt.status, serve(h, post(envelope(t, "evt_1"))).Code)
			assert.Equal(t, []receiver.Outcome{tt.outcome}, b.outcomes())
		})
	}
}
