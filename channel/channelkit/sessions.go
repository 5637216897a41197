package channelkit

import (
	"context"
	"crypto/tls"
	"sync"

	"github.com/mixpeek/webhooks-go/channel/internal/fairset"
	"github.com/mixpeek/webhooks-go/template"
)

// organizationOf returns the id of the organization that a request with that context is made for.
// It is "" for a request that no Dispatcher makes.
func organizationOf(ctx context.Context) string { return template.TurnOf(ctx).OrganizationID }

// sessionCache keeps TLS sessions, so that a new connection can resume one instead of making a full
// handshake. It has one for each host, which all organizations use. When there are more than limit,
// it forgets one of the organization that has most. It is safe for concurrent use.
type sessionCache struct {
	limit int

	mu    sync.Mutex
	byKey map[string]*fairset.Item[session]
	all   fairset.Set[session]
}

type session struct {
	key   string // by which crypto/tls asks for it
	state *tls.ClientSessionState
}

func newSessionCache(limit int) *sessionCache {
	return &sessionCache{limit: limit, byKey: make(map[string]*fairset.Item[session])}
}

// forRequest returns the cache for a connection that is opened for a request with that context.
func (c *sessionCache) forRequest(ctx context.Context) tls.ClientSessionCache {
	return &ownedSessionCache{c, organizationOf(ctx)}
}

// ownedSessionCache is a sessionCache as crypto/tls uses it for a connection of one organization. A
// session that is put in counts for that organization, unless it replaces another one of the host.
type ownedSessionCache struct {
	cache        *sessionCache
	organization string // an id; "" for a request that no Dispatcher makes
}

// Get returns the session of a host, and false if there is none.
func (o *ownedSessionCache) Get(key string) (*tls.ClientSessionState, bool) {
	c := o.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	it := c.byKey[key]
	if it == nil {
		return nil, false
	}
	c.all.Touch(it)
	return it.Value.state, true
}

// Put keeps the session of a host. If state is nil, it forgets the one that it has.
func (o *ownedSessionCache) Put(key string, state *tls.ClientSessionState) {
	c := o.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	it := c.byKey[key]
	if it != nil {
		c.all.Remove(it)
	}
	if state == nil {
		delete(c.byKey, key)
		return
	}
	if it == nil {
		it = &fairset.Item[session]{}
		c.byKey[key] = it
	}
	it.Value = session{key, state}
	c.all.Add(it, o.organization)
	if c.all.Len() > c.limit {
		victim := c.all.Victim()
		c.all.Remove(victim)
		delete(c.byKey, victim.Value.key)
	}
}
