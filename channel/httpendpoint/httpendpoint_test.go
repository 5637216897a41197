package httpendpoint_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/event"
)

func TestWebhookPostsTheStoredBytes(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	url := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "thanks")
	})
	c := channelfixture.Open(t, httpendpoint.NewDriver(channelfixture.Client(t),
		httpendpoint.Options{}), httpendpoint.Config{
		URL:     url + "/hook?k=v",
		Headers: map[string]string{"X-Mixpeek-Secret": "sesame-sesame"},
	})

	m := channelfixture.Message()
	m.Payload = []byte(`{ "event_id" : "evt_abc123",  "later_field":1.50 }`)
	result, err := c.Send(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, channel.Result{StatusCode: 202, Response: "thanks"}, result)

	assert.Equal(t, http.MethodPost, got.Method)
	assert.Equal(t, "/hook?k=v", got.RequestURI)
	assert.Equal(t, string(m.Payload), string(body), "byte by byte as stored")
	assert.Equal(t, int64(len(m.Payload)), got.ContentLength)
	got.Header.Del("Content-Length")
	assert.Equal(t, http.Header{
		"Accept-Encoding":  {"identity"},
		"Content-Type":     {"application/json"},
		"User-Agent":       {channelkit.DefaultUserAgent},
		"X-Mixpeek-Secret": {"sesame-sesame"},

		httpendpoint.HeaderEventID: {"evt_abc123"},
		httpendpoint.HeaderAttempt: {"1"},
	}, got.Header)
	assert.Equal(t, channelkit.DefaultTimeout, c.Capabilities().Timeout)
}

func TestWebhookOptions(t *testing.T) {
	t.Parallel()
	var got *http.Request
	url := channelfixture.Serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	client := channelfixture.NewClient(t,
		channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true, UserAgent: "acme/1"})
	t.Cleanup(client.CloseIdleConnections)
	d := httpendpoint.NewDriver(client, httpendpoint.Options{})

	c := channelfixture.Open(t, d, map[string]any{"url": url,
		"method": "put", "timeout": 60.25,
		"headers": map[string]string{"content-type": "application/vnd.acme+json"}, "unknown": 1})
	_, err := c.Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	assert.Equal(t, http.MethodPut, got.Method)
	assert.Equal(t, "application/vnd.acme+json", got.Header.Get("Content-Type"))
	assert.Equal(t, "acme/1", got.UserAgent())
	assert.Equal(t, 60250*time.Millisecond, c.Capabilities().Timeout)

	c = channelfixture.Open(t, d, map[string]any{"url": url,
		"headers": map[string]string{"User-Agent": "mine/2"}, "timeout": nil, "payload_template": nil})
	_, err = c.Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	assert.Equal(t, "mine/2", got.UserAgent())

	c = channelfixture.Open(t, d, map[string]any{"url": url, "timeout": 0})
	assert.Equal(t, channelkit.DefaultTimeout, c.Capabilities().Timeout, "zero counts as absent")
}

func TestWebhookCapabilities(t *testing.T) {
	t.Parallel()
	d := httpendpoint.NewDriver(channelfixture.Client(t), httpendpoint.Options{})
	for url, want := range map[string]channel.Capabilities{
		"https://Example.com/hook":   {Host: "example.com", Port: 443, Method: "PUT"},
		"http://example.com":         {Host: "example.com", Port: 80, Method: "PUT"},
		"https://example.com:8443/x": {Host: "example.com", Port: 8443, Method: "PUT"},
		"http://[2606:4700::1111]":   {Host: "2606:4700::1111", Port: 80, Method: "PUT"},
	} {
		want.Timeout = channelkit.DefaultTimeout
		c := channelfixture.Open(t, d, httpendpoint.Config{URL: url, Method: "PUT"})
		assert.Equal(t, want, c.Capabilities(), url)
	}
}

func TestWebhookConfigProblems(t *testing.T) {
	t.Parallel()
	d := httpendpoint.NewDriver(channelfixture.NewClient(t, channelkit.HTTPConfig{}),
		httpendpoint.Options{})
	tests := []struct {
		name, config string
		want         []string // fields
	}{
		{"nothing", ``, []string{""}},
		{"null", `null`, []string{""}},
		{"a list", `[]`, []string{""}},
		{"cut off", `{"url":`, []string{""}},
		{"empty", `{}`, []string{"url"}},
		{"empty url", `{"url":""}`, []string{"url"}},
		{"url of another type", `{"url":5}`, []string{"url"}},
		{"plain http, fragment", `{"url":"http://example.com/#x"}`, []string{"url", "url"}},
		{"types", `{"url":"https://example.com","headers":[],"timeout":"10","method":1}`,
			[]string{"timeout", "method", "headers"}},
		{"timeout too short", `{"url":"https://example.com","timeout":0.0001}`, []string{"timeout"}},
		{"timeout negative", `{"url":"https://example.com","timeout":-1}`, []string{"timeout"}},
		{"timeout too long", `{"url":"https://example.com","timeout":300.1}`, []string{"timeout"}},
		{"timeout huge", `{"url":"https://example.com","timeout":1e400}`, []string{"timeout"}},
		{"method", `{"url":"https://example.com","method":"DELETE"}`, []string{"method"}},
		{"header value type", `{"url":"https://example.com","headers":{"A":1,"B":null}}`,
			[]string{"headers.A", "headers.B"}},
		{"header names",
			`{"url":"https://example.com","headers":{"":"x","a b":"x","a:b":"x","é":"x","A\r\nB":"x"}}`,
			[]string{`headers[""]`, `headers["A\r\nB"]`, `headers["a b"]`, `headers["a:b"]`,
				`headers["é"]`}},
		{"header values",
			`{"url":"https://example.com","headers":{"A":"sesame\r\nB: c","B":"sesame\u0000","C":"sesame\u007f","D":" sesame"}}`,
			[]string{"headers.A", "headers.B", "headers.C", "headers.D"}},
		{"header twice", `{"url":"https://example.com","headers":{"X-A":"1","x-a":"2"}}`,
			[]string{"headers.x-a"}},
		{"forbidden",
			`{"url":"https://example.com","headers":{"host":"x","Content-Length":"1","connection":"close","Keep-Alive":"x","Proxy-Authorization":"x","proxy-authenticate":"x","Proxy-Connection":"x","TE":"x","Trailer":"x","Transfer-Encoding":"x","upgrade":"x","Expect":"x","HTTP2-Settings":"x"}}`,
			[]string{"headers.Content-Length", "headers.Expect", "headers.HTTP2-Settings",
				"headers.Keep-Alive", "headers.Proxy-Authorization", "headers.Proxy-Connection", "headers.TE",
				"headers.Trailer", "headers.Transfer-Encoding", "headers.connection", "headers.host",
				"headers.proxy-authenticate", "headers.upgrade"}},
		{"no signing keys", `{"url":"https://example.com","signing_secrets":[]}`,
			[]string{"signing_secrets"}},
		{"empty signing key", `{"url":"https://example.com","signing_secret":""}`,
			[]string{"signing_secret"}},
		{"bad signing keys",
			`{"url":"https://example.com","signing_secret":"sesame","signing_secrets":["whsec_sesame",5]}`,
			[]string{"signing_secrets[1]", "signing_secret", "signing_secrets[0]"}},
		{"everything", `{"timeout":-1,"method":"GET","headers":{"Host":"sesame"},"signing_secret":1}`,
			[]string{"timeout", "url", "method", "signing_secret", "headers.Host"}},
	}
	for _, tt := range tests {
		_, err := d.Open(json.RawMessage(tt.config))
		var invalid *event.ValidationError
		if !assert.ErrorAs(t, err, &invalid, tt.name) {
			continue
		}
		var fields []string
		for _, p := range invalid.Problems {
			fields = append(fields, p.Field)
		}
		assert.Equal(t, tt.want, fields, "%s: %v", tt.name, err)
		assert.NotContains(t, err.Error(), "sesame", tt.name)
	}
}

func TestWebhookFailuresAreClassified(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		url := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/gone":
				w.WriteHeader(http.StatusGone)
			case "/wait":
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = io.WriteString(w, "busy\r\n\x00")
			case "/redirect":
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			case "/elsewhere":
				t.Error("a redirect was followed")
			case "/hang":
				_, _ = io.Copy(io.Discard, r.Body) // from here on the server notices that the client has gone
				<-r.Context().Done()
			}
		})
		d := httpendpoint.NewDriver(channelfixture.NewClient(t, config), httpendpoint.Options{})
		tests := []struct {
			path string
			want channel.Error
		}{
			{
				"/gone",
				channel.Error{Action: channel.Disable, Class: channel.ClassStatus, StatusCode: 410},
			},
			{"/wait", channel.Error{Action: channel.Wait, Class: channel.ClassStatus, StatusCode: 503,
				RetryAfter: 7 * time.Second}},
			{"/redirect", channel.Error{Class: channel.ClassRedirect, StatusCode: 307}},
			{"/hang", channel.Error{Class: channel.ClassTimeout}},
		}
		for _, tt := range tests {
			limit := 60.0 // for a busy machine
			if tt.want.Class == channel.ClassTimeout {
				if testing.Short() {
					continue // waits
				}
				limit = 0.2
			}
			c := channelfixture.Open(t, d, map[string]any{"url": url + tt.path, "timeout": limit})
			result, err := c.Send(t.Context(), channelfixture.Message())
			var got *channel.Error
			require.ErrorAs(t, err, &got, tt.path)
			assert.Equal(t, tt.want.Action, got.Action, tt.path)
			assert.Equal(t, tt.want.Class, got.Class, tt.path)
			assert.Equal(t, tt.want.StatusCode, got.StatusCode, tt.path)
			assert.Equal(t, tt.want.RetryAfter, got.RetryAfter, tt.path)
			assert.Equal(t, tt.want.StatusCode, result.StatusCode, tt.path)
			if tt.path == "/wait" {
				assert.Equal(t, "busy", result.Response)
			}
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := channelfixture.Open(t, d, map[string]any{"url": url + "/hang"}).Send(ctx,
			channelfixture.Message())
		require.ErrorIs(t, err, context.Canceled)
	})
}

// A status is what an endpoint has to say. How much comes after it, and what
// becomes of that, changes a verdict only where a 2xx has no end in sight.
func TestWebhookLargeAnswersKeepTheirStatus(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		const declared, chunked, brokenOff = "declared", "chunked", "broken off"
		for _, status := range []int{200, 202, 302, 410, 429, 500, 503} {
			for _, form := range []string{declared, chunked, brokenOff} {
				if form == brokenOff && status < 300 {
					continue // that one failed: see channeltest's Misbehaviours
				}
				if testing.Short() && status != 200 && status != 410 {
					continue // two verdicts are enough
				}
				url := channelfixture.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "60")
					if form != chunked {
						w.Header().Set("Content-Length", strconv.Itoa(2<<20))
					}
					w.WriteHeader(status)
					if form == brokenOff {
						channelfixture.BreakOff(w, "part")
					}
					_, _ = w.Write(make([]byte, 2<<20))
				})
				result, err := channelfixture.Open(t,
					httpendpoint.NewDriver(channelfixture.NewClient(t, config), httpendpoint.Options{}),
					httpendpoint.Config{URL: url}).Send(t.Context(), channelfixture.Message())
				want := channel.Classify(status, http.Header{"Retry-After": {"60"}}, time.Now())
				assert.Equal(t, channel.AsError(want), channel.AsError(err), "%d, %s", status, form)
				assert.Equal(t, status, result.StatusCode)
				assert.LessOrEqual(t, len(result.Response), 1024+len("…"))
			}
		}
	})
}

// The guard holds at connect time: the name is looked up, the address refused.
func TestWebhookRefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	url := channelfixture.Serve(t, func(http.ResponseWriter, *http.Request) { t.Error("connected") })
	strict := channelfixture.NewClient(t, channelkit.HTTPConfig{AllowHTTP: true})
	_, err := httpendpoint.NewDriver(strict,
		httpendpoint.Options{}).Open(json.RawMessage(`{"url":"` + url + `"}`))
	require.Error(t, err, "refused as soon as it is configured")

	// A name that only resolution shows to be private, where /etc/hosts has it.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://ip6-localhost/hook",
		nil)
	require.NoError(t, err)
	_, err = strict.Do(req)
	var got *channel.Error
	require.ErrorAs(t, err, &got)
	assert.Contains(t, []channel.Class{channel.ClassRefusedAddress, channel.ClassDNS}, got.Class)
	assert.True(t, got.Retryable())
}

// Of several broken leaves of a template each is named.
func TestWebhookBrokenLeaves(t *testing.T) {
	t.Parallel()
	_, err := httpendpoint.NewDriver(nil, httpendpoint.Options{}).Open(json.RawMessage(
		`{"url":"https://example.com","payload_template":{"a":"{{ x","b":{"c":"{{ x|nonesuch }}","sesame":"fine"},"d":["{% if %}"]}}`,
	))
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Problems, 3)
	for i, leaf := range []string{"/a", "/b/c", "/d/0"} {
		assert.Equal(t, "payload_template", invalid.Problems[i].Field)
		assert.Contains(t, invalid.Problems[i].Rule, leaf)
	}
}
