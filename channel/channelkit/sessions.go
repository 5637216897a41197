package channelkit

import (
	"context"
	"crypto/tls"
	"sync"

	"github.com/mixpeek/webhooks-go/channel/internal/fairset"
	"github.com/mixpeek/webhooks-go/template"
)

// organizationOf returns whose a request is, by its context. It is "" for a request that no
// Dispatcher makes.
func organizationOf(ctx context.Context) string { return template.TurnOf(ctx).OrganizationID }

// sessions has the sessions of TLS that a connection can resume, one for each host, whose requests
// share it. When there are too many, one of the organization that has most is forgotten.
type sessions struct {
	max int

	mu    sync.Mutex
	byKey map[string]*fairset.Item[session]
	all   fairset.Set[session]
}

type session struct {
	key   string // that crypto/tls knows it by
	state *tls.ClientSessionState
}

func newSessions(limit int) *sessions {
	return &sessions{max: limit, byKey: make(map[string]*fairset.Item[session])}
}

// forRequest returns a cache for the connection that a request with that context opens.
func (s *sessions) forRequest(ctx context.Context) tls.ClientSessionCache {
	return &sessionCache{s, organizationOf(ctx)}
}

// sessionCache is a tls.ClientSessionCache of an organization's connection.
type sessionCache struct {
	sessions     *sessions
	organization string
}

// Get returns the session of a host.
func (c *sessionCache) Get(key string) (*tls.ClientSessionState, bool) {
	s := c.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.byKey[key]
	if it == nil {
		return nil, false
	}
	s.all.Renew(it)
	return it.Value.state, true
}

// Put keeps the session of a host, or forgets it if there is no state.
func (c *sessionCache) Put(key string, state *tls.ClientSessionState) {
	s := c.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.byKey[key]
	if it != nil {
		s.all.Remove(it)
	}
	if state == nil {
		delete(s.byKey, key)
		return
	}
	if it == nil {
		it = &fairset.Item[session]{}
		s.byKey[key] = it
	}
	it.Value = session{key, state}
	s.all.Add(it, c.organization)
	if s.all.Len() > s.max {
		surplus := s.all.Surplus()
		s.all.Remove(surplus)
		delete(s.byKey, surplus.Value.key)
	}
}
