package channelkit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/internal/http1"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
)

// HTTPConfig configures an HTTPClient. The zero value is right for endpoints that subscribers
// configure.
type HTTPConfig struct {
	// AllowHTTP also accepts plain http, for development. Defaults to false: only https.
	AllowHTTP bool

	// AllowPrivate turns the check of addresses off: loopback, private, link-local and metadata
	// addresses are then connected to. It is for development and tests; in production prefer
	// AllowNets. Defaults to false.
	AllowPrivate bool

	// AllowNets lists networks that may be connected to although they are private or otherwise
	// special. Defaults to none.
	AllowNets []netip.Prefix

	// Proxy returns the proxy for a request, as http.Transport.Proxy does. The environment is
	// ignored unless this is http.ProxyFromEnvironment. With a proxy, only the proxy's own address
	// is checked: the proxy then has to keep requests away from private addresses. Defaults to
	// none.
	Proxy func(*http.Request) (*url.URL, error)

	// TLS is the TLS configuration, for example with your own roots or a client certificate. It is
	// copied, and a minimum version below 1.2 is raised to 1.2. With "h2" in NextProtos, net/http
	// makes all requests, over HTTP/2 where an endpoint speaks it. Without, that holds for the few
	// that are left to net/http, as the package's documentation says under Connections. Defaults to
	// the system's roots.
	TLS *tls.Config

	// Middleware wraps the http.RoundTripper that makes the requests, to trace, measure or log them.
	// The first is the outermost. It sees requests as they are sent, with their secrets, and answers
	// as they arrive, before they are bounded. Addresses and schemes are checked beneath it, so
	// middleware cannot lead a request past these checks. If middleware returns an error of its own,
	// the attempt has failed: a *channel.Error is kept as it is, the text of any other is dropped. It
	// may trace requests with net/http/httptrace, which leaves them to net/http. Defaults to none.
	Middleware []func(next http.RoundTripper) http.RoundTripper

	// Connected is called for each connection that a request goes out on, with the context of the
	// request. reused says that the connection was kept from an earlier request, or carries others at
	// the same time, and was not opened for this one. A request that is sent once more, as the
	// package's documentation says under Connections, has two; one for which no connection could be
	// opened has none. It must not block, and is called from many goroutines at a time. Metrics of
	// webhook/promhook and package webhook/otelhook have a function for it. Defaults to none.
	Connected func(ctx context.Context, reused bool)

	// UserAgent is the User-Agent of requests that do not set one. Defaults to DefaultUserAgent.
	UserAgent string

	// MaxResponse is how many bytes of an answer's body are read; a value above 2 GiB counts as 2 GiB.
	// A longer body is cut, which does not change what the status means. But if a 2xx answer does not
	// declare its length and goes on for more than four times this limit, the attempt has failed. A
	// channel that needs more of an answer to understand it reads that (TargetConfig.MaxAnswer).
	// Defaults to 1 MiB.
	MaxResponse int64

	// MaxIdlePerHost is how many idle connections to one host are kept for later requests. Set it
	// to the usual number of concurrent requests to one host. Defaults to 64.
	MaxIdlePerHost int
}

// DefaultUserAgent is the User-Agent of requests unless HTTPConfig or the request sets another.
const DefaultUserAgent = "webhooks-go (+https://github.com/mixpeek/webhooks-go)"

// The limits that are not for configuration.
const (
	maxResponseHeader = 64 << 10
	maxIdle           = 1024
	idleTimeout       = 90 * time.Second
	tlsTimeout        = 10 * time.Second
)

// An HTTPClient makes requests to endpoints that subscribers configure. The HTTP channels of a
// process share one, and with it its connections. Besides what HTTPConfig says, it follows no
// redirect, keeps no cookie, asks for uncompressed answers, and bounds their header and body. It is
// safe for concurrent use.
type HTTPClient struct {
	transport   *http.Transport   // for what direct leaves to it
	direct      *http1.Transport  // in front of transport, unless all requests need that
	exchange    http.RoundTripper // the two, and the middleware around them
	guard       addressGuard
	dialer      *net.Dialer
	tls         *tls.Config
	sessions    *sessionCache               // nil if HTTPConfig.TLS has a cache of its own
	connected   func(context.Context, bool) // nil for none
	allowHTTP   bool
	userAgent   string
	maxResponse int64
}

// NewHTTPClient returns an HTTPClient. If a field of config is negative, the error wraps an
// *event.ValidationError.
func NewHTTPClient(config HTTPConfig) (*HTTPClient, error) {
	return newHTTPClient(config, maxIdle)
}

// newHTTPClient returns an HTTPClient that keeps that many connections and sessions of TLS.
func newHTTPClient(config HTTPConfig, limit int) (*HTTPClient, error) {
	settings.Default(&config.UserAgent, DefaultUserAgent)
	settings.Default(&config.MaxResponse, 1<<20)
	settings.Default(&config.MaxIdlePerHost, 64)
	var problems event.Problems
	settings.AtLeast(&problems, "MaxResponse", config.MaxResponse, 1)
	settings.AtLeast(&problems, "MaxIdlePerHost", config.MaxIdlePerHost, 1)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("channelkit: NewHTTPClient: %w", err)
	}
	c := &HTTPClient{
		guard: addressGuard{
			allowAll: config.AllowPrivate,
			allow:    slices.Clone(config.AllowNets),
		},
		connected:   config.Connected,
		allowHTTP:   config.AllowHTTP,
		userAgent:   config.UserAgent,
		maxResponse: min(config.MaxResponse, math.MaxInt32),
	}
	c.dialer = c.guard.dialer()
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if config.TLS != nil {
		tlsConfig = config.TLS.Clone()
		tlsConfig.MinVersion = max(tlsConfig.MinVersion, tls.VersionTLS12)
	}
	var sessionsFor func(context.Context) tls.ClientSessionCache
	if tlsConfig.ClientSessionCache == nil {
		// Thousands of hosts, each visited again after its connection went
		// idle: a resumed handshake costs a fraction of a full one.
		c.sessions = newSessionCache(limit)
		sessionsFor = c.sessions.forRequest
		// What a proxy tunnels comes without a context: it counts as one organization.
		tlsConfig.ClientSessionCache = c.sessions.forRequest(context.Background())
	}
	c.tls = tlsConfig
	c.transport = &http.Transport{
		Proxy:                  config.Proxy,
		DialContext:            c.dial,
		DialTLSContext:         c.dialTLS,
		TLSClientConfig:        tlsConfig.Clone(), // for what a proxy tunnels; net/http adds to it
		TLSHandshakeTimeout:    tlsTimeout,
		DisableCompression:     true,
		MaxIdleConns:           limit, // it cannot tell organizations apart
		MaxIdleConnsPerHost:    config.MaxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		ForceAttemptHTTP2:      true,
		GetProxyConnectHeader:  proxyAsked,
		OnProxyConnectResponse: proxyAnswered,
		HTTP2: &http.HTTP2Config{
			// Without pings a dead HTTP/2 connection takes in every request
			// until the kernel gives up on it.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     10 * time.Second,
		},
	}
	viaTransport := roundTripper(c.viaTransport)
	c.direct = http1.New(http1.Config{
		Dial: c.dialer.DialContext, TLS: tlsConfig, Sessions: sessionsFor, TLSTimeout: tlsTimeout,
		MaxIdle: limit, MaxIdlePerHost: config.MaxIdlePerHost, IdleTimeout: idleTimeout,
		Organization: organizationOf,
		MaxHeader:    maxResponseHeader, Fallback: viaTransport, Connected: config.Connected,
	})
	c.exchange = c.direct
	if config.Proxy != nil || slices.Contains(tlsConfig.NextProtos, "h2") {
		c.exchange = viaTransport
	}
	if len(config.Middleware) > 0 {
		c.exchange = c.checkScheme(c.exchange)
	}
	for _, wrap := range slices.Backward(config.Middleware) {
		c.exchange = wrap(c.exchange)
	}
	return c, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// viaTransport makes a request with net/http.
func (c *HTTPClient) viaTransport(r *http.Request) (*http.Response, error) {
	return c.transport.RoundTrip(r.WithContext(withConnTrace(r.Context(), c.connected)))
}

// checkScheme is what middleware wraps, because it may have changed the request.
func (c *HTTPClient) checkScheme(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL == nil || r.URL.Scheme != "http" || c.allowHTTP {
			return next.RoundTrip(r)
		}
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, &channel.Error{Class: channel.ClassConfig,
			Err: errors.New("middleware made the request plain http, which is not allowed here")}
	})
}

// CloseIdleConnections closes the connections that no request is using.
func (c *HTTPClient) CloseIdleConnections() {
	c.transport.CloseIdleConnections()
	c.direct.CloseIdleConnections()
}

// HTTPResponse is the answer to a request.
type HTTPResponse struct {
	StatusCode int
	Header     http.Header
	Body       []byte

	// Truncated says that Body is only the beginning, because the rest exceeds MaxResponse or never
	// came.
	Truncated bool
}

// Do makes one request and reads the answer, up to MaxResponse. Only the request's context bounds
// how long that takes: give it a deadline. An answer of any status is not an error:
// [channel.Classify] says what it means. If there is no answer, or a 2xx breaks off, Do returns a
// [*channel.Error], which does not contain the URL. If the request's context was cancelled, the
// error matches context.Canceled. The URL must be one that [HTTPClient.CheckURL] accepts: otherwise
// the error is permanent, of ClassConfig.
func (c *HTTPClient) Do(req *http.Request) (*HTTPResponse, error) {
	if _, err := c.CheckURL(req.URL.String()); err != nil {
		return nil, &channel.Error{Action: channel.Permanent, Class: channel.ClassConfig, Err: err}
	}
	req = req.Clone(req.Context())
	if req.Host == req.URL.Host {
		req.Host = "" // that of the URL
	}
	normalize(req.URL)
	if req.Header == nil {
		req.Header = http.Header{}
	}
	c.setDefaults(req.Header)
	reply, err := c.do(req, time.Time{}, nil, int(c.maxResponse), c.maxResponse)
	if err != nil {
		return nil, err
	}
	return &reply, nil
}

// setDefaults sets the header fields that every request has. An answer in a
// coding could not be shown, searched for secrets or understood, and a request
// that names none allows them all (RFC 9110, section 12.5.3).
func (c *HTTPClient) setDefaults(h http.Header) {
	setDefault(h, "User-Agent", c.userAgent)
	setDefault(h, "Accept-Encoding", "identity")
}

// do is Do on a request that is known to be right, with a limit in place of MaxResponse. It appends
// at most keep bytes of the body to buf and reads the rest to the end, so that the
// connection can be used again. When a 2xx came but its body failed, the reply
// holds what there is and the error is not nil. Any other status has said what
// there is to say, and becomes no different when its body fails. A deadline that
// is not zero is for a client that takes one.
func (c *HTTPClient) do(
	req *http.Request, deadline time.Time, buf []byte, keep int, limit int64,
) (HTTPResponse, error) {
	ctx := req.Context()
	if c.transport.Proxy != nil {
		ctx = withProxyState(ctx)
		req = req.WithContext(ctx)
	}
	var resp *http.Response
	var err error
	if deadline.IsZero() {
		resp, err = c.exchange.RoundTrip(req)
	} else {
		resp, err = c.direct.RoundTripBefore(req, deadline)
	}
	if err == nil && resp == nil {
		err = &channel.Error{Class: channel.ClassProtocol,
			Err: errors.New("middleware returned neither an answer nor an error")}
	}
	if err == nil && resp.StatusCode == http.StatusProxyAuthRequired && ctx.Value(proxyKey{}) != nil {
		_ = resp.Body.Close()
		err = &channel.Error{Class: channel.ClassProxy,
			Err: errors.New("the proxy refuses the login: it answered 407")}
	}
	if err != nil {
		return HTTPResponse{Body: buf}, errorBefore(ctx, deadline, err)
	}
	reply := HTTPResponse{StatusCode: resp.StatusCode, Header: resp.Header, Body: buf}
	switch {
	case resp.Body == nil || resp.Body == http.NoBody:
		return reply, nil
	case resp.StatusCode == http.StatusSwitchingProtocols:
		// The body is now the bare connection: nothing ends it, not even the
		// request's context.
		_ = resp.Body.Close()
		return reply, nil
	}
	reply.Body, reply.Truncated, err = readBody(resp, buf, keep, limit)
	_ = resp.Body.Close() // says nothing that reading has not said
	if err == nil {
		return reply, nil
	}
	err = errorBefore(ctx, deadline, err)
	var failed *channel.Error
	if errors.As(err, &failed) {
		if channel.Classify(resp.StatusCode, resp.Header, time.Now()) != nil {
			return reply, nil //nolint:nilerr // the status says more than a body that broke off
		}
		failed.StatusCode = resp.StatusCode
	}
	return reply, err
}

// takesDeadline reports whether do may be given a deadline: whether there is nothing around direct,
// such as middleware, which is to find the deadline in the context of the request.
func (c *HTTPClient) takesDeadline() bool { return c.exchange == http.RoundTripper(c.direct) }

// errorBefore is TransportError for a request with that deadline. Zero is none.
func errorBefore(ctx context.Context, deadline time.Time, err error) error {
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
		if errors.Is(err, http1.ErrDeadline) {
			<-ctx.Done() // the timer of a connection may be a little early
		}
	}
	return TransportError(ctx, err)
}

// errTooLarge is met when the other side does not stop talking.
var errTooLarge = &channel.Error{Class: channel.ClassTooLarge}

// endless is how many times the limit a body of no declared length may have
// before it counts as one that never ends.
const endless = 4

// readBody appends the first keep bytes of a body to buf, limit at most, and
// discards the rest. cut says that there was a rest. A length that is declared
// and beyond the limit is not waited for.
func readBody(
	resp *http.Response, buf []byte, keep int, limit int64,
) (_ []byte, cut bool, err error) {
	keep = int(min(int64(keep), limit))
	start := len(buf)
	body := resp.Body
	for len(buf)-start < keep {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, 512)
		}
		n, err := body.Read(buf[len(buf):min(cap(buf), start+keep)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, false, nil
		}
		if err != nil {
			return buf, true, err
		}
	}
	if resp.ContentLength > limit {
		return buf, true, nil
	}
	rest := endless*limit - int64(keep)
	n, err := io.Copy(io.Discard, io.LimitReader(body, rest+1))
	if err == nil && n > rest {
		err = errTooLarge
	}
	return buf, n > 0 || err != nil, err
}
