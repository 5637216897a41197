package dispatch

import "context"

// JoinHooks returns Hooks that call those of each list, for a service that wants both traces and
// metrics. Nil hooks are left out, so that what nothing listens to costs nothing.
//
// Start hooks are called in the order of the arguments, each with the context that the one before
// it returned. End hooks are called in the opposite order, as deferred calls are, so that the last
// hook runs inside what the first one began. All others are called in the order of the arguments. A
// hook is called even if the one before it panics; the contexts of that Start are then lost.
func JoinHooks(hooks ...Hooks) Hooks {
	var all Hooks
	for i := range hooks {
		h := &hooks[i]
		all = Hooks{
			EmitStart:     joinStart(all.EmitStart, h.EmitStart),
			EmitEnd:       join(h.EmitEnd, all.EmitEnd),
			AttemptStart:  joinStart(all.AttemptStart, h.AttemptStart),
			AttemptEnd:    join(h.AttemptEnd, all.AttemptEnd),
			ClaimStart:    joinStart(all.ClaimStart, h.ClaimStart),
			ClaimEnd:      join(h.ClaimEnd, all.ClaimEnd),
			SettleStart:   joinStart(all.SettleStart, h.SettleStart),
			SettleEnd:     join(h.SettleEnd, all.SettleEnd),
			PruneStart:    joinStart(all.PruneStart, h.PruneStart),
			PruneEnd:      join(h.PruneEnd, all.PruneEnd),
			LeasesLost:    join(all.LeasesLost, h.LeasesLost),
			RunStart:      joinStart(all.RunStart, h.RunStart),
			RunDrain:      join(all.RunDrain, h.RunDrain),
			RunEnd:        join(h.RunEnd, all.RunEnd),
			HealthChanged: join(all.HealthChanged, h.HealthChanged),
			Throttled:     join(all.Throttled, h.Throttled),
			Attempted:     joinResult(all.Attempted, h.Attempted),
		}
	}
	return all
}

// joinStart returns a hook that calls first and then second with the context of first.
func joinStart[T any](
	first, second func(context.Context, T) context.Context,
) func(context.Context, T) context.Context {
	if first == nil {
		return second
	}
	if second == nil {
		return first
	}
	return func(ctx context.Context, about T) (out context.Context) {
		out = ctx
		defer func() { // even if first panics
			if given := second(out, about); given != nil {
				out = given
			}
		}()
		if given := first(ctx, about); given != nil {
			out = given
		}
		return out
	}
}

// join returns a hook that calls first and then second.
func join[T any](first, second func(context.Context, T)) func(context.Context, T) {
	if first == nil {
		return second
	}
	if second == nil {
		return first
	}
	return func(ctx context.Context, about T) {
		defer second(ctx, about) // even if first panics
		first(ctx, about)
	}
}

// joinResult is join for a hook without a context.
func joinResult(first, second func(Result)) func(Result) {
	if first == nil {
		return second
	}
	if second == nil {
		return first
	}
	return func(r Result) {
		defer second(r) // even if first panics
		first(r)
	}
}
