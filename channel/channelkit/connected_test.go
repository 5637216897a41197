package channelkit_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

type connectedKey struct{}

// connected notes what HTTPConfig.Connected is told.
type connected struct {
	mu     sync.Mutex
	reused []bool
	seen   []any // of the contexts
}

func (c *connected) note(ctx context.Context, reused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reused, c.seen = append(c.reused, reused), append(c.seen, ctx.Value(connectedKey{}))
}

func (c *connected) send(t *testing.T, client *channelkit.HTTPClient, url string, times int) {
	t.Helper()
	ctx := context.WithValue(t.Context(), connectedKey{}, "the attempt's")
	endpoint := channelfixture.Open(t, httpendpoint.NewDriver(client, httpendpoint.Options{}),
		httpendpoint.Config{URL: url})
	for range times {
		_, err := endpoint.Send(ctx, channelfixture.Message())
		require.NoError(t, err)
	}
	for _, seen := range c.seen {
		assert.Equal(t, "the attempt's", seen, "it gets the context of the attempt")
	}
}

// untilKept calls try until it reports that connections were kept, ten times at most. On a busy machine
// net/http gives up some that it could keep: when it hears more than 50 ms late that the request is
// written.
func untilKept(try func() bool) {
	for range 10 {
		if try() {
			return
		}
	}
}

// expect calls send until the connections were these: see untilKept.
func (c *connected) expect(t *testing.T, want []bool, send func()) {
	t.Helper()
	untilKept(func() bool {
		c.reused = nil
		send()
		return slices.Equal(want, c.reused)
	})
	assert.Equal(t, want, c.reused)
}

// Connected tells of each connection that a request goes out on, whether net/http makes the request or
// package http1.
func TestConnected(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		c := &connected{}
		config.Connected = c.note
		url := channelfixture.Serve(t, func(http.ResponseWriter, *http.Request) {})
		client := channelfixture.NewClient(t, config)
		c.expect(t, []bool{false, true, true, false, true}, func() {
			client.CloseIdleConnections()
			c.send(t, client, url, 3)
			client.CloseIdleConnections()
			c.send(t, client, url, 2)
		})

		// There is no connection to tell of.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = channelfixture.Open(t, httpendpoint.NewDriver(client, httpendpoint.Options{}),
			httpendpoint.Config{URL: "http://" + l.Addr().String()}).
			Send(t.Context(), channelfixture.Message())
		require.Error(t, err)
		assert.Len(t, c.reused, 5)
	})
}

// A request that is sent once more has two connections: the kept one that ended, and a new one.
func TestConnectedTwice(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		c := &connected{}
		config.Connected = c.note
		url := conversation(t, func(conn net.Conn, br *bufio.Reader) {
			if readRequest(br) {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				readRequest(br)
			}
		})
		c.expect(t, []bool{false, true, false}, func() {
			c.send(t, channelfixture.NewClient(t, config), url, 2)
		})
	})
}

// A connection of HTTP/2 is opened once, and carries all requests.
func TestConnectedHTTP2(t *testing.T) {
	t.Parallel()
	c := &connected{}
	url, client := tlsServer(t, channelkit.HTTPConfig{Connected: c.note,
		TLS: &tls.Config{NextProtos: []string{"h2"}}}, nil, func(http.ResponseWriter, *http.Request) {})
	c.send(t, client, url, 3)
	assert.Equal(t, []bool{false, true, true}, c.reused)
}
