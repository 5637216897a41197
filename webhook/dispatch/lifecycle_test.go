package dispatch_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
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
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

const day = 24 * time.Hour

// stateOf returns the state of the subscription's first endpoint.
func (b *testBench) state(t *testing.T, sub *webhook.Subscription) webhook.EndpointState {
	t.Helper()
	state, err := b.EndpointState(t.Context(), sub.OrganizationID, endpointOf(sub))
	require.NoError(t, err)
	return state
}

func endpointOf(sub *webhook.Subscription) webhook.Endpoint {
	return webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}
}

// target is an endpoint that several Dispatchers deliver to.
type target struct {
	mu       sync.Mutex
	err      error // what it answers
	takes    time.Duration
	attempts []time.Time
	inFlight int
	most     int // in flight at once, since it was last reset
}

func (e *target) send(ctx context.Context, _ *channel.Message) (channel.Result, error) {
	e.mu.Lock()
	e.attempts = append(e.attempts, time.Now())
	e.inFlight++
	e.most = max(e.most, e.inFlight)
	takes := e.takes
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.inFlight--
	}()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return channel.Result{}, ctx.Err()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return channel.Result{}, e.err
}

// set changes what the endpoint answers, and forgets what it has seen.
func (e *target) set(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err, e.attempts, e.most = err, nil, e.inFlight
}

func (e *target) seen() (attempts []time.Time, most int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]time.Time(nil), e.attempts...), e.most
}

// healthChanges records the calls of a hook, of several Dispatchers.
type healthChanges struct {
	mu   sync.Mutex
	list []dispatch.HealthChange
}

func (h *healthChanges) hook(_ context.Context, c dispatch.HealthChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, c)
}

func (h *healthChanges) all() []dispatch.HealthChange {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]dispatch.HealthChange(nil), h.list...)
}

// healthLog is what the Dispatcher has logged of the health of endpoints.
func healthLog(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "an endpoint is") {
			lines = append(lines, line)
		}
	}
	return lines
}

// emitFor emits an event at each interval, for so long.
func (b *testBench) emitFor(t *testing.T, every, long time.Duration) {
	t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); {
		b.emit(t, event.ObjectCreated)
		elapse(every)
	}
}

func TestAnEndpointThatKeepsFailingIsDegraded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		var changes healthChanges
		endpoint := &target{err: status(503)}
		cfg := dispatch.Config{PollInterval: 5 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		cfg.Hooks.HealthChanged = changes.hook
		var mu sync.Mutex
		var failingSince []time.Time // of the attempts; some are made at the same moment
		cfg.Hooks.AttemptEnd = func(_ context.Context, a dispatch.AttemptEnd) {
			mu.Lock()
			defer mu.Unlock()
			failingSince = append(failingSince, a.FailingSince)
		}
		b := newBench(t, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		start := time.Now()
		b.emitFor(t, 5*time.Second, time.Minute-time.Second)
		assert.Empty(t, changes.all(), "it has not failed for long")
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)
		b.emitFor(t, 5*time.Second, 3*time.Minute)

		all := changes.all()
		require.Len(t, all, 1)
		c := all[0]
		assert.Equal(t, webhook.EndpointState{Endpoint: endpointOf(sub), Health: webhook.Healthy},
			c.Before)
		assert.Equal(t, webhook.Degraded, c.After.Health)
		assert.True(t, start.Equal(c.After.FailingSince), "since the first failure")
		assert.WithinRange(t, c.After.Since, start.Add(time.Minute), start.Add(3*time.Minute))
		assert.True(t, c.After.Since.Add(time.Minute).Equal(c.After.NextProbe))
		assert.Equal(t, string(channel.ClassStatus), c.After.Cause.Class)
		assert.Equal(t, 503, c.After.Cause.StatusCode)
		assert.Equal(t, "the endpoint answered 503 Service Unavailable", c.After.Cause.Error)
		assert.Positive(t, c.After.Cause.DeliveryID)
		assert.Empty(t, c.After.ChangedBy, "the library did it")
		assert.Equal(t, event.ObjectCreated, c.EventType)
		lines := healthLog(log.String())
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], `level=WARN msg="webhook: an endpoint is degraded"`+
			` organization_id="" webhook_id=`+sub.ID+` channel=webhook webhook_name=test failing_since=`)
		assert.Contains(t, lines[0], `class=status error="the endpoint answered 503`)

		stored := b.state(t, sub)
		assert.Equal(t, webhook.Degraded, stored.Health, "it is stored")
		probed := c.After.NextProbe
		elapse(time.Until(probed.Add(2*time.Hour + time.Minute)))
		attempts, _ := endpoint.seen()
		var probes []time.Duration
		for _, at := range attempts {
			if !at.Before(probed) {
				probes = append(probes, at.Sub(probed).Round(time.Minute))
			}
		}
		m := time.Minute
		assert.Equal(t, []time.Duration{0, 2 * m, 6 * m, 14 * m, 30 * m, 60 * m, 90 * m, 120 * m}, probes,
			"it is probed in growing steps, and left alone otherwise")
		assert.Len(t, changes.all(), 1, "probes that fail change nothing")
		assert.Equal(t, len(probes), b.state(t, sub).FailedProbes)
		assert.NotContains(t, log.String(), "a clock must have been wrong")
		mu.Lock()
		recorded := slices.Clone(failingSince)
		mu.Unlock()
		for i, at := range recorded {
			probe := i >= len(recorded)-len(probes)
			assert.Equal(t, probe, start.Equal(at), "attempt %d", i)
			assert.Equal(t, !probe, at.IsZero(), "attempt %d", i)
		}

		endpoint.set(nil)
		elapse(31 * time.Minute)
		all = changes.all()
		require.Len(t, all, 2)
		assert.Equal(t, webhook.Degraded, all[1].Before.Health)
		assert.True(t, start.Equal(all[1].Before.FailingSince))
		assert.Equal(t, webhook.EndpointState{Endpoint: endpointOf(sub), Health: webhook.Healthy,
			Since: all[1].After.Since, Revision: all[1].After.Revision,
			LastFailure: &webhook.EndpointFailure{Since: c.After.FailingSince, Until: all[1].After.Since,
				Cause: all[1].Before.Cause}}, all[1].After)
		assert.Empty(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusPending}),
			"what waited went out when it answered")
		assert.Zero(t, b.count(t, webhook.StatusDead))
		lines = healthLog(log.String())
		require.Len(t, lines, 2)
		assert.Contains(t, lines[1], `level=INFO msg="webhook: an endpoint is healthy again"`)
		assert.NotContains(t, lines[1], "error=")
	})
}

func TestOneProbeOverAllProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		var changes healthChanges
		endpoint := &target{err: status(500), takes: 2 * time.Second}
		cfg := dispatch.Config{Lease: time.Second} // shorter than a probe
		cfg.Hooks.HealthChanged = changes.hook
		var all []*testBench
		for range 3 {
			b := benchOn(t, store, cfg, endpoint.send)
			b.run(t)
			all = append(all, b)
		}
		sub := all[0].subscribe(t, "*")
		for i := 0; i < 600; i++ {
			all[i%3].emit(t, event.ObjectCreated)
			elapse(time.Second)
		}
		require.Len(t, changes.all(), 1, "one process tells of each change")
		require.Equal(t, webhook.Degraded, all[1].state(t, sub).Health)

		endpoint.set(status(500))
		elapse(3 * time.Hour)
		attempts, most := endpoint.seen()
		assert.Equal(t, 1, most, "there is one probe at a time")
		assert.InDelta(t, 6, len(attempts), 2, "every half an hour")
		assert.Zero(t, all[0].count(t, webhook.StatusDead))

		endpoint.set(nil)
		recovered := false
		for range 31 * 60 * 10 {
			elapse(time.Second / 10)
			if recovered = all[0].state(t, sub).Health == webhook.Healthy; recovered {
				break
			}
		}
		require.True(t, recovered)
		endpoint.set(nil)
		elapse(1700 * time.Millisecond)
		_, most = endpoint.seen()
		assert.LessOrEqual(t, most, 3*2, "it is asked twice at a time by each process at first")
		elapse(2 * time.Second)
		_, most = endpoint.seen()
		assert.LessOrEqual(t, most, 3*4, "each answer earns one more")
		elapse(5 * time.Minute)
		assert.Equal(t, 600, all[0].count(t, webhook.StatusSucceeded))
		assert.Len(t, changes.all(), 2)
	})
}

func TestARestartKeepsTheState(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		endpoint := &target{err: status(500)}
		cfg := dispatch.Config{Lifecycle: dispatch.Lifecycle{FirstProbe: 10 * time.Minute}}
		b := benchOn(t, store, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		stop := b.run(t)
		b.emitFor(t, time.Second, 2*time.Minute)
		stop()
		require.Equal(t, webhook.Degraded, b.state(t, sub).Health)

		endpoint.set(status(500))
		b = benchOn(t, store, cfg, endpoint.send)
		b.run(t)
		elapse(5 * time.Minute)
		attempts, _ := endpoint.seen()
		assert.Empty(t, attempts, "a new process attempted what it had not seen fail")
		elapse(6 * time.Minute)
		attempts, _ = endpoint.seen()
		assert.Len(t, attempts, 1)
	})
}

func TestAnEndpointThatFailsForDaysIsDisabled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		var changes healthChanges
		endpoint := &target{err: status(500)}
		cfg := dispatch.Config{
			PollInterval: 30 * time.Second,
			Logger:       slog.New(slog.NewTextHandler(&log, nil)),
			Retry: dispatch.ExponentialRetry{InitialInterval: time.Minute, MaxAttempts: 40,
				MaxElapsed: time.Hour},
		}
		cfg.Hooks.HealthChanged = changes.hook
		b := newBench(t, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		start := time.Now()
		b.emitFor(t, time.Second, 3*time.Minute)
		b.emitFor(t, time.Hour, 5*day-time.Hour)
		require.Len(t, changes.all(), 1)
		assert.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		elapse(2 * time.Hour)

		all := changes.all()
		require.Len(t, all, 2)
		disabled := all[1].After
		assert.Equal(t, webhook.Disabled, disabled.Health)
		assert.WithinRange(t, disabled.Since, start.Add(5*day), start.Add(5*day+time.Hour))
		assert.True(t, start.Equal(disabled.FailingSince))
		assert.True(t, disabled.NextProbe.IsZero())
		assert.Equal(t, 500, disabled.Cause.StatusCode)
		assert.Greater(t, disabled.FailedProbes, 200)
		lines := healthLog(log.String())
		require.Len(t, lines, 2)
		assert.Contains(t, lines[1], `level=ERROR msg="webhook: an endpoint is disabled"`)
		assert.Contains(t, lines[1], `class=status error=`)

		b.emit(t, event.ObjectCreated)
		endpoint.set(status(500))
		elapse(10 * day)
		attempts, _ := endpoint.seen()
		assert.Empty(t, attempts, "a disabled endpoint is left alone")
		waiting := b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusPaused, Limit: 1000})
		assert.Len(t, waiting, len(b.deliveries(t, webhook.DeliveryQuery{Limit: 1000})),
			"none has died of its age or its attempts")

		// The endpoint fails for a while after it was enabled: what waited has all of its retries.
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(20 * time.Second)
		attempts, _ = endpoint.seen()
		assert.NotEmpty(t, attempts)
		assert.Zero(t, b.count(t, webhook.StatusDead))
		endpoint.set(nil)
		elapse(2 * time.Hour)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusSucceeded, Limit: 1000}),
			len(waiting))
		all = changes.all()
		assert.Equal(t, "ann", all[2].After.ChangedBy)
		assert.Empty(t, all[2].EventType)
		assert.Equal(t, webhook.Healthy, all[2].After.Health)
		assert.Contains(t, healthLog(log.String())[2], "changed_by=ann")
	})
}

func TestProbesCostDeliveriesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{err: status(500)}
		// A second attempt that fails is the last one, and so is one after an hour.
		cfg := dispatch.Config{
			PollInterval: 10 * time.Second,
			Retry: dispatch.ExponentialRetry{InitialInterval: 30 * time.Minute, MaxAttempts: 2,
				MaxElapsed: time.Hour},
			Lifecycle: dispatch.Lifecycle{DegradedAfter: time.Second},
		}
		b := newBench(t, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, time.Second, breaker.FailureThreshold*time.Second)
		require.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		elapse(day)
		all := b.deliveries(t, webhook.DeliveryQuery{})
		require.Len(t, all, breaker.FailureThreshold)
		probes := -len(all) // the first attempts
		for _, d := range all {
			assert.Equal(t, webhook.StatusPending, d.Status)
			probes += len(d.Attempts)
		}
		assert.Greater(t, probes, 2*len(all), "each is probed several times")
		endpoint.set(nil)
		elapse(31 * time.Minute)
		assert.Equal(t, len(all), b.count(t, webhook.StatusSucceeded))
	})
}

func TestWhatWaitedGoesOutGradually(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{takes: time.Second}
		b := newBench(t, dispatch.Config{}, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		for range 300 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Minute)
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		var inFlight []int
		for range 4 {
			elapse(time.Second / 2)
			endpoint.set(nil)
			_, most := endpoint.seen()
			inFlight = append(inFlight, most)
			elapse(time.Second / 2)
		}
		assert.Equal(t, 2, inFlight[0])
		assert.IsIncreasing(t, inFlight)
		assert.LessOrEqual(t, inFlight[3], 16)
		elapse(time.Minute)
		assert.Len(t, b.deliveries(t,
			webhook.DeliveryQuery{Status: webhook.StatusSucceeded, Limit: 1000}), 300)
	})
}

// So does what waited for a breaker.
func TestWhatWaitedForABreakerGoesOutGradually(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{err: status(500), takes: 200 * time.Millisecond}
		b := newBench(t, dispatch.Config{}, endpoint.send)
		b.subscribe(t, "*")
		b.run(t)
		for range 100 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(20 * time.Second)
		endpoint.set(nil)
		for b.count(t, webhook.StatusSucceeded) == 0 {
			elapse(10 * time.Millisecond)
		}
		elapse(20 * time.Millisecond)
		endpoint.set(nil)
		elapse(100 * time.Millisecond)
		_, most := endpoint.seen()
		assert.LessOrEqual(t, most, 2)
		elapse(time.Minute)
		assert.Len(t, b.deliveries(t,
			webhook.DeliveryQuery{Status: webhook.StatusSucceeded, Limit: 1000}), 100)
	})
}

func TestGoneDisablesOneEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var changes healthChanges
		cfg := dispatch.Config{PollInterval: 10 * time.Second}
		cfg.Hooks.HealthChanged = changes.hook
		b := newBench(t, cfg, func(ctx context.Context, m *channel.Message) (channel.Result, error) {
			if m.DeliveryID == "dlv_1" {
				return channel.Result{StatusCode: 410}, status(410)
			}
			return accept(ctx, m)
		})
		sub := &webhook.Subscription{Name: "two", EventTypes: []event.Pattern{"*"}}
		for range 2 {
			sub.Channels = append(sub.Channels,
				webhook.ChannelConfig{Channel: "webhook", Configs: json.RawMessage(`{}`)})
		}
		require.NoError(t, b.CreateSubscription(t.Context(), sub))
		b.run(t)
		synctest.Wait()
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		b.emit(t, event.ObjectCreated)
		elapse(time.Hour)
		require.Len(t, changes.all(), 1)
		assert.Equal(t, webhook.Disabled, b.state(t, sub).Health)
		assert.Equal(t, 410, b.state(t, sub).Cause.StatusCode)
		assert.Equal(t, 1, b.count(t, webhook.StatusDead), "the one that was told so")
		assert.Equal(t, 1, b.count(t, webhook.StatusPaused))
		assert.Equal(t, 2, b.count(t, webhook.StatusSucceeded), "the other channel goes on")
		stored, err := b.Subscription(t.Context(), "", sub.ID)
		require.NoError(t, err)
		assert.False(t, stored.Paused)

		require.NoError(t, b.PutSubscription(t.Context(), sub))
		elapse(time.Hour)
		assert.Equal(t, webhook.Disabled, b.state(t, sub).Health, "a deploy enabled it")
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(time.Second)
		assert.Equal(t, 3, b.count(t, webhook.StatusSucceeded))
	})
}

// cancelInFlight cancels the delivery that is in flight.
func (b *testBench) cancelInFlight(t *testing.T) {
	t.Helper()
	found := b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusInFlight})
	require.Len(t, found, 1)
	require.NoError(t, b.Cancel(t.Context(), "", found[0].ID))
}

// An attempt shows how its endpoint is, also if its delivery was cancelled meanwhile.
func TestAttemptsOfCancelledDeliveriesShowHowTheEndpointIs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var changes healthChanges
		var cfg dispatch.Config
		cfg.Hooks.HealthChanged = changes.hook
		endpoint := &target{err: status(503)}
		b := newBench(t, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, 5*time.Second, 3*time.Minute)
		require.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		elapse(time.Until(b.state(t, sub).NextProbe) - time.Second)
		endpoint.mu.Lock()
		endpoint.takes = 5 * time.Second
		endpoint.mu.Unlock()

		failed := b.state(t, sub).FailedProbes
		elapse(3 * time.Second)
		b.cancelInFlight(t)
		elapse(5 * time.Second)
		require.Equal(t, failed+1, b.state(t, sub).FailedProbes, "a probe that failed")
		elapse(time.Until(b.state(t, sub).NextProbe) + time.Second)
		endpoint.set(nil)
		b.cancelInFlight(t)
		elapse(5 * time.Second)
		require.Equal(t, webhook.Healthy, b.state(t, sub).Health, "a probe that succeeded")
		require.Len(t, changes.all(), 2)
		elapse(10 * time.Minute) // what waited goes out

		endpoint.set(status(410))
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		b.cancelInFlight(t)
		elapse(10 * time.Second)
		require.Equal(t, webhook.Disabled, b.state(t, sub).Health, "an endpoint that is gone")
		require.Len(t, changes.all(), 3)
	})
}

// lateSettle is a store whose answers to a result of an attempt come late, once.
type lateSettle struct {
	webhook.Store
	late atomic.Int64
}

func (s *lateSettle) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	if wait := time.Duration(s.late.Load()); wait > 0 && settlements[0].Attempt != nil {
		s.late.Store(0)
		time.Sleep(wait)
	}
	return s.Store.Settle(ctx, now, settlements)
}

// That an endpoint was gone says nothing of it once a person has enabled it since, and what the store
// refuses long after the attempt says little.
func TestAnOldAnswerDoesNotDisableTheEndpoint(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &lateSettle{Store: memstore.New()}
		endpoint := &target{err: status(410), takes: 5 * time.Second}
		b := benchOn(t, store, dispatch.Config{}, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(10 * time.Second)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)

		store.late.Store(int64(time.Minute))
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		b.cancelInFlight(t)
		elapse(2 * time.Minute)
		assert.Zero(t, store.late.Load())
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)
	})
}

// What was given back because of such an answer is claimed again at once.
func TestAfterAnOldAnswerDeliveriesGoOnAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{err: status(410), takes: 5 * time.Second}
		b := newBench(t, dispatch.Config{PollInterval: time.Hour}, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		for range 5 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Second)
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(6 * time.Second)
		endpoint.set(nil)
		elapse(30 * time.Second)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)
		assert.Equal(t, 5, b.count(t, webhook.StatusDead)+b.count(t, webhook.StatusSucceeded))
	})
}

func TestRefusalsAndSomeFailuresChangeNoHealth(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for name, answer := range map[string]func(*rand.Rand) error{
		"422 always": func(*rand.Rand) error { return status(422) },
		"30% of failures": func(random *rand.Rand) error {
			if random.IntN(10) < 3 {
				return status(500)
			}
			return nil
		},
		"its own templates": func(*rand.Rand) error {
			return &channel.Error{Action: channel.Retry, Class: channel.ClassTemplate}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				random := rand.New(rand.NewPCG(1, 2))
				var changes healthChanges
				cfg := dispatch.Config{PollInterval: time.Minute,
					Retry:     dispatch.ExponentialRetry{MaxAttempts: 3},
					Retention: dispatch.Retention{Succeeded: time.Hour, Dead: time.Hour}}
				cfg.Hooks.HealthChanged = changes.hook
				b := newBench(t, cfg, func(context.Context, *channel.Message) (channel.Result, error) {
					mu.Lock()
					defer mu.Unlock()
					return channel.Result{}, answer(random)
				})
				b.subscribe(t, "*")
				b.run(t)
				length := 6 * day // an endpoint is disabled after five
				if testing.Short() {
					length = 2 * time.Hour
				}
				b.emitFor(t, 2*time.Minute, length)
				assert.Empty(t, changes.all())
			})
		})
	}
}

func TestAProbeThatIsCutOffIsMadeByAnother(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		endpoint := &target{err: status(500), takes: time.Second}
		cfg := dispatch.Config{DrainTimeout: time.Second,
			Lifecycle: dispatch.Lifecycle{FirstProbe: 10 * time.Minute}}
		b := benchOn(t, store, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		stop := b.run(t)
		b.emitFor(t, time.Second, 3*time.Minute)
		state := b.state(t, sub)
		require.Equal(t, webhook.Degraded, state.Health)
		endpoint.set(nil)
		endpoint.mu.Lock()
		endpoint.takes = 20 * time.Second
		endpoint.mu.Unlock()
		elapse(time.Until(state.NextProbe.Add(time.Second)))
		_, most := endpoint.seen()
		require.Equal(t, 1, most, "the probe is under way")
		stop()
		endpoint.set(nil)
		other := benchOn(t, store, cfg, endpoint.send)
		other.run(t)
		elapse(25 * time.Second)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health, "there was another probe at once")
	})
}

func TestAnotherURLIsProbedAtOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		endpoint := &target{err: status(500)}
		cfg := dispatch.Config{PollInterval: slowPoll, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Lifecycle: dispatch.Lifecycle{FirstProbe: 10 * time.Hour}}
		b := newBench(t, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, time.Second, 2*time.Minute)
		require.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		endpoint.set(nil)
		sub.Name = "another name"
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		elapse(time.Hour)
		assert.Equal(t, webhook.Degraded, b.state(t, sub).Health, "its name says nothing of its endpoint")
		sub.Channels = []webhook.ChannelConfig{webhook.Via(
			httpendpoint.Config{URL: "https://new.example.com/"})}
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		elapse(time.Second)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)
		assert.Contains(t, log.String(), "an endpoint that failed has a new configuration")
		elapse(time.Minute)
		assert.Empty(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusPending}))
	})
}

// slowToSetStates is a store that takes a while to set the states of endpoints.
type slowToSetStates struct {
	webhook.Store
	takes atomic.Int64
}

func (s *slowToSetStates) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	time.Sleep(time.Duration(s.takes.Load()))
	return s.Store.SetEndpointStates(ctx, changes)
}

// A repaired endpoint is probed once that is stored, however long it takes.
func TestAnotherURLIsProbedOnceThatIsStored(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{err: status(500)}
		store := &slowToSetStates{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{PollInterval: time.Minute,
			Lifecycle: dispatch.Lifecycle{FirstProbe: 10 * time.Hour}}, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, time.Second, 5*time.Minute)
		require.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		elapse(80 * time.Second)
		endpoint.set(nil)
		store.takes.Store(int64(time.Second))
		sub.Channels = []webhook.ChannelConfig{webhook.Via(
			httpendpoint.Config{URL: "https://new.example.com/"})}
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		elapse(10 * time.Millisecond)
		attempts, _ := endpoint.seen()
		assert.Len(t, attempts, 1)
	})
}

// What a process has queued already is not attempted once another one has disabled the endpoint.
func TestWhatIsQueuedElsewhereWaitsToo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		endpoint := &target{takes: time.Second}
		b := benchOn(t, store, dispatch.Config{MaxInFlightPerEndpoint: 1}, endpoint.send)
		other := benchOn(t, store, dispatch.Config{}, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		synctest.Wait()
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		for range 100 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(2 * time.Second)
		require.NoError(t, other.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(1600 * time.Millisecond) // a poll, and what is under way then
		endpoint.set(nil)
		elapse(time.Minute)
		attempts, _ := endpoint.seen()
		assert.Empty(t, attempts)
		require.NoError(t, other.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(3 * time.Minute)
		assert.Len(t, b.deliveries(t,
			webhook.DeliveryQuery{Status: webhook.StatusSucceeded, Limit: 1000}), 101)
	})
}

// Neither is the probe that a process has queued.
func TestAQueuedProbeIsNotMadeAtADisabledEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		endpoint, slow := &target{}, &target{takes: 30 * time.Second}
		b := benchOn(t, store, dispatch.Config{MaxInFlight: 1},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				if m.EventType == "report.created" {
					return slow.send(ctx, m)
				}
				return endpoint.send(ctx, m)
			})
		other := benchOn(t, store, dispatch.Config{}, endpoint.send)
		sub := b.subscribe(t, event.ObjectCreated)
		b.subscribe(t, "report.created")
		b.run(t)
		synctest.Wait()
		b.emit(t, "report.created")
		elapse(time.Second)
		state := b.state(t, sub)
		state.Health, state.FailingSince, state.NextProbe = webhook.Degraded, time.Now(), time.Now()
		require.NoError(t, webhook.SetEndpointState(t.Context(), store, &state, 0))
		b.emit(t, event.ObjectCreated)
		elapse(5 * time.Second)
		require.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusInFlight}), 2,
			"the probe is queued behind another attempt")
		require.NoError(t, other.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(time.Minute)
		attempts, _ := endpoint.seen()
		assert.Empty(t, attempts)
		assert.Equal(t, webhook.Disabled, b.state(t, sub).Health)
	})
}

// failingStates is a store that cannot store states for a while.
type failingStates struct {
	webhook.Store
	failing atomic.Bool
}

func (s *failingStates) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	if s.failing.Load() {
		return nil, webhook.ErrUnavailable
	}
	return s.Store.SetEndpointStates(ctx, changes)
}

// An update that is stored is no error, whatever becomes of the state of its endpoints: who is told
// otherwise makes it again, and rotates a secret twice.
func TestAnUpdateThatIsStoredIsNoError(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		store := &failingStates{Store: memstore.New()}
		endpoint := &target{err: status(500)}
		b := benchOn(t, store, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))},
			endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, time.Second, 2*time.Minute)
		require.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		store.failing.Store(true)
		sub.Channels = []webhook.ChannelConfig{webhook.Via(
			httpendpoint.Config{URL: "https://new.example.com/"})}
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		assert.Contains(t, log.String(), "could not be given a probe at once")
		store.failing.Store(false)
	})
}

func TestAStateThatCannotBeStoredIsStoredLater(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		store := &failingStates{Store: memstore.New()}
		store.failing.Store(true)
		endpoint := &target{err: status(500)}
		cfg := dispatch.Config{PollInterval: slowPoll, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		b := benchOn(t, store, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, 5*time.Second, 5*time.Minute)
		assert.Contains(t, log.String(), "the state of an endpoint cannot be stored")
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)
		store.failing.Store(false)
		b.emitFor(t, 5*time.Second, 5*time.Minute)
		assert.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		store.failing.Store(true)
		endpoint.set(nil)
		elapse(31 * time.Minute)
		store.failing.Store(false)
		elapse(31 * time.Minute)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health, "a later probe says it again")
	})
}

func TestEndpointsByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var changes healthChanges
		var log lockedBuffer
		cfg := dispatch.Config{PollInterval: slowPoll, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		cfg.Hooks.HealthChanged = changes.hook
		b := newBench(t, cfg, accept)
		sub := b.subscribe(t, "*")
		b.run(t)
		ctx, e := t.Context(), endpointOf(sub)
		for _, by := range []string{"", "a\nb", "\xff", strings.Repeat("x", 201)} {
			for _, set := range []func(context.Context, string, webhook.Endpoint, string) error{
				b.EnableEndpoint, b.DisableEndpoint,
			} {
				var invalid *event.ValidationError
				require.ErrorAs(t, set(ctx, "", e, by), &invalid)
				assert.Equal(t, "by", invalid.Problems[0].Field)
			}
		}
		require.ErrorIs(t, b.EnableEndpoint(ctx, "other", e, "ann"), webhook.ErrNotFound)
		require.ErrorIs(t, b.DisableEndpoint(ctx, "",
			webhook.Endpoint{SubscriptionID: sub.ID, Channel: "\x00"}, "ann"), webhook.ErrNotFound)

		require.NoError(t, b.EnableEndpoint(ctx, "", e, "ann"))
		assert.Empty(t, changes.all(), "it is healthy")
		for range 2 {
			require.NoError(t, b.DisableEndpoint(ctx, "", e, "ann"))
		}
		require.Len(t, changes.all(), 1)
		states, err := b.EndpointStates(ctx, webhook.EndpointQuery{})
		require.NoError(t, err)
		require.Len(t, states, 1)
		assert.Equal(t, "ann", states[0].ChangedBy)
		assert.Nil(t, states[0].Cause)
		assert.Contains(t, log.String(), `level=INFO msg="webhook: an endpoint is disabled"`,
			"a person who does it knows")
		b.emit(t, event.ObjectCreated)
		elapse(time.Hour)
		assert.Equal(t, webhook.StatusPaused, b.only(t).Status)
		require.NoError(t, b.EnableEndpoint(ctx, "", e, "bob"))
		elapse(time.Second)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}

// Whoever enables an endpoint that then fails again still learns since when it had failed.
func TestEnablingKeepsSinceWhenItFailed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var log jsonLog
		endpoint := &target{err: status(503)}
		b := newBench(t, dispatch.Config{PollInterval: slowPoll, Logger: log.logger(slog.LevelInfo)}, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		start := time.Now()
		b.emitFor(t, time.Second, 3*time.Minute)
		require.Equal(t, webhook.Degraded, b.state(t, sub).Health)
		elapse(time.Hour)
		enabled := time.Now()
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		b.emitFor(t, time.Second, 3*time.Minute)
		state := b.state(t, sub)
		require.Equal(t, webhook.Degraded, state.Health, "it fails again")
		assert.WithinRange(t, state.FailingSince, enabled, enabled.Add(time.Minute))
		require.NotNil(t, state.LastFailure)
		assert.True(t, start.Equal(state.LastFailure.Since))
		assert.True(t, enabled.Equal(state.LastFailure.Until))
		assert.Equal(t, 503, state.LastFailure.Cause.StatusCode)
		lines := log.lines(t, "webhook: an endpoint is degraded")
		require.Len(t, lines, 2)
		assert.NotContains(t, lines[0], "failed_before_since")
		assert.Equal(t, start.Format(time.RFC3339Nano), lines[1]["failed_before_since"])
		assert.Equal(t, enabled.Format(time.RFC3339Nano), lines[1]["failed_before_until"])
	})
}

// Events that cannot be rendered say nothing about a degraded endpoint, and do not hold up the
// probe that finds out that it has recovered.
func TestAProbeThatSaysNothingIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{err: status(503)}
		var unrenderable atomic.Int64
		b := newBench(t, dispatch.Config{PollInterval: slowPoll, Lifecycle: dispatch.Lifecycle{
			DegradedAfter: time.Second, FirstProbe: 10 * time.Minute}},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				if m.EventType == "report.created" {
					unrenderable.Add(1)
					return channel.Result{}, &channel.Error{Action: channel.Permanent,
						Class: channel.ClassTemplate}
				}
				return endpoint.send(ctx, m)
			})
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, time.Second, breaker.FailureThreshold*time.Second)
		state := b.state(t, sub)
		require.Equal(t, webhook.Degraded, state.Health)
		endpoint.set(nil)
		for range 250 {
			b.emit(t, "report.created")
		}
		elapse(time.Until(state.NextProbe.Add(time.Minute)))
		assert.EqualValues(t, 100, unrenderable.Load(), "so many follow at once")
		elapse(21 * time.Minute)
		assert.EqualValues(t, 250, unrenderable.Load())
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)
	})
}

func TestNeverDisabled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		endpoint := &target{err: status(500)}
		cfg := dispatch.Config{PollInterval: time.Minute,
			Lifecycle: dispatch.Lifecycle{DisabledAfter: dispatch.Never, MaxProbe: 5 * time.Minute}}
		b := newBench(t, cfg, endpoint.send)
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, time.Second, 10*time.Second)
		elapse(10 * day)
		state := b.state(t, sub)
		assert.Equal(t, webhook.Degraded, state.Health)
		for _, d := range b.deliveries(t, webhook.DeliveryQuery{}) {
			assert.LessOrEqual(t, len(d.Attempts), dispatch.MaxReplayed, "its history grows without end")
		}
	})
}

func TestNeverDegraded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		cfg := dispatch.Config{PollInterval: 10 * time.Second,
			Lifecycle: dispatch.Lifecycle{DegradedAfter: dispatch.Never}}
		b := newBench(t, cfg, func(context.Context, *channel.Message) (channel.Result, error) {
			attempts.Add(1)
			return channel.Result{}, status(500)
		})
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emitFor(t, time.Second, time.Minute)
		elapse(day)
		assert.Equal(t, webhook.Healthy, b.state(t, sub).Health)
		assert.Greater(t, attempts.Load(), int64(100))
	})
}

// A subscription that cannot be read is left alone as an endpoint that fails is, but that says
// nothing about its endpoint.
func TestOnlyAttemptsChangeHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		var changes atomic.Int64
		cfg := dispatch.Config{PollInterval: slowPoll, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		cfg.Hooks.HealthChanged = func(context.Context, dispatch.HealthChange) { changes.Add(1) }
		store := memstore.New()
		b := benchOn(t, store, cfg, accept)
		require.NoError(t, b.Channels().Register("elsewhere", channel.Func(accept)))
		sub := &webhook.Subscription{Name: "test", EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: "elsewhere", Configs: json.RawMessage(`{}`)}}}
		require.NoError(t, b.CreateSubscription(t.Context(), sub))
		other := benchOn(t, store, cfg, accept) // does not have the channel
		stop := other.run(t)
		for range 2 * breaker.FailureThreshold {
			other.emit(t, event.ObjectCreated)
			elapse(2 * breaker.MaxBackoff)
		}
		stop()
		assert.Contains(t, log.String(), "left to other processes")
		assert.Zero(t, changes.Load())
		assert.Empty(t, healthLog(log.String()))
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, 2*breaker.FailureThreshold, b.count(t, webhook.StatusSucceeded))
	})
}
