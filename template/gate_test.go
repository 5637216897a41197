package template

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func newGate(t testing.TB, renders int) *Gate {
	t.Helper()
	g, err := NewGate(renders)
	require.NoError(t, err)
	return g
}

// blocker is a value of the data that blocks the render that looks at it.
type blocker struct{ inside, most atomic.Int64 }

// context returns a context that counts the renders that look at it, and makes each wait.
func (b *blocker) context(ctx context.Context) context.Context { return &watchedContext{ctx, b} }

type watchedContext struct {
	context.Context
	b *blocker
}

// Err is called by every render that runs.
func (w *watchedContext) Err() error {
	n := w.b.inside.Add(1)
	defer w.b.inside.Add(-1)
	for most := w.b.most.Load(); n > most && !w.b.most.CompareAndSwap(most, n); most = w.b.most.Load() {
	}
	time.Sleep(time.Second)
	return w.Context.Err()
}

// TestAGateBoundsRenders runs 50 renders of every shape, with a context that makes each of them
// last.
func TestAGateBoundsRenders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const places, renders = 3, 50
		text, err := Compile("{{ 1 }}", Options{})
		require.NoError(t, err)
		asJSON, err := CompileJSON("[{{ 1 }}]", Options{})
		require.NoError(t, err)
		object, err := CompileObject([]byte(`{"a": "{{ 1 }}", "b": "x{{ 2 }}"}`), Options{})
		require.NoError(t, err)
		g := newGate(t, places)
		var b blocker
		for i := range renders {
			go func() {
				// The watched context is inside: what waits at the gate asks only for Done.
				assert.NoError(t, Pass(g.Context(t.Context()), func(ctx context.Context) error {
					ctx = b.context(ctx)
					var err error
					switch i % 3 {
					case 0:
						_, err = text.Render(ctx, nil)
					case 1:
						_, err = asJSON.Render(ctx, nil)
					default:
						_, err = object.Render(ctx, nil)
					}
					return err
				}))
			}()
		}
		synctest.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, int64(places), b.most.Load())
	})
}

// TestRendersPassTheGate shows that a render without Pass waits too, and gives its place back, also
// after an error.
func TestRendersPassTheGate(t *testing.T) {
	t.Parallel()
	g := newGate(t, 1)
	ctx := g.Context(t.Context())
	text, err := Compile("{{ 1 // zero }}", Options{})
	require.NoError(t, err)
	asJSON, err := CompileJSON("{{ 1 // zero }}", Options{})
	require.NoError(t, err)
	object, err := CompileObject([]byte(`["{{ 1 // zero }}"]`), Options{})
	require.NoError(t, err)
	shapes := map[string]func(ctx context.Context, data map[string]any) error{
		"text":   func(ctx context.Context, data map[string]any) error { _, err := text.Render(ctx, data); return err },
		"json":   func(ctx context.Context, data map[string]any) error { _, err := asJSON.Render(ctx, data); return err },
		"object": func(ctx context.Context, data map[string]any) error { _, err := object.Render(ctx, data); return err },
	}
	for name, render := range shapes {
		require.ErrorIs(t, render(ctx, map[string]any{"zero": 0}), ErrArithmetic, name)
		require.NoError(t, render(ctx, map[string]any{"zero": 1}), name)
		require.NoError(t, Pass(ctx, func(inner context.Context) error { // the one place is taken
			waiting, cancel := context.WithCancel(ctx)
			cancel()
			err := render(waiting, map[string]any{"zero": 1})
			var e *Error
			require.ErrorAs(t, err, &e, name)
			assert.ErrorIs(t, err, context.Canceled, name)
			assert.True(t, e.Retryable(), name)
			return render(inner, map[string]any{"zero": 1}) // and does not wait for itself
		}))
	}
}

func TestWaitingAtTheGateEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1)
		tpl, err := Compile("x", Options{})
		require.NoError(t, err)
		require.NoError(t, Pass(g.Context(t.Context()), func(context.Context) error {
			ctx, cancel := context.WithTimeout(g.Context(t.Context()), time.Minute)
			defer cancel()
			start := time.Now()
			_, err := tpl.Render(ctx, nil)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Minute, time.Since(start))
			return nil
		}))
		_, err = tpl.Render(g.Context(t.Context()), nil)
		require.NoError(t, err)
	})
}

// TestNestedRendersDoNotWait renders within renders, deeper than the gate has places.
func TestNestedRendersDoNotWait(t *testing.T) {
	t.Parallel()
	tpl, err := Compile("x", Options{})
	require.NoError(t, err)
	var nest func(ctx context.Context, depth int) error
	nest = func(ctx context.Context, depth int) error {
		if depth == 0 {
			_, err := tpl.Render(ctx, nil)
			return err
		}
		return Pass(ctx, func(ctx context.Context) error { return nest(ctx, depth-1) })
	}
	require.NoError(t, nest(newGate(t, 1).Context(t.Context()), 10))
	failed := errors.New("failed")
	assert.ErrorIs(t, Pass(t.Context(), func(context.Context) error { return failed }), failed)
}

func TestGatesAreIndependent(t *testing.T) {
	t.Parallel()
	one, other := newGate(t, 1), newGate(t, 1)
	tpl, err := Compile("x", Options{})
	require.NoError(t, err)
	require.NoError(t, Pass(one.Context(t.Context()), func(context.Context) error {
		_, err := tpl.Render(other.Context(t.Context()), nil)
		return err
	}))
	assert.Equal(t, runtime.GOMAXPROCS(0), cap(newGate(t, 0).places))
}

// TestPreviewHasADeadline previews while all places are taken for ever.
func TestPreviewHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1)
		require.NoError(t, Pass(g.Context(t.Context()), func(context.Context) error {
			for _, shape := range []Shape{ShapeText, ShapeJSON, ShapeObject} {
				start := time.Now()
				_, err := Preview(g.Context(t.Context()), shape, `["{{ event_id }}"]`, Options{}, &event.Event{ID: "e"})
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, previewTimeout, time.Since(start))
			}
			return nil
		}))
	})
}
