package http1

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

// idleConns are the connections that no request uses. They end without the close_notify of TLS:
// to write it could wait for a host that does not read.
type idleConns struct {
	max, perHost int
	timeout      time.Duration

	mu     sync.Mutex
	all    list.List                // of *conn, the one that has been idle for longest in front
	byHost map[host][]*list.Element // in the same order
	timer  *time.Timer              // nil while there are none
}

// get takes out the connection to a host that became idle last, which is the least likely to
// have been closed. It returns nil if there is none.
func (p *idleConns) get(h host) *conn {
	for {
		p.mu.Lock()
		conns := p.byHost[h]
		if len(conns) == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.remove(conns[len(conns)-1])
		p.mu.Unlock()
		if c.isAtRest() {
			return c
		}
		c.abort()
	}
}

// put keeps a connection, and closes one if there are too many.
func (p *idleConns) put(c *conn) {
	if c.socket.raw == nil { // whether it is at rest could not be told
		c.abort()
		return
	}
	p.mu.Lock()
	var surplus *conn
	if conns := p.byHost[c.host]; len(conns) >= p.perHost {
		surplus = p.remove(conns[0])
	} else if p.all.Len() >= p.max {
		surplus = p.remove(p.all.Front())
	}
	c.idleSince = time.Now()
	if p.byHost == nil {
		p.byHost = make(map[host][]*list.Element)
	}
	p.byHost[c.host] = append(p.byHost[c.host], p.all.PushBack(c))
	if p.timer == nil {
		p.timer = time.AfterFunc(p.timeout, p.closeExpired)
	}
	p.mu.Unlock()
	if surplus != nil {
		surplus.abort()
	}
}

// remove takes out a connection. The caller holds the lock.
func (p *idleConns) remove(e *list.Element) *conn {
	c := p.all.Remove(e).(*conn)
	conns := p.byHost[c.host]
	i := len(conns) - 1
	if conns[i] != e {
		i = slices.Index(conns, e)
	}
	if conns = slices.Delete(conns, i, i+1); len(conns) == 0 {
		delete(p.byHost, c.host)
	} else {
		p.byHost[c.host] = conns
	}
	return c
}

// closeExpired closes the connections that have been idle for too long, and comes again when
// the next is due.
func (p *idleConns) closeExpired() {
	p.mu.Lock()
	var expired []*conn
	p.timer = nil
	for p.all.Len() > 0 {
		e := p.all.Front()
		left := p.timeout - time.Since(e.Value.(*conn).idleSince)
		if left > 0 {
			p.timer = time.AfterFunc(left, p.closeExpired)
			break
		}
		expired = append(expired, p.remove(e))
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
	for p.all.Len() > 0 {
		conns = append(conns, p.remove(p.all.Front()))
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.abort()
	}
}
