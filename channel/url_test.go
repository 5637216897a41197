package channel_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	client := channel.NewHTTPClient(channel.HTTPConfig{})
	for _, raw := range []string{
		"https://example.com", "https://example.com/", "https://example.com/a/b?c=d&e=%20", "HTTPS://Example.COM/x",
		"https://example.com:8443/hook", "https://8.8.8.8/", "https://[2606:4700:4700::1111]:443/", "https://bücher.example/",
		"https://under_score.example.com/", "https://example.com./", "https://4.example.0xyz/", "https://127.0.0.1.example/", "https://example.com/" + strings.Repeat("a", 2000),
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
		{"https://exa mple.com/", []string{"absolute URL"}},
		{"https://example..com/", []string{"valid host name"}},
		{"https://exam,ple.com/", []string{"valid host name"}},
		{"https://" + strings.Repeat("a", 64) + ".com/", []string{"valid host name"}},
		{"https://example.com/\r\nX: y", []string{"absolute URL"}},
		{"https://example.com/%zz", []string{"absolute URL"}},
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
		{"http://user:sesame@127.0.0.1:0/#x", []string{"plain http", "user name", "fragment", "port", "loopback"}},
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

func TestCheckURLAllowed(t *testing.T) {
	t.Parallel()
	client := channel.NewHTTPClient(channel.HTTPConfig{AllowHTTP: true, AllowPrivate: true})
	for _, raw := range []string{"http://localhost:8080/hook", "http://127.0.0.1/", "https://[::1]/", "http://10.0.0.1/"} {
		_, err := client.CheckURL(raw)
		assert.NoError(t, err, raw)
	}

	client = channel.NewHTTPClient(channel.HTTPConfig{AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for _, raw := range []string{"https://localhost/", "https://127.0.0.1/"} {
		_, err := client.CheckURL(raw)
		assert.NoError(t, err, raw)
	}
	_, err := client.CheckURL("https://10.0.0.1/")
	assert.Error(t, err)
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://example.com/a?b=c", "http://u:p@[::1%25x]:0/#f", "https://%41/", "//x", "https://a:b"} {
		f.Add(s)
	}
	client := channel.NewHTTPClient(channel.HTTPConfig{})
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := client.CheckURL(raw)
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.User != nil || u.Hostname() == "" || u.Fragment != "" {
			t.Fatalf("accepted %q", raw)
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && (addr.IsPrivate() || addr.IsLoopback()) {
			t.Fatalf("accepted %q", raw)
		}
	})
}
