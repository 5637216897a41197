package webhook

import (
	"context"
	"fmt"
	"slices"
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
	channels map[string]openedChannel // by channel key
}

// openedChannel is a channel, or why there is none.
type openedChannel struct {
	channel.Channel
	err error
	// elsewhere says that this process has no driver of the channel's name;
	// another one may have it.
	elsewhere bool
}

// maxCachedWebhooks bounds the memory that webhooks nobody delivers to any more
// can hold.
const maxCachedWebhooks = 20_000

func newChannelCache(store Store, registry *channel.Registry) *channelCache {
	return &channelCache{store: store, registry: registry, entries: make(map[string]*cacheEntry)}
}

// open makes the channels of a webhook, by key. The error names every problem.
func (c *channelCache) open(w *Webhook) (map[string]openedChannel, error) {
	var p event.Problems
	opened := make(map[string]openedChannel, len(w.Channels))
	names := c.registry.Names()
	keys := w.ChannelKeys()
	for i, cfg := range w.Channels {
		if cfg.Channel == "" || !isJSONObject(cfg.Configs) {
			continue // Validate says so
		}
		ch, err := c.registry.Open(cfg.Channel, cfg.Configs)
		p.AddError(fmt.Sprintf("channels[%d]", i), err)
		opened[keys[i]] = openedChannel{ch, err, !slices.Contains(names, cfg.Channel)}
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
	channels, _ := c.open(w) // each channel has its own error
	e := &cacheEntry{revision: w.Revision, paused: w.Paused, channels: channels}
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
