package postgres_test

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proxy is a TCP proxy between a store and its server. It simulates failures of the network.
type proxy struct {
	listener net.Listener

	mu      sync.Mutex
	network string // of the server
	address string
	links   []*link
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	mu             sync.Mutex
	changed        *sync.Cond
	state          linkState
}

type linkState int

const (
	flowing  linkState = iota
	holding            // bytes are delayed
	vanished           // bytes are lost silently
	closed
)

// newProxy starts a proxy for the server at the network and address.
func newProxy(t testing.TB, network, address string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, network: network, address: address}
	var group sync.WaitGroup
	group.Go(func() { p.accept(&group) })
	t.Cleanup(func() {
		assert.NoError(t, listener.Close())
		p.set(closed)
		group.Wait()
	})
	return p
}

// proxied starts a proxy for the server of a URL, and returns the URL that leads through the proxy.
func proxied(t testing.TB, dsn string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	p := newProxy(t, "tcp", u.Host)
	u.Host = p.listener.Addr().String()
	return p, u.String()
}

func (p *proxy) accept(group *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		server, err := net.Dial(p.network, p.address)
		if err != nil {
			p.mu.Unlock()
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server}
		l.changed = sync.NewCond(&l.mu)
		p.links = append(p.links, l)
		p.mu.Unlock()
		group.Go(func() { l.copy(client, server) })
		group.Go(func() { l.copy(server, client) })
	}
}

// to makes the proxy forward new connections to another server.
func (p *proxy) to(network, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network, p.address = network, address
}

// set changes the state of the existing connections. New ones are flowing.
func (p *proxy) set(state linkState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.set(state)
	}
}

func (l *link) set(state linkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	l.changed.Broadcast()
	if state == closed {
		_, _ = l.client.Close(), l.server.Close()
	}
}

// copy forwards what one side sends. When one side closes its connection, copy closes both.
func (l *link) copy(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.mu.Lock()
		for l.state == holding {
			l.changed.Wait()
		}
		lost := l.state == vanished
		l.mu.Unlock()
		if lost {
			if err != nil {
				return // without closing the other side
			}
			continue
		}
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			l.set(closed)
			return
		}
	}
}
