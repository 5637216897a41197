package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// testBench is a Dispatcher whose "webhook" channel is a function of the test.
type testBench struct {
	*dispatch.Dispatcher
	store webhook.Store

	mu        sync.Mutex
	outcomes  []dispatch.Result
	onAttempt func(dispatch.Result)
}

// slowPoll is the PollInterval of tests that let hours pass: 7200 polls an hour, which are those of the
// default, would be most of what they compute.
const slowPoll = 10 * time.Second

// newBench makes a Dispatcher on a fresh memory store. Call it inside the
// synctest bubble that uses it.
func newBench(t *testing.T, cfg dispatch.Config, send channel.Func) *testBench {
	t.Helper()
	return benchOn(t, memstore.New(), cfg, send)
}

func benchOn(t *testing.T, store webhook.Store, cfg dispatch.Config, send channel.Func) *testBench {
	t.Helper()
	b := &testBench{store: store}
	cfg.Channels = channel.NewRegistry()
	require.NoError(t, cfg.Channels.Register("webhook", send))
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.ScheduleJitter == 0 {
		cfg.ScheduleJitter = dispatch.NoJitter // tests know when retries come
	}
	cfg.Hooks.Attempted = func(o dispatch.Result) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.outcomes = append(b.outcomes, o)
		if b.onAttempt != nil {
			b.onAttempt(o)
		}
	}
	var err error
	b.Dispatcher, err = dispatch.New(store, cfg)
	require.NoError(t, err)
	return b
}

// run starts Run. The returned function stops it and checks that it ended well.
func (b *testBench) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			assert.NoError(t, <-ended)
		})
	}
	t.Cleanup(stop)
	return stop
}

func (b *testBench) subscribe(t *testing.T, types ...event.Pattern) *webhook.Subscription {
	t.Helper()
	sub := &webhook.Subscription{
		Name: "test", EventTypes: types,
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: "https://example.com/"})},
	}
	require.NoError(t, b.CreateSubscription(t.Context(), sub))
	return sub
}

func (b *testBench) emit(t *testing.T, eventType string) *event.Event {
	t.Helper()
	e := newEvent(eventType)
	require.NoError(t, errorOf(b.Emit(t.Context(), e)))
	return e
}

func (b *testBench) deliveries(t *testing.T, q webhook.DeliveryQuery) []webhook.Delivery {
	t.Helper()
	list, err := b.Deliveries(t.Context(), q)
	require.NoError(t, err)
	return list
}

func (b *testBench) only(t *testing.T) webhook.Delivery {
	t.Helper()
	list := b.deliveries(t, webhook.DeliveryQuery{})
	require.Len(t, list, 1)
	return list[0]
}

func newEvent(eventType string) *event.Event {
	e := event.New(eventType, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace = "acme"
	return e
}

func accept(context.Context, *channel.Message) (channel.Result, error) {
	return channel.Result{StatusCode: http.StatusOK, Response: "ok"}, nil
}

// elapse lets time pass, and what is due then happen.
func elapse(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func status(code int) error {
	return channel.Classify(code, http.Header{}, time.Now())
}

func TestEmitDeliversAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got *channel.Message
		b := newBench(t, dispatch.Config{},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				got = m
				time.Sleep(120 * time.Millisecond)
				return channel.Result{StatusCode: 202, Response: "thanks"}, nil
			})
		sub := b.subscribe(t, "object.*")
		b.run(t)
		start := time.Now()
		e := b.emit(t, event.ObjectCreated)
		synctest.Wait()
		require.NotNil(t, got, "no poll is needed for what was just emitted")
		time.Sleep(time.Second)

		want, err := json.Marshal(e)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(got.Payload))
		assert.Equal(t, 1, got.Attempt)
		d := b.only(t)
		assert.Equal(t, webhook.StatusSucceeded, d.Status)
		assert.Equal(t, webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"}, d.Endpoint)
		assert.Equal(t, d.ID.String(), got.DeliveryID)
		assert.Equal(t, []webhook.Attempt{{
			Number: 1, StartedAt: start.UTC(), Duration: 120 * time.Millisecond, StatusCode: 202,
			Response: "thanks",
		}}, d.Attempts)
	})
}

func TestEmitTwiceDeliversOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		b := newBench(t, dispatch.Config{},
			func(context.Context, *channel.Message) (channel.Result, error) {
				sent.Add(1)
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		e := newEvent(event.ObjectCreated)
		emitted, err := b.Emit(t.Context(), e, e)
		require.NoError(t, err)
		require.Equal(t, []webhook.Emitted{
			{EventID: e.ID, Deliveries: 1}, {EventID: e.ID, Duplicate: true},
		}, emitted)
		emitted, err = b.Emit(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, []webhook.Emitted{{EventID: e.ID, Duplicate: true}}, emitted)
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, sent.Load())
	})
}

func TestEmitRefusesWithEveryReason(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	b := newBench(t, dispatch.Config{}, accept)
	b.subscribe(t, "*")
	good := newEvent(event.ObjectCreated)
	_, err := b.Emit(t.Context(), good, &event.Event{Type: "Not A Type"}, nil)
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Greater(t, len(invalid.Problems), 2)
	assert.Contains(t, err.Error(), "events[1].event_type")
	assert.Contains(t, err.Error(), "events[2]")
	assert.Empty(t, b.deliveries(t, webhook.DeliveryQuery{}),
		"nothing is stored of a call that is refused")

	big := newEvent(event.ObjectCreated)
	big.Metadata = map[string]any{"blob": string(make([]byte, dispatch.MaxPayload))}
	assert.ErrorContains(t, errorOf(b.Emit(t.Context(), big)), "at most 1048576 bytes")
	assert.NoError(t, errorOf(b.Emit(t.Context())), "no events is nothing to do")
}

func TestEmitCompletesTheEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t, dispatch.Config{}, accept)
	e := &event.Event{Type: "invoice.paid", Namespace: "acme",
		Subject: event.Subject{Type: "invoice", ID: "in_1"}}
	require.NoError(t, errorOf(b.Emit(t.Context(), e)))
	assert.NotEmpty(t, e.ID)
	assert.False(t, e.OccurredAt.IsZero())
	assert.Equal(t, event.Version1, e.Version)
	assert.Equal(t, event.ActorSystem, e.Actor)
}

func TestRetryUntilAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		b := newBench(t, dispatch.Config{Retry: dispatch.ExponentialRetry{Jitter: dispatch.NoJitter}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				if n := sent.Add(1); n <= 2 {
					return channel.Result{Response: fmt.Sprint("down ", n)}, status(500)
				}
				return channel.Result{StatusCode: 204}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Minute)
		d := b.only(t)
		assert.Equal(t, webhook.StatusSucceeded, d.Status)
		require.Len(t, d.Attempts, 3)
		assert.Equal(t, "status", d.Attempts[0].Class)
		assert.Equal(t, 500, d.Attempts[0].StatusCode)
		assert.Equal(t, "down 1", d.Attempts[0].Response)
		first, second, third := d.Attempts[0].StartedAt, d.Attempts[1].StartedAt, d.Attempts[2].StartedAt
		assert.InDelta(t, 5, second.Sub(first).Seconds(), 0.6, "5 s and at most one poll")
		assert.InDelta(t, 10, third.Sub(second).Seconds(), 0.6)
		assert.Equal(t, []webhook.Status{webhook.StatusPending, webhook.StatusPending,
			webhook.StatusSucceeded},
			[]webhook.Status{b.outcomes[0].Status, b.outcomes[1].Status, b.outcomes[2].Status})
	})
}

func TestGivingUp(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err      error
		attempts int
		class    string
		disabled bool
	}{
		"out of attempts": {status(500), 3, "status", false},
		"permanent": {&channel.Error{Action: channel.Permanent,
			Class: channel.ClassTemplate}, 1, "template", false},
		"gone":                            {status(410), 1, "status", true},
		"a foreign error":                 {errors.New("boom"), 3, "unknown", false},
		"a foreign timeout":               {context.DeadlineExceeded, 3, "timeout", false},
		"a cancellation that is not ours": {context.Canceled, 3, "unknown", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := dispatch.Config{PollInterval: slowPoll, Retry: dispatch.ExponentialRetry{MaxAttempts: 3}}
				b := newBench(t, cfg, func(context.Context, *channel.Message) (channel.Result, error) {
					return channel.Result{}, c.err
				})
				sub := b.subscribe(t, "*")
				b.run(t)
				b.emit(t, event.ObjectCreated)
				time.Sleep(10 * time.Minute)
				d := b.only(t)
				assert.Equal(t, webhook.StatusDead, d.Status)
				require.Len(t, d.Attempts, c.attempts)
				assert.Equal(t, c.class, d.Attempts[0].Class)
				state := b.state(t, sub)
				assert.Equal(t, c.disabled, state.Health == webhook.Disabled)
				sub, err := b.Subscription(t.Context(), "", sub.ID)
				require.NoError(t, err)
				assert.False(t, sub.Paused, "a person pauses, the library disables")
			})
		})
	}
}

// panickingError is an error whose methods panic, as those of a nil pointer do.
type panickingError struct{ in string }

func (e panickingError) Error() string {
	if e.in == "Error" {
		panic("s3cr3t")
	}
	return "an error"
}

func (e panickingError) Unwrap() error {
	if e.in == "Unwrap" {
		panic("s3cr3t")
	}
	return nil
}

func (e panickingError) Is(target error) bool {
	if e.in == "Is" && target == context.Canceled {
		panic("s3cr3t")
	}
	return false
}

// An error that a channel returns is code of the channel's too: whatever its methods do, the attempt
// has failed, and the process goes on.
func TestAnErrorThatPanicsIsAFailedAttempt(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	var none *channel.Error
	const nilText = "a nil *channel.Error was returned as an error"
	for name, c := range map[string]struct {
		err         error
		class, text string
	}{
		"nil":              {none, "unknown", nilText},
		"nil, wrapped":     {fmt.Errorf("x: %w", none), "unknown", "x: channel: unknown: " + nilText},
		"nil, within":      {&channel.Error{Class: "tls", Err: none}, "tls", "channel: unknown: " + nilText},
		"Error panics":     {panickingError{"Error"}, "panic", "the channel panicked"},
		"Unwrap panics":    {panickingError{"Unwrap"}, "panic", "the channel panicked"},
		"Is panics":        {panickingError{"Is"}, "panic", "the channel panicked"},
		"within one of us": {&channel.Error{Err: panickingError{"Error"}}, "panic", "the channel panicked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, dispatch.Config{Retry: dispatch.ExponentialRetry{MaxAttempts: 1}},
					func(context.Context, *channel.Message) (channel.Result, error) {
						return channel.Result{StatusCode: 299}, c.err
					})
				sub := b.subscribe(t, "object.*")
				b.run(t)
				b.emit(t, event.ObjectCreated)
				synctest.Wait()
				d := b.only(t)
				require.Len(t, d.Attempts, 1)
				tested, err := b.SendTest(t.Context(), sub, newEvent(event.ObjectCreated))
				require.NoError(t, err)
				for _, a := range []webhook.Attempt{d.Attempts[0], tested[0].Attempt} {
					assert.Equal(t, c.class, a.Class)
					assert.Equal(t, c.text, a.Error)
					assert.Equal(t, 299, a.StatusCode)
				}
			})
		})
	}
}

func TestAPanicIsAFailedAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Retry: dispatch.ExponentialRetry{MaxAttempts: 1}},
			func(context.Context, *channel.Message) (channel.Result, error) { panic("secret") })
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Second)
		d := b.only(t)
		require.Len(t, d.Attempts, 1)
		assert.Equal(t, "panic", d.Attempts[0].Class)
		assert.NotContains(t, d.Attempts[0].Error, "secret")
	})
}

func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{AttemptTimeout: 3 * time.Second,
			Retry: dispatch.ExponentialRetry{MaxAttempts: 1}},
			func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
				<-ctx.Done()
				return channel.Result{}, ctx.Err()
			})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Minute)
		d := b.only(t)
		require.Len(t, d.Attempts, 1)
		assert.Equal(t, "timeout", d.Attempts[0].Class)
		assert.Equal(t, 3*time.Second, d.Attempts[0].Duration)
	})
}

func TestRetryAfterSlowsTheWholeEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		start := time.Now()
		b := newBench(t, dispatch.Config{MaxInFlightPerEndpoint: 1},
			func(context.Context, *channel.Message) (channel.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(start))
				if len(at) == 1 {
					return channel.Result{}, &channel.Error{Action: channel.Wait, Class: channel.ClassStatus,
						StatusCode: 429, RetryAfter: 40 * time.Second}
				}
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		for range 5 {
			b.emit(t, event.ObjectCreated)
		}
		time.Sleep(30 * time.Second)
		b.emit(t, event.ObjectCreated)
		elapse(time.Minute)
		require.Len(t, at, 7)
		for _, d := range at[1:] {
			assert.GreaterOrEqual(t, d, 40*time.Second)
			assert.LessOrEqual(t, d, 41*time.Second)
		}
		for _, d := range b.deliveries(t, webhook.DeliveryQuery{}) {
			assert.Equal(t, webhook.StatusSucceeded, d.Status)
			assert.LessOrEqual(t, len(d.Attempts), 2)
		}
	})
}

func TestADeadEndpointCostsTheOthersNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("has 800 deliveries")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dead string
		b := newBench(t, dispatch.Config{MaxInFlight: 32, MaxInFlightPerEndpoint: 4},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				if m.SubscriptionID == dead {
					time.Sleep(10 * time.Second)
					return channel.Result{}, &channel.Error{Class: channel.ClassTimeout}
				}
				time.Sleep(10 * time.Millisecond)
				return channel.Result{}, nil
			})
		dead = b.subscribe(t, "*").ID
		alive := b.subscribe(t, "*").ID
		b.run(t)
		start := time.Now()
		for range 400 {
			b.emit(t, event.ObjectCreated)
		}
		for {
			if len(b.deliveries(t, webhook.DeliveryQuery{SubscriptionID: alive,
				Status: webhook.StatusSucceeded, Limit: 1000})) == 400 {
				break
			}
			require.Less(t, time.Since(start), 10*time.Second)
			time.Sleep(10 * time.Millisecond)
		}
		// 400 deliveries, 4 at a time, 10 ms each: one second, and a poll for
		// those that had no room when they were emitted.
		assert.Less(t, time.Since(start), 3*time.Second)
	})
}

func TestPauseHoldsAndResumeReleases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		b := newBench(t, dispatch.Config{MaxInFlightPerEndpoint: 1},
			func(context.Context, *channel.Message) (channel.Result, error) {
				sent.Add(1)
				time.Sleep(time.Second)
				return channel.Result{}, nil
			})
		sub := b.subscribe(t, "*")
		b.run(t)
		for range 5 {
			b.emit(t, event.ObjectCreated)
		}
		time.Sleep(100 * time.Millisecond)
		sub.Paused = true
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, sent.Load(), "only what was under way already")
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusPaused}), 5)

		sub.Paused = false
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		time.Sleep(time.Minute)
		assert.EqualValues(t, 6, sent.Load())
	})
}

func TestGoneStopsWhatIsQueued(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		b := newBench(t, dispatch.Config{PollInterval: slowPoll, MaxInFlightPerEndpoint: 1},
			func(context.Context, *channel.Message) (channel.Result, error) {
				sent.Add(1)
				time.Sleep(time.Second)
				return channel.Result{}, status(410)
			})
		b.subscribe(t, "*")
		b.run(t)
		for range 10 {
			b.emit(t, event.ObjectCreated)
		}
		time.Sleep(time.Hour)
		assert.EqualValues(t, 1, sent.Load())
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusPaused}), 9)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusDead}), 1)
	})
}

func TestDeleteCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{PollInterval: slowPoll},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{}, status(500)
			})
		sub := b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Second)
		require.NoError(t, b.DeleteSubscription(t.Context(), "", sub.ID, 0))
		time.Sleep(time.Hour)
		d := b.only(t)
		assert.Equal(t, webhook.StatusCancelled, d.Status)
		assert.Len(t, d.Attempts, 1)
		assert.ErrorIs(t, b.DeleteSubscription(t.Context(), "", sub.ID, 0), webhook.ErrNotFound)
	})
}

func TestReplayDeadAndSucceeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		b := newBench(t, dispatch.Config{Retry: dispatch.ExponentialRetry{MaxAttempts: 1}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				if broken.Load() {
					return channel.Result{}, status(500)
				}
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Second)
		d := b.only(t)
		require.Equal(t, webhook.StatusDead, d.Status)

		broken.Store(false)
		for want := 2; want <= 3; want++ {
			require.NoError(t, b.Replay(t.Context(), "", d.ID))
			time.Sleep(time.Second)
			d = b.only(t)
			assert.Equal(t, webhook.StatusSucceeded, d.Status)
			assert.Len(t, d.Attempts, want)
		}
		assert.ErrorIs(t, b.Replay(t.Context(), "org_other", d.ID), webhook.ErrNotFound)
	})
}

func TestCreateSubscriptionNamesEveryProblem(t *testing.T) {
	t.Parallel()
	b := newBench(t, dispatch.Config{}, accept)
	err := b.CreateSubscription(t.Context(), &webhook.Subscription{
		ID:         "nope",
		EventTypes: []event.Pattern{"object.*", "Not A Pattern"},
		Channels: []webhook.ChannelConfig{{Channel: "webhook"},
			{Channel: "pigeon", Configs: json.RawMessage(`{}`)}, {Configs: []byte(`{}`)},
			{Channel: "smoke"}},
	})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{
		"webhook_id", "webhook_name", "event_types[1]", "channels[0].configs", "channels[2].channel",
		"channels[3].configs",
		"channels[1].channel", "channels[3].channel",
	}, fields)
}

func TestDrainLetsAttemptsEndAndGivesBackTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{MaxInFlightPerEndpoint: 2},
			func(context.Context, *channel.Message) (channel.Result, error) {
				time.Sleep(5 * time.Second)
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		stop := b.run(t)
		for range 10 {
			b.emit(t, event.ObjectCreated)
		}
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		assert.Equal(t, 4*time.Second, time.Since(start))
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusSucceeded}), 2)
		pending := b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusPending})
		assert.Len(t, pending, 8)
		for _, d := range pending {
			assert.Empty(t, d.Attempts)
			assert.False(t, d.DueAt.After(time.Now()), "due at once for the next process")
		}

		b.emit(t, event.ObjectCreated) // Emit goes on without Run
		b.run(t)
		time.Sleep(time.Minute)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusSucceeded}), 11)
	})
}

func TestDrainTimeoutRequeuesWithoutAResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{DrainTimeout: 2 * time.Second},
			func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
				<-ctx.Done()
				return channel.Result{}, ctx.Err()
			})
		b.subscribe(t, "*")
		stop := b.run(t)
		b.emit(t, event.ObjectCreated)
		synctest.Wait()
		start := time.Now()
		stop()
		assert.Equal(t, 2*time.Second, time.Since(start))
		d := b.only(t)
		assert.Equal(t, webhook.StatusPending, d.Status)
		assert.Empty(t, d.Attempts)
	})
}

func TestRunTwiceAtOnceIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		b.run(t)
		synctest.Wait()
		assert.ErrorIs(t, b.Run(t.Context()), dispatch.ErrRunning)
	})
}

func TestLongAttemptKeepsItsLease(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		var sent atomic.Int32
		send := func(context.Context, *channel.Message) (channel.Result, error) {
			sent.Add(1)
			time.Sleep(10 * time.Minute)
			return channel.Result{}, nil
		}
		one := benchOn(t, store, dispatch.Config{AttemptTimeout: time.Hour}, send)
		two := benchOn(t, store, dispatch.Config{AttemptTimeout: time.Hour}, send)
		one.subscribe(t, "*")
		one.run(t)
		one.emit(t, event.ObjectCreated)
		synctest.Wait()
		two.run(t)
		time.Sleep(20 * time.Minute)
		assert.EqualValues(t, 1, sent.Load(), "the other process must not take over")
		assert.Equal(t, webhook.StatusSucceeded, one.only(t).Status)
	})
}

func TestOtherProcessTakesOverAfterTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		// A process claims the delivery and dies.
		at := time.Now().UTC()
		tasks, err := b.store.Claim(t.Context(), at,
			webhook.ClaimRequest{Until: at.Add(30 * time.Second), Limit: 1, PerEndpoint: 1})
		require.NoError(t, err)
		require.Len(t, tasks, 1)

		b.run(t)
		time.Sleep(29 * time.Second)
		assert.Equal(t, webhook.StatusInFlight, b.only(t).Status)
		time.Sleep(2 * time.Second)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)

		refused, err := b.store.Settle(t.Context(), time.Now(),
			[]webhook.Settlement{{Lease: tasks[0].Lease, Status: webhook.StatusDead}})
		require.NoError(t, err)
		assert.Len(t, refused, 1)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}

func TestEmitWithoutRunIsDeliveredByAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		emitter := benchOn(t, store, dispatch.Config{}, accept)
		emitter.subscribe(t, "*")
		worker := benchOn(t, store, dispatch.Config{PollInterval: 100 * time.Millisecond}, accept)
		worker.run(t)
		emitter.emit(t, event.ObjectCreated)
		time.Sleep(101 * time.Millisecond)
		assert.Equal(t, webhook.StatusSucceeded, emitter.only(t).Status)
	})
}

func TestAllChannelsHaveTheirOwnDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Retry: dispatch.ExponentialRetry{MaxAttempts: 1}}, accept)
		sub := &webhook.Subscription{Name: "two", EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{
				{Channel: "webhook", Configs: json.RawMessage(`{}`)},
				{Channel: "webhook", Configs: json.RawMessage(`{}`)},
			}}
		require.NoError(t, b.CreateSubscription(t.Context(), sub))
		b.run(t)
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Second)
		list := b.deliveries(t, webhook.DeliveryQuery{})
		require.Len(t, list, 2)
		assert.ElementsMatch(t, []string{"webhook", "webhook#2"},
			[]string{list[0].Channel, list[1].Channel})
	})
}

func TestProgressReachesTheNextAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		b := newBench(t, dispatch.Config{},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				seen = append(seen, string(m.Progress))
				if m.Attempt == 1 {
					return channel.Result{Progress: json.RawMessage(`{"reached":1}`)}, status(500)
				}
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Minute)
		assert.Equal(t, []string{"", `{"reached":1}`}, seen)
	})
}

func TestPutSubscription(t *testing.T) {
	t.Parallel()
	b := newBench(t, dispatch.Config{}, accept)
	put := func(name, organization string) error {
		return b.PutSubscription(t.Context(), &webhook.Subscription{
			ID: "wh_0123456789abcdef", Name: name, EventTypes: []event.Pattern{"*"},
			OrganizationID: organization,
			Channels:       []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}},
		})
	}
	require.NoError(t, put("first", ""))
	first, err := b.Subscription(t.Context(), "", "wh_0123456789abcdef")
	require.NoError(t, err)
	require.NoError(t, put("second", ""))
	second, err := b.Subscription(t.Context(), "", "wh_0123456789abcdef")
	require.NoError(t, err)
	assert.Equal(t, "second", second.Name)
	assert.Equal(t, first.CreatedAt, second.CreatedAt)
	assert.Greater(t, second.Revision, first.Revision)

	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() { assert.NoError(t, put(fmt.Sprint("racer ", i), "")) })
	}
	wg.Wait()
	require.ErrorIs(t, put("thief", "org_other"), webhook.ErrExists)
	var invalid *event.ValidationError
	require.ErrorAs(t, put("", ""), &invalid)
}

// A person, or an endpoint that is gone, pauses a subscription; a deploy declares it again.
func TestPutSubscriptionKeepsWhetherItIsPaused(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{true, false} {
		for _, declared := range []bool{true, false} {
			b := newBench(t, dispatch.Config{}, accept)
			sub := b.subscribe(t, "*")
			sub.Paused = stored
			require.NoError(t, b.UpdateSubscription(t.Context(), sub))

			again := *sub
			again.Name, again.Paused = "declared", declared
			require.NoError(t, b.PutSubscription(t.Context(), &again))
			assert.Equal(t, stored, again.Paused, "the caller must learn what is stored")
			read, err := b.Subscription(t.Context(), "", sub.ID)
			require.NoError(t, err)
			assert.Equal(t, "declared", read.Name)
			assert.Equal(t, stored, read.Paused, "stored %v, declared %v", stored, declared)
		}
	}
	b := newBench(t, dispatch.Config{}, accept)
	sub := &webhook.Subscription{
		ID: webhook.NewID(), Name: "new", EventTypes: []event.Pattern{"*"}, Paused: true,
		Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}},
	}
	require.NoError(t, b.PutSubscription(t.Context(), sub))
	assert.True(t, sub.Paused, "a subscription that is created is as it is declared")
}

func TestRetriesFasterThanThePoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{
			PollInterval: time.Minute,
			Retry: dispatch.ExponentialRetry{InitialInterval: 100 * time.Millisecond,
				Jitter: dispatch.NoJitter, MaxAttempts: 4},
		}, func(context.Context, *channel.Message) (channel.Result, error) {
			return channel.Result{},
				status(500)
		})
		b.subscribe(t, "*")
		b.run(t)
		synctest.Wait()
		b.emit(t, event.ObjectCreated)
		elapse(701 * time.Millisecond)
		assert.Len(t, b.only(t).Attempts, 4, "after 0, 100, 300 and 700 ms")
	})
}

func TestHooksSeeWhatIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b *testBench
		var stored webhook.Status
		b = newBench(t, dispatch.Config{}, accept)
		b.onAttempt = func(o dispatch.Result) {
			d, err := b.Delivery(context.Background(), "", o.DeliveryID)
			assert.NoError(t, err)
			stored = d.Status
		}
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		assert.Equal(t, webhook.StatusSucceeded, stored)
	})
}

func TestReplayAllIsGradualAndResumable(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		var mu sync.Mutex
		var at []time.Time
		b := newBench(t, dispatch.Config{Retry: dispatch.ExponentialRetry{MaxAttempts: 1}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				if broken.Load() {
					return channel.Result{}, &channel.Error{Action: channel.Permanent,
						Class: channel.ClassTemplate}
				}
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Now())
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		for range 250 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Second)
		dead := webhook.DeliveryQuery{Status: webhook.StatusDead}
		dead.Limit = 1000
		require.Len(t, b.deliveries(t, dead), 250)
		broken.Store(false)

		start := time.Now()
		dead.Limit = 120
		progress, err := b.ReplayAll(t.Context(), dead, dispatch.ReplayOptions{PerSecond: 10})
		require.NoError(t, err)
		assert.Equal(t, 120, progress.Replayed)
		elapse(20 * time.Second)
		require.Len(t, at, 120)
		assert.InDelta(t, 11.9, at[119].Sub(start).Seconds(), 0.6,
			"ten a second, and at most one poll late")

		dead.Limit, dead.Before = 0, progress.Before
		progress, err = b.ReplayAll(t.Context(), dead, dispatch.ReplayOptions{PerSecond: 1000})
		require.NoError(t, err)
		assert.Equal(t, 130, progress.Replayed)
		elapse(20 * time.Second)
		assert.Len(t, at, 250)

		_, err = b.ReplayAll(t.Context(), dead, dispatch.ReplayOptions{PerSecond: 0})
		require.ErrorContains(t, err, "rate")
	})
}

func TestProgressOutlivesAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		b := newBench(t, dispatch.Config{DrainTimeout: time.Second},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				seen = append(seen, string(m.Progress))
				if m.Progress == nil {
					<-ctx.Done()
					return channel.Result{Progress: json.RawMessage(`{"reached":1}`)}, ctx.Err()
				}
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		stop := b.run(t)
		b.emit(t, event.ObjectCreated)
		synctest.Wait()
		stop()
		b.run(t)
		elapse(time.Minute)
		assert.Equal(t, []string{"", `{"reached":1}`}, seen)
	})
}

func TestAProcessWithoutTheChannelLeavesItToOthers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		has := benchOn(t, store, dispatch.Config{}, accept)
		has.subscribe(t, "*")
		registry := channel.NewRegistry()
		require.NoError(t, registry.Register("other", channel.Func(accept)))
		lacks, err := dispatch.New(store,
			dispatch.Config{Channels: registry, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- lacks.Run(ctx) }()
		synctest.Wait()
		for range 100 {
			require.NoError(t, errorOf(lacks.Emit(t.Context(), newEvent(event.ObjectCreated))))
		}
		elapse(5*time.Minute + 10*time.Second)
		for _, d := range has.deliveries(t, webhook.DeliveryQuery{Limit: 1000}) {
			require.Equal(t, webhook.StatusPending, d.Status)
			require.Empty(t, d.Attempts, "no attempt is spent where the channel is not there")
		}
		has.run(t)
		time.Sleep(5 * time.Second)
		assert.Len(t, has.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusSucceeded,
			Limit: 1000}), 100)
		cancel()
		require.NoError(t, <-ended)
	})
}

func TestAHookThatPanicsIsHarmless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		told := 0
		b := newBench(t, dispatch.Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}, accept)
		b.onAttempt = func(dispatch.Result) {
			if told++; told == 1 {
				panic("s3cr3t")
			}
		}
		b.subscribe(t, "*")
		stop := b.run(t)
		for range 3 {
			b.emit(t, event.ObjectCreated)
			elapse(time.Second)
		}
		stop()
		assert.Equal(t, 3, told)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusSucceeded}), 3)
		assert.Equal(t, 1, strings.Count(log.String(), "a hook panicked"))
		assert.NotContains(t, log.String(), "s3cr3t")
	})
}
