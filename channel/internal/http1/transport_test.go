package http1_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/http1"
)

// A server talks on each connection as it is told, and then closes it.
type server struct {
	addr  string
	conns atomic.Int64 // that were accepted
}

func serve(t testing.TB, talk func(c net.Conn, br *bufio.Reader)) *server {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	return serveOn(t, l, talk)
}

func serveOn(t testing.TB, l net.Listener, talk func(c net.Conn, br *bufio.Reader)) *server {
	s := &server{addr: l.Addr().String()}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			running.Go(func() {
				defer func() { _ = c.Close() }()
				talk(c, bufio.NewReader(c))
			})
		}
	})
	return s
}

func readRequest(br *bufio.Reader) bool {
	r, err := http.ReadRequest(br)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// answering answers every request alike.
func answering(answer string) func(c net.Conn, br *bufio.Reader) {
	return func(c net.Conn, br *bufio.Reader) {
		for readRequest(br) {
			_, _ = io.WriteString(c, answer)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newTransport returns a Transport whose limits are small, and which falls back to nothing.
func newTransport(t testing.TB, change func(*http1.Config)) *http1.Transport {
	c := http1.Config{
		Dial: new(net.Dialer).DialContext, TLS: &tls.Config{}, TLSTimeout: time.Minute,
		MaxIdle: 100, MaxIdlePerHost: 100, IdleTimeout: time.Hour, MaxHeader: 10_000,
		Fallback: roundTripper(func(r *http.Request) (*http.Response, error) {
			t.Errorf("%s %s fell back", r.Method, r.URL)
			return nil, errors.ErrUnsupported
		}),
	}
	if change != nil {
		change(&c)
	}
	transport := http1.New(c)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func newPost(ctx context.Context, t testing.TB, url string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	require.NoError(t, err)
	return r
}

// post makes a request and reads the answer to its end.
func post(
	t testing.TB,
	transport http.RoundTripper,
	url string,
) (status int, body string, err error) {
	return do(transport, newPost(t.Context(), t, url))
}

func do(transport http.RoundTripper, r *http.Request) (status int, body string, err error) {
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, string(b), err
}

// A request arrives as net/http would send it.
func TestRequest(t *testing.T) {
	t.Parallel()
	requests := make(chan *http.Request, 1)
	s := serve(t, func(c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			b, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(b)))
			requests <- r
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	both := map[string]http.RoundTripper{"http1": newTransport(t, nil), "net/http": &http.Transport{
		DisableCompression: true}}
	t.Cleanup(both["net/http"].(*http.Transport).CloseIdleConnections)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		for _, body := range []string{"", "{}", strings.Repeat("x", 16<<10)} {
			var got []string
			for _, name := range []string{"net/http", "http1"} {
				r, err := http.NewRequestWithContext(t.Context(), method,
					"http://"+s.addr+"/a%20b/?q=%C3%A9&", strings.NewReader(body))
				require.NoError(t, err)
				r.Host = "example.com:8080"
				r.Header = http.Header{"User-Agent": {"acme/1"}, "X-Many": {"a", "b c"}, "X-None": nil,
					"Host": {"evil.example"}, "Content-Length": {"7"}, "X-Empty": {""}}
				_, _, err = do(both[name], r)
				require.NoError(t, err)
				in := <-requests
				b, _ := io.ReadAll(in.Body)
				got = append(got, fmt.Sprint(in.Method, in.RequestURI, in.Host, in.Header, in.ContentLength,
					in.TransferEncoding, in.Close, string(b)))
			}
			assert.Equal(t, got[0], got[1])
		}
	}
}

// What Transport leaves to its Fallback arrives there untouched, and nothing is connected to.
func TestFallback(t *testing.T) {
	t.Parallel()
	tests := map[string]func(r *http.Request) *http.Request{
		"a long body":     func(r *http.Request) *http.Request { r.ContentLength = 16<<10 + 1; return r },
		"unknown length":  func(r *http.Request) *http.Request { r.ContentLength = -1; return r },
		"perhaps no body": func(r *http.Request) *http.Request { r.ContentLength = 0; return r },
		"close":           func(r *http.Request) *http.Request { r.Close = true; return r },
		"transfer coding": func(r *http.Request) *http.Request {
			r.TransferEncoding = []string{"chunked"}
			return r
		},
		"trailer": func(r *http.Request) *http.Request {
			r.Trailer = http.Header{"A": nil}
			return r
		},
		"CONNECT":        func(r *http.Request) *http.Request { r.Method = http.MethodConnect; return r },
		"no method":      func(r *http.Request) *http.Request { r.Method = ""; return r },
		"a wrong method": func(r *http.Request) *http.Request { r.Method = "GET /\r\nX:"; return r },
		"no URL":         func(r *http.Request) *http.Request { r.URL = nil; return r },
		"another scheme": func(r *http.Request) *http.Request { r.URL.Scheme = "ftp"; return r },
		"no host":        func(r *http.Request) *http.Request { r.URL.Host = ""; return r },
		"opaque":         func(r *http.Request) *http.Request { r.URL.Opaque = "//x\r\n"; return r },
		"a name not in ASCII": func(r *http.Request) *http.Request {
			r.URL.Host = "bücher.example"
			return r
		},
		"a zone":         func(r *http.Request) *http.Request { r.URL.Host = "[fe80::1%25lo]"; return r },
		"a wrong host":   func(r *http.Request) *http.Request { r.Host = "a\r\nX: y"; return r },
		"a wrong target": func(r *http.Request) *http.Request { r.URL.RawQuery = "a b"; return r },
		"a long header": func(r *http.Request) *http.Request {
			r.Header.Set("X", strings.Repeat("x", 16<<10))
			return r
		},
		"a wrong name": func(r *http.Request) *http.Request {
			r.Header["X\r\nY"] = []string{""}
			return r
		},
		"a wrong value": func(r *http.Request) *http.Request {
			r.Header["X"] = []string{"a\r\nY: b"}
			return r
		},
		"Expect": func(r *http.Request) *http.Request {
			r.Header.Set("Expect", "100-continue")
			return r
		},
		"Connection": func(r *http.Request) *http.Request {
			r.Header.Set("Connection", "close")
			return r
		},
		"Upgrade": func(r *http.Request) *http.Request { r.Header.Set("Upgrade", "x"); return r },
		"traced": func(r *http.Request) *http.Request {
			return r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{}))
		},
	}
	var got *http.Request
	transport := newTransport(t, func(c *http1.Config) {
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			t.Error("connected")
			return nil, errors.ErrUnsupported
		}
		c.Fallback = roundTripper(func(r *http.Request) (*http.Response, error) {
			got = r
			return nil, errors.ErrUnsupported
		})
	})
	for name, change := range tests {
		r := change(newPost(t.Context(), t, "http://example.com/"))
		_, _, err := do(transport, r)
		assert.ErrorIs(t, err, errors.ErrUnsupported, name)
		assert.Same(t, r, got, name)
		b, _ := io.ReadAll(got.Body)
		assert.Equal(t, "{}", string(b), name)
	}
}

// A body that is not as long as its request says is not sent.
func TestWrongContentLength(t *testing.T) {
	t.Parallel()
	transport := newTransport(t, nil)
	for _, length := range []int64{1, 3} {
		r := newPost(t.Context(), t, "http://127.0.0.1:1/")
		r.ContentLength = length
		_, _, err := do(transport, r)
		assert.ErrorContains(t, err, "not as long", length)
	}
	r := newPost(t.Context(), t, "http://127.0.0.1:1/")
	failure := errors.New("unreadable")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), readerFunc(func([]byte) (int, error) {
		return 0, failure
	})))
	_, _, err := do(transport, r)
	assert.ErrorIs(t, err, failure)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// A request ends when its context does, and its connection with it.
func TestCancellation(t *testing.T) {
	t.Parallel()
	errStop := errors.New("enough")
	for name, partial := range map[string]string{
		"unanswered": "", "in the header": "HTTP/1.1 200 OK\r\nX",
		"in the body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			closed := make(chan error, 1)
			s := serve(t, func(c net.Conn, br *bufio.Reader) {
				readRequest(br)
				_, _ = io.WriteString(c, partial)
				cancel(errStop)
				_, err := br.ReadByte()
				closed <- err
			})
			_, _, err := do(newTransport(t, nil), newPost(ctx, t, "http://"+s.addr))
			assert.ErrorIs(t, err, errStop)
			assert.Error(t, <-closed)
		})
	}
}

// What has ended already is not begun.
func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	s := serve(t, answering(okAnswer))
	transport := newTransport(t, nil)
	_, _, err := post(t, transport, "http://"+s.addr)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = do(transport, newPost(ctx, t, "http://"+s.addr))
	assert.ErrorIs(t, err, context.Canceled)
	_, _, err = post(t, transport, "http://"+s.addr)
	require.NoError(t, err)
	assert.Equal(t, int64(1), s.conns.Load(), "the kept connection is as it was")
}

// The body of an answer after Close is not read.
func TestBodyClosed(t *testing.T) {
	t.Parallel()
	s := serve(t, answering(okAnswer))
	transport := newTransport(t, nil)
	for range 2 {
		resp, err := transport.RoundTrip(newPost(t.Context(), t, "http://"+s.addr))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.NoError(t, resp.Body.Close())
		_, err = resp.Body.Read(make([]byte, 1))
		assert.ErrorIs(t, err, http.ErrBodyReadAfterClose)
	}
	assert.Equal(t, int64(2), s.conns.Load(), "what has not been read cannot be passed over")
}
