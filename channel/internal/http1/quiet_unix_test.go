//go:build unix

package http1_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/http1"
)

// quietConn is a connection to a host that has stopped reading: once it is quiet, whatever is
// written would wait.
type quietConn struct {
	*net.TCPConn
	quiet, wrote atomic.Bool
}

func (c *quietConn) Write(b []byte) (int, error) {
	if c.quiet.Load() {
		c.wrote.Store(true)
		return 0, errors.New("written to a host that does not read")
	}
	return c.TCPConn.Write(b)
}

// arrived reports whether there is something to read.
func (c *quietConn) arrived(t testing.TB) bool {
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	n := 0
	require.NoError(t, raw.Read(func(fd uintptr) bool {
		n, _, _ = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return true
	}))
	return n > 0
}

// dialQuiet returns a Dial, and the connections that it made.
func dialQuiet(c *http1.Config) <-chan *quietConn {
	made := make(chan *quietConn, 10)
	c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		q := &quietConn{TCPConn: dialed.(*net.TCPConn)}
		made <- q
		return q, nil
	}
	return made
}

// To look at a kept connection writes nothing: TLS would answer a bad record with an alert, and
// wait for a host that does not read. Such a connection is not used again.
func TestProbeWritesNothing(t *testing.T) {
	t.Parallel()
	spoil := make(chan struct{})
	var made <-chan *quietConn
	server, transport := serveTLS(t, &tls.Config{}, func(c net.Conn, br *bufio.Reader) {
		for readRequest(br) {
			_, _ = io.WriteString(c, okAnswer)
			if _, ok := <-spoil; ok {
				raw := c.(*tls.Conn).NetConn()
				_, _ = raw.Write([]byte("\x17\x03\x03\x00\x04oops"))
			}
		}
	}, func(c *http1.Config) { made = dialQuiet(c) })
	status, _, err := post(t, transport, "https://"+server.addr)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	first := <-made
	first.quiet.Store(true)
	spoil <- struct{}{}
	require.Eventually(t, func() bool { return first.arrived(t) }, time.Minute, time.Millisecond)
	status, _, err = post(t, transport, "https://"+server.addr)
	require.NoError(t, err)
	assert.Equal(t, 200, status)
	assert.False(t, first.wrote.Load(), "the probe wrote")
	close(spoil)
}

// A connection that is given up writes nothing either: the close_notify of TLS could wait, and
// with it the request to another host that has taken its place.
func TestSurplusConnectionsEndAtOnce(t *testing.T) {
	t.Parallel()
	var made <-chan *quietConn
	server, transport := serveTLS(t, &tls.Config{}, answering(okAnswer), func(c *http1.Config) {
		made = dialQuiet(c)
		c.MaxIdle = 1
	})
	_, _, err := post(t, transport, "https://"+server.addr)
	require.NoError(t, err)
	first := <-made
	first.quiet.Store(true)
	other := serve(t, answering(okAnswer))
	_, _, err = post(t, transport, "http://"+other.addr)
	require.NoError(t, err)
	assert.False(t, first.wrote.Load(), "close_notify was written")
	second := <-made
	second.quiet.Store(true)
	transport.CloseIdleConnections()
	assert.False(t, second.wrote.Load())
}
