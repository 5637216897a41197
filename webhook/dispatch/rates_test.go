package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// timed is a channel that keeps when its attempts begin.
type timed struct {
	mu    sync.Mutex
	times []time.Time
	// refuse returns the error of an attempt; nil accepts all.
	refuse func() error
}

func (c *timed) send(context.Context, *channel.Message) (channel.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times = append(c.times, time.Now())
	if c.refuse != nil {
		if err := c.refuse(); err != nil {
			return channel.Result{}, err
		}
	}
	return channel.Result{StatusCode: 200}, nil
}

func (c *timed) begun() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.times)
}

// requireRate fails if more attempts have begun in any time than the documentation of RateLimit
// says.
func requireRate(t *testing.T, l webhook.RateLimit, times []time.Time) {
	t.Helper()
	slices.SortFunc(times, time.Time.Compare)
	for i := range times {
		for j := i; j < len(times); j++ {
			long := times[j].Sub(times[i]) + webhook.PermitLife
			if float64(j-i+1) > float64(l.Burst)+l.PerSecond*long.Seconds()+1e-6 { // called often
				require.Failf(t, "too many attempts", "%d in %v", j-i+1, times[j].Sub(times[i]))
			}
		}
	}
}

// limited is a bench with a subscription of that limit.
func limitedOn(
	t *testing.T, store webhook.Store, cfg dispatch.Config, l webhook.RateLimit, send channel.Func,
) *testBench {
	t.Helper()
	b := benchOn(t, store, cfg, send)
	sub := b.subscribe(t, "*")
	sub.RateLimit = &l
	require.NoError(t, b.UpdateSubscription(t.Context(), sub))
	return b
}

// Two processes on one store keep to the limit together, use it up, and get about the same.
func TestProcessesShareARateLimit(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for name, test := range map[string]struct {
		limit webhook.RateLimit
		long  time.Duration
	}{
		"fast":  {webhook.RateLimit{PerSecond: 20, Burst: 5}, 20 * time.Second},
		"slow":  {webhook.RateLimit{PerSecond: 0.5, Burst: 1}, 4 * time.Minute},
		"burst": {webhook.RateLimit{PerSecond: 1, Burst: 30}, time.Minute},
	} {
		if testing.Short() && name != "fast" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &permitStore{Store: memstore.New()}
				var one, two timed
				a := limitedOn(t, store, dispatch.Config{}, test.limit, one.send)
				b := benchOn(t, store, dispatch.Config{}, two.send)
				a.run(t)
				b.run(t)
				synctest.Wait()
				start := time.Now()
				for range 350 {
					a.emit(t, event.ObjectCreated)
					b.emit(t, event.ObjectCreated)
				}
				elapse(test.long)
				all := slices.Concat(one.begun(), two.begun())
				// One write for many permits, unless they are a second apart.
				seconds := min(test.limit.PerSecond, 4) * test.long.Seconds()
				assert.Less(t, float64(store.calls.Load()), seconds+15)
				requireRate(t, test.limit, all)
				could := float64(test.limit.Burst) + test.limit.PerSecond*time.Since(start).Seconds()
				assert.Greater(t, float64(len(all)), could*0.9, "the limit is used up")
				assert.LessOrEqual(t, float64(len(all)), could+1)
				if name != "burst" { // which goes to who asks first
					assert.InDelta(t, len(one.begun()), len(two.begun()), float64(len(all))/4, "both get some")
				}
				for _, d := range a.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusInFlight, Limit: 1000}) {
					assert.Empty(t, d.Attempts, "a delivery that waits uses up no attempt")
				}
				assert.Empty(t, a.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusDead}))
			})
		})
	}
}

// What waits for the limit of one endpoint occupies no worker, and holds back no other endpoint.
func TestARateLimitHoldsBackOnlyItsEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow timed
		var others atomic.Int64
		b := limitedOn(t, memstore.New(), dispatch.Config{MaxInFlight: 4},
			webhook.RateLimit{PerSecond: 0.1, Burst: 1},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				if m.EventType == event.ObjectCreated {
					return slow.send(ctx, m)
				}
				others.Add(1)
				return channel.Result{StatusCode: 200}, nil
			})
		limited, err := b.Subscriptions(t.Context(), webhook.SubscriptionQuery{})
		require.NoError(t, err)
		limited[0].EventTypes = []event.Pattern{event.ObjectCreated}
		require.NoError(t, b.UpdateSubscription(t.Context(), limited[0]))
		b.subscribe(t, event.ObjectDeleted)
		b.run(t)
		synctest.Wait()
		for range 200 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Second)
		for range 500 {
			b.emit(t, event.ObjectDeleted)
		}
		elapse(time.Second)
		assert.EqualValues(t, 500, others.Load())
		assert.Len(t, slow.begun(), 1)
		stats, err := b.Stats(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, stats.Process.RateLimited)
		assert.Zero(t, stats.Process.InFlight)
		assert.Less(t, stats.Process.Queued, 50, "what cannot begin before long stays in the store")
		elapse(time.Minute)
		assert.Len(t, slow.begun(), 7)
	})
}

// A channel's own limit applies if the subscription has none, and an update takes effect.
func TestTheLimitOfAChannelIsTheDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made timed
		cfg := dispatch.Config{Channels: channel.NewRegistry(), Logger: slog.New(slog.DiscardHandler)}
		require.NoError(t, cfg.Channels.Register("webhook", ratedDriver{made.send}))
		d, err := dispatch.New(memstore.New(), cfg)
		require.NoError(t, err)
		b := &testBench{Dispatcher: d}
		sub := b.subscribe(t, "*")
		b.run(t)
		synctest.Wait()
		for range 100 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(10 * time.Second)
		assert.InDelta(t, 13, len(made.begun()), 1, "one a second, and a burst of three")
		sub.RateLimit = &webhook.RateLimit{PerSecond: 1000}
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		elapse(2 * time.Second)
		assert.Len(t, made.begun(), 100)
	})
}

// ratedDriver opens channels with a limit of their own.
type ratedDriver struct{ channel.Func }

func (d ratedDriver) Open(json.RawMessage) (channel.Channel, error) { return d, nil }

func (ratedDriver) Capabilities() channel.Capabilities {
	return channel.Capabilities{AttemptsPerSecond: 1, AttemptBurst: 3}
}

// An endpoint that says 429 gets less from all processes, and the full rate again in time.
func TestAThrottledEndpointGetsLess(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		const allowed = 5 // a second
		var made timed
		var second int64
		n := 0
		var strict atomic.Bool
		strict.Store(true)
		made.refuse = func() error {
			if at := time.Now().Unix(); at != second {
				second, n = at, 0
			}
			if n++; strict.Load() && n > allowed {
				return &channel.Error{Action: channel.Wait, StatusCode: 429, RetryAfter: time.Second}
			}
			return nil
		}
		var lowered []dispatch.Throttled
		var mu sync.Mutex
		cfg := dispatch.Config{
			Retry: dispatch.ExponentialRetry{InitialInterval: time.Second, MaxInterval: 5 * time.Second},
			Hooks: dispatch.Hooks{Throttled: func(_ context.Context, about dispatch.Throttled) {
				mu.Lock()
				defer mu.Unlock()
				lowered = append(lowered, about)
			}},
		}
		limit := webhook.RateLimit{PerSecond: 40, Burst: 10}
		a := limitedOn(t, store, cfg, limit, made.send)
		b := benchOn(t, store, cfg, made.send)
		a.run(t)
		b.run(t)
		synctest.Wait()
		for range 200 {
			a.emit(t, event.ObjectCreated)
			b.emit(t, event.ObjectCreated)
		}
		elapse(2 * time.Minute)
		requireRate(t, limit, made.begun())
		mu.Lock()
		require.NotEmpty(t, lowered)
		assert.Less(t, lowered[0].PerSecond, limit.PerSecond*0.6)
		assert.Equal(t, limit, lowered[0].Limit)
		assert.Equal(t, time.Second, lowered[0].RetryAfter)
		mu.Unlock()
		refused := 0
		for _, d := range a.deliveries(t, webhook.DeliveryQuery{Limit: 1000}) {
			for _, attempt := range d.Attempts {
				if attempt.StatusCode == http.StatusTooManyRequests {
					refused++
				}
			}
		}
		assert.Less(t, refused, 150, "it is refused far less often than it would be at the limit")
		elapse(10 * time.Minute)
		assert.Equal(t, 400, a.count(t, webhook.StatusSucceeded))
		strict.Store(false)
		before := len(made.begun())
		for range 100 {
			a.emit(t, event.ObjectCreated)
		}
		elapse(3 * time.Second)
		assert.Equal(t, 100, len(made.begun())-before, "the rate has recovered")
	})
}

// permitStore counts the calls for permits. It hands out none while it fails.
type permitStore struct {
	webhook.Store
	fails atomic.Bool
	calls atomic.Int64
}

func (s *permitStore) TakePermits(
	ctx context.Context, now time.Time, requests []webhook.PermitRequest,
) ([]webhook.PermitGrant, error) {
	s.calls.Add(1)
	if s.fails.Load() {
		return nil, errors.New("the store is busy")
	}
	return s.Store.TakePermits(ctx, now, requests)
}

// That an endpoint has refused an attempt, because there are too many, reaches the store also if it
// fails at first.
func TestARefusalIsToldToAStoreThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &permitStore{Store: memstore.New()}
		var made timed
		made.refuse = func() error {
			store.fails.Store(true)
			return &channel.Error{Action: channel.Wait, StatusCode: 429, RetryAfter: 10 * time.Second}
		}
		var told []dispatch.Throttled
		b := limitedOn(t, store, dispatch.Config{Hooks: dispatch.Hooks{
			Throttled: func(_ context.Context, about dispatch.Throttled) { told = append(told, about) },
		}}, webhook.RateLimit{PerSecond: 10}, made.send)
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Millisecond)
		require.Len(t, made.begun(), 1)
		require.Empty(t, told)
		store.fails.Store(false)
		elapse(5 * time.Second)
		require.Len(t, told, 1)
		assert.Equal(t, 10*time.Second, told[0].RetryAfter)
	})
}

// While the store fails nothing goes beyond the limit, and afterwards all goes on.
func TestWithoutPermitsNothingIsAttempted(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &permitStore{Store: memstore.New()}
		store.fails.Store(true)
		var made timed
		b := limitedOn(t, store, dispatch.Config{}, webhook.RateLimit{PerSecond: 1000}, made.send)
		stop := b.run(t)
		synctest.Wait()
		for range 20 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Minute)
		assert.Empty(t, made.begun())
		stop()
		assert.Equal(t, 20, b.count(t, webhook.StatusPending), "Run requeues what waits")
		b.run(t)
		elapse(time.Minute)
		assert.Empty(t, made.begun())
		store.fails.Store(false)
		elapse(time.Minute)
		assert.Equal(t, 20, b.count(t, webhook.StatusSucceeded))
	})
}
