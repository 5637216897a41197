package receiver_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/receiver"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// traced is a request that is a part of a trace.
func traced(t *testing.T, id string) *http.Request {
	r := post(envelope(t, id))
	r.Header.Set("traceparent", traceparent)
	r.Header.Set("tracestate", "a=b")
	r.Header.Set("baggage", "user=alice,no nonsense")
	return r
}

func TestHandlersSeeTheTrace(t *testing.T) {
	t.Parallel()
	want := tracecontext.Context{Parent: traceparent, State: "a=b", Baggage: "user=alice"}
	b := setup(t)
	var seen []tracecontext.Context
	see := func(ctx context.Context) {
		seen = append(seen, tracecontext.From(ctx), receiver.DeliveryFrom(ctx).Trace)
	}
	serve(b.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
		see(ctx)
		return nil
	})), traced(t, "evt_1"))
	serve(b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		see(r.Context())
	})), traced(t, "evt_2"))
	assert.Equal(t, []tracecontext.Context{want, want, want, want}, seen)

	d, err := b.Check(traced(t, "evt_3"))
	require.NoError(t, err)
	assert.Equal(t, want, d.Trace)

	seen = nil
	r := post(envelope(t, "evt_4"))
	r.Header.Set("traceparent", "00-nonsense")
	serve(b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		see(r.Context())
	})), r)
	assert.Equal(t, []tracecontext.Context{{}, {}}, seen)
}

type spanKey struct{}

// processed are the calls of the process hooks.
type processed struct {
	started []*receiver.Delivery
	ended   []receiver.Result
}

// hook sets the process hooks. ProcessStart puts a number into the context, and ProcessEnd expects
// that of its own start.
func (p *processed) hook(t *testing.T) func(*receiver.Config) {
	return func(c *receiver.Config) {
		c.Hooks.ProcessStart = func(ctx context.Context, d *receiver.Delivery) context.Context {
			assert.Equal(t, d.Trace, tracecontext.From(ctx))
			p.started = append(p.started, d)
			return context.WithValue(ctx, spanKey{}, len(p.started))
		}
		c.Hooks.ProcessEnd = func(ctx context.Context, r receiver.Result) {
			assert.Equal(t, len(p.started), ctx.Value(spanKey{}))
			p.ended = append(p.ended, r)
		}
	}
}

func TestProcessHooks(t *testing.T) {
	t.Parallel()
	var p processed
	store := newSpy(t)
	b := setup(t, p.hook(t), func(c *receiver.Config) { c.Dedupe = store })
	var inHandler any
	fail := errors.New("no such table")
	var result error
	h := b.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
		inHandler = ctx.Value(spanKey{})
		return result
	}))
	serve(h, traced(t, "evt_1"))
	assert.Equal(t, 1, inHandler)
	serve(h, traced(t, "evt_1")) // a duplicate
	result = fail
	serve(h, traced(t, "evt_2"))
	assert.Equal(t, 3, inHandler)
	store.fail["Claim"] = errors.New("down")
	serve(h, traced(t, "evt_3"))
	r := traced(t, "evt_4")
	r.Header.Del(receiver.DefaultSecretHeader)
	assert.Equal(t, http.StatusUnauthorized, serve(h, r).Code)

	require.Len(t, p.started, 4, "a request that is rejected is not processed")
	require.Len(t, p.ended, 4)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, want := range []receiver.Outcome{
		receiver.Handled, receiver.Duplicate, receiver.Failed, receiver.Unavailable,
	} {
		got := p.ended[i]
		assert.Equal(t, want, got.Outcome)
		assert.Same(t, p.started[i], got.Delivery)
		assert.NotZero(t, got.Duration)
		assert.Equal(t, b.results[i], got, "both hooks get the same")
	}
	assert.ErrorIs(t, p.ended[2].Err, fail)
}

// A hook that panics is logged and changes nothing, and neither does one that returns nil.
func TestProcessHooksThatPanic(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *receiver.Config) {
		c.Hooks.ProcessStart = func(context.Context, *receiver.Delivery) context.Context {
			panic("s3cr3t")
		}
		c.Hooks.ProcessEnd = func(context.Context, receiver.Result) { panic("s3cr3t") }
	})
	var seen tracecontext.Context
	h := receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
		seen = tracecontext.From(ctx)
		return nil
	})
	assert.Equal(t, 200, serve(b.Handler(h), traced(t, "evt_1")).Code)
	assert.Equal(t, traceparent, seen.Parent)
	assert.Equal(t, []receiver.Outcome{receiver.Handled}, b.outcomes())
	assert.Contains(t, b.log.String(), "hook=ProcessStart panic=string")
	assert.Contains(t, b.log.String(), "hook=ProcessEnd panic=string")
	assert.NotContains(t, b.log.String(), "s3cr3t")

	b = setup(t, func(c *receiver.Config) {
		c.Hooks.ProcessStart = func(context.Context, *receiver.Delivery) context.Context { return nil }
	})
	seen = tracecontext.Context{}
	assert.Equal(t, 200, serve(b.Handler(h), traced(t, "evt_1")).Code)
	assert.Equal(t, traceparent, seen.Parent)
}

// ProcessEnd is called even if the handler ends its goroutine.
func TestProcessEndWithoutReturn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){
		"panic":  func() { panic(http.ErrAbortHandler) },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p processed
			b := setup(t, p.hook(t))
			h := b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { end() }))
			r, done := traced(t, "evt_1"), make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				serve(h, r)
			}()
			<-done
			require.Len(t, p.ended, 1)
			assert.Equal(t, receiver.Panicked, p.ended[0].Outcome)
			assert.Error(t, p.ended[0].Err)
			assert.Zero(t, p.ended[0].Status, "the sender gets no answer")
			assert.Less(t, p.ended[0].Duration, time.Minute)
			assert.Empty(t, b.outcomes())
		})
	}
}
