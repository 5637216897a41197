package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/mixpeek/webhooks-go/event"
)

// A cache stands for that of a real consumer. It has only keys.
type cache struct {
	logger *slog.Logger
	mu     sync.Mutex
	keys   map[string]struct{}
}

func newCache(keys []string, logger *slog.Logger) *cache {
	c := &cache{logger: logger, keys: make(map[string]struct{})}
	for _, key := range keys {
		c.keys[key] = struct{}{}
	}
	return c
}

// invalidate drops the keys that the event makes stale.
func (c *cache) invalidate(_ context.Context, e *event.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.keys {
		if e.Invalidates(key) {
			delete(c.keys, key)
			c.logger.Info("dropped", "key", key, "event_id", e.ID)
		}
	}
	return nil
}
