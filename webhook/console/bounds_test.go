package console_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// pipes is a listener whose connections are in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Browsers that are slow, or only seem to be, do not keep the places of others.
func TestSlowBrowsersLeavePlaces(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"form": "POST /console/templates HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n" +
			"Content-Type: application/x-www-form-urlencoded\r\n",
		"page": "GET /console/templates HTTP/1.1\r\nHost: x\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, err := dispatch.New(memstore.New(), dispatch.Config{Channels: channel.NewRegistry()})
				require.NoError(t, err)
				c, err := console.New(d, func(r *http.Request) (console.Identity, error) {
					return console.Identity{Organizations: []string{r.Header.Get("Org")}}, nil
				}, console.Config{MaxRequests: 2, Logger: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				connections := make(pipes)
				server := &http.Server{Handler: c}
				go func() { _ = server.Serve(connections) }()
				defer func() {
					close(connections)
					_ = server.Close()
				}()
				for _, organization := range []string{"a", "b"} {
					client, conn := net.Pipe()
					defer func() { _ = client.Close() }()
					connections <- conn
					_, err := io.WriteString(client, request+"Org: "+organization+"\r\n\r\n")
					require.NoError(t, err)
				}
				get := func() int {
					synctest.Wait()
					w := httptest.NewRecorder()
					c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/console/templates", nil))
					return w.Code
				}
				assert.Equal(t, http.StatusServiceUnavailable, get())
				time.Sleep(21 * time.Second) // the form, and its answer
				assert.Equal(t, http.StatusOK, get())
			})
		})
	}
}
