package webhook

import (
	"context"
	"fmt"
	"sync"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
)

// channelCache keeps webhooks' channels, with their compiled templates, until
// the webhook changes.
type channelCache struct {
	store    Store
	registry *channel.Registry

	mu      sync.RWMutex
	entries map[string]*cacheEntry // by webhook id

	loading sync.Mutex
}

type cacheEntry struct {
	revision int64
	paused   bool
	channels map[string]channel.Channel // by channel key
	err      error                      // why they could not be opened
}

// maxCachedWebhooks bounds the memory that webhooks nobody delivers to any more
// can hold.
const maxCachedWebhooks = 20_000

func newChannelCache(store Store, registry *channel.Registry) *channelCache {
	return &channelCache{store: store, registry: registry, entries: make(map[string]*cacheEntry)}
}

// open makes the channels of a webhook, by key. The error names every problem.
func (c *channelCache) open(w *Webhook) (map[string]channel.Channel, error) {
	var p event.Problems
	opened := make(map[string]channel.Channel, len(w.Channels))
	keys := w.ChannelKeys()
	for i, cfg := range w.Channels {
		if cfg.Channel == "" || !isJSONObject(cfg.Configs) {
			continue // Validate says so
		}
		ch, err := c.registry.Open(cfg.Channel, cfg.Configs)
		p.AddError(fmt.Sprintf("channels[%d]", i), err)
		opened[keys[i]] = ch
	}
	return opened, p.Err()
}

// get returns the webhook's channels as of the revision or a later one. It
// returns ErrNotFound if the webhook is gone.
func (c *channelCache) get(ctx context.Context, organizationID, id string, revision int64) (*cacheEntry, error) {
	if e := c.lookup(id, revision); e != nil {
		return e, nil
	}
	c.loading.Lock()
	defer c.loading.Unlock()
	if e := c.lookup(id, revision); e != nil {
		return e, nil
	}
	w, err := c.store.Webhook(ctx, organizationID, id)
	if err != nil {
		return nil, err
	}
	channels, err := c.open(w)
	e := &cacheEntry{revision: w.Revision, paused: w.Paused, channels: channels, err: err}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxCachedWebhooks {
		clear(c.entries)
	}
	c.entries[id] = e
	return e, nil
}

func (c *channelCache) lookup(id string, revision int64) *cacheEntry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e := c.entries[id]; e != nil && e.revision >= revision {
		return e
	}
	return nil
}

func (c *channelCache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, id)
}
