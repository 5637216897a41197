package receiver_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// sluggish is a store whose steps take their time, or as long as they are let.
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

// How long recording may take does not depend on when the handler returns, nor on
// an extension that is under way then.
func TestTimeToRecord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		lease, work  time.Duration
		extend, done time.Duration
		took         time.Duration
		recorded     bool
	}{
		{"between two looks at the clock", time.Minute, 7 * time.Second, 0, 9900 * time.Millisecond, 16900 * time.Millisecond, true},
		{"too long", time.Minute, 7 * time.Second, 0, time.Minute, 17 * time.Second, false},
		{"an extension that succeeds late", 3 * time.Second, 1500 * time.Millisecond, 900 * time.Millisecond, 9 * time.Second, 10500 * time.Millisecond, true},
		{"an extension that fails late", 3 * time.Second, 1500 * time.Millisecond, time.Hour, 9 * time.Second, 10500 * time.Millisecond, true},
		{"an extension that fails late, and too long", 3 * time.Second, 1500 * time.Millisecond, time.Hour, time.Hour, 11500 * time.Millisecond, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := sluggish{receiver.NewMemory(receiver.MemoryConfig{}), tt.extend, tt.done}
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

// A claim that is lost is not asked for again.
func TestLostClaimIsNotExtended(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newSpy()
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

// Nothing holds on to a request that is answered: no timer, also none that was
// about to extend the lease.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]time.Duration{"at once": 0, "while the lease is extended": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var left weak.Pointer[event.Event]
				b := setup(t, func(c *receiver.Config) {
					c.Hooks = receiver.Hooks{} // the test's own would keep it
					c.Lease, c.Dedupe = 3*time.Second, sluggish{receiver.NewMemory(receiver.MemoryConfig{}), time.Hour, 0}
				})
				h := b.Handler(receiver.HandlerFunc(func(_ context.Context, e *event.Event) error {
					left = weak.Make(e)
					time.Sleep(work)
					return nil
				}))
				require.Equal(t, 200, serve(h, post(envelope(t, "evt_1"))).Code)
				time.Sleep(time.Minute) // a timer that was stopped is removed in time
				runtime.GC()
				assert.Nil(t, left.Value())
			})
		})
	}
}
