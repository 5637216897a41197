package http1_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/internal/http1"
)

// selfSigned makes a certificate of the name "sink".
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"sink"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// serveTLS is serve with TLS, and a Transport that trusts the server.
func serveTLS(
	t testing.TB, config *tls.Config, talk func(c net.Conn, br *bufio.Reader),
	change func(*http1.Config),
) (*server, *http1.Transport) {
	certificate, err := selfSigned()
	require.NoError(t, err)
	config.Certificates = []tls.Certificate{certificate}
	l, err := tls.Listen("tcp4", "127.0.0.1:0", config)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return serveOn(t, l, talk), newTransport(t, func(c *http1.Config) {
		c.TLS = &tls.Config{RootCAs: roots, ServerName: "sink"}
		if change != nil {
			change(c)
		}
	})
}

// HTTP/1.1 is negotiated, and the connection is kept, with the tickets that come on it.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s, transport := serveTLS(t, &tls.Config{MaxVersion: version, //nolint:gosec // 1.2 as well
			NextProtos: []string{"h2", "http/1.1"}}, func(c net.Conn, br *bufio.Reader) {
			answering(okAnswer)(c, br)
			assert.Equal(t, "http/1.1", c.(*tls.Conn).ConnectionState().NegotiatedProtocol)
		}, nil)
		for range 3 {
			_, body, err := post(t, transport, "https://"+s.addr)
			require.NoError(t, err)
			assert.Equal(t, "ok", body)
		}
		assert.Equal(t, int64(1), s.conns.Load())
		transport.CloseIdleConnections()
	}
}

// The name in the certificate is that of the URL, unless the configuration has one.
func TestServerName(t *testing.T) {
	t.Parallel()
	var addr atomic.Value
	s, transport := serveTLS(t, &tls.Config{}, answering(okAnswer), func(c *http1.Config) {
		c.TLS.ServerName = ""
		c.Dial = func(ctx context.Context, network, to string) (net.Conn, error) {
			assert.Contains(t, []string{"sink:443", "other:443"}, to)
			return new(net.Dialer).DialContext(ctx, network, addr.Load().(string))
		}
	})
	addr.Store(s.addr)
	_, _, err := post(t, transport, "https://sink/")
	require.NoError(t, err)
	_, _, err = post(t, transport, "https://other/")
	var verify *tls.CertificateVerificationError
	assert.ErrorAs(t, err, &verify)
}

// What a server sends behind an answer, in a record of its own, is noticed although crypto/tls
// has read it already.
func TestTLSIdleConnectionEnds(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]func(c *tls.Conn, raw net.Conn){
		"an answer": func(c *tls.Conn, _ net.Conn) { _, _ = io.WriteString(c, timedOut) },
		"closed":    func(c *tls.Conn, _ net.Conn) { _ = c.Close() },
		"cut off":   func(_ *tls.Conn, raw net.Conn) { _ = raw.Close() },
		"garbage":   func(_ *tls.Conn, raw net.Conn) { _, _ = io.WriteString(raw, timedOut) },
	} {
		for _, together := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, together %t", name, together), func(t *testing.T) {
				t.Parallel()
				end, ended := make(chan struct{}, 10), make(chan struct{}, 10)
				s, transport := serveTLS(t, &tls.Config{}, func(c net.Conn, br *bufio.Reader) {
					readRequest(br)
					_, _ = io.WriteString(c, okAnswer)
					if !together {
						<-end
					}
					ending(c.(*tls.Conn), c.(*tls.Conn).NetConn())
					ended <- struct{}{}
					_, _ = br.ReadByte()
				}, nil)
				for i := range 5 {
					resp, err := transport.RoundTrip(newPost(t.Context(), t, "https://"+s.addr))
					require.NoError(t, err)
					if together {
						<-ended
					}
					b, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					assert.Equal(t, http.StatusOK, resp.StatusCode)
					assert.Equal(t, "ok", string(b))
					assert.Equal(t, int64(i+1), s.conns.Load())
					if !together {
						end <- struct{}{}
						<-ended
					}
				}
				transport.CloseIdleConnections()
			})
		}
	}
}

// A handshake is bounded.
func TestTLSTimeout(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) })
	transport := newTransport(t, func(c *http1.Config) { c.TLSTimeout = time.Millisecond })
	_, _, err := post(t, transport, "https://"+s.addr)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout())
}

// A host that speaks HTTP/2 only is left to the Fallback, body and all, and is not asked again.
func TestHTTP2Only(t *testing.T) {
	t.Parallel()
	backend := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.Proto+" "+string(b))
		}))
	backend.EnableHTTP2 = true
	backend.StartTLS()
	t.Cleanup(backend.Close)
	viaBackend := func(c *http1.Config) {
		c.Fallback = roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.URL.Host = strings.TrimPrefix(backend.URL, "https://")
			return backend.Client().Transport.RoundTrip(r)
		})
	}
	check := func(t *testing.T, s *server, transport *http1.Transport) {
		for range 3 {
			_, body, err := post(t, transport, "https://"+s.addr)
			require.NoError(t, err)
			assert.Equal(t, "HTTP/2.0 {}", body)
		}
		assert.Equal(t, int64(1), s.conns.Load())
	}
	t.Run("refuses to negotiate", func(t *testing.T) {
		s, transport := serveTLS(t, &tls.Config{NextProtos: []string{"h2", "x"},
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return nil, errors.New("no HTTP/2")
			}}, func(_ net.Conn, br *bufio.Reader) { _, _ = br.ReadByte() }, viaBackend)
		check(t, s, transport)
	})
	t.Run("does not negotiate", func(t *testing.T) {
		s, transport := serveTLS(t, &tls.Config{}, func(c net.Conn, br *bufio.Reader) {
			_, _ = c.Write([]byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100})
			readRequest(br)
		}, viaBackend)
		check(t, s, transport)
	})
	t.Run("after an answer", func(t *testing.T) { // it has spoken HTTP/1.1
		s, transport := serveTLS(t, &tls.Config{}, func(c net.Conn, br *bufio.Reader) {
			readRequest(br)
			_, _ = io.WriteString(c, okAnswer)
			readRequest(br)
			_, _ = c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0})
		}, nil)
		_, _, err := post(t, transport, "https://"+s.addr)
		require.NoError(t, err)
		_, _, err = post(t, transport, "https://"+s.addr)
		require.Error(t, err)
		assert.Equal(t, int64(1), s.conns.Load())
	})
	t.Run("fails in both", func(t *testing.T) {
		failure := errors.New("no HTTP/2 either")
		s, transport := serveTLS(t, &tls.Config{NextProtos: []string{"x"}},
			func(_ net.Conn, br *bufio.Reader) { _, _ = br.ReadByte() }, func(c *http1.Config) {
				c.Fallback = roundTripper(func(*http.Request) (*http.Response, error) { return nil, failure })
			})
		for i := range 2 {
			_, _, err := post(t, transport, "https://"+s.addr)
			require.ErrorIs(t, err, failure)
			assert.Equal(t, int64(i+1), s.conns.Load(), "it may be mended by the next time")
		}
	})
}
