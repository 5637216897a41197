package redisstore

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Client is what Counters need of a go-redis client: all of them have it.
type Client interface {
	redis.Scripter
	Pipelined(ctx context.Context, fn func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// DefaultPrefix stands before every key unless told otherwise.
const DefaultPrefix = "webhook_receiver:"

// Config configures a [Dedupe] or [Counters].
type Config struct {
	// Prefix stands before every key, so that other users of the server keep
	// theirs. Defaults to [DefaultPrefix].
	Prefix string
}

func (c Config) prefix(kind string) string {
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	return c.Prefix + kind
}

var errNoClient = errors.New("redisstore: the client is nil")

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
