package dispatch_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/isolation"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// TestRendersAtOnceAreBounded sends through 20 channels whose renders take a second each, by
// Dispatchers that share what bounds them.
func TestRendersAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const places, channels = 3, 10
		gate, err := template.NewGate(places)
		require.NoError(t, err)
		var mu sync.Mutex
		inside, most, all := 0, 0, 0
		enter := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			inside += n
			most = max(most, inside)
			all += max(n, 0)
		}
		rendering := channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
			return channel.Result{}, template.Pass(ctx, func(context.Context) error {
				enter(1)
				defer enter(-1)
				time.Sleep(time.Second)
				return nil
			})
		})
		done := make(chan error)
		const dispatchers = 2
		for range dispatchers {
			b := newBench(t, dispatch.Config{Renders: gate}, accept)
			require.NoError(t, b.Channels().Register("rendering",
				channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) { return rendering, nil })))
			sub := &webhook.Subscription{ID: webhook.NewID(), Name: "renders",
				EventTypes: []event.Pattern{"*"}}
			for range channels {
				sub.Channels = append(sub.Channels,
					webhook.ChannelConfig{Channel: "rendering", Configs: json.RawMessage(`{}`)})
			}
			go func() {
				_, err := b.SendTest(t.Context(), sub,
					&event.Event{Type: "object.created", Subject: event.Subject{Type: "o", ID: "1"},
						Namespace: "n"})
				done <- err
			}()
		}
		for range dispatchers {
			require.NoError(t, <-done)
		}
		assert.Equal(t, places-1, most, "the last place is for short renders")
		assert.Equal(t, dispatchers*channels, all)
	})
}

func TestADispatcherHasAGateOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := newBench(t, dispatch.Config{}, accept), newBench(t, dispatch.Config{}, accept)
	assert.NotNil(t, one.Renders())
	assert.NotSame(t, one.Renders(), other.Renders())
}

// TestWaitingToRenderIsNoTimeOfTheEndpoint holds the only place to render for
// longer than attempts may take.
func TestWaitingToRenderIsNoTimeOfTheEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate, err := template.NewGate(1)
		require.NoError(t, err)
		registry := channel.NewRegistry()
		var calls atomic.Int64
		require.NoError(t, registry.Register("webhook",
			channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
				calls.Add(1)
				if err := template.Pass(ctx, func(context.Context) error { return nil }); err != nil {
					return channel.Result{}, channel.ContextError(ctx)
				}
				return channel.Result{StatusCode: 200}, nil
			})))
		w := isolation.New(t, memstore.New(), dispatch.Config{Renders: gate, Channels: registry,
			AttemptTimeout: 5 * time.Second,
			Retry: dispatch.ExponentialRetry{MaxInterval: 5 * time.Second,
				Jitter: dispatch.NoJitter}})
		w.Subscribe(t, "a", 1, &isolation.Site{Kind: "any"})
		go func() {
			assert.NoError(t, template.Pass(gate.Context(t.Context()), func(context.Context) error {
				time.Sleep(2 * time.Minute)
				return nil
			}))
		}()
		synctest.Wait()
		for range 8 {
			w.EmitKind(t, "a", "any")
		}
		time.Sleep(2*time.Minute - time.Second)
		assert.Greater(t, calls.Load(), int64(24),
			"two at a time for 5 s each: the endpoint is not left alone")
		time.Sleep(time.Minute)
		deliveries, err := w.Deliveries(t.Context(),
			webhook.DeliveryQuery{OrganizationID: "a", Status: webhook.StatusSucceeded})
		require.NoError(t, err)
		assert.Len(t, deliveries, 8)
	})
}

// TestDurationLeavesOutTheWaitToRender holds the only place to render for 3 s, of which an attempt
// waits 2: it then takes 1 s.
func TestDurationLeavesOutTheWaitToRender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate, err := template.NewGate(1)
		require.NoError(t, err)
		var ended atomic.Pointer[dispatch.AttemptEnd]
		b := newBench(t, dispatch.Config{Renders: gate, Hooks: dispatch.Hooks{
			AttemptEnd: func(_ context.Context, a dispatch.AttemptEnd) { ended.Store(&a) },
		}}, func(ctx context.Context, m *channel.Message) (channel.Result, error) {
			if err := template.Pass(ctx, func(context.Context) error { return nil }); err != nil {
				return channel.Result{}, err
			}
			time.Sleep(time.Second)
			return accept(ctx, m)
		})
		b.subscribe(t, "*")
		b.run(t)
		var held sync.WaitGroup
		held.Go(func() {
			assert.NoError(t, template.Pass(gate.Context(t.Context()), func(context.Context) error {
				time.Sleep(3 * time.Second)
				return nil
			}))
		})
		elapse(time.Second)
		start := time.Now()
		b.emit(t, event.ObjectCreated)
		held.Wait()
		elapse(2 * time.Second)
		attempt := b.only(t).Attempts[0]
		assert.True(t, start.Equal(attempt.StartedAt))
		assert.Equal(t, time.Second, attempt.Duration, "2 s of the 3 were no time of the endpoint")
		assert.Equal(t, attempt.Duration, ended.Load().Attempt.Duration)
	})
}
