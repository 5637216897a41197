package dispatch_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// callHook calls the hook of the name with a zero argument, and returns the context that it gives.
func callHook(ctx context.Context, hooks dispatch.Hooks, name string) context.Context {
	hook := reflect.ValueOf(hooks).FieldByName(name)
	args := []reflect.Value{reflect.ValueOf(&ctx).Elem()}
	if hook.Type().NumIn() == 1 { // Attempted has no context
		args = nil
	}
	out := hook.Call(append(args, reflect.Zero(hook.Type().In(len(args)))))
	if len(out) == 0 {
		return nil
	}
	return out[0].Interface().(context.Context)
}

// Every field of Hooks is joined, those that are added later among them.
func TestJoinHooks(t *testing.T) {
	t.Parallel()
	var order []string
	var first, second dispatch.Hooks
	a := recordHooks(&first, func(name string) { order = append(order, "first "+name) })
	b := recordHooks(&second, func(name string) { order = append(order, "second "+name) })
	joined := dispatch.JoinHooks(first, dispatch.Hooks{}, second)
	fields := reflect.TypeFor[dispatch.Hooks]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		order = nil
		ctx := callHook(t.Context(), joined, name)
		require.Len(t, a.of(name), 1, name)
		require.Len(t, b.of(name), 1, name)
		want := []string{"first " + name, "second " + name}
		if strings.HasSuffix(name, "End") {
			want = []string{"second " + name, "first " + name}
		}
		assert.Equal(t, want, order)
		if strings.HasSuffix(name, "Start") {
			assert.NotNil(t, b.of(name)[0].ctx.Value(startedBy{name}), "%s: the second goes on", name)
			assert.NotNil(t, ctx.Value(startedBy{name}))
		}
	}
}

func TestJoinHooksLeavesNilOut(t *testing.T) {
	t.Parallel()
	empty := reflect.ValueOf(dispatch.JoinHooks(dispatch.Hooks{}, dispatch.Hooks{}))
	assert.True(t, empty.IsZero(), "nothing costs anything")

	var some dispatch.Hooks
	calls := recordHooks(&some, nil)
	for _, joined := range []dispatch.Hooks{
		dispatch.JoinHooks(some), dispatch.JoinHooks(some, dispatch.Hooks{}),
		dispatch.JoinHooks(dispatch.Hooks{}, some),
	} {
		callHook(t.Context(), joined, "EmitStart")
		callHook(t.Context(), joined, "EmitEnd")
		callHook(t.Context(), joined, "Attempted")
	}
	assert.Len(t, calls.of("EmitStart"), 3)
	assert.Len(t, calls.of("EmitEnd"), 3)
	assert.Len(t, calls.of("Attempted"), 3)
}

// A Start hook that returns nil leaves the context as it was, also between two.
func TestJoinHooksWithoutContext(t *testing.T) {
	t.Parallel()
	nothing := dispatch.Hooks{
		EmitStart: func(context.Context, dispatch.EmitStart) context.Context { return nil },
	}
	type key struct{}
	something := dispatch.Hooks{
		EmitStart: func(ctx context.Context, _ dispatch.EmitStart) context.Context {
			return context.WithValue(ctx, key{}, 1)
		},
	}
	for _, joined := range []dispatch.Hooks{
		dispatch.JoinHooks(nothing, something), dispatch.JoinHooks(something, nothing),
	} {
		assert.Equal(t, 1, callHook(t.Context(), joined, "EmitStart").Value(key{}))
	}
}

// A hook that panics does not keep the other from being called. The panic goes on, and the
// Dispatcher logs it.
func TestJoinHooksPanic(t *testing.T) {
	t.Parallel()
	var bad, good dispatch.Hooks
	recordHooks(&bad, func(string) { panic("a hook") })
	calls := recordHooks(&good, nil)
	for _, joined := range []dispatch.Hooks{
		dispatch.JoinHooks(bad, good), dispatch.JoinHooks(good, bad),
	} {
		for _, name := range []string{"EmitStart", "EmitEnd", "Attempted"} {
			assert.PanicsWithValue(t, "a hook", func() { callHook(t.Context(), joined, name) })
		}
	}
	for _, name := range []string{"EmitStart", "EmitEnd", "Attempted"} {
		assert.Len(t, calls.of(name), 2, name)
	}
}
