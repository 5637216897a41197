package template

import (
	"context"
	"errors"
	"runtime"
	"strconv"
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
	for most := w.b.most.Load(); n > most &&
		!w.b.most.CompareAndSwap(most, n); most = w.b.most.Load() {
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
		assert.Equal(t, int64(places-1), b.most.Load(), "the last place is for short renders")
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
		"text": func(ctx context.Context, data map[string]any) error {
			_,
				err := text.Render(ctx, data)
			return err
		},
		"json": func(ctx context.Context, data map[string]any) error {
			_,
				err := asJSON.Render(ctx, data)
			return err
		},
		"object": func(ctx context.Context, data map[string]any) error {
			_,
				err := object.Render(ctx, data)
			return err
		},
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
	assert.Equal(t, max(runtime.GOMAXPROCS(0), 2), newGate(t, 0).places)
}

// TestPreviewHasADeadline previews while all places stay taken.
func TestPreviewHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1)
		require.NoError(t, Pass(g.Context(t.Context()), func(context.Context) error {
			for _, shape := range []Shape{ShapeText, ShapeJSON, ShapeObject} {
				start := time.Now()
				_, err := Preview(g.Context(t.Context()), shape, `["{{ event_id }}"]`, Options{},
					&event.Event{ID: "e"})
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, previewTimeout, time.Since(start))
			}
			return nil
		}))
	})
}

// renders starts n renders of an organization that last so long, in their order, and returns how
// long after the call each of them ended.
func renders(
	t *testing.T, g *Gate, organization string, n int, last time.Duration,
) *[]time.Duration {
	t.Helper()
	ended, start := new([]time.Duration), time.Now()
	for range n {
		go func() {
			err := Pass(g.ContextFor(t.Context(), Turn{OrganizationID: organization}),
				func(context.Context) error {
					time.Sleep(last)
					*ended = append(*ended, time.Since(start))
					return nil
				})
			assert.NoError(t, err)
		}()
		synctest.Wait()
	}
	return ended
}

// pass lets that much time pass, and what is due then be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestOrganizationsTakeTurnsAtTheGate shows that the next place goes to the organization whose
// renders have taken the least time, not to the one that has waited longest.
func TestOrganizationsTakeTurnsAtTheGate(t *testing.T) {
	t.Parallel()
	const long, short = 100 * time.Millisecond, time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1)
		renders(t, g, "burns", 50, long)
		plain := renders(t, g, "plain", 20, short)
		pass(time.Minute)
		require.Len(t, *plain, 20)
		assert.Equal(t, long+20*short, (*plain)[19],
			"one long render ends, and all short ones are before the next")
	})
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1)
		first := renders(t, g, "a", 20, long)
		second := renders(t, g, "b", 10, long)
		pass(time.Minute)
		require.Len(t, *second, 10)
		assert.LessOrEqual(t, (*second)[9], 21*long, "those that take the same alternate")
		assert.Equal(t, 30*long, (*first)[19], "and no time is lost")
	})
}

// TestShortRendersGoBeforeThoseThatCameAtOnce has 50 organizations come at one moment, before one with
// short renders does.
func TestShortRendersGoBeforeThoseThatCameAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1)
		render := func(organization string, lasts time.Duration) (waited time.Duration) {
			began := time.Now()
			ctx := g.ContextFor(t.Context(), Turn{OrganizationID: organization})
			assert.NoError(t, Pass(ctx, func(context.Context) error {
				waited = time.Since(began)
				time.Sleep(lasts)
				return nil
			}))
			return waited
		}
		const brief = 9 * time.Millisecond
		all := func() {
			for i := range 50 {
				go render(strconv.Itoa(i), brief)
			}
			synctest.Wait()
		}
		all() // they and the short one become known
		render("short", time.Microsecond)
		time.Sleep(time.Second)
		all()
		assert.LessOrEqual(t, render("short", time.Microsecond), brief, "it waits for the one inside")
		time.Sleep(time.Second)
	})
}

// TestTheLastPlaceIsForShortRenders shows that an organization whose renders are known to be short
// does not even wait for one that burns CPU, and that an unknown one is no reason to believe it.
func TestTheLastPlaceIsForShortRenders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const long, short = 100 * time.Millisecond, time.Millisecond
		g := newGate(t, 2)
		renders(t, g, "plain", 1, short)
		pass(time.Second)
		burns := renders(t, g, "burns", 20, long)
		plain := renders(t, g, "plain", 5, short)
		other := renders(t, g, "other", 1, short)
		pass(time.Minute)
		assert.Equal(t, []time.Duration{short, 2 * short, 3 * short, 4 * short, 5 * short}, *plain)
		assert.Equal(t, []time.Duration{long + short}, *other, "it is not known yet")
		require.Len(t, *burns, 20)
		assert.Equal(t, 20*long+short, (*burns)[19], "one at a time")

		burns = renders(t, g, "plain", 1, long) // and now it is known otherwise
		pass(time.Second)
		renders(t, g, "burns", 1, long)
		plain = renders(t, g, "plain", 1, short)
		pass(time.Second)
		assert.Equal(t, []time.Duration{long}, *burns)
		assert.Equal(t, []time.Duration{long + short}, *plain)
	})
}

// TestTheGateSaysWhenARenderWaits counts what Turn.Waiting hears.
func TestTheGateSaysWhenARenderWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1)
		var heard []bool
		turn := Turn{OrganizationID: "a", Waiting: func(waits bool) { heard = append(heard, waits) }}
		nothing := func(context.Context) error { return nil }
		require.NoError(t, Pass(g.ContextFor(t.Context(), turn), nothing))
		assert.Empty(t, heard, "there was a place")

		renders(t, g, "b", 1, time.Second)
		require.NoError(t, Pass(g.ContextFor(t.Context(), turn), nothing))
		assert.Equal(t, []bool{true, false}, heard)

		renders(t, g, "b", 1, time.Second)
		ctx, cancel := context.WithTimeout(g.ContextFor(t.Context(), turn), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, Pass(ctx, nothing), context.DeadlineExceeded)
		assert.Equal(t, []bool{true, false, true, false}, heard)
		pass(time.Second)
		assert.Zero(t, g.inside)
		assert.Empty(t, g.waiting)
	})
}

// TestTheGateForgetsOrganizations shows that those that have been idle take no memory.
func TestTheGateForgetsOrganizations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1)
		for i := range 100 {
			renders(t, g, string(rune('a'+i)), 1, 0)
		}
		assert.Len(t, g.all, 100)
		pass(2 * rendererMemory)
		renders(t, g, "new", 1, 0)
		assert.Len(t, g.all, 1)
	})
}

// The organization is also known inside of a render, and where other values were added.
func TestTurnOf(t *testing.T) {
	t.Parallel()
	type key struct{}
	assert.Empty(t, TurnOf(t.Context()).OrganizationID)
	g := newGate(t, 1)
	assert.Empty(t, TurnOf(g.Context(t.Context())).OrganizationID)
	ctx := context.WithValue(g.ContextFor(t.Context(), Turn{OrganizationID: "acme"}), key{}, 1)
	assert.Equal(t, "acme", TurnOf(ctx).OrganizationID)
	require.NoError(t, Pass(ctx, func(ctx context.Context) error {
		assert.Equal(t, "acme", TurnOf(ctx).OrganizationID)
		return Pass(ctx, func(context.Context) error { return nil }) // it does not wait for itself
	}))
}
