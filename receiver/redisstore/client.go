package redisstore

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Client is the part of a go-redis client that [Counters] and [Keys] use. Every client of go-redis
// implements it.
type Client interface {
	redis.Scripter
	// Pipelined sends the commands that fn adds to the pipeline in one round trip.
	Pipelined(ctx context.Context, fn func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// DefaultPrefix is the default of [Config.Prefix].
const DefaultPrefix = "webhook_receiver:"

// Config configures a [Dedupe] or [Counters].
type Config struct {
	// Prefix begins every key, so that other programs can use the same server.
	// Defaults to [DefaultPrefix].
	Prefix string
}

func (c Config) prefix(kind string) string {
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	return c.Prefix + kind
}

var errNoClient = errors.New("redisstore: the client is nil")

// await calls f and returns its results, or the cause of ctx if that is done first.
// Without ContextTimeoutEnabled go-redis checks a context only between its attempts, so
// that a server which does not answer would hold a call for several times ReadTimeout. The
// abandoned call keeps a connection of the pool for that time, and the pool bounds how many
// there are.
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
