package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A process without a network takes no endpoint to be degraded, whether another process reaches
// them all, or no process reaches any for days.
func TestAProcessThatIsCutOffDegradesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	synctest.Test(t, func(t *testing.T) {
		const endpoints = 12
		store := memstore.New()
		var changes healthChanges
		var log lockedBuffer
		cfg := dispatch.Config{PollInterval: 30 * time.Second,
			Logger: slog.New(slog.NewTextHandler(&log, nil))}
		cfg.Hooks.HealthChanged = changes.hook
		noRoute := &channel.Error{Action: channel.Retry, Class: channel.ClassConnect,
			Err: errors.New("no route to host")}
		works, cutOff := &target{}, &target{err: noRoute}
		a, b := benchOn(t, store, cfg, works.send), benchOn(t, store, cfg, cutOff.send)
		a.run(t)
		b.run(t)
		for i := range endpoints {
			require.NoError(t, a.CreateSubscription(t.Context(), &webhook.Subscription{
				Name: "one of many", EventTypes: []event.Pattern{"*"},
				Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
					URL: fmt.Sprintf("https://e%d.example.com/", i),
				})},
			}))
		}
		for range 60 {
			a.emit(t, event.ObjectCreated)
			b.emit(t, event.ObjectCreated)
			elapse(10 * time.Second)
		}
		assert.Empty(t, changes.all(), "one process is cut off")
		assert.Equal(t, 1, strings.Count(log.String(), "no host answers this process"))

		works.set(noRoute)
		for range 6 * 6 {
			a.emit(t, event.ObjectCreated)
			elapse(4 * time.Hour)
		}
		assert.Empty(t, changes.all(), "all are cut off for six days")

		works.set(nil)
		cutOff.set(nil)
		elapse(2 * time.Hour)
		assert.Contains(t, log.String(), "hosts answer this process again")
		a.emit(t, event.ObjectCreated)
		elapse(time.Second)
		attempts, _ := works.seen()
		assert.NotEmpty(t, attempts)
	})
}

// An endpoint that nothing was sent to for days has not failed for days.
func TestOneFailedProbeDisablesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{err: status(500)}
		b := newBench(t, dispatch.Config{PollInterval: slowPoll}, endpoint.send)
		sub := b.subscribe(t, "*")
		stop := b.run(t)
		b.emitFor(t, 5*time.Second, 2*time.Minute)
		stop()
		require.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		time.Sleep(6 * 24 * time.Hour) // no process runs
		b.run(t)
		elapse(time.Second)
		state := b.state(t, sub)
		assert.Equal(t, webhook.Degraded, state.Health, "after %d failed probes", state.FailedProbes)
		endpoint.set(nil)
		elapse(time.Hour)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)
	})
}

// What a process saw fail before another one found it healthy again says nothing any more.
func TestAnOldFailureDegradesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		down, up := &target{err: status(500)}, &target{}
		b := benchOn(t, store, dispatch.Config{}, down.send)
		sub := b.subscribe(t, "*")
		stop := b.run(t)
		b.emitFor(t, 5*time.Second, 50*time.Second) // for less than DegradedAfter
		stop()
		state := b.state(t, sub)
		state.Health, state.Since = webhook.Degraded, time.Now()
		require.NoError(t, webhook.SetEndpointState(t.Context(), store, &state, 0))
		a := benchOn(t, store, dispatch.Config{}, up.send)
		stop = a.run(t)
		elapse(5 * time.Minute)
		stop()
		require.Equal(t, webhook.Healthy, a.state(t, sub).Health)

		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		attempts, _ := down.seen()
		require.NotEmpty(t, attempts)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health, "it has failed once since")
	})
}

// Keys of channels follow their order, so that a channel can get the key of one that is gone.
func TestAChannelDoesNotInheritThatAnotherIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{err: status(410)}
		b := newBench(t, dispatch.Config{}, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		require.Equal(t, webhook.Disabled, b.state(t, sub).Health)
		endpoint.set(nil)

		update := func(url string) {
			t.Helper()
			stored, err := b.Subscription(t.Context(), "", sub.ID)
			require.NoError(t, err)
			stored.Channels[0] = webhook.Via(httpendpoint.Config{URL: url})
			require.NoError(t, b.UpdateSubscription(t.Context(), stored))
			b.emit(t, event.ObjectCreated)
			elapse(2 * time.Second)
		}
		update("https://another.example.com/")
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health, "it was probed, and answered")
		assert.Equal(t, 1, b.count(t, webhook.StatusSucceeded))

		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		update("https://third.example.com/")
		assert.Equal(t, webhook.Disabled, b.state(t, sub).Health, "a person decides")
	})
}

// busyStates is a store that does not store so many states of endpoints.
type busyStates struct {
	webhook.Store
	fails atomic.Int64
}

func (s *busyStates) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	if s.fails.Add(-1) >= 0 {
		return nil, errors.New("the store is busy")
	}
	return s.Store.SetEndpointStates(ctx, changes)
}

// That an endpoint is gone is stored as soon as the store works: each attempt until then kills a
// delivery.
func TestGoneIsStoredAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &busyStates{Store: memstore.New()}
		store.fails.Store(3)
		endpoint := &target{err: status(410)}
		b := benchOn(t, store, dispatch.Config{PollInterval: slowPoll}, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		require.Equal(t, webhook.Disabled, b.state(t, sub).Health)
		b.emit(t, event.ObjectCreated)
		elapse(time.Hour)
		assert.Equal(t, 1, b.count(t, webhook.StatusDead))
		assert.Equal(t, 1, b.count(t, webhook.StatusPaused))
	})
}

// lostReplies is a store that stores states of endpoints, and whose replies are lost so many times.
type lostReplies struct {
	webhook.Store
	lost atomic.Int64
}

func (s *lostReplies) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	results, err := s.Store.SetEndpointStates(ctx, changes)
	if err == nil && s.lost.Add(-1) >= 0 {
		return nil, fmt.Errorf("%w: the reply is lost", webhook.ErrUnavailable)
	}
	return results, err
}

// A change of the health that is stored is told, also if the process learns only when it tries again
// that it is.
func TestAChangeWhoseReplyIsLostIsTold(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &lostReplies{Store: memstore.New()}
		endpoint := &target{err: status(503)}
		var changes healthChanges
		var cfg dispatch.Config
		cfg.Hooks.HealthChanged = changes.hook
		b := benchOn(t, store, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		told := func(health webhook.Health, n int) {
			t.Helper()
			assert.Equal(t, health, b.state(t, sub).Health)
			require.Len(t, changes.all(), n)
			last := changes.all()[n-1]
			assert.Equal(t, health, last.After.Health)
			assert.NotEqual(t, health, last.Before.Health)
			assert.Equal(t, event.ObjectCreated, last.EventType)
			assert.LessOrEqual(t, store.lost.Load(), int64(0))
		}
		store.lost.Store(1)
		b.emitFor(t, 5*time.Second, 2*time.Minute)
		told(webhook.Degraded, 1)

		endpoint.set(nil)
		elapse(time.Until(b.state(t, sub).NextProbe) - time.Second)
		store.lost.Store(2) // also that of the second try, which is refused
		elapse(time.Minute)
		told(webhook.Healthy, 2)

		endpoint.set(status(410))
		store.lost.Store(1)
		b.emit(t, event.ObjectCreated)
		elapse(time.Minute)
		told(webhook.Disabled, 3)
	})
}

// slowStates is a store that takes its time to store states of endpoints, and counts them.
type slowStates struct {
	webhook.Store
	calls, changes, most atomic.Int64
}

func (s *slowStates) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	time.Sleep(100 * time.Millisecond)
	s.calls.Add(1)
	s.changes.Add(int64(len(changes)))
	s.most.Store(max(s.most.Load(), int64(len(changes))))
	return s.Store.SetEndpointStates(ctx, changes)
}

// manyEndpoints makes that many subscriptions.
func (b *testBench) manyEndpoints(t *testing.T, n int) {
	t.Helper()
	for range n {
		b.subscribe(t, "*")
	}
}

// A host dies: its endpoints are stored together, and not one after the other.
func TestManyStatesAreStoredTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("has 600 endpoints")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStates{Store: memstore.New()}
		endpoint := &target{err: status(410)}
		b := benchOn(t, store, dispatch.Config{}, endpoint.send)
		const endpoints = 600
		b.manyEndpoints(t, endpoints)
		b.run(t)
		synctest.Wait()
		b.emit(t, event.ObjectCreated)
		elapse(3 * time.Second)
		disabled, err := b.EndpointStates(t.Context(),
			webhook.EndpointQuery{Health: webhook.Disabled, Limit: 1000})
		require.NoError(t, err)
		assert.Len(t, disabled, endpoints)
		assert.Less(t, store.calls.Load(), int64(30))
		assert.LessOrEqual(t, store.most.Load(), int64(256), "a call is bounded")
	})
}

// The leases of many probes are extended before they end, also if the store is slow.
func TestLeasesOfManyProbesAreExtended(t *testing.T) {
	if testing.Short() {
		t.Skip("has 200 endpoints")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowStates{Store: memstore.New()}
		var lost atomic.Int64
		endpoint := &target{takes: 20 * time.Second}
		cfg := dispatch.Config{Lease: 4 * time.Second}
		cfg.Hooks.LeasesLost = func(_ context.Context, l dispatch.LeasesLost) { lost.Add(int64(l.Deliveries)) }
		b := benchOn(t, store, cfg, endpoint.send)
		other := benchOn(t, store, cfg, endpoint.send)
		const endpoints = 200
		b.manyEndpoints(t, endpoints)
		b.emit(t, event.ObjectCreated)
		for _, d := range b.deliveries(t, webhook.DeliveryQuery{Limit: endpoints}) {
			state := webhook.EndpointState{Health: webhook.Degraded, Since: time.Now(),
				FailingSince: time.Now(), NextProbe: time.Now(),
				Endpoint: webhook.Endpoint{SubscriptionID: d.SubscriptionID, Channel: d.Channel}}
			require.NoError(t, webhook.SetEndpointState(t.Context(), store.Store, &state, 0))
		}
		b.run(t)
		elapse(time.Second)
		other.run(t)
		elapse(time.Minute)
		assert.Zero(t, lost.Load())
		attempts, _ := endpoint.seen()
		assert.Len(t, attempts, endpoints, "each is probed once")
		assert.Equal(t, endpoints, b.count(t, webhook.StatusSucceeded))
	})
}

// slowSettle is a store whose Settle takes longer than it is until leases are extended, before or
// after the results are stored.
type slowSettle struct {
	webhook.Store
	before, after time.Duration
}

func (s slowSettle) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	time.Sleep(s.before)
	defer time.Sleep(s.after)
	return s.Store.Settle(ctx, now, settlements)
}

// A store knows no lease of a result that it has. Leases may be extended just before the process
// hears that it has them.
func TestAStoredResultIsNoLostLease(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, after time.Duration
		cancelled     bool
		lost          int
	}{
		"stored":                    {after: 3 * time.Second},
		"cancelled meanwhile":       {before: 3 * time.Second, cancelled: true, lost: 1},
		"stored, not yet cancelled": {after: 3 * time.Second, cancelled: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var lost atomic.Int64
				cfg := dispatch.Config{Lease: 4 * time.Second}
				cfg.Hooks.LeasesLost = func(_ context.Context, l dispatch.LeasesLost) {
					lost.Add(int64(l.Deliveries))
				}
				store := slowSettle{Store: memstore.New(), before: test.before, after: test.after}
				b := benchOn(t, store, cfg, accept)
				sub := b.subscribe(t, "*")
				b.run(t)
				synctest.Wait()
				b.emit(t, event.ObjectCreated)
				elapse(time.Second / 2)
				if test.cancelled {
					require.NoError(t, b.DeleteSubscription(t.Context(), "", sub.ID, 0))
				}
				elapse(10 * time.Second)
				assert.EqualValues(t, test.lost, lost.Load())
			})
		})
	}
}
