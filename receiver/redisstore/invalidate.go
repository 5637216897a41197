package redisstore

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/mixpeek/webhooks-go/receiver/invalidate"
)

var (
	//go:embed bump.lua
	bumpLua string
	//go:embed read.lua
	readLua string
)

// Counters are [invalidate.Counters] in Redis. They are safe for concurrent use, and many processes
// may share them. A number expires 30 days after it was first read or last bumped, and a server
// that evicts may lose it sooner: readers then load again, and get no stale answers. A failover
// that loses the last Bump brings stale answers back: see the package's documentation.
type Counters struct {
	client     Client
	prefix     string
	bump, read *redis.Script
}

var _ invalidate.Counters = (*Counters)(nil)

// NewCounters returns Counters in Redis. client is any client of go-redis; nil is an error.
func NewCounters(client Client, config Config) (*Counters, error) {
	if client == nil {
		return nil, errNoClient
	}
	return &Counters{
		client: client,
		prefix: config.prefix("generation:"),
		bump:   redis.NewScript(bumpLua),
		read:   redis.NewScript(readLua),
	}, nil
}

// Bump implements [invalidate.Counters].
func (c *Counters) Bump(ctx context.Context, names ...string) error {
	for _, name := range names {
		_, err := await(ctx, func() (any, error) {
			return c.bump.Run(ctx, c.client, []string{c.prefix + name}).Result()
		})
		if err != nil {
			return fmt.Errorf("redisstore: bump: %w", err)
		}
	}
	return nil
}

// Read implements [invalidate.Counters], in one round trip.
func (c *Counters) Read(ctx context.Context, names ...string) ([]int64, error) {
	numbers := make([]int64, len(names))
	if len(names) == 0 {
		return numbers, nil
	}
	replies, err := await(ctx, func() ([]*redis.Cmd, error) { return c.pipeline(ctx, names) })
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		// A pipeline has no fallback to EVAL, as Script.Run has.
		replies, err = await(ctx, func() ([]*redis.Cmd, error) {
			if err := c.read.Load(ctx, c.client).Err(); err != nil {
				return nil, err
			}
			return c.pipeline(ctx, names)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("redisstore: read: %w", err)
	}
	for i, reply := range replies {
		if numbers[i], err = reply.Int64(); err != nil {
			return nil, fmt.Errorf("redisstore: read: %w", err)
		}
	}
	return numbers, nil
}

func (c *Counters) pipeline(ctx context.Context, names []string) ([]*redis.Cmd, error) {
	replies := make([]*redis.Cmd, len(names))
	_, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			replies[i] = c.read.EvalSha(ctx, p, []string{c.prefix + name})
		}
		return nil
	})
	return replies, err
}

// Keys returns an invalidate.Keys that deletes keys of a cache in Redis. The cache's keys begin
// with prefix. Each key is a command of its own, as Cluster needs it, in one round trip. client
// must not be nil.
func Keys(client Client, prefix string) invalidate.Keys {
	return func(ctx context.Context, keys ...string) error {
		_, err := await(ctx, func() ([]redis.Cmder, error) {
			return client.Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, key := range keys {
					p.Unlink(ctx, prefix+key)
				}
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("redisstore: keys: %w", err)
		}
		return nil
	}
}
