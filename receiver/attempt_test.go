package receiver_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// A duplicate is not acknowledged while the event is being handled: the handler may still
// fail, and the sender would not send the event again.
func TestInFlightDuplicateIsNeverAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *receiver.Config) { c.Lease = 30 * time.Second })
		release := make(chan error)
		h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
			return <-release
		}))

		body, first := envelope(t, "evt_1"), make(chan int)
		go func() { first <- serve(h, post(body)).Code }()
		synctest.Wait()
		w := serve(h, post(envelope(t, "evt_1")))
		assert.Equal(t, 409, w.Code)
		assert.Equal(t, "30", w.Header().Get("Retry-After"))

		release <- errors.New("failed after all")
		assert.Equal(t, 503, <-first)
		go func() { first <- serve(h, post(body)).Code }()
		release <- nil
		assert.Equal(t, 200, <-first, "the event is handled when it comes again")
	})
}

// A handler may run for much longer than a lease. The lease is extended.
func TestLeaseIsExtended(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSpy(t)
		b := setup(t, func(c *receiver.Config) { c.Lease, c.Dedupe = 3*time.Second, store })
		h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
			time.Sleep(10500 * time.Millisecond)
			return nil
		}))
		body, done := envelope(t, "evt_1"), make(chan int)
		go func() { done <- serve(h, post(body)).Code }()
		for range 10 {
			time.Sleep(time.Second)
			assert.Equal(t, 409, serve(h, post(body)).Code)
		}
		assert.Equal(t, 200, <-done)

		calls := len(store.Calls())
		time.Sleep(time.Minute)
		assert.Len(t, store.Calls(), calls, "a settled claim is not extended")
	})
}

// If the store fails for a while, the handler goes on, and the lease is extended when the
// store works again.
func TestLeaseSurvivesAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSpy(t)
		b := setup(t, func(c *receiver.Config) { c.Lease, c.Dedupe = 30*time.Second, store })
		h := b.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
			time.Sleep(time.Minute)
			return ctx.Err()
		}))
		body, done := envelope(t, "evt_1"), make(chan int)
		go func() { done <- serve(h, post(body)).Code }()
		synctest.Wait()
		store.set("Extend", errors.New("down"))
		time.Sleep(15 * time.Second)
		store.set("Extend", nil)
		assert.Equal(t, 200, <-done)
		assert.Contains(t, b.log.String(), "lease not extended")
	})
}

// A store that panics while the lease is extended ends neither the process nor the handler.
func TestPanicWhileTheLeaseIsExtended(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"any": "boom", "http.ErrAbortHandler": http.ErrAbortHandler,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := panicking{newMemory(t, receiver.MemoryConfig{}), new(sync.Once), value}
				b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
				h := b.Handler(receiver.HandlerFunc(func(ctx context.Context,
					_ *event.Event) error {
					time.Sleep(2 * receiver.DefaultLease)
					return ctx.Err()
				}))
				body, done := envelope(t, "evt_1"), make(chan int)
				go func() { done <- serve(h, post(body)).Code }()
				time.Sleep(receiver.DefaultLease + time.Second)
				assert.Equal(t, 409, serve(h, post(body)).Code, "the lease was extended later")
				assert.Equal(t, 200, <-done)
				assert.Contains(t, b.log.String(), "lease not extended")
				assert.Contains(t, b.log.String(), "attempt_test.go", "the stack is logged")
			})
		})
	}
}

// panicking is a store whose first extension panics with value.
type panicking struct {
	receiver.Deduper
	once  *sync.Once
	value any
}

func (p panicking) Extend(ctx context.Context, c receiver.Claim, lease time.Duration) error {
	p.once.Do(func() { panic(p.value) })
	return p.Deduper.Extend(ctx, c, lease)
}

// A process that has lost its claim does not acknowledge the event, even if its handler
// succeeds: the event is the other process's now.
func TestLostClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSpy(t)
		store.Deduper = strict{store.Deduper}
		store.fail["Extend"] = errors.New("cut off")
		b := setup(t, func(c *receiver.Config) { c.Lease, c.Dedupe = 3*time.Second, store })
		release := make(chan struct{})
		var cause error
		h := b.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
			<-release
			cause = context.Cause(ctx)
			return nil
		}))
		body, done := envelope(t, "evt_1"), make(chan int)
		go func() { done <- serve(h, post(body)).Code }()
		time.Sleep(10 * time.Second)
		other := receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}
		standing, err := store.Claim(t.Context(), other, time.Hour)
		require.NoError(t, err)
		require.Equal(t, receiver.Claimed, standing.State)
		store.set("Extend", nil)
		time.Sleep(2 * time.Second)

		close(release)
		assert.Equal(t, 409, <-done)
		assert.ErrorIs(t, cause, receiver.ErrStaleToken, "the handler's context has the cause")
		assert.Equal(t, []receiver.Outcome{receiver.Lost}, b.outcomes())
		assert.NoError(t, store.Done(t.Context(), other, time.Hour),
			"the other claim is still valid")
	})
}

// A handler may settle its claim itself, with DoneTx, and run for longer than a lease: no
// other process has the event, so its context does not end.
func TestHandlerThatSettlesIsNotCutShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSpy(t)
		b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
		var cause error
		h := b.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
			d := receiver.DeliveryFrom(ctx)
			if err := store.Done(ctx, d.Claim, d.Keep); err != nil {
				return err
			}
			time.Sleep(5 * time.Minute)
			cause = context.Cause(ctx)
			return nil
		}))
		assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
		assert.NoError(t, cause)
		assert.Equal(t, []receiver.Outcome{receiver.Handled}, b.outcomes())
		assert.NoError(t, b.results[0].Err)
		assert.Contains(t, store.Calls(), "Extend")
	})
}

// If a handler returns at the moment when its lease is extended, its outcome is recorded: the
// timer that fires then does not end the time for recording.
func TestHandlerReturnsAsTheLeaseIsExtended(t *testing.T) {
	t.Parallel()
	for range 300 { // the two meet in some of them
		synctest.Test(t, func(t *testing.T) {
			store := newSpy(t)
			store.Deduper = strict{store.Deduper}
			b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
			h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
				time.Sleep(receiver.DefaultLease / 3)
				return nil
			}))
			require.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
			require.NoError(t, b.results[0].Err)
		})
	}
}

// Without a claim, no lease is extended.
func TestFailOpenExtendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSpy(t)
		store.fail["Claim"] = errors.New("down")
		b := setup(t, func(c *receiver.Config) { c.Dedupe, c.FailOpen = store, true })
		h := b.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
			time.Sleep(time.Hour)
			return ctx.Err()
		}))
		assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
		assert.Equal(t, []string{"Claim", "Release"}, store.Calls())
	})
}

// lingering is a store that uses the context after it has returned an error.
type lingering struct {
	receiver.Deduper
	looked chan struct{}
}

func (s lingering) Claim(
	ctx context.Context, _ receiver.Claim, _ time.Duration,
) (receiver.Standing, error) {
	go func() {
		ctx.Value(http.ServerContextKey)
		close(s.looked)
	}()
	return receiver.Standing{}, errors.New("down")
}

// The context of the claim is not changed while the store may still use it, or the race
// detector would report it.
func TestFailOpenAfterAClaimThatLingers(t *testing.T) {
	t.Parallel()
	store := lingering{newMemory(t, receiver.MemoryConfig{}), make(chan struct{})}
	b := setup(t, func(c *receiver.Config) { c.Dedupe, c.FailOpen = store, true })
	h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
		<-store.looked
		return nil
	}))
	assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
}

// A sender that disconnects does not end the handler: it will send the event again, and
// should find it done.
func TestHandlerOutlivesTheSender(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	var after error
	h := b.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
		cancel()
		after = ctx.Err()
		return after
	}))
	serve(h, post(envelope(t, "evt_1")).WithContext(ctx))
	assert.NoError(t, after)
	assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
	assert.Equal(t, []receiver.Outcome{receiver.Handled, receiver.Duplicate}, b.outcomes())
}

// A sender that disconnects before its event is claimed is not a failure of the store. If it
// were, FailOpen would handle the event twice, and without FailOpen a claim without a
// handler would block it.
func TestSenderGoneBeforeTheClaim(t *testing.T) {
	t.Parallel()
	for _, failOpen := range []bool{true, false} {
		store := newSpy(t)
		store.Deduper = strict{store.Deduper}
		b := setup(t, func(c *receiver.Config) { c.Dedupe, c.FailOpen = store, failOpen })
		h := b.Handler(receiver.HandlerFunc(ok))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		serve(h, post(envelope(t, "evt_1")).WithContext(ctx))
		serve(h, post(envelope(t, "evt_1")))
		assert.Equal(t, []receiver.Outcome{receiver.Handled, receiver.Duplicate}, b.outcomes())
	}
}

// If a store makes a claim and does not answer, the claim is released, and the request is
// answered in time.
func TestClaimingIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		failOpen bool
		timeout  time.Duration
		status   int
		took     time.Duration
	}{
		{"and the sender has to retry", false, 0, 503, 2 * time.Second},
		{"and the event is handled with FailOpen", true, 0, 200, 2 * time.Second},
		{"at once", false, time.Nanosecond, 503, time.Nanosecond},
		{"for longer than a third of the lease", false, 90 * time.Second, 503, 90 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				memory := newMemory(t, receiver.MemoryConfig{})
				b := setup(t, func(c *receiver.Config) {
					c.Dedupe, c.FailOpen, c.ClaimTimeout = mute{memory}, tt.failOpen, tt.timeout
				})
				start := time.Now()
				h := b.Handler(receiver.HandlerFunc(func(ctx context.Context,
					_ *event.Event) error {
					return ctx.Err()
				}))
				assert.Equal(t, tt.status, serve(h, post(envelope(t, "evt_1"))).Code)
				assert.Equal(t, tt.took, time.Since(start))
				standing, err := memory.Claim(t.Context(),
					receiver.Claim{Key: "evt_1", Token: receiver.NewToken()}, time.Minute)
				require.NoError(t, err)
				assert.Equal(t, receiver.Claimed, standing.State, "it was released")
			})
		})
	}
	t.Run("also if the store does not answer to the release", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, func(c *receiver.Config) {
				c.Dedupe = deaf{mute{newMemory(t, receiver.MemoryConfig{})}}
			})
			start := time.Now()
			assert.Equal(t, 503, serve(b.Handler(receiver.HandlerFunc(ok)),
				post(envelope(t, "evt_1"))).Code)
			assert.Equal(t, 3*time.Second, time.Since(start))
		})
	})
}

// mute is a store that claims and does not answer.
type mute struct{ receiver.Deduper }

func (m mute) Claim(
	ctx context.Context, c receiver.Claim, lease time.Duration,
) (receiver.Standing, error) {
	_, _ = m.Deduper.Claim(ctx, c, lease)
	<-ctx.Done()
	return receiver.Standing{}, ctx.Err()
}

// A store that answers after ClaimTimeout has ended the context of what would follow. A claim
// that it has made by then is released; with FailOpen, and for a duplicate, what follows gets
// a context that has not ended.
func TestStoreAnswersTooLate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		failOpen bool
		known    receiver.State // what the store knows of the event, if anything
		status   int
		outcome  receiver.Outcome
		calls    []string
	}{
		{"that the event is claimed", false, 0, 503, receiver.Unavailable,
			[]string{"Claim", "Release"}},
		{"that the event is claimed, with FailOpen", true, 0, 200, receiver.Handled,
			[]string{"Claim", "Release", "handle", "Invalidate"}},
		{"that the event is done", false, receiver.Done, 200, receiver.Duplicate,
			[]string{"Claim", "Invalidate"}},
		{"that the event is done, with FailOpen", true, receiver.Done, 200, receiver.Duplicate,
			[]string{"Claim", "Invalidate"}},
		{"that the event is being handled", true, receiver.Claimed, 409, receiver.Busy,
			[]string{"Claim"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				memory := newMemory(t, receiver.MemoryConfig{})
				if tt.known != 0 {
					c, err := fill(t, memory, "evt_1")
					require.NoError(t, err)
					if tt.known == receiver.Done {
						require.NoError(t, memory.Done(t.Context(), c, time.Hour))
					}
				}
				store := newSpy(t)
				store.Deduper = dawdling{memory}
				b := setup(t, func(c *receiver.Config) {
					c.Dedupe, c.FailOpen = store, tt.failOpen
					c.Invalidator = receiver.InvalidatorFunc(func(ctx context.Context,
						_ *event.Event) error {
						_ = store.call("Invalidate")
						return ctx.Err()
					})
				})
				h := b.Handler(receiver.HandlerFunc(func(ctx context.Context,
					_ *event.Event) error {
					_ = store.call("handle")
					time.Sleep(time.Minute)
					return ctx.Err()
				}))
				assert.Equal(t, tt.status, serve(h, post(scoped)).Code)
				assert.Equal(t, []receiver.Outcome{tt.outcome}, b.outcomes())
				assert.Equal(t, tt.calls, store.Calls())
				if tt.known == 0 {
					_, err := fill(t, memory, "evt_1")
					require.NoError(t, err, "it was released")
				}
			})
		})
	}
}

// dawdling is a store whose claims take longer than ClaimTimeout, whatever their context says.
type dawdling struct{ receiver.Deduper }

func (d dawdling) Claim(
	ctx context.Context, c receiver.Claim, lease time.Duration,
) (receiver.Standing, error) {
	time.Sleep(receiver.DefaultClaimTimeout + time.Second)
	return d.Deduper.Claim(ctx, c, lease)
}

// If the store makes a claim after the request was answered, the event is not handled under
// that claim, and can be claimed again when the lease has ended.
func TestClaimThatIsMadeTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := newMemory(t, receiver.MemoryConfig{})
		store := &belated{Deduper: memory}
		b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
		h := b.Handler(receiver.HandlerFunc(ok))
		assert.Equal(t, 503, serve(h, post(envelope(t, "evt_1"))).Code)
		time.Sleep(time.Minute) // the store makes the claim now
		assert.Equal(t, 409, serve(h, post(envelope(t, "evt_1"))).Code)
		time.Sleep(time.Minute)
		assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
		assert.Equal(t, []receiver.Outcome{receiver.Unavailable, receiver.Busy, receiver.Handled},
			b.outcomes())
	})
}

// belated makes its first claim half a minute late.
type belated struct {
	receiver.Deduper
	once sync.Once
}

func (b *belated) Claim(
	ctx context.Context, c receiver.Claim, lease time.Duration,
) (standing receiver.Standing, err error) {
	late := false
	b.once.Do(func() {
		late = true
		time.AfterFunc(30*time.Second,
			func() { _, _ = b.Deduper.Claim(context.Background(), c, lease) })
	})
	if late {
		<-ctx.Done()
		return receiver.Standing{}, ctx.Err()
	}
	return b.Deduper.Claim(ctx, c, lease)
}

// deaf is a store that does not answer to a release.
type deaf struct{ receiver.Deduper }

func (deaf) Release(ctx context.Context, _ receiver.Claim) error {
	<-ctx.Done()
	return ctx.Err()
}

// If the store does not answer when the claim is settled, the request is answered in time.
func TestSettlingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *receiver.Config) {
			c.Dedupe = stuck{newMemory(t, receiver.MemoryConfig{})}
		})
		start := time.Now()
		assert.Equal(t, 200, serve(b.Handler(receiver.HandlerFunc(ok)),
			post(envelope(t, "evt_1"))).Code)
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.ErrorContains(t, b.results[0].Err, "not recorded")
	})
}

// stuck is a store that makes claims and then does not answer.
type stuck struct{ receiver.Deduper }

func (stuck) Done(ctx context.Context, _ receiver.Claim, _ time.Duration) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// The outcome is recorded although the sender has disconnected.
func TestSenderGone(t *testing.T) {
	t.Parallel()
	store := newSpy(t)
	store.Deduper = strict{store.Deduper}
	b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
	ctx, cancel := context.WithCancel(t.Context())
	h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
		cancel()
		return nil
	}))
	serve(h, post(envelope(t, "evt_1")).WithContext(ctx))
	require.Equal(t, []receiver.Outcome{receiver.Handled}, b.outcomes())
	assert.NoError(t, b.results[0].Err)
}

// strict is a store that ends with its context, as a store over a network does.
type strict struct{ receiver.Deduper }

func (s strict) Claim(
	ctx context.Context, c receiver.Claim, lease time.Duration,
) (receiver.Standing, error) {
	standing, err := s.Deduper.Claim(ctx, c, lease)
	if ctx.Err() != nil { // the claim was made, and the caller gets an error
		return receiver.Standing{}, ctx.Err()
	}
	return standing, err
}

func (s strict) Done(ctx context.Context, c receiver.Claim, keep time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Deduper.Done(ctx, c, keep)
}

func (s strict) Dead(
	ctx context.Context, c receiver.Claim, reason string, keep time.Duration,
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Deduper.Dead(ctx, c, reason, keep)
}

func (s strict) Release(ctx context.Context, c receiver.Claim) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Deduper.Release(ctx, c)
}

// sluggish is a store whose calls take a given time, or until their context ends.
type sluggish struct {
	receiver.Deduper
	extend, done time.Duration
}

func (s sluggish) Extend(ctx context.Context, c receiver.Claim, lease time.Duration) error {
	if err := pause(ctx, s.extend); err != nil {
		return err
	}
	return s.Deduper.Extend(ctx, c, lease)
}

func (s sluggish) Done(ctx context.Context, c receiver.Claim, keep time.Duration) error {
	if err := pause(ctx, s.done); err != nil {
		return err
	}
	return s.Deduper.Done(ctx, c, keep)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// The time for recording does not depend on when the handler returns, or on an extension of
// the lease at that moment.
func TestTimeToRecord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		lease, work  time.Duration
		extend, done time.Duration
		took         time.Duration
		recorded     bool
	}{
		{"between two ticks", time.Minute, 7 * time.Second, 0, 9900 * time.Millisecond,
			16900 * time.Millisecond, true},
		{"too long", time.Minute, 7 * time.Second, 0, time.Minute, 17 * time.Second, false},
		{"an extension that succeeds late", 3 * time.Second, 1500 * time.Millisecond,
			900 * time.Millisecond, 9 * time.Second, 10500 * time.Millisecond, true},
		{"an extension that fails late", 3 * time.Second, 1500 * time.Millisecond, time.Hour,
			9 * time.Second, 10500 * time.Millisecond, true},
		{"an extension that fails late, and too long", 3 * time.Second, 1500 * time.Millisecond,
			time.Hour, time.Hour, 11500 * time.Millisecond, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := sluggish{newMemory(t, receiver.MemoryConfig{}), tt.extend, tt.done}
				b := setup(t, func(c *receiver.Config) { c.Lease, c.Dedupe = tt.lease, store })
				start := time.Now()
				h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
					time.Sleep(tt.work)
					return nil
				}))
				assert.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
				assert.Equal(t, tt.took, time.Since(start))
				assert.Equal(t, tt.recorded, b.results[0].Err == nil, "%v", b.results[0].Err)
			})
		})
	}
}

// A lost claim is not extended again.
func TestLostClaimIsNotExtended(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSpy(t)
		store.fail["Extend"] = receiver.ErrStaleToken
		b := setup(t, func(c *receiver.Config) { c.Lease, c.Dedupe = 3*time.Second, store })
		h := b.Handler(receiver.HandlerFunc(func(context.Context, *event.Event) error {
			time.Sleep(time.Minute)
			return nil
		}))
		assert.Equal(t, 409, serve(h, post(envelope(t, "evt_1"))).Code)
		assert.Equal(t, []string{"Claim", "Extend"}, store.Calls())
	})
}

// After the answer nothing refers to the request: no timer, not even one that was about to
// extend the lease.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]time.Duration{"at once": 0,
		"while the lease is extended": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var left weak.Pointer[event.Event]
				b := setup(t, func(c *receiver.Config) {
					c.Hooks = receiver.Hooks{} // those of the test would keep it
					c.Lease, c.Dedupe = 3*time.Second, sluggish{newMemory(t,
						receiver.MemoryConfig{}), time.Hour, 0}
				})
				h := b.Handler(receiver.HandlerFunc(func(_ context.Context, e *event.Event) error {
					left = weak.Make(e)
					time.Sleep(work)
					return nil
				}))
				require.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
				time.Sleep(time.Minute) // the runtime removes stopped timers later
				runtime.GC()
				assert.Nil(t, left.Value())
			})
		})
	}
}
