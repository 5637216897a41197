package http1

import (
	"context"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel/internal/fairset"
)

// idleConns are the connections that no request uses. They end without the close_notify of TLS:
// to write it could wait for a host that does not read.
type idleConns struct {
	max, perHost int
	timeout      time.Duration
	organization func(context.Context) string // see Config

	mu     sync.Mutex
	all    connList
	byHost map[host]connList
	shares fairset.Set[*conn] // all, by the organization
	timer  *time.Timer        // nil while there are none
}

// A connList is a list of connections, the one that has been idle for longest first.
type connList struct {
	oldest, newest *conn
	n              int
}

// links are the neighbours of a connection in a connList.
type links struct{ older, newer *conn }

// The lists that a connection is in, by their place in conn.inList.
const (
	allList  = 0
	hostList = 1
)

func (l *connList) add(c *conn, which int) {
	c.inList[which] = links{older: l.newest}
	if l.newest != nil {
		l.newest.inList[which].newer = c
	} else {
		l.oldest = c
	}
	l.newest = c
	l.n++
}

func (l *connList) remove(c *conn, which int) {
	at := c.inList[which]
	if at.older != nil {
		at.older.inList[which].newer = at.newer
	} else {
		l.oldest = at.newer
	}
	if at.newer != nil {
		at.newer.inList[which].older = at.older
	} else {
		l.newest = at.older
	}
	c.inList[which] = links{}
	l.n--
}

// get takes out the connection to a host that became idle last, which is the least likely to
// have been closed. It returns nil if there is none. The connection may not be at rest.
func (p *idleConns) get(h host) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.byHost[h].newest
	if c != nil {
		p.remove(c)
	}
	return c
}

// put keeps a connection after a request with that context, and closes one if there are too many.
// All organizations share the connections to a host, and the limit of a host.
func (p *idleConns) put(ctx context.Context, c *conn) {
	if c.socket.raw == nil { // whether it is at rest could not be told
		c.abort()
		return
	}
	organization := ""
	if p.organization != nil {
		organization = p.organization(ctx)
	}
	p.mu.Lock()
	var surplus *conn
	if conns := p.byHost[c.host]; conns.n >= p.perHost {
		surplus = conns.oldest
		p.remove(surplus)
	}
	c.idleSince = time.Now()
	if p.byHost == nil {
		p.byHost = make(map[host]connList)
	}
	p.all.add(c, allList)
	conns := p.byHost[c.host]
	conns.add(c, hostList)
	p.byHost[c.host] = conns
	c.share.Value = c
	p.shares.Add(&c.share, organization)
	if p.all.n > p.max {
		surplus = p.shares.Victim().Value
		p.remove(surplus)
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.timeout, p.closeExpired)
	}
	p.mu.Unlock()
	if surplus != nil {
		surplus.abort()
	}
}

// remove takes out a connection. The caller holds the lock.
func (p *idleConns) remove(c *conn) {
	p.all.remove(c, allList)
	p.shares.Remove(&c.share)
	conns := p.byHost[c.host]
	if conns.remove(c, hostList); conns.n == 0 {
		delete(p.byHost, c.host)
	} else {
		p.byHost[c.host] = conns
	}
}

// closeExpired closes the connections that have been idle for too long, and comes again when
// the next is due.
func (p *idleConns) closeExpired() {
	p.mu.Lock()
	var expired []*conn
	p.timer = nil
	for c := p.all.oldest; c != nil; c = p.all.oldest {
		left := p.timeout - time.Since(c.idleSince)
		if left > 0 {
			p.timer = time.AfterFunc(left, p.closeExpired)
			break
		}
		p.remove(c)
		expired = append(expired, c)
	}
	p.mu.Unlock()
	for _, c := range expired {
		c.abort()
	}
}

// closeAll closes all of them.
func (p *idleConns) closeAll() {
	p.mu.Lock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	var conns []*conn
	for c := p.all.oldest; c != nil; c = p.all.oldest {
		p.remove(c)
		conns = append(conns, c)
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.abort()
	}
}
