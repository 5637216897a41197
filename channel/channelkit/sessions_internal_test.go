package channelkit

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/template"
)

// manyHosts is a server that all addresses of 127.0.0.0/8 reach, each of which is a host. It
// answers "true" if the connection resumed a session.
func manyHosts(t *testing.T, versions uint16, protocol string) (s *httptest.Server, port string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // RSA takes much longer
	require.NoError(t, err)
	certificate := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, &key.PublicKey, key)
	require.NoError(t, err)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.TLS.DidResume)
	}))
	require.NoError(t, s.Listener.Close())
	s.Listener, err = net.Listen("tcp4", "0.0.0.0:0")
	require.NoError(t, err)
	s.TLS = &tls.Config{ //nolint:gosec // 1.2 as well
		MaxVersion: versions, NextProtos: []string{protocol},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.EnableHTTP2 = protocol == "h2"
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, err = net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	return s, port
}

// An organization with webhooks at many hosts has its own connections closed and its own sessions
// of TLS forgotten, and not those of another one.
func TestOneOrganizationLeavesConnectionsAndSessions(t *testing.T) {
	t.Parallel()
	const limit, hosts, victims = 10, 20, 250
	for _, tt := range []struct {
		version  uint16
		protocol string
	}{{tls.VersionTLS12, "http/1.1"}, {tls.VersionTLS13, "http/1.1"}, {tls.VersionTLS13, "h2"}} {
		t.Run(tls.VersionName(tt.version)+" "+tt.protocol, func(t *testing.T) {
			t.Parallel()
			s, port := manyHosts(t, tt.version, tt.protocol)
			var reused bool
			c, err := newHTTPClient(HTTPConfig{AllowPrivate: true,
				TLS:       &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as costly
				Connected: func(_ context.Context, r bool) { reused = r }}, limit)
			require.NoError(t, err)
			t.Cleanup(c.CloseIdleConnections)
			gate, err := template.NewGate(0)
			require.NoError(t, err)
			send := func(organization string, host int) (resumed bool) {
				ctx := gate.ContextFor(t.Context(), template.Turn{OrganizationID: organization})
				r, err := http.NewRequestWithContext(ctx, http.MethodPost,
					fmt.Sprintf("https://127.3.0.%d:%s/", host, port), http.NoBody)
				require.NoError(t, err)
				r.Header["Idempotency-Key"] = nil
				resp, err := c.Do(r)
				require.NoError(t, err)
				resumed, err = strconv.ParseBool(string(resp.Body))
				require.NoError(t, err)
				return resumed
			}
			attack := func() {
				for i := range hosts {
					send("attacker", 1+i)
				}
			}
			assert.False(t, send("victim", victims))
			assert.False(t, reused)
			attack()
			send("victim", victims)
			if tt.protocol == "http/1.1" { // net/http closes the oldest, whoever uses it
				assert.True(t, reused, "the connection is kept")
			}
			s.CloseClientConnections()
			attack()
			assert.True(t, send("victim", victims), "the session is kept")
			if tt.protocol == "http/1.1" {
				assert.False(t, reused)
			}
			assert.Equal(t, limit, c.sessions.all.Len())
			assert.Len(t, c.sessions.byKey, limit)

			// What the attacker does at the victim's host takes nothing away either.
			s.CloseClientConnections()
			send("attacker", victims)
			attack()
			s.CloseClientConnections()
			assert.True(t, send("victim", victims))
		})
	}
}

// The sessions of one organization are forgotten in the order in which they were used.
func TestSessionsOfOneOrganization(t *testing.T) {
	t.Parallel()
	s := newSessionCache(3)
	cache := s.forRequest(t.Context())
	states := map[string]*tls.ClientSessionState{}
	for _, key := range []string{"a", "b", "c", "d"} {
		states[key] = &tls.ClientSessionState{}
		cache.Put(key, states[key])
		_, ok := cache.Get("a")
		assert.True(t, ok)
	}
	kept := func() (keys []string) {
		for _, key := range []string{"a", "b", "c", "d"} {
			if state, ok := s.byKey[key]; ok {
				assert.Same(t, states[key], state.Value.state)
				keys = append(keys, key)
			}
		}
		assert.Equal(t, len(keys), s.all.Len())
		return keys
	}
	assert.Equal(t, []string{"a", "c", "d"}, kept())
	cache.Put("c", nil)
	cache.Put("b", nil)
	assert.Equal(t, []string{"a", "d"}, kept())
	_, ok := cache.Get("c")
	assert.False(t, ok)
	states["a"] = &tls.ClientSessionState{}
	cache.Put("a", states["a"])
	assert.Equal(t, []string{"a", "d"}, kept())
}
