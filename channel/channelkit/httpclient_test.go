package channelkit_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

// tlsServer starts an HTTPS server, and returns a client that trusts it.
func tlsServer(
	t testing.TB, config channelkit.HTTPConfig, change func(*httptest.Server), h http.HandlerFunc,
) (string, *channelkit.HTTPClient) {
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	if change != nil {
		change(s)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	if config.TLS == nil {
		config.TLS = &tls.Config{}
	}
	if config.TLS.RootCAs == nil && config.TLS.ServerName == "" {
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		config.TLS = config.TLS.Clone()
		config.TLS.RootCAs = roots
	}
	if config.AllowNets == nil {
		config.AllowPrivate = true
	}
	c := channelfixture.NewClient(t, config)
	t.Cleanup(c.CloseIdleConnections)
	return s.URL, c
}

// quiet is for servers that are meant to fail.
var quiet = log.New(io.Discard, "", 0)

func post(t testing.TB, c *channelkit.HTTPClient, url string) (*channelkit.HTTPResponse, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	require.NoError(t, err)
	return c.Do(req)
}

func TestHTTPClientRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		wanted, spoken []string // protocols of the client, and of the server
		want           string
	}{
		{nil, []string{"h2", "http/1.1"}, "HTTP/1.1"},
		{[]string{"h2"}, []string{"h2", "http/1.1"}, "HTTP/2.0"},
		{[]string{"h2"}, []string{"http/1.1"}, "HTTP/1.1"},
		{nil, []string{"h2", "other"}, "HTTP/2.0"},
	} {
		var got *http.Request
		base, client := tlsServer(t, channelkit.HTTPConfig{
			AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, UserAgent: "acme/1",
			TLS: &tls.Config{NextProtos: tt.wanted},
		}, func(s *httptest.Server) {
			s.Config.ErrorLog = quiet
			s.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				config := s.TLS.Clone()
				config.NextProtos, config.GetConfigForClient = tt.spoken, nil
				if !slices.Contains(tt.spoken, "http/1.1") && !slices.Contains(hello.SupportedProtos, "h2") {
					config.NextProtos = []string{"other"} // crypto/tls would make an exception
				}
				return config, nil
			}}
		}, func(w http.ResponseWriter, r *http.Request) {
			got = r
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			_, _ = io.WriteString(w, "fine")
		})
		for range 2 {
			resp, err := post(t, client, base+"/x")
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)
			assert.Equal(t, "fine", string(resp.Body))
			assert.Equal(t, tt.want, got.Proto)
			assert.Equal(t, "acme/1", got.UserAgent())
			assert.Equal(t, []string{"identity"}, got.Header["Accept-Encoding"],
				"none would allow every compression")
			assert.Empty(t, got.Cookies(), "no cookie is kept")
		}
	}
}

func TestHTTPClientRefusesWrongURLs(t *testing.T) {
	t.Parallel()
	client := channelfixture.NewClient(t, channelkit.HTTPConfig{})
	for _, bad := range []string{"http://example.com/sesame", "https://127.0.0.1/sesame",
		"https://user:sesame@example.com/"} {
		_, err := post(t, client, bad)
		got := channel.AsError(err)
		require.NotNil(t, got, bad)
		assert.Equal(t, channel.ClassConfig, got.Class)
		assert.False(t, got.Retryable())
		assert.NotContains(t, err.Error(), "sesame")
	}
}

func TestHTTPClientNoOldTLS(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		base, client := tlsServer(t, config, func(s *httptest.Server) {
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS10,
				MaxVersion: tls.VersionTLS11} //nolint:gosec // what must be refused
			s.Config.ErrorLog = quiet
		}, func(http.ResponseWriter, *http.Request) {})
		_, err := post(t, client, base)
		assert.Equal(t, channel.ClassTLS, channel.AsError(err).Class, "%v", err)

		config.TLS = &tls.Config{ServerName: "example.org"}
		base, client = tlsServer(t, config,
			func(s *httptest.Server) { s.Config.ErrorLog = quiet },
			func(http.ResponseWriter, *http.Request) {})
		_, err = post(t, client, base)
		assert.Equal(t, channel.ClassTLS, channel.AsError(err).Class, "%v", err)
		var verify *tls.CertificateVerificationError
		assert.ErrorAs(t, err, &verify, "the reason can be had")
	})
}

func TestHTTPClientLimits(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		size := 0
		base := channelfixture.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = w.Write(bytes.Repeat([]byte("x"), size))
		})
		config.MaxResponse = 1000
		client := channelfixture.NewClient(t, config)
		t.Cleanup(client.CloseIdleConnections)
		for _, size = range []int{0, 1, 999, 1000} {
			resp, err := post(t, client, base)
			require.NoError(t, err, size)
			assert.Len(t, resp.Body, size)
		}
		for _, size = range []int{1001, 100_000} {
			resp, err := post(t, client, base)
			require.NoError(t, err, size)
			assert.Len(t, resp.Body, 1000, size)
			assert.True(t, resp.Truncated, size)
		}
	})
}

// A body of no declared length is waited for up to four times the limit, and is
// endless if it goes on.
func TestHTTPClientEndlessBodies(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		size, status := 0, 200
		base := channelfixture.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_ = http.NewResponseController(w).Flush() // from here on the body is chunked
			_, _ = w.Write(bytes.Repeat([]byte("x"), size))
		})
		config.MaxResponse = 1000
		client := channelfixture.NewClient(t, config)
		t.Cleanup(client.CloseIdleConnections)
		for _, size = range []int{1000, 1001, 4000} {
			resp, err := post(t, client, base)
			require.NoError(t, err, size)
			assert.Len(t, resp.Body, 1000)
			assert.Equal(t, size > 1000, resp.Truncated, size)
		}
		for _, size = range []int{4001, 1 << 20} {
			_, err := post(t, client, base)
			assert.Equal(t, channel.ClassTooLarge, channel.AsError(err).Class, "%d: %v", size, err)
			assert.Equal(t, 200, channel.AsError(err).StatusCode)
		}
		status = 410
		resp, err := post(t, client, base)
		require.NoError(t, err, "a 410 is a 410")
		assert.Equal(t, 410, resp.StatusCode)
		assert.True(t, resp.Truncated)
	})
}

// An answer within the limit is read to its end, so that its connection serves
// the next request too.
func TestHTTPClientKeepsConnections(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		conns := map[string]bool{}
		base := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			conns[r.RemoteAddr] = true
			_, _ = w.Write(bytes.Repeat([]byte("x"), 100_000))
		})
		client := channelfixture.NewClient(t, config)
		c := channelfixture.Open(t, httpendpoint.NewDriver(client, httpendpoint.Options{}),
			httpendpoint.Config{URL: base})
		untilKept(func() bool {
			client.CloseIdleConnections()
			clear(conns)
			for range 5 {
				result, err := c.Send(t.Context(), channelfixture.Message())
				require.NoError(t, err)
				assert.Len(t, result.Response, 1024+len("…"))
			}
			return len(conns) == 1
		})
		assert.Len(t, conns, 1)
	})
}

// The environment's proxy is not used unless it is asked for.
func TestHTTPClientProxy(t *testing.T) {
	var proxied atomic.Int64
	proxy := channelfixture.Serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("HTTPS_PROXY", proxy)
	base := channelfixture.Serve(t, func(http.ResponseWriter, *http.Request) {})
	_, err := post(t, channelfixture.Client(t), base)
	require.NoError(t, err)
	assert.Zero(t, proxied.Load())

	to, err := url.Parse(proxy)
	require.NoError(t, err)
	client := channelfixture.NewClient(t,
		channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true, Proxy: http.ProxyURL(to)})
	t.Cleanup(client.CloseIdleConnections)
	_, err = post(t, client, "http://example.com/")
	require.NoError(t, err)
	assert.Equal(t, int64(1), proxied.Load())

	client = channelfixture.NewClient(t,
		channelkit.HTTPConfig{AllowHTTP: true, Proxy: http.ProxyURL(to)})
	_, err = post(t, client, "http://example.com/")
	assert.Equal(t, channel.ClassRefusedAddress, channel.AsError(err).Class,
		"the proxy's own address is checked")
}

// What cannot be connected to is told apart, and the URL is in none of it.
func TestHTTPClientErrors(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		closed := listener.Addr().String()
		require.NoError(t, listener.Close())

		tests := []struct {
			url    string
			config channelkit.HTTPConfig
			class  channel.Class
		}{
			{"http://" + closed + "/sesame?k=sesame",
				channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true}, channel.ClassConnect},
			{
				"http://name.invalid/sesame?k=sesame",
				channelkit.HTTPConfig{AllowHTTP: true},
				channel.ClassDNS,
			},
		}
		for _, tt := range tests {
			tt.config.Middleware = config.Middleware
			_, err := post(t, channelfixture.NewClient(t, tt.config), tt.url)
			got := channel.AsError(err)
			require.NotNil(t, got)
			assert.Equal(t, tt.class, got.Class, "%v", err)
			assert.True(t, got.Retryable())
			for e := err; e != nil; e = errors.Unwrap(e) {
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), "sesame")
			}
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+closed, nil)
		require.NoError(t, err)
		_, err = channelfixture.NewClient(t, config).Do(req)
		assert.ErrorIs(t, err, context.Canceled)
	})
}

// A name is checked by what it resolves to when it is connected to.
func TestHTTPClientRefusesAtConnectTime(t *testing.T) {
	t.Parallel()
	base := channelfixture.Serve(t, func(http.ResponseWriter, *http.Request) { t.Error("connected") })
	u, err := url.Parse(base)
	require.NoError(t, err)
	// An allowed network that the name does not resolve into lets "localhost"
	// past the check of the URL, but not past the dialer.
	client := channelfixture.NewClient(t,
		channelkit.HTTPConfig{AllowHTTP: true,
			AllowNets: []netip.Prefix{netip.MustParsePrefix("::1/128")}})
	_, err = post(t, client, "http://localhost:"+u.Port()+"/")
	got := channel.AsError(err)
	require.NotNil(t, got)
	if got.Class != channel.ClassConnect { // ::1 is tried as well, where there is IPv6, and nothing listens there
		var refused *channelkit.AddressError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, channel.ClassRefusedAddress, got.Class)
		assert.Equal(t, "127.0.0.1", refused.Addr.String())
		assert.EqualError(t, err, "channel: refused_address: loopback addresses are not connected to")
	}
}

// HTTP/2 has its own ways to go wrong, and they end the same way.
func TestHTTPClientHTTP2(t *testing.T) {
	t.Parallel()
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		part := func() {
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
		}
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/abort-body":
			part()
			panic(http.ErrAbortHandler)
		case "/hang":
			<-r.Context().Done()
		case "/hang-body":
			part()
			<-r.Context().Done()
		case "/header":
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 2000))
			}
		case "/body":
			for {
				if _, err := w.Write(make([]byte, 10_000)); err != nil {
					return
				}
			}
		}
	}
	tests := []struct {
		path   string
		class  channel.Class
		status int
	}{
		{"/abort", channel.ClassProtocol, 0},
		{"/abort-body", channel.ClassProtocol, 200},
		{"/hang", channel.ClassTimeout, 0},
		{"/hang-body", channel.ClassTimeout, 200},
		{"/header", channel.ClassProtocol, 0},
		{"/body", channel.ClassTooLarge, 200},
		{"/fine", "", 200},
	}
	for _, tt := range tests {
		t.Run(tt.path[1:], func(t *testing.T) {
			t.Parallel()
			if testing.Short() && tt.class == channel.ClassTimeout {
				t.Skip("waits for half a second")
			}
			base, client := tlsServer(t,
				channelkit.HTTPConfig{TLS: &tls.Config{NextProtos: []string{"h2"}}},
				func(s *httptest.Server) { s.Config.ErrorLog = quiet }, handler)
			limit := 10.0
			if tt.class == channel.ClassTimeout {
				limit = 0.5
			}
			result, err := channelfixture.Open(t, httpendpoint.NewDriver(client, httpendpoint.Options{}),
				map[string]any{"url": base + tt.path, "timeout": limit}).Send(t.Context(),
				channelfixture.Message())
			if tt.class == "" {
				require.NoError(t, err)
				return
			}
			got := channel.AsError(err)
			require.NotNil(t, got)
			assert.Equal(t, tt.class, got.Class, "%v", err)
			assert.True(t, got.Retryable())
			if tt.class != channel.ClassTimeout { // how far it came depends on the machine
				assert.Equal(t, tt.status, result.StatusCode)
			}
		})
	}
}

// Where it is the proxy that fails, the history says so, and nothing of where
// it is.
func TestHTTPClientProxyFails(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	answering := func(answer string) string {
		return conversation(t, func(c net.Conn, br *bufio.Reader) {
			readRequest(br)
			_, _ = io.WriteString(c, answer)
		})
	}
	answeringAtOnce := func(answer string) string {
		return conversation(t, func(c net.Conn, br *bufio.Reader) {
			_, _ = br.Discard(3)
			_, _ = io.WriteString(c, answer)
			_, _ = br.Peek(1)
		})
	}
	const https, http1 = "https://shop.example/hook", "http://shop.example/hook"
	tests := []struct {
		name, proxy, url string
		class            channel.Class
		text             string
	}{
		{"407", answering("HTTP/1.1 407 sesame\r\nProxy-Authenticate: Basic\r\n\r\n"), https,
			channel.ClassProxy, "the proxy refuses the login: it answered 407 to CONNECT"},
		{"407 without CONNECT", answering("HTTP/1.1 407 sesame\r\nContent-Length: 6\r\n\r\nsesame"),
			http1, channel.ClassProxy, "the proxy refuses the login: it answered 407"},
		{"403", answering("HTTP/1.1 403 sesame\r\n\r\n"), https, channel.ClassProxy,
			"the proxy refuses the connection: it answered 403 to CONNECT"},
		{"204", answering("HTTP/1.1 204 sesame\r\n\r\n"), https, channel.ClassProxy,
			"the proxy refuses the connection: it answered 204 to CONNECT"},
		{"502", answering("HTTP/1.1 502 sesame\r\n\r\n"), https, channel.ClassConnect,
			"the proxy has no connection to the endpoint: it answered 502 to CONNECT"},
		{"503", answering("HTTP/1.1 503 sesame\r\nRetry-After: 9\r\n\r\n"), https, channel.ClassConnect,
			"the proxy has no connection to the endpoint: it answered 503 to CONNECT"},
		{"closes", answering(""), https, channel.ClassProxy, "the proxy gave no valid answer to CONNECT"},
		{"speaks another protocol", answering("220 sesame\r\n"), https, channel.ClassProxy,
			"the proxy gave no valid answer to CONNECT"},
		{"down", "http://" + closed.Addr().String(), https, channel.ClassProxy,
			"the proxy cannot be connected to: connection refused"},
		{"down, without CONNECT", "http://" + closed.Addr().String(), http1, channel.ClassProxy,
			"the proxy cannot be connected to: connection refused"},
		{"unknown", "http://sesame.invalid", https, channel.ClassProxy,
			"the proxy cannot be connected to: dns"},
		{"no TLS", strings.Replace(answering("HTTP/1.1 400 sesame\r\n\r\n"), "http:", "https:", 1), https,
			channel.ClassProxy, "the proxy cannot be connected to"},
		{"SOCKS", strings.Replace(answeringAtOnce("\x05\xff"), "http:", "socks5:", 1), https,
			channel.ClassProxy, "the proxy refuses the connection"},
		{"connects and closes", answering("HTTP/1.1 200 OK\r\n\r\n"), https, channel.ClassClosed, ""},
	}
	for _, tt := range tests {
		to, err := url.Parse(tt.proxy)
		require.NoError(t, err)
		client := channelfixture.NewClient(t,
			channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true, Proxy: http.ProxyURL(to)})
		_, err = post(t, client, tt.url)
		got := channel.AsError(err)
		require.NotNil(t, got, tt.name)
		assert.Equal(t, tt.class, got.Class, "%s: %v", tt.name, err)
		assert.Contains(t, err.Error(), tt.text, tt.name)
		assert.True(t, got.Retryable(), tt.name)
		assert.Zero(t, got.StatusCode, "%s: the endpoint has not answered", tt.name)
		assert.NotContains(t, err.Error(), "sesame", tt.name)
		assert.NotContains(t, err.Error(), to.Host, tt.name)
		client.CloseIdleConnections()
	}
}

// Through a proxy that tunnels, both versions of HTTP work, and connections are
// kept.
func TestHTTPClientTunnels(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		var requests, tunnels atomic.Int64
		proxy := conversation(t, func(c net.Conn, br *bufio.Reader) {
			r, err := http.ReadRequest(br)
			if err != nil || r.Method != http.MethodConnect {
				return
			}
			tunnels.Add(1)
			to, err := net.Dial("tcp", r.Host)
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			var both sync.WaitGroup
			both.Go(func() {
				_, _ = io.Copy(to, br)
				_ = to.Close()
			})
			both.Go(func() {
				_, _ = io.Copy(c, to)
				_ = c.Close()
			})
			both.Wait()
		})
		through, err := url.Parse(proxy)
		require.NoError(t, err)
		base, client := tlsServer(t, channelkit.HTTPConfig{Proxy: http.ProxyURL(through)},
			func(s *httptest.Server) { s.EnableHTTP2 = http2 },
			func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				_, _ = io.WriteString(w, r.Proto)
			})
		untilKept(func() bool {
			client.CloseIdleConnections()
			requests.Store(0)
			tunnels.Store(0)
			for range 3 {
				resp, err := post(t, client, base)
				require.NoError(t, err)
				assert.Equal(t, map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2], string(resp.Body))
			}
			return tunnels.Load() == 1
		})
		assert.Equal(t, []int64{3, 1}, []int64{requests.Load(), tunnels.Load()})
		client.CloseIdleConnections()
	}
}

// Zero is the default, and a negative value an error.
func TestHTTPConfig(t *testing.T) {
	t.Parallel()
	_, err := channelkit.NewHTTPClient(channelkit.HTTPConfig{MaxResponse: -1, MaxIdlePerHost: -1})
	require.EqualError(t, err, "channelkit: NewHTTPClient: invalid: MaxResponse: must be at least 1, "+
		"is -1; MaxIdlePerHost: must be at least 1, is -1")
}
