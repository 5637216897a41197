package dispatch_test

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A calledHook is a call of a hook.
type calledHook struct {
	name string
	ctx  context.Context // nil for Attempted
	arg  any
}

// hookCalls are the calls of all hooks, in their order.
type hookCalls struct {
	mu    sync.Mutex
	calls []calledHook
}

// startedBy is the key under which the Start hooks of a test leave their name.
type startedBy struct{ name string }

// recordHooks sets every hook, those that are added later among them. Start hooks return a
// context that holds startedBy; then runs, unless it is nil.
func recordHooks(hooks *dispatch.Hooks, then func(name string)) *hookCalls {
	r := &hookCalls{}
	v := reflect.ValueOf(hooks).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		record := func(args []reflect.Value) []reflect.Value {
			call := calledHook{name: name, arg: args[len(args)-1].Interface()}
			if len(args) > 1 {
				call.ctx = args[0].Interface().(context.Context)
			}
			r.mu.Lock()
			r.calls = append(r.calls, call)
			r.mu.Unlock()
			if then != nil {
				then(name)
			}
			if v.Type().Field(i).Type.NumOut() == 0 {
				return nil
			}
			ctx := context.WithValue(call.ctx, startedBy{name}, true)
			return []reflect.Value{reflect.ValueOf(&ctx).Elem()}
		}
		v.Field(i).Set(reflect.MakeFunc(v.Field(i).Type(), record))
	}
	return r
}

func (r *hookCalls) of(name string) []calledHook {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []calledHook
	for _, c := range r.calls {
		if c.name == name {
			list = append(list, c)
		}
	}
	return list
}

// contextStore keeps the last context of each method that hooks enclose.
type contextStore struct {
	webhook.Store

	mu   sync.Mutex
	last map[string]context.Context
}

func (s *contextStore) keep(ctx context.Context, method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[method] = ctx
}

func (s *contextStore) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (webhook.Enqueued, error) {
	s.keep(ctx, "Enqueue")
	return s.Store.Enqueue(ctx, now, events, p)
}

func (s *contextStore) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	s.keep(ctx, "Claim")
	return s.Store.Claim(ctx, now, r)
}

func (s *contextStore) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	s.keep(ctx, "Settle")
	return s.Store.Settle(ctx, now, settlements)
}

// hookedOn is a Dispatcher that has made one delivery and stopped. The endpoint asked for time
// before it took it, and was disabled and enabled afterwards. A second delivery was cancelled
// elsewhere while it was in flight, so that its lease was lost.
func hookedOn(t *testing.T, store webhook.Store, cfg dispatch.Config, send channel.Func) {
	t.Helper()
	cfg.Channels = channel.NewRegistry()
	cfg.Retry = slices.Repeat(dispatch.RetrySchedule{time.Second}, breaker.FailureThreshold)
	require.NoError(t, cfg.Channels.Register("webhook", channel.Func(
		func(ctx context.Context, m *channel.Message) (channel.Result, error) {
			if m.EventType == event.ObjectDeleted {
				time.Sleep(20 * time.Second)
				return accept(ctx, m)
			}
			if result, err := send(ctx, m); err != nil || m.Attempt > breaker.FailureThreshold {
				return result, err
			}
			return channel.Result{}, &channel.Error{Action: channel.Wait, RetryAfter: time.Second}
		})))
	d, err := dispatch.New(store, cfg)
	require.NoError(t, err)
	b := &testBench{Dispatcher: d, store: store}
	sub := b.subscribe(t, "*")
	sub.RateLimit = &webhook.RateLimit{PerSecond: 100}
	require.NoError(t, b.UpdateSubscription(t.Context(), sub))
	stop := b.run(t)
	synctest.Wait()
	b.emit(t, event.ObjectCreated)
	elapse(2 * time.Minute)
	assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
	require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
	b.emit(t, event.ObjectDeleted)
	elapse(time.Second)
	inFlight := b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusInFlight})
	require.Len(t, inFlight, 1)
	require.NoError(t, store.Cancel(t.Context(), time.Now(), "", inFlight[0].ID))
	elapse(time.Minute)
	stop()
}

func TestHooksThatPanicAreHarmless(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		cfg := dispatch.Config{PollInterval: 2 * time.Second,
			Logger: slog.New(slog.NewTextHandler(&log, nil))}
		called := recordHooks(&cfg.Hooks, func(string) { panic("s3cr3t") })
		hookedOn(t, memstore.New(), cfg, accept)
		for _, field := range reflect.VisibleFields(reflect.TypeFor[dispatch.Hooks]()) {
			n := len(called.of(field.Name))
			assert.Positive(t, n, "%s was not called", field.Name)
			assert.Equal(t, n, strings.Count(log.String(), "hook="+field.Name+" "), field.Name)
		}
		assert.NotContains(t, log.String(), "s3cr3t")
	})
}

// lockedBuffer is a bytes.Buffer that goroutines share.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestContextsOfStartHooksGoOn(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var cfg dispatch.Config
		cfg.Logger = slog.New(slog.DiscardHandler)
		called := recordHooks(&cfg.Hooks, nil)
		store := &contextStore{Store: memstore.New(), last: make(map[string]context.Context)}
		holds := func(ctx context.Context, starts ...string) {
			t.Helper()
			for _, name := range starts {
				assert.Equal(t, true, ctx.Value(startedBy{name}), name)
			}
		}
		hookedOn(t, store, cfg, func(
			ctx context.Context, m *channel.Message,
		) (channel.Result, error) {
			holds(ctx, "RunStart", "AttemptStart")
			return accept(ctx, m)
		})
		holds(store.last["Enqueue"], "EmitStart")
		holds(store.last["Claim"], "RunStart", "ClaimStart")
		holds(store.last["Settle"], "RunStart", "SettleStart")
		for _, field := range reflect.VisibleFields(reflect.TypeFor[dispatch.Hooks]()) {
			start, isEnd := strings.CutSuffix(field.Name, "End")
			if !isEnd {
				continue
			}
			ends := called.of(field.Name)
			assert.Len(t, called.of(start+"Start"), len(ends), field.Name)
			for _, end := range ends {
				holds(end.ctx, start+"Start")
			}
		}
		holds(called.of("RunDrain")[0].ctx, "RunStart")
	})
}

func TestAStartHookMayReturnNoContext(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := dispatch.Config{Logger: slog.New(slog.DiscardHandler)}
		v := reflect.ValueOf(&cfg.Hooks).Elem()
		for i := range v.NumField() {
			if hook := v.Field(i).Type(); hook.NumOut() == 1 {
				none := []reflect.Value{reflect.Zero(hook.Out(0))}
				v.Field(i).Set(reflect.MakeFunc(hook, func([]reflect.Value) []reflect.Value {
					return none
				}))
			}
		}
		hookedOn(t, memstore.New(), cfg, accept)
	})
}

func TestHooksAreToldWhatHappened(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := dispatch.Config{Logger: slog.New(slog.DiscardHandler)}
		called := recordHooks(&cfg.Hooks, nil)
		cfg.Channels = channel.NewRegistry()
		refusal := &channel.Error{Action: channel.Permanent, StatusCode: 410}
		require.NoError(t, cfg.Channels.Register("webhook", channel.Func(
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				if m.EventType == event.ObjectDeleted {
					return channel.Result{}, refusal
				}
				<-ctx.Done()
				return channel.Result{}, ctx.Err()
			})))
		d, err := dispatch.New(memstore.New(), cfg)
		require.NoError(t, err)
		b := &testBench{Dispatcher: d}
		sub := b.subscribe(t, "*")
		stop := b.run(t)
		synctest.Wait()

		_, err = d.Emit(t.Context(), nil)
		require.Error(t, err)
		refused := b.emit(t, event.ObjectDeleted)
		synctest.Wait()
		cut := b.emit(t, event.ObjectCreated)
		synctest.Wait()
		stop()

		emits := called.of("EmitEnd")
		require.Len(t, emits, 3)
		assert.Equal(t, dispatch.EmitEnd{Events: []*event.Event{nil}, Err: err}, emits[0].arg)
		assert.Equal(t, dispatch.EmitEnd{
			Events:  []*event.Event{refused},
			Emitted: []webhook.Emitted{{EventID: refused.ID, Deliveries: 1}},
		}, emits[1].arg)
		assert.Equal(t, dispatch.EmitStart{Events: []*event.Event{refused}},
			called.of("EmitStart")[1].arg)

		attempts := called.of("AttemptEnd")
		require.Len(t, attempts, 2)
		first, second := attempts[0].arg.(dispatch.AttemptEnd), attempts[1].arg.(dispatch.AttemptEnd)
		assert.Equal(t, called.of("AttemptStart")[0].arg, first.AttemptStart)
		assert.Equal(t, dispatch.AttemptStart{
			DeliveryID: 1, Endpoint: webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"},
			EventID: refused.ID, EventType: event.ObjectDeleted, Number: 1, DueAt: first.DueAt,
			QueuedAt: first.QueuedAt,
		}, first.AttemptStart)
		assert.Equal(t, first.DueAt, first.QueuedAt, "it was due when it was emitted")
		assert.Equal(t, refusal, first.Err)
		assert.Equal(t, 410, first.Attempt.StatusCode)
		assert.Equal(t, cut.ID, second.EventID)
		require.ErrorIs(t, second.Err, context.Canceled)

		settled := called.of("SettleEnd")
		require.Len(t, settled, 2)
		assert.Equal(t, dispatch.SettleStart{Deliveries: 1}, called.of("SettleStart")[0].arg)
		assert.Equal(t, dispatch.SettleEnd{Deliveries: 1}, settled[0].arg)
		assert.Equal(t, dispatch.RunStart{}, called.of("RunStart")[0].arg)
		assert.Equal(t, dispatch.RunDrain{}, called.of("RunDrain")[0].arg)
		assert.Equal(t, dispatch.RunEnd{Requeued: 1}, called.of("RunEnd")[0].arg)
		assert.Len(t, called.of("Attempted"), 1, "that which was cut off has no result")

		require.NoError(t, d.Cancel(t.Context(), "", 2))
		require.NoError(t, d.Drain(t.Context()))
		assert.Equal(t, dispatch.RunStart{Drain: true}, called.of("RunStart")[1].arg)
		claims := called.of("ClaimEnd")
		assert.Equal(t, dispatch.ClaimEnd{}, claims[len(claims)-1].arg)
	})
}
