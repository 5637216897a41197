package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// A masked value stays with scheme, host and port: whoever may change a webhook
// but not reveal its secrets does not get them sent to a host of their own.
func TestMasksStayWithTheTarget(t *testing.T) {
	t.Parallel()
	const idn = "https://xn--bcher-kva.example/"
	for _, same := range []string{"https://bücher.example/", "https://BÜCHER.example:443/x", idn} {
		f := newFixture(t, options{})
		id := f.create(strings.Replace(secretSubscription, "https://example.com/hook", idn, 1))
		shown := string(f.do("GET", prefix+"/"+id, "").Body)
		f.do("PUT", prefix+"/"+id, strings.Replace(shown, idn, same, 1)).want(http.StatusOK)
	}
	const problem = "body.channels.0.configs.headers.X-S: value_error"
	for url, moved := range map[string]bool{
		"https://example.com/hook":               false,
		"https://example.com/other?x=1":          false,
		"https://example.com:443/hook":           false,
		"HTTPS://EXAMPLE.com/hook":               false,
		"https://example.com:8443/hook":          true,
		"http://example.com/hook":                true,
		"http://example.com:443/hook":            true,
		"https://example.org/hook":               true,
		"https://example.com.evil.test/hook":     true,
		"https://evil.test/https://example.com/": true,
		"https://evil.test?https://example.com/": true,
		"https://192.0.2.1/hook":                 true,
	} {
		f := newFixture(t, options{http: channelkit.HTTPConfig{AllowHTTP: true}})
		with := func(url, secret string) string {
			return `{"webhook_name": "n", "event_types": ["*"], "channels": [{"channel": "webhook", "configs": {"url": "` +
				url + `", "headers": {"X-S": "` + secret + `"}}}]}`
		}
		id := f.create(with("https://example.com/hook", "s3cr3t"))
		a := f.do("PUT", prefix+"/"+id, with(url, api.Mask))
		if !moved {
			a.want(http.StatusOK)
			assert.Contains(t, f.configs(id)[0], "s3cr3t", url)
			continue
		}
		require.Equal(t, http.StatusUnprocessableEntity, a.Status, "%s: %s", url, a.Body)
		assert.Contains(t, a.problems(), problem, url)
		assert.Contains(t, string(a.Body), "send the value itself", url)
		assert.Contains(t, f.configs(id)[0], "https://example.com/hook", url)
	}
}

// No way around: leaving secrets out, copying the webhook, making it again.
func TestSecretsDoNotFollowASubscription(t *testing.T) {
	t.Parallel()
	const thief = "https://thief.example/"
	f := newFixture(t, options{})
	id := f.create(secretSubscription)
	shown := string(f.do("GET", prefix+"/"+id, "").Body)
	moved := strings.Replace(shown, "https://example.com/hook", thief, 1)
	require.NotEqual(t, shown, moved)
	assert.Equal(t, []string{
		"body.channels.0.configs.headers.X-Mixpeek-Secret: value_error",
		"body.channels.0.configs.headers.X-Other: value_error",
		"body.channels.0.configs.signing_secret: value_error",
	}, f.do("PUT", prefix+"/"+id, moved).problems())
	// Nor if the secrets are left out, which keeps what clients may not know of.
	plain := strings.Replace(plainSubscription, "https://example.com/hook", thief, 1)
	assert.Equal(t, []string{"body.channels.0.configs.signing_secret: value_error"}, f.do("PUT", prefix+"/"+id, plain).problems())
	// A copy is another webhook, and has nothing to keep.
	var w map[string]any
	require.NoError(t, json.Unmarshal([]byte(moved), &w))
	delete(w, "webhook_id")
	copied, err := json.Marshal(w)
	require.NoError(t, err)
	assert.Len(t, f.do("POST", prefix, string(copied)).problems(), 3)
	f.do("DELETE", prefix+"/"+id, "").want(http.StatusNoContent)
	assert.Len(t, f.do("POST", prefix, moved).problems(), 3)
	assert.Equal(t, http.StatusNotFound, f.do("POST", prefix+"/"+id+"/test", "").Status)
}

// Channels of one's own: what a driver marks decides; without a mark, every URL;
// of a driver that lists nothing, everything.
func TestTargetsOfOwnChannels(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	token := channel.Field{Name: "token", Secret: true}
	for name, driver := range map[string]channel.Driver{
		"marked":  listing{fields: []channel.Field{token, {Name: "host", Target: true}, {Name: "link"}}},
		"listed":  listing{fields: []channel.Field{token, {Name: "host"}, {Name: "link"}}},
		"unknown": takesAll{},
	} {
		require.NoError(t, f.registry.Register(name, driver))
	}
	const stored = `{"token": "s3cr3t", "host": "a.example", "link": "https://a.example/x"}`
	for _, test := range []struct {
		channel, configs string
		kept             bool
	}{
		{"marked", `{"token": "********", "host": "a.example", "link": "https://b.example/"}`, true},
		{"marked", `{"token": "********", "host": "b.example", "link": "https://a.example/x"}`, false},
		{"marked", `{"token": "********", "link": "https://a.example/x"}`, false},
		{"listed", `{"token": "********", "host": "b.example", "link": "https://a.example/y"}`, true},
		{"listed", `{"token": "********", "host": "a.example", "link": "https://b.example/"}`, false},
		{"unknown", `{"token": "********", "host": "********", "link": "********"}`, true},
		{"unknown", `{"token": "********", "host": "********", "link": "https://b.example/"}`, false},
		{"unknown", `{"token": "********", "host": "b.example", "link": "********"}`, false},
	} {
		id := f.create(customSubscription(test.channel, stored))
		a := f.do("PUT", prefix+"/"+id, customSubscription(test.channel, test.configs))
		if test.kept {
			a.want(http.StatusOK)
			assert.Contains(t, f.configs(id)[0], "s3cr3t")
			continue
		}
		assert.Contains(t, a.problems(), "body.channels.0.configs.token: value_error", "%s %s", test.channel, test.configs)
	}
}
