package main

import (
	"context"
	"slices"
	"sync"

	"github.com/mixpeek/webhooks-go/event"
)

// unrelatedKey is cached, and no event of the story concerns it.
var unrelatedKey = event.CacheKey("acme", "articles", "obj_unrelated")

// A cache holds what the consumer has loaded, and keeps a record of what each
// event made it drop.
type cache struct {
	mu      sync.Mutex
	entries map[string]string   // by cache key
	dropped map[string][]string // keys, by event id
}

func newCache() *cache {
	return &cache{
		entries: map[string]string{
			event.CacheKey("acme", "articles", "obj_abc123"):   "an article",
			event.CacheKey("acme", "images", "img_1"):          "an image",
			event.CacheKey("acme", "films", "film_1"):          "a film",
			event.CacheKey("ns_prod", "col_products", "doc_1"): "a product",
			unrelatedKey: "another article",
		},
		dropped: make(map[string][]string),
	}
}

// invalidate drops what the event says is stale. The Receiver calls it before an
// event counts as handled.
func (c *cache) invalidate(_ context.Context, e *event.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.entries {
		if e.Invalidates(key) {
			delete(c.entries, key)
			c.dropped[e.ID] = append(c.dropped[e.ID], key)
		}
	}
	return nil
}

func (c *cache) droppedBy(e *event.Event) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.dropped[e.ID]))
}

func (c *cache) has(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, found := c.entries[key]
	return found
}
