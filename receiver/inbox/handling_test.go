package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/inbox"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

var errHandler = errors.New("no such table")

func TestWhatResultsMean(t *testing.T) {
	t.Parallel()
	once := func(err error) func(int, *event.Event) error {
		return func(call int, _ *event.Event) error {
			if call == 1 {
				return err
			}
			return nil
		}
	}
	type attempt struct{ class, err, response string }
	for name, tc := range map[string]struct {
		fail     func(call int, e *event.Event) error
		status   webhook.Status
		attempts []attempt
	}{
		"nil": {status: webhook.StatusSucceeded, attempts: []attempt{{}}},
		"no handler for the type": {
			fail: func(_ int, e *event.Event) error {
				return receiver.NewRouter().HandleEvent(t.Context(), e)
			},
			status:   webhook.StatusSucceeded,
			attempts: []attempt{{response: receiver.ErrNoHandler.Error()}},
		},
		"the effect is there already": {
			fail:     once(fmt.Errorf("pay: %w", receiver.ErrAlreadyHandled)),
			status:   webhook.StatusSucceeded,
			attempts: []attempt{{response: "pay: receiver: event was handled before"}},
		},
		"an error": {
			fail: once(errHandler), status: webhook.StatusSucceeded,
			attempts: []attempt{{class: "rejected", err: errHandler.Error()}, {}},
		},
		"a permanent error": {
			fail: once(fmt.Errorf("order 7: %w",
				receiver.Permanent(errHandler))), status: webhook.StatusDead,
			attempts: []attempt{{class: "rejected", err: "order 7: no such table"}},
		},
		"a panic": {
			fail: func(call int, _ *event.Event) error {
				if call == 1 {
					panic("index out of range")
				}
				return nil
			},
			status:   webhook.StatusSucceeded,
			attempts: []attempt{{class: "panic", err: "the channel panicked"}, {}},
		},
		// The handler sent a message to an endpoint that is gone, which must not disable the
		// inbox.
		"the error of a channel": {
			fail: once(&channel.Error{Action: channel.Disable, Class: channel.ClassStatus,
				StatusCode: 410}),
			status:   webhook.StatusSucceeded,
			attempts: []attempt{{class: "rejected", err: "channel: status 410"}, {}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &handled{fail: tc.fail}
				in := newInbox(t, memstore.New(), h.HandleEvent)
				run(t, in)
				require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
				time.Sleep(6 * time.Second) // the first retry comes after 5
				synctest.Wait()

				list := deliveries(t, in)
				require.Len(t, list, 1)
				assert.Equal(t, tc.status, list[0].Status)
				var got []attempt
				for _, a := range list[0].Attempts {
					got = append(got, attempt{a.Class, a.Error, a.Response})
				}
				assert.Equal(t, tc.attempts, got)
			})
		})
	}
}

// A handler finds in its context a claim for DoneTx, with a key that no receiver has, and the trace
// of the request.
func TestDeliveryInTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got *receiver.Delivery
		var trace tracecontext.Context
		in := newInbox(t, memstore.New(), func(ctx context.Context, e *event.Event) error {
			got, trace = receiver.DeliveryFrom(ctx), tracecontext.From(ctx)
			assert.Same(t, e, receiver.EventFrom(ctx))
			return nil
		})
		run(t, in)
		e := newEvent("evt_1")
		sent := tracecontext.Context{
			Parent:  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			Baggage: "user=alice",
		}
		require.NoError(t, in.HandleEvent(tracecontext.With(t.Context(), sent), e))
		synctest.Wait()
		require.NotNil(t, got)
		assert.Equal(t, sent, got.Trace)
		assert.Equal(t, sent, trace)
		assert.Equal(t, receiver.Claim{Key: "inbox/default/evt_1"}, got.Claim)
		assert.Equal(t, receiver.DefaultKeep, got.Keep)
		body, err := e.MarshalJSON()
		require.NoError(t, err)
		assert.JSONEq(t, string(body), string(got.Body))
	})
}

// Retries back off and then end. A dead event can be replayed.
func TestGivesUpAndReplays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls []time.Duration
		var start time.Time
		works := false
		in := newInbox(t, memstore.New(), func(context.Context, *event.Event) error {
			calls = append(calls, time.Since(start).Round(time.Second))
			if works {
				return nil
			}
			return errHandler
		}, func(c *inbox.Config) {
			c.Dispatcher.Retry = dispatch.ExponentialRetry{Jitter: dispatch.NoJitter, MaxAttempts: 4}
		})
		run(t, in)
		start = time.Now()
		require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second},
			calls)
		dead, err := in.Dispatcher().Deliveries(t.Context(), webhook.DeliveryQuery{
			OrganizationID: in.OrganizationID(), Status: webhook.StatusDead,
		})
		require.NoError(t, err)
		require.Len(t, dead, 1)

		// Retries of the sender change nothing.
		require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, calls, 4)

		works = true
		require.NoError(t, in.Dispatcher().Replay(t.Context(), in.OrganizationID(), dead[0].ID))
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Len(t, calls, 5)
		assert.Equal(t, webhook.StatusSucceeded, deliveries(t, in)[0].Status)
	})
}

// Events of a type whose handler fails do not delay events of other types.
func TestFailingEventsDelayNobodyElse(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"retried": errHandler,
		"permanent": receiver.Permanent(errHandler)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &handled{}
				events := receiver.NewRouter()
				events.On("object.updated", func(context.Context, *event.Event) error {
					return err
				})
				events.On("object.created", h.HandleEvent)
				in := newInbox(t, memstore.New(), events.HandleEvent)
				run(t, in)
				for i := range 100 {
					e := newEvent(fmt.Sprintf("evt_bad%d", i))
					e.Type = event.ObjectUpdated
					require.NoError(t, in.HandleEvent(t.Context(), e))
				}
				time.Sleep(time.Minute) // they have failed several times by now
				synctest.Wait()
				require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_good")))
				synctest.Wait()
				assert.Equal(t, []string{"evt_good"}, h.ids())
			})
		})
	}
}

func TestInvalidatesAfterTheHandler(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scope   *event.CacheScope
		handler error
		fails   int // so many times
		want    []string
		status  webhook.Status
	}{
		"handled": {scope: event.KeyScope("k"), want: []string{"handle", "invalidate"},
			status: webhook.StatusSucceeded},
		"nothing to": {want: []string{"handle"}, status: webhook.StatusSucceeded},
		"no handler": {scope: event.KeyScope("k"), handler: receiver.ErrNoHandler,
			want: []string{"handle", "invalidate"}, status: webhook.StatusSucceeded},
		"failed": {scope: event.KeyScope("k"), handler: errHandler,
			want: []string{"handle", "handle"}, status: webhook.StatusPending},
		"given up": {scope: event.KeyScope("k"), handler: receiver.Permanent(errHandler),
			want: []string{"handle", "invalidate"}, status: webhook.StatusDead},
		"cannot": {scope: event.KeyScope("k"), fails: 1,
			want:   []string{"handle", "invalidate", "handle", "invalidate"},
			status: webhook.StatusSucceeded},
		"dead, cannot": {scope: event.KeyScope("k"), handler: receiver.Permanent(errHandler),
			fails: 1, want: []string{"handle", "invalidate", "handle", "invalidate"},
			status: webhook.StatusDead},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls []string
				in := newInbox(t, memstore.New(), func(context.Context, *event.Event) error {
					calls = append(calls, "handle")
					return tc.handler
				}, func(c *inbox.Config) {
					c.Invalidator = receiver.InvalidatorFunc(func(_ context.Context, e *event.Event) error {
						calls = append(calls, "invalidate")
						assert.Equal(t, []string{"k"}, e.CacheScope.Keys)
						if tc.fails--; tc.fails >= 0 {
							return errDown
						}
						return nil
					})
				})
				run(t, in)
				e := newEvent("evt_1")
				e.CacheScope = tc.scope
				require.NoError(t, in.HandleEvent(t.Context(), e))
				time.Sleep(6 * time.Second)
				synctest.Wait()
				assert.Equal(t, tc.want, calls)
				assert.Equal(t, tc.status, deliveries(t, in)[0].Status)
			})
		})
	}
}

// When Run is stopped, handlers may run until the drain timeout. Those that take longer are
// cancelled, which does not count as a failure.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		needs    time.Duration
		status   webhook.Status
		attempts int
	}{
		"in time":  {10 * time.Second, webhook.StatusSucceeded, 1},
		"too long": {20 * time.Second, webhook.StatusPending, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New()
				slow := func(ctx context.Context, _ *event.Event) error {
					select {
					case <-time.After(tc.needs):
						return nil
					case <-ctx.Done():
						return fmt.Errorf("query: %w", ctx.Err())
					}
				}
				in := newInbox(t, store, slow)
				stop := run(t, in)
				require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
				synctest.Wait()
				stop()
				list := deliveries(t, in)
				assert.Equal(t, tc.status, list[0].Status)
				assert.Len(t, list[0].Attempts, tc.attempts)

				// The next process handles the event.
				next := newInbox(t, store, slow)
				run(t, next)
				time.Sleep(21 * time.Second)
				synctest.Wait()
				assert.Equal(t, webhook.StatusSucceeded, deliveries(t, next)[0].Status)
			})
		})
	}
}

// The context of a handler that hangs ends, and the handler is called again.
func TestHandlerOutOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInbox(t, memstore.New(), func(ctx context.Context, _ *event.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}, func(c *inbox.Config) { c.Dispatcher.AttemptTimeout = time.Minute })
		run(t, in)
		require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
		time.Sleep(61 * time.Second)
		synctest.Wait()
		list := deliveries(t, in)
		require.Len(t, list[0].Attempts, 1)
		assert.Equal(t, time.Minute, list[0].Attempts[0].Duration)
		assert.Equal(t, webhook.StatusPending, list[0].Status)
	})
}

func TestLogsWhatFailsAndCallsTheHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		h := &handled{fail: func(call int, _ *event.Event) error {
			return []error{errHandler, receiver.Permanent(errHandler), nil}[call-1]
		}}
		var mu sync.Mutex
		var hook []webhook.Status
		in := newInbox(t, memstore.New(), h.HandleEvent, func(c *inbox.Config) {
			c.Dispatcher.Logger = slog.New(slog.NewTextHandler(log, nil))
			c.Dispatcher.Hooks.Attempted = func(o dispatch.Result) {
				mu.Lock()
				defer mu.Unlock()
				hook = append(hook, o.Status)
			}
		})
		run(t, in)
		require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_2")))
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, []webhook.Status{webhook.StatusPending, webhook.StatusDead,
			webhook.StatusSucceeded}, hook)
		assert.Contains(t, log.String(),
			`level=WARN msg="inbox: handler failed" inbox=default event_id=evt_1 event_type=object.created delivery_id=dlv_1 attempt=1 class=rejected error="no such table"`)
		assert.Contains(t, log.String(),
			`level=ERROR msg="inbox: event dead" inbox=default event_id=evt_1 event_type=object.created`)
		assert.NotContains(t, log.String(), "evt_2")
	})
}

// A payload that is not from an inbox is dead, with a reason.
func TestForeignPayload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &handled{}
		in := newInbox(t, memstore.New(), h.HandleEvent)
		run(t, in)
		synctest.Wait() // so that Run takes what is emitted
		require.NoError(t, in.HandleEvent(t.Context(), newEvent("evt_1")))
		e := newEvent("evt_2")
		e.OrganizationID = in.OrganizationID()
		require.NoError(t, errorOf(in.Dispatcher().Emit(t.Context(), e)))
		synctest.Wait()
		assert.Equal(t, []string{"evt_1"}, h.ids())
		foreign := deliveries(t, in)[0]
		assert.Equal(t, webhook.StatusDead, foreign.Status)
		assert.Equal(t, "payload", foreign.Attempts[0].Class)
	})
}
