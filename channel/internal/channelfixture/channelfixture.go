// Package channelfixture holds what the tests of several channels need.
package channelfixture

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/channeltest"
	"github.com/mixpeek/webhooks-go/event"
)

// Client connects to test servers: plain http, loopback.
func Client(t testing.TB) *channelkit.HTTPClient {
	return NewClient(t, channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true})
}

// NewClient returns a client whose idle connections are closed at the end of the test.
func NewClient(t testing.TB, config channelkit.HTTPConfig) *channelkit.HTTPClient {
	c, err := channelkit.NewHTTPClient(config)
	require.NoError(t, err)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// EachTransport runs f with each of the two ways that requests to HTTP/1.1 endpoints take:
// package http1, and net/http, to which traced requests are left. The configurations are for test
// servers, as that of Client is.
func EachTransport(t *testing.T, f func(t *testing.T, config channelkit.HTTPConfig)) {
	config := channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true}
	t.Run("http1", func(t *testing.T) { f(t, config) })
	config.Middleware = []func(http.RoundTripper) http.RoundTripper{traced}
	t.Run("net_http", func(t *testing.T) { f(t, config) })
}

func traced(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(),
			&httptrace.ClientTrace{})))
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Serve starts a server that is gone at the end of the test.
func Serve(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Open opens a configuration that must be right.
func Open(t testing.TB, d channel.Driver, config any) channel.Channel {
	raw, err := json.Marshal(config)
	require.NoError(t, err)
	c, err := d.Open(raw)
	require.NoError(t, err)
	return c
}

// Payload is an envelope as stored.
const Payload = `{"event_id":"evt_abc123","event_type":"object.created","occurred_at":"2025-10-08T16:09:00Z",` +
	`"namespace":"acme","collection":"articles","actor":"system","subject":{"type":"object","id":"obj_abc123"},"version":"v1",` +
	`"cache_scope_to_invalidate":{"scope":"key","keys":["mixpeek:acme:articles:obj_abc123"]},` +
	`"metadata":{"object_id":"obj_abc123","bucket_id":"bkt_xyz","content_type":"video/mp4"}}`

// Message is the first attempt of an event.
func Message() *channel.Message {
	return &channel.Message{EventID: "evt_abc123", EventType: event.ObjectCreated, Attempt: 1,
		Payload: []byte(Payload)}
}

// HangingPort is the port of a server on loopback that never answers.
func HangingPort(t testing.TB) string {
	for _, m := range channeltest.Misbehaviours() {
		if m.Name == "never answers" {
			u, err := url.Parse(m.Start(t))
			require.NoError(t, err)
			return u.Port()
		}
	}
	t.Fatal("no such misbehaviour")
	return ""
}

// BreakOff writes a part of the answer and closes the connection.
func BreakOff(w http.ResponseWriter, part string) {
	_, _ = io.WriteString(w, part)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
