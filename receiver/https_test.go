package receiver_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
)

// A trusted proxy names the protocol in either header. If both headers name it, both must say
// https.
func TestForwarded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		forwarded []string
		listed    []string // X-Forwarded-Proto
		ok        bool
	}{
		{"https", []string{"proto=https"}, nil, true},
		{"as a gateway writes it",
			[]string{"by=203.0.113.1;for=198.51.100.7;host=shop.example;proto=https"}, nil, true},
		{"http", []string{"for=198.51.100.7;proto=http"}, nil, false},
		{"any case", []string{"For=198.51.100.7; Proto=HTTPS"}, nil, true},
		{"quoted", []string{`proto="https"`}, nil, true},
		{"quoted pairs", []string{`proto="ht\tps"`}, nil, true},
		{"quoted, http", []string{`proto="http"`}, nil, false},
		{"separators in quotes", []string{`for="[2001:db8::1]:80, ;proto=http";proto=https`}, nil,
			true},
		{"proto in quotes only", []string{`for="x;proto=https"`}, nil, false},
		{"an address that should be quoted", []string{"for=198.51.100.7:4711;proto=https"}, nil,
			true},
		{"says nothing of it", []string{"for=198.51.100.7"}, nil, false},
		{"empty", []string{""}, nil, false},
		{"two hops", []string{"for=a;proto=https, for=b;proto=https"}, nil, true},
		{"two hops, the nearer one http", []string{"for=a;proto=https, for=b;proto=http"}, nil,
			false},
		{"two hops, the farther one http", []string{"for=a;proto=http, for=b;proto=https"}, nil,
			false},
		{"two hops, the farther one says nothing", []string{"for=a, for=b;proto=https"}, nil, true},
		{"the sender made it up and the proxy says nothing", []string{"proto=https, for=b"}, nil,
			false},
		{"the same in two lines", []string{"proto=https", "for=b"}, nil, false},
		{"two lines", []string{"for=a;proto=https", "for=b;proto=https"}, nil, true},
		{"empty members", []string{", proto=https ,, "}, nil, true},
		{"empty parameters", []string{";;proto=https;"}, nil, true},
		{"twice in one element", []string{"proto=https;proto=https"}, nil, false},
		{"no value", []string{"proto="}, nil, false},
		{"no name", []string{"=https"}, nil, false},
		{"no equals sign", []string{"proto https"}, nil, false},
		{"blanks around the equals sign", []string{"proto = https"}, nil, false},
		{"something after the value", []string{"proto=https x"}, nil, false},
		{"something after the quotes", []string{`proto="https"x`}, nil, false},
		{"quotes that do not end", []string{`proto=https;for="x`}, nil, false},
		{"quotes that a sender leaves open before what the proxy appends",
			[]string{`proto=https;x="a, for="1.2.3.4";proto=http`}, nil, false},
		{"the same with a quoted pair",
			[]string{`proto=https;x="a\, for=1.2.3.4;host="h";proto=http`}, nil, false},
		{"a quoted pair that does not end", []string{`proto="https\`}, nil, false},
		{"httpsx", []string{"proto=httpsx"}, nil, false},

		{"both say https", []string{"proto=https"}, []string{"https"}, true},
		{"they disagree", []string{"proto=http"}, []string{"https"}, false},
		{"they disagree the other way", []string{"proto=https"}, []string{"http"}, false},
		{"the other is empty", []string{"proto=https"}, []string{""}, false},
		{"Forwarded says nothing of it", []string{"for=198.51.100.7"}, []string{"https"}, true},
		{"Forwarded says nothing last", []string{"proto=https, for=b"}, []string{"https"}, true},
		{"Forwarded is garbled", []string{`for="`}, []string{"https"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *receiver.Config) {
				c.AllowHTTP, c.TrustedProxies = false, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			})
			r := post(envelope(t, "evt_1"))
			r.RemoteAddr = "192.0.2.9:4321"
			r.Header["Forwarded"], r.Header["X-Forwarded-Proto"] = tt.forwarded, tt.listed
			want := 400
			if tt.ok {
				want = 200
			}
			assert.Equal(t, want, serve(b.Handler(receiver.HandlerFunc(ok)), r).Code)

			r = post(envelope(t, "evt_2"))
			r.RemoteAddr = "198.51.100.9:4321"
			r.Header["Forwarded"], r.Header["X-Forwarded-Proto"] = tt.forwarded, tt.listed
			assert.Equal(t, 400, serve(b.Handler(receiver.HandlerFunc(ok)), r).Code,
				"from a stranger")
		})
	}
}

// FuzzForwarded checks that a sender can put nothing before the proxy's element that
// overrides it.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"proto=https", `proto=https;x="`, `a="b\`, ",,;", `for="[::1]:1"`,
		"\x00=\xff"} {
		f.Add(s)
	}
	rcv := setup(&testing.T{}, func(c *receiver.Config) {
		c.AllowHTTP, c.TrustedProxies = false, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	check := func(line string) error {
		r := post(`{"event_id":"evt_1","event_type":"a.b"}`)
		r.RemoteAddr = "192.0.2.9:4321"
		r.Header["Forwarded"] = []string{line}
		_, err := rcv.Check(r)
		return err
	}
	f.Fuzz(func(t *testing.T, sent string) {
		for _, appended := range []string{"proto=http", `for="[::1]:1";proto=http;host="h"`,
			"for=1.2.3.4"} {
			assert.ErrorIs(t, check(sent+", "+appended), receiver.ErrInsecure, "%q, then %q", sent,
				appended)
		}
		assert.ErrorIs(t, check(sent+", proto=https, proto=http"), receiver.ErrInsecure)
	})
}

// A proxy on a unix socket is trusted if loopback addresses are.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	every := []string{"0.0.0.0/0", "::/0"}
	for _, tt := range []struct {
		name    string
		trusted []string
		bound   bool // the proxy has an address of its own
		rewrite string
		proto   string
		ok      bool
	}{
		{"loopback", []string{"127.0.0.0/8"}, false, "", "https", true},
		{"loopback, v6", []string{"::1/128"}, false, "", "https", true},
		{"all", every, false, "", "https", true},
		{"another network", []string{"10.0.0.0/8"}, false, "", "https", false},
		{"none", nil, false, "", "https", false},
		{"says http", []string{"127.0.0.0/8"}, false, "", "http", false},
		{"with an address", []string{"127.0.0.0/8"}, true, "", "https", true},
		{"middleware has set the address behind the proxy", []string{"127.0.0.0/8"}, false,
			"198.51.100.7",
			"https", false},
		{"middleware names a trusted one", []string{"127.0.0.0/8"}, false, "127.0.0.1:1", "https",
			true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *receiver.Config) {
				c.AllowHTTP = false
				for _, p := range tt.trusted {
					c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(p))
				}
			})
			next := b.Handler(receiver.HandlerFunc(ok))
			folder := t.TempDir()
			path := filepath.Join(folder, "s")
			listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
			require.NoError(t, err)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				if tt.rewrite != "" {
					r.RemoteAddr = tt.rewrite
				}
				next.ServeHTTP(w, r)
			}))
			require.NoError(t, server.Listener.Close())
			server.Listener = listener
			server.Start()
			t.Cleanup(server.Close)

			dialer := new(net.Dialer)
			if tt.bound {
				dialer.LocalAddr = &net.UnixAddr{Name: filepath.Join(folder, "c"), Net: "unix"}
			}
			transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn,
				error) {
				return dialer.DialContext(ctx, "unix", path)
			}}
			t.Cleanup(transport.CloseIdleConnections)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app/",
				strings.NewReader(envelope(t, "evt_1")))
			require.NoError(t, err)
			r.Header = post("").Header
			r.Header.Set("X-Forwarded-Proto", tt.proto)
			response, err := transport.RoundTrip(r)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, tt.ok, response.StatusCode == http.StatusOK, response.Status)
		})
	}
}

// A peer without an address that is not on a unix socket is not trusted.
func TestNoAddress(t *testing.T) {
	t.Parallel()
	for _, peer := range []string{"", "@", "/run/proxy.sock", "127.0.0.1"} {
		b := setup(t, func(c *receiver.Config) {
			c.AllowHTTP, c.TrustedProxies = false,
				[]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		})
		r := post(envelope(t, "evt_1"))
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-Proto", "https")
		assert.Equal(t, 400, serve(b.Handler(receiver.HandlerFunc(ok)), r).Code, peer)
	}
}
