package channelkit_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/event"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	client := channelfixture.NewClient(t, channelkit.HTTPConfig{})
	for _, raw := range []string{
		"https://example.com", "https://example.com/", "https://example.com/a/b?c=d&e=%20",
		"HTTPS://Example.COM/x",
		"https://example.com:8443/hook", "https://8.8.8.8/", "https://[2606:4700:4700::1111]:443/",
		"https://bücher.example/",
		"https://under_score.example.com/", "https://example.com./", "https://4.example.0xyz/",
		"https://127.0.0.1.example/", "https://example.com/" + strings.Repeat("a", 2000),
	} {
		u, err := client.CheckURL(raw)
		require.NoError(t, err, raw)
		require.NotNil(t, u)
	}

	tests := []struct {
		raw  string
		want []string // what each rule says, in part
	}{
		{"", []string{"is required"}},
		{"example.com/hook", []string{"must begin with https://", "must have a host"}},
		{"http://example.com/", []string{"plain http is not allowed"}},
		{"ftp://example.com/", []string{"must begin with https://"}},
		{"file:///etc/passwd", []string{"must begin with https://", "must have a host"}},
		{"mailto:a@example.com", []string{"must be an absolute URL"}},
		{"https:example.com", []string{"must be an absolute URL"}},
		{"https://", []string{"must have a host"}},
		{"https:///path", []string{"must have a host"}},
		{"https://user:sesame@example.com/", []string{"user name or password"}},
		{"https://sesame@example.com/", []string{"user name or password"}},
		{"https://example.com/#part", []string{"fragment"}},
		{"https://example.com/#", []string{"fragment"}},
		{"https://example.com:0/", []string{"port"}},
		{"https://example.com:65536/", []string{"port"}},
		{"https://example.com:/", []string{"port"}},
		{"https://example.com:https/", []string{"absolute URL"}},
		{"https://exa mple.com/", []string{"character 12 is U+0020"}},
		{"https://example..com/", []string{"valid host name"}},
		{"https://exam,ple.com/", []string{"valid host name"}},
		{"https://" + strings.Repeat("a", 64) + ".com/", []string{"valid host name"}},
		{"https://example.com/\r\nX: y", []string{"character 21 is U+000D"}},
		{"https://example.com/%zz", []string{"two hexadecimal digits"}},
		{"https://example.com/?a=%", []string{"two hexadecimal digits"}},
		{"https://example.com/?a=%4", []string{"two hexadecimal digits"}},
		{" https://example.com/", []string{"the first character is U+0020"}},
		{"\ufeffhttps://example.com/", []string{"the first character is U+FEFF"}},
		{"https://example.com/hook ", []string{"the last character is U+0020"}},
		{"https://example.com/hook\n", []string{"the last character is U+000A"}},
		{"https://example.com/hook\u00a0", []string{"the last character is U+00A0"}},
		{"https://example.com/hook\u200b", []string{"the last character is U+200B"}},
		{"https://example.com/hook\u2028", []string{"the last character is U+2028"}},
		{"https://example.com/hook\u3164", []string{"the last character is U+3164"}}, // Hangul filler
		{"https://example.com/hook\ufe0f", []string{"the last character is U+FE0F"}},
		// variation selector
		{"https://example.com/hook\u2800", []string{"the last character is U+2800"}},
		{"https://example.com/\u202ekooh", []string{"character 21 is U+202E"}},
		{"https://example.com/a\x00b", []string{"character 22 is U+0000"}},
		{"https://example.com/a\xffb", []string{"character 22 is U+FFFD"}},
		{"https://example.com/hook?team=north west", []string{"character 36 is U+0020"}},
		{"https://example.com/hook? ", []string{"the last character is U+0020"}},
		{"https://exam\u00adple.com/", []string{"character 13 is U+00AD"}},
		{"https://exam%E2%80%8Bple.com/", []string{"valid host name"}},
		{"https://127\u30020\u30020\u30021/", []string{"valid host name"}},
		{"https://\uff45xample.com/", []string{"valid host name"}}, // a wide e
		{"https://[fe80::1%25eth 0]/", []string{"character 23 is U+0020"}},
		{"https://us er:sesame@example.com/", []string{"character 11 is U+0020"}},
		{"https://" + strings.Repeat("a", 3000), []string{"at most 2048"}},
		{"https://127.0.0.1/", []string{"public host: loopback"}},
		{"https://10.0.0.8:8080/", []string{"public host: private network"}},
		{"https://169.254.169.254/latest/meta-data", []string{"public host: link-local"}},
		{"https://[::1]/", []string{"public host: loopback"}},
		{"https://[::ffff:10.0.0.1]/", []string{"public host: private network"}},
		{"https://[fe80::1%25eth0]/", []string{"zone", "public host: link-local"}},
		{"https://127.1/", []string{"four decimal numbers"}},
		{"https://2130706433:443/", []string{"four decimal numbers"}},
		{"https://0x7f000001/", []string{"four decimal numbers"}},
		{"https://0X7F.0x/", []string{"four decimal numbers"}},
		{"https://0177.0.0.01./", []string{"four decimal numbers"}},
		{"https://99999999999999999999999/", []string{"four decimal numbers"}},
		{"https://localhost:8080/", []string{"public host: loopback"}},
		{"https://api.LocalHost./", []string{"public host: loopback"}},
		{"http://user:sesame@127.0.0.1:0/#x",
			[]string{"plain http", "user name", "fragment", "port", "loopback"}},
	}
	for _, tt := range tests {
		_, err := client.CheckURL(tt.raw)
		var invalid *event.ValidationError
		if !assert.ErrorAs(t, err, &invalid, "%.60q", tt.raw) {
			continue
		}
		if assert.Len(t, invalid.Problems, len(tt.want), "%.60q: %v", tt.raw, err) {
			for i, p := range invalid.Problems {
				assert.Contains(t, p.Rule, tt.want[i], "%.60q", tt.raw)
			}
		}
		assert.NotContains(t, err.Error(), "sesame")
	}
}

// What is accepted is also what is sent: in a form that every server and every
// device on the way takes (RFC 3986).
func TestURLIsSentEncoded(t *testing.T) {
	t.Parallel()
	var uri, host string
	base := channelfixture.Serve(t, func(_ http.ResponseWriter,
		r *http.Request) {
		uri, host = r.RequestURI, r.Host
	})
	// Every name leads to the server.
	proxy, err := url.Parse(base)
	require.NoError(t, err)
	client := channelfixture.NewClient(t,
		channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true, Proxy: http.ProxyURL(proxy)})
	t.Cleanup(client.CloseIdleConnections)
	d := httpendpoint.NewDriver(client, httpendpoint.Options{})
	tests := []struct{ url, wantURI, wantHost string }{
		{"http://example.com", "http://example.com/", "example.com"},
		{"http://Example.COM:8080/a", "http://example.com:8080/a", "example.com:8080"},
		{"http://under_score.example/", "http://under_score.example/", "under_score.example"},
		{"http://bücher.example/", "http://xn--bcher-kva.example/", "xn--bcher-kva.example"},
		{"http://BÜCHER.example/", "http://xn--bcher-kva.example/", "xn--bcher-kva.example"},
		{"http://bu\u0308cher.example/", "http://xn--bcher-kva.example/", "xn--bcher-kva.example"},
		{"http://b%C3%BCcher.example/", "http://xn--bcher-kva.example/", "xn--bcher-kva.example"},
		{"http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/", "xn--bcher-kva.example"},
		{"http://a.example/hö%2Fk/%2f/a+b;c=d", "http://a.example/h%C3%B6%2Fk/%2f/a+b;c=d", "a.example"},
		{`http://a.example/{x}|<"y">[z]^` + "`\\",
			"http://a.example/%7Bx%7D%7C%3C%22y%22%3E%5Bz%5D%5E%60%5C", "a.example"},
		{"http://a.example/?q=ü&r=%C3%BC&s=a+b%20c", "http://a.example/?q=%C3%BC&r=%C3%BC&s=a+b%20c",
			"a.example"},
		{`http://a.example/?{x}|<"y">[z]^` + "`\\",
			"http://a.example/?%7Bx%7D%7C%3C%22y%22%3E%5Bz%5D%5E%60%5C", "a.example"},
		{"http://a.example/?next=https://b.example/?c=d", "http://a.example/?next=https://b.example/?c=d",
			"a.example"},
		{"http://a.example/?", "http://a.example/?", "a.example"},
	}
	for _, tt := range tests {
		_, err := channelfixture.Open(t, d, httpendpoint.Config{URL: tt.url}).Send(t.Context(),
			channelfixture.Message())
		require.NoError(t, err, tt.url)
		assert.Equal(t, tt.wantURI, uri, tt.url)
		assert.Equal(t, tt.wantHost, host, tt.url)

		_, err = post(t, client, tt.url)
		require.NoError(t, err, tt.url)
		assert.Equal(t, tt.wantURI, uri, "%s, by Do", tt.url)
	}
}

func TestCheckURLAllowed(t *testing.T) {
	t.Parallel()
	client := channelfixture.NewClient(t, channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true})
	for _, raw := range []string{"http://localhost:8080/hook", "http://127.0.0.1/", "https://[::1]/",
		"http://10.0.0.1/"} {
		_, err := client.CheckURL(raw)
		assert.NoError(t, err, raw)
	}

	client = channelfixture.NewClient(t,
		channelkit.HTTPConfig{AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for _, raw := range []string{"https://localhost/", "https://127.0.0.1/"} {
		_, err := client.CheckURL(raw)
		assert.NoError(t, err, raw)
	}
	_, err := client.CheckURL("https://10.0.0.1/")
	assert.Error(t, err)
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://example.com/a?b=c", "http://u:p@[::1%25x]:0/#f",
		"https://%41/", "//x", "https://a:b", "https://É.example/%2F/ü?%41=ß", "https://x/{}?[]"} {
		f.Add(s)
	}
	client := channelfixture.NewClient(f, channelkit.HTTPConfig{})
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := client.CheckURL(raw)
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.User != nil || u.Hostname() == "" || u.Fragment != "" {
			t.Fatalf("accepted %q", raw)
		}
		sent := u.RequestURI()
		if strings.ContainsFunc(sent, func(r rune) bool {
			return r <= ' ' || r > '~' ||
				strings.ContainsRune(`"<>\^{|}[]`+"`", r)
		}) {
			t.Fatalf("%q is sent as %q", raw, sent)
		}
		if again, err := client.CheckURL(u.String()); err != nil || again.String() != u.String() {
			t.Fatalf("%q becomes %q, and that %v, %v", raw, u, again, err)
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil &&
			(addr.IsPrivate() || addr.IsLoopback()) {
			t.Fatalf("accepted %q", raw)
		}
	})
}
