package redisstore

import "context"

// await calls f and returns what it does, or the cause when ctx is done before.
// go-redis looks at a context only between its attempts unless it is told to
// (ContextTimeoutEnabled), so that a server that accepts and does not answer
// holds a call for several times its ReadTimeout. What is left behind holds one
// connection of the pool until then, and there are no more than that has.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	if ctx.Done() == nil {
		return f()
	}
	type reply struct {
		value T
		err   error
	}
	replied := make(chan reply, 1)
	go func() {
		value, err := f()
		replied <- reply{value, err}
	}()
	select {
	case r := <-replied:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
