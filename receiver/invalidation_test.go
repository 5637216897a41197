package receiver_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// scoped is an event with a cache scope.
const scoped = `{"event_id":"evt_1","event_type":"object.created","cache_scope":{"scope":"KEY","keys":["a","b"]}}`

// An event is done only after its Invalidator has succeeded.
func TestInvalidation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		body    string
		handler error
		fail    error
		calls   []string
		status  int
	}{
		{"before done", scoped, nil, nil, []string{"Claim", "Invalidate a,b", "Done"}, 200},
		{"before dead", scoped, receiver.Permanent(errors.New("x")), nil,
			[]string{"Claim", "Invalidate a,b", "Dead"}, 200},
		{"not when the event will come again", scoped, errors.New("x"), nil,
			[]string{"Claim", "Release"}, 503},
		{"failed", scoped, nil, errors.New("cache is down"),
			[]string{"Claim", "Invalidate a,b", "Release"}, 503},
		{"nothing is stale", `{"event_id":"evt_1","event_type":"object.created"}`, nil, nil,
			[]string{"Claim", "Done"}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := newSpy(t)
			b := setup(t, func(c *receiver.Config) {
				c.Dedupe = store
				c.Invalidator = receiver.InvalidatorFunc(func(_ context.Context, e *event.Event) error {
					_ = store.call("Invalidate " + strings.Join(e.CacheScope.Keys, ","))
					return tt.fail
				})
			})
			w := serve(b.Handler(failing(tt.handler)), post(tt.body))
			assert.Equal(t, tt.status, w.Code)
			assert.Equal(t, tt.calls, store.Calls())
		})
	}
}

// If a handler has settled its claim itself and then the Invalidator fails, the event stays
// done. When it is sent again it is not acknowledged before the Invalidator has succeeded.
func TestDuplicateIsInvalidated(t *testing.T) {
	t.Parallel()
	broken := errors.New("cache is down")
	invalidate := func() error { return broken }
	store := newSpy(t)
	b := setup(t, func(c *receiver.Config) {
		c.Dedupe = store
		c.Invalidator = receiver.InvalidatorFunc(func(context.Context, *event.Event) error {
			_ = store.call("Invalidate")
			return invalidate()
		})
	})
	h := b.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
		d := receiver.DeliveryFrom(ctx)
		return store.Done(ctx, d.Claim, d.Keep)
	}))

	assert.Equal(t, 503, serve(h, post(scoped)).Code)
	assert.NotContains(t, b.log.String(), "claim not released", "there is no lease to wait for")
	assert.Equal(t, 503, serve(h, post(scoped)).Code, "found done, and still stale")
	assert.ErrorIs(t, b.results[1].Err, broken)
	invalidate = func() error { panic("boom") }
	assert.Equal(t, 500, serve(h, post(scoped)).Code)
	invalidate = func() error { return nil }
	assert.Equal(t, 200, serve(h, post(scoped)).Code)
	assert.Equal(t, []receiver.Outcome{receiver.Failed, receiver.Failed, receiver.Panicked,
		receiver.Duplicate}, b.outcomes())
	assert.Equal(t, []string{
		"Claim", "Done", "Invalidate", "Release", // which changes nothing any more
		"Claim", "Invalidate", "Claim", "Invalidate", "Claim", "Invalidate",
	}, store.Calls())
}

// If an Invalidator panics, the event is released, and the panic is reported like that of a
// handler.
func TestInvalidatorPanics(t *testing.T) {
	t.Parallel()
	store := newSpy(t)
	b := setup(t, func(c *receiver.Config) {
		c.Dedupe = store
		c.Invalidator = receiver.InvalidatorFunc(func(context.Context, *event.Event) error {
			panic("boom")
		})
	})
	assert.Equal(t, 500, serve(b.Handler(receiver.HandlerFunc(ok)), post(scoped)).Code)
	require.Equal(t, []receiver.Outcome{receiver.Panicked}, b.outcomes())
	var panicked *receiver.PanicError
	require.ErrorAs(t, b.results[0].Err, &panicked)
	assert.Equal(t, "boom", panicked.Value)
	assert.Contains(t, string(panicked.Stack), "invalidation_test.go")
	assert.Equal(t, []string{"Claim", "Release"}, store.Calls())
}

// If an Invalidator ends its goroutine, the event is released too.
func TestInvalidatorDoesNotReturn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){
		"http.ErrAbortHandler": func() { panic(http.ErrAbortHandler) },
		"runtime.Goexit":       runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newSpy(t)
			b := setup(t, func(c *receiver.Config) {
				c.Dedupe = store
				c.Invalidator = receiver.InvalidatorFunc(func(context.Context, *event.Event) error {
					end()
					return nil
				})
			})
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }() // as net/http does
				serve(b.Handler(receiver.HandlerFunc(ok)), post(scoped))
			}()
			<-done
			standing, err := store.Claim(t.Context(),
				receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}, time.Minute)
			require.NoError(t, err)
			assert.Equal(t, receiver.Claimed, standing.State, "it was released")
		})
	}
}

// An Invalidator that takes all the time that it may, or nearly all, leaves a second to settle the
// claim.
func TestSettlingAfterASlowInvalidator(t *testing.T) {
	t.Parallel()
	hung := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	slow := func(d time.Duration) func(context.Context) error {
		return func(context.Context) error {
			time.Sleep(d)
			return nil
		}
	}
	for _, tt := range []struct {
		name       string
		handler    error
		invalidate func(context.Context) error
		status     int
		again      receiver.Outcome // when the event is sent again
	}{
		{"it hangs", nil, hung, 503, receiver.Handled},
		{"it ends the goroutine", nil, func(ctx context.Context) error {
			_ = hung(ctx)
			panic(http.ErrAbortHandler)
		}, 0, receiver.Handled},
		{"it panics", nil, func(ctx context.Context) error {
			panic(hung(ctx))
		}, 500, receiver.Handled},
		{"it succeeds late", nil, slow(31 * time.Second), 200, receiver.Duplicate},
		{"it succeeds late, and the event is dead", receiver.Permanent(errors.New("x")),
			slow(31 * time.Second), 200, receiver.Duplicate},
		{"it succeeds just in time", nil, slow(29900 * time.Millisecond), 200, receiver.Duplicate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := sluggish{strict{newMemory(t, receiver.MemoryConfig{})}, 0,
					500 * time.Millisecond}
				invalidate, result := tt.invalidate, tt.handler
				b := setup(t, func(c *receiver.Config) {
					c.Dedupe = store
					c.Invalidator = receiver.InvalidatorFunc(func(ctx context.Context,
						_ *event.Event) error {
						return invalidate(ctx)
					})
				})
				h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
					return result
				}))
				status := 0
				func() {
					defer func() { _ = recover() }() // as net/http does
					status = serve(h, post(scoped)).Code
				}()
				assert.Equal(t, tt.status, status)
				assert.NotContains(t, b.log.String(), "not recorded")
				assert.NotContains(t, b.log.String(), "claim not released")

				invalidate, result = slow(0), nil
				assert.Equal(t, 200, serve(h, post(scoped)).Code)
				outcomes := b.outcomes()
				assert.Equal(t, tt.again, outcomes[len(outcomes)-1])
			})
		})
	}
	t.Run("it hangs, and so does the store", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, func(c *receiver.Config) {
				c.Dedupe = deaf{newMemory(t, receiver.MemoryConfig{})}
				c.Invalidator = receiver.InvalidatorFunc(func(ctx context.Context,
					_ *event.Event) error {
					return hung(ctx)
				})
			})
			start := time.Now()
			assert.Equal(t, 503, serve(b.Handler(receiver.HandlerFunc(ok)), post(scoped)).Code)
			assert.Equal(t, 31*time.Second, time.Since(start))
			assert.Contains(t, b.log.String(), "claim not released")
		})
	})
}

// While the Invalidator runs the lease is extended, so that no other process handles the event.
func TestLeaseIsExtendedWhileCachesAreInvalidated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handled := 0
		b := setup(t, func(c *receiver.Config) {
			c.Lease, c.InvalidateTimeout = 3*time.Second, time.Minute
			c.Invalidator = receiver.InvalidatorFunc(func(ctx context.Context, _ *event.Event) error {
				return pause(ctx, 50*time.Second)
			})
		})
		h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
			handled++
			return nil
		}))
		go func() {
			time.Sleep(45 * time.Second)
			assert.Equal(t, 409, serve(h, post(scoped)).Code)
		}()
		assert.Equal(t, 200, serve(h, post(scoped)).Code)
		assert.Equal(t, 200, serve(h, post(scoped)).Code)
		assert.Equal(t, []receiver.Outcome{receiver.Busy, receiver.Handled, receiver.Duplicate},
			b.outcomes())
		assert.Equal(t, 1, handled)
		for _, r := range b.results {
			require.NoError(t, r.Err)
		}
	})
}

// InvalidateTimeout bounds the Invalidator alone, however long the handler and an extension of the
// lease take.
func TestInvalidateTimeout(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Nanosecond, 100 * time.Millisecond, time.Second,
		13 * time.Second, 5 * time.Minute} {
		for name, extend := range map[string]time.Duration{"": 0, ", the store hangs": time.Hour} {
			t.Run(timeout.String()+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var took time.Duration
					hang := true
					b := setup(t, func(c *receiver.Config) {
						c.InvalidateTimeout = timeout
						c.Dedupe = sluggish{newMemory(t, receiver.MemoryConfig{}), extend, 9 * time.Second}
						c.Invalidator = receiver.InvalidatorFunc(func(ctx context.Context,
							_ *event.Event) error {
							start := time.Now()
							if hang {
								<-ctx.Done()
							}
							took = time.Since(start)
							return ctx.Err()
						})
					})
					h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
						time.Sleep(21 * time.Second) // the lease is being extended
						return nil
					}))
					assert.Equal(t, 503, serve(h, post(scoped)).Code)
					assert.Equal(t, timeout, took)
					require.ErrorContains(t, b.results[0].Err, "InvalidateTimeout")
					hang = false
					assert.Equal(t, 200, serve(h, post(scoped)).Code)
					require.NoError(t, b.results[1].Err, "settling has its own time")
					hang = true
					assert.Equal(t, 503, serve(h, post(scoped)).Code)
					assert.Equal(t, timeout, took, "for a duplicate")
					assert.Equal(t, []receiver.Outcome{receiver.Failed, receiver.Handled,
						receiver.Failed}, b.outcomes())
				})
			})
		}
	}
}
