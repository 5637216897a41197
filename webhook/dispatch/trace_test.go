package dispatch_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// traceOf returns a Context with a trace id of that digit.
func traceOf(digit string) tracecontext.Context {
	return tracecontext.Context{
		Parent: "00-" + strings.Repeat(digit, 32) + "-00f067aa0ba902b7-01",
		State:  "vendor=" + digit, Baggage: "user=" + digit,
	}
}

// seenTraces is a channel that keeps the traces of its attempts, by event.
type seenTraces struct {
	mu sync.Mutex
	by map[string][]tracecontext.Context
}

func (s *seenTraces) send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by[m.EventID] = append(s.by[m.EventID], tracecontext.From(ctx))
	if m.Attempt == 1 {
		return channel.Result{}, status(503)
	}
	return channel.Result{StatusCode: 200}, nil
}

// Each attempt has the trace of the emit in its context, and not that of Run: retries and replays
// too, in another process than the emit's.
func TestAttemptsHaveTheTraceOfTheEmit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &seenTraces{by: map[string][]tracecontext.Context{}}
		cfg := dispatch.Config{Retry: dispatch.RetrySchedule{time.Second}}
		store := memstore.New()
		b := benchOn(t, store, cfg, seen.send)
		b.subscribe(t, "*")
		one, other := traceOf("1"), traceOf("2")
		emit := func(b *testBench, id string, ctx context.Context, tx bool) {
			t.Helper()
			e := newEvent(event.ObjectCreated)
			e.ID = id
			if !tx {
				require.NoError(t, errorOf(b.Emit(ctx, e)))
				return
			}
			begun := store.Begin()
			require.NoError(t, errorOf(b.EmitTx(ctx, begun, e)))
			require.NoError(t, begun.Commit())
		}
		emitter := benchOn(t, store, cfg, accept) // does not run
		emit(emitter, "evt_elsewhere", tracecontext.With(t.Context(), one), false)
		emit(emitter, "evt_tx", tracecontext.With(t.Context(), other), true)

		ctx, stop := context.WithCancel(tracecontext.With(context.Background(), traceOf("3")))
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		emit(b, "evt_here", tracecontext.With(t.Context(), other), false)
		emit(b, "evt_none", t.Context(), false)
		emit(b, "evt_invalid", tracecontext.With(t.Context(), tracecontext.Context{
			Parent: "nonsense", State: "a=b", Baggage: strings.Repeat("x", 9000),
		}), false)
		elapse(10 * time.Second)

		list := b.deliveries(t, webhook.DeliveryQuery{EventID: "evt_here"})
		require.Len(t, list, 1)
		require.NoError(t, b.Replay(t.Context(), "", list[0].ID))
		elapse(time.Second)
		stop()
		require.NoError(t, <-done)
		none := tracecontext.Context{}
		assert.Equal(t, map[string][]tracecontext.Context{
			"evt_elsewhere": {one, one}, "evt_tx": {other, other},
			"evt_here": {other, other, other}, "evt_none": {none, none}, "evt_invalid": {none, none},
		}, seen.by)
	})
}

// A hook that traces emits says which trace is stored, and one that traces attempts says which the
// channel sends.
func TestHooksSetTheTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &seenTraces{by: map[string][]tracecontext.Context{}}
		caller, emit := traceOf("1"), traceOf("2")
		attempts := []tracecontext.Context{traceOf("3"), traceOf("4")}
		var cfg dispatch.Config
		cfg.Retry = dispatch.RetrySchedule{time.Second}
		cfg.Hooks.EmitStart = func(ctx context.Context, _ dispatch.EmitStart) context.Context {
			assert.Equal(t, caller, tracecontext.From(ctx))
			return tracecontext.With(ctx, emit)
		}
		cfg.Hooks.AttemptStart = func(ctx context.Context, a dispatch.AttemptStart) context.Context {
			assert.Equal(t, emit, tracecontext.From(ctx))
			return tracecontext.With(ctx, attempts[a.Number-1])
		}
		b := newBench(t, cfg, seen.send)
		b.subscribe(t, "*")
		b.run(t)
		synctest.Wait()
		e := newEvent(event.ObjectCreated)
		require.NoError(t, errorOf(b.Emit(tracecontext.With(t.Context(), caller), e)))
		elapse(5 * time.Second)
		assert.Equal(t, attempts, seen.by[e.ID])
	})
}

// An event without a trace costs Emit no allocation more than before there were traces.
// AllocsPerRun does not work in parallel tests.
func TestEmitAllocations(t *testing.T) {
	d, err := dispatch.New(forgetfulStore{memstore.New()},
		dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	e := newEvent(event.ObjectCreated)
	allocations := testing.AllocsPerRun(1000, func() {
		if _, err := d.Emit(context.Background(), e); err != nil {
			t.Error(err)
		}
	})
	assert.LessOrEqual(t, allocations, 14.0+poolDrops)
}

// forgetfulStore stores no event.
type forgetfulStore struct{ webhook.Store }

func (forgetfulStore) Enqueue(
	_ context.Context, _ time.Time, events []webhook.NewEvent, _ *webhook.Prefetch,
) (webhook.Enqueued, error) {
	return webhook.Enqueued{Events: make([]webhook.Emitted, len(events))}, nil
}
