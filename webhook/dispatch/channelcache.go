package dispatch

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// channelCache keeps subscriptions' channels, with their compiled templates, until
// the subscription changes.
type channelCache struct {
	store    webhook.Store
	registry *channel.Registry

	// opens bounds how many subscriptions have their channels opened at once, in turns of
	// organizations: what compiles costs CPU time and memory, whoever asks for it.
	opens *template.Gate

	mu      sync.Mutex
	entries map[cacheKey]*cacheEntry
	loads   map[cacheKey]*cacheLoad
	shares  cacheShares // of the entries, one for each organization that has some
	byID    map[string]*cacheShare
	bytes   int // of all entries
}

type cacheKey struct{ organizationID, subscriptionID string }

type cacheEntry struct {
	name     string
	revision int64
	paused   bool
	retry    *webhook.Retry
	ordering *webhook.Ordering
	channels map[string]openedChannel // by channel key
	// unhealthy has the health of the endpoints that were degraded or disabled when the entry was
	// read, if it was read for a delivery that had been queued for a while. It says nothing of one
	// that was claimed just now: the store hands out only what may be attempted.
	unhealthy map[string]webhook.Health
	// statesRead says that it was read for one that had been queued, so that unhealthy has all there are.
	statesRead bool
	loadedAt   time.Time
	bytes      int // see sizeOf
}

// waits reports whether a delivery for the channel waits because of the health of its endpoint. A
// probe is for one that is degraded.
func (e *cacheEntry) waits(channelKey string, probe bool) bool {
	health, unhealthy := e.unhealthy[channelKey]
	return unhealthy && (health == webhook.Disabled || !probe)
}

// serves reports whether the entry is of the revision or a later one, and read no earlier than the
// given time, with the states of the endpoints if that is not zero.
func (e *cacheEntry) serves(revision int64, loadedSince time.Time) bool {
	return e.revision >= revision && !e.loadedAt.Before(loadedSince) &&
		(e.statesRead || loadedSince.IsZero())
}

func (e *cacheEntry) names(channelKey string) names {
	return names{webhook: e.name, host: e.channels[channelKey].host.Name}
}

// cacheLoad is an entry that is being read; done is closed when it has been.
type cacheLoad struct {
	done  chan struct{}
	entry *cacheEntry
	err   error
}

// openedChannel is a channel, or why there is none.
type openedChannel struct {
	channel.Channel
	err          error
	capabilities channel.Capabilities
	host         fairqueue.Host      // that attempts go to, if the channel says so
	rate         fairqueue.RateLimit // the subscription's, or the channel's own
	timeout      time.Duration       // that Send enforces; zero is none
	// noDriver says that this process has no driver of the channel's name; another process may have
	// one.
	noDriver bool
}

// The bounds of the memory of subscriptions that get no deliveries any more, and of those that an
// organization makes to take memory. Channels take up to about 32 times the bytes of their configs.
const (
	maxCachedSubscriptions = 20_000
	maxCachedBytes         = 16 << 20
)

// sizeOf is what a subscription counts in maxCachedBytes.
func sizeOf(sub *webhook.Subscription) int {
	bytes := 512
	for _, cfg := range sub.Channels {
		bytes += len(cfg.Configs)
	}
	return bytes
}

func newChannelCache(store webhook.Store, registry *channel.Registry) *channelCache {
	opens, _ := template.NewGate(0) // a valid number
	return &channelCache{
		store: store, registry: registry, opens: opens,
		entries: make(map[cacheKey]*cacheEntry), loads: make(map[cacheKey]*cacheLoad),
		byID: make(map[string]*cacheShare),
	}
}

// open makes the channels of a subscription, by key, as soon as it is the organization's turn:
// those with the given keys, or all if there are none. The error names every problem. If ctx ends
// first, there are no channels, not even an empty map, and the error is that of ctx.
func (c *channelCache) open(
	ctx context.Context, sub *webhook.Subscription, only ...string,
) (opened map[string]openedChannel, problems error) {
	turn := template.Turn{OrganizationID: sub.OrganizationID}
	err := template.Pass(c.opens.ContextFor(ctx, turn), func(context.Context) error {
		opened, problems = c.openNow(sub, only)
		return nil
	})
	if err != nil {
		return nil, ctx.Err()
	}
	return opened, problems
}

func (c *channelCache) openNow(
	sub *webhook.Subscription, only []string,
) (map[string]openedChannel, error) {
	var p event.Problems
	opened := make(map[string]openedChannel, len(sub.Channels))
	names := c.registry.Names()
	keys := sub.ChannelKeys()
	for i, cfg := range sub.Channels {
		known := slices.Contains(names, cfg.Channel)
		if cfg.Channel == "" || known && !cfg.IsObject() {
			continue // Validate says so
		}
		if len(only) > 0 && !slices.Contains(only, keys[i]) {
			continue
		}
		ch := c.openOne(cfg)
		ch.rate = rateOf(sub.RateLimit, ch.capabilities)
		p.AddError(fmt.Sprintf("channels[%d]", i), ch.err)
		ch.noDriver = !known
		opened[keys[i]] = ch
	}
	return opened, p.Err()
}

// openOne calls the driver, whose panic is an error: it would end the process
// again after each start.
func (c *channelCache) openOne(cfg webhook.ChannelConfig) (opened openedChannel) {
	defer func() {
		if recover() != nil {
			opened = openedChannel{err: fmt.Errorf("the driver of channel %q panicked", cfg.Channel)}
		}
	}()
	ch, err := c.registry.Open(cfg.Channel, cfg.Configs)
	if err != nil {
		return openedChannel{Channel: ch, err: err}
	}
	opened = openedChannel{Channel: ch}
	if ch != nil {
		can := ch.Capabilities()
		opened.capabilities, opened.timeout = can, can.Timeout
		opened.host = fairqueue.Host{Name: can.Host}
		if can.Host != "" {
			opened.host.MaxInFlight = max(can.MaxInFlight, 0)
		}
	}
	return opened
}

// get returns the subscription's channels as of the revision or a later one, read no
// earlier than the given time. It returns ErrNotFound if the subscription is gone, and an error if
// ctx ends first. What is being read then is read to its end: others wait for it.
func (c *channelCache) get(
	ctx context.Context, organizationID, id string, revision int64, loadedSince time.Time,
) (*cacheEntry, error) {
	key := cacheKey{organizationID, id}
	for {
		c.mu.Lock()
		if e := c.entries[key]; e != nil && e.serves(revision, loadedSince) {
			c.mu.Unlock()
			return e, nil
		}
		load, mine := c.loads[key], false
		if load == nil {
			load, mine = &cacheLoad{done: make(chan struct{})}, true
			c.loads[key] = load
			go c.load(context.WithoutCancel(ctx), key, load, !loadedSince.IsZero())
		}
		c.mu.Unlock()
		select {
		case <-load.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if mine || load.err != nil {
			return load.entry, load.err
		}
	}
}

// load reads the subscription, for all who wait.
func (c *channelCache) load(ctx context.Context, key cacheKey, load *cacheLoad, states bool) {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	sub, err := c.store.Subscription(ctx, key.organizationID, key.subscriptionID)
	var unhealthy map[string]webhook.Health
	if err == nil && states {
		unhealthy, err = c.unhealthy(ctx, key)
	}
	if err == nil {
		load.entry = &cacheEntry{
			name: sub.Name, revision: sub.Revision, paused: sub.Paused, retry: sub.Retry,
			ordering: sub.Ordering,
			channels: c.cachedChannels(key, sub.Revision), unhealthy: unhealthy, statesRead: states,
			loadedAt: started, bytes: sizeOf(sub),
		}
		if load.entry.channels == nil {
			var problems error
			load.entry.channels, problems = c.open(ctx, sub)
			if load.entry.channels == nil {
				load.entry, err = nil, problems
			} // otherwise each channel has its own error
		}
	}
	load.err = err
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loads, key)
	switch {
	case err == nil:
		c.put(key, load.entry)
	case errors.Is(err, webhook.ErrNotFound):
		c.remove(key) // another process has deleted it
	}
	close(load.done)
}

// unhealthy returns the health of the channels of a subscription that are degraded or disabled.
func (c *channelCache) unhealthy(
	ctx context.Context, key cacheKey,
) (map[string]webhook.Health, error) {
	states, err := c.store.EndpointStates(ctx, webhook.EndpointQuery{
		OrganizationID: key.organizationID, SubscriptionID: key.subscriptionID,
		Limit: webhook.MaxChannels,
	})
	if len(states) == 0 {
		return nil, err
	}
	unhealthy := make(map[string]webhook.Health, len(states))
	for _, s := range states {
		unhealthy[s.Channel] = s.Health
	}
	return unhealthy, err
}

// cachedChannels returns the channels of the subscription if they are of this revision:
// compiling templates again would cost more than reading the subscription did.
func (c *channelCache) cachedChannels(key cacheKey, revision int64) map[string]openedChannel {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil && e.revision == revision {
		return e.channels
	}
	return nil
}

func (c *channelCache) forget(organizationID, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(cacheKey{organizationID, id})
}

// put keeps an entry, in place of entries of the organization that has most.
func (c *channelCache) put(key cacheKey, e *cacheEntry) {
	c.remove(key)
	for len(c.entries) >= maxCachedSubscriptions ||
		len(c.entries) > 0 && c.bytes+e.bytes > maxCachedBytes {
		most := c.shares[0]
		if own := c.byID[key.organizationID]; own != nil && own.bytes+e.bytes >= most.bytes {
			most = own
		}
		for id := range most.subscriptions { // in no order
			c.remove(cacheKey{most.organizationID, id})
			break
		}
	}
	share := c.byID[key.organizationID]
	if share == nil {
		share = &cacheShare{organizationID: key.organizationID, subscriptions: make(map[string]bool)}
		c.byID[key.organizationID] = share
		heap.Push(&c.shares, share)
	}
	c.entries[key] = e
	share.subscriptions[key.subscriptionID] = true
	c.grow(share, e.bytes)
}

// remove drops an entry, if there is one.
func (c *channelCache) remove(key cacheKey) {
	e, share := c.entries[key], c.byID[key.organizationID]
	if e == nil {
		return
	}
	delete(c.entries, key)
	delete(share.subscriptions, key.subscriptionID)
	c.grow(share, -e.bytes)
	if len(share.subscriptions) == 0 {
		heap.Remove(&c.shares, share.at)
		delete(c.byID, key.organizationID)
	}
}

func (c *channelCache) grow(share *cacheShare, bytes int) {
	c.bytes += bytes
	share.bytes += bytes
	heap.Fix(&c.shares, share.at)
}

// cacheShare is what an organization has of a channelCache.
type cacheShare struct {
	organizationID string
	subscriptions  map[string]bool // by id
	bytes          int
	at             int // in cacheShares
}

// cacheShares is a heap: the largest is the first.
type cacheShares []*cacheShare

func (s cacheShares) Len() int           { return len(s) }
func (s cacheShares) Less(i, j int) bool { return s[i].bytes > s[j].bytes }

func (s cacheShares) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].at, s[j].at = i, j
}

func (s *cacheShares) Push(x any) {
	share := x.(*cacheShare)
	share.at = len(*s)
	*s = append(*s, share)
}

func (s *cacheShares) Pop() any {
	last := len(*s) - 1
	share := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return share
}
