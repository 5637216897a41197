package httpendpoint_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

// Whatever of a configuration an endpoint repeats, in whatever way, is not
// stored.
func TestWebhookRedactsEchoes(t *testing.T) {
	t.Parallel()
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		long := "SECRETSECRET" + strings.Repeat("abcdefghij", 29)
		tests := []struct {
			name   string
			path   string
			config map[string]any
			secret string
			answer http.HandlerFunc
		}{
			{
				name: "the path without the query", path: "/hooks/T0KENT0KENT0KEN?v=1", secret: "T0KENT0KEN",
				answer: func(w http.ResponseWriter, r *http.Request) {
					http.Error(w, "Cannot POST "+r.URL.Path, http.StatusNotFound)
				},
			},
			{
				name: "a segment of the path", path: "/hooks/T0KENT0KENT0KEN", secret: "T0KENT0KEN",
				answer: func(w http.ResponseWriter, _ *http.Request) {
					http.Error(w, "unknown hook T0KENT0KENT0KEN", http.StatusNotFound)
				},
			},
			{
				name: "an escaped segment", path: "/hooks/T0KEN%2ft0ken%20", secret: "T0KEN",
				answer: func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, "unknown hooks T0KEN%2ft0ken%20 and T0KEN/t0ken ")
				},
			},
			{
				name: "a value of the query as it is written", path: "/?k=T0KEN%2ft0ken", secret: "T0KEN",
				answer: func(w http.ResponseWriter, _ *http.Request) {
					_,
						_ = io.WriteString(w, "T0KEN%2ft0ken")
				},
			},
			{
				name: "PHP's JSON", secret: "defghijkl",
				config: map[string]any{
					"headers": map[string]string{"Authorization": "Bearer abc/defghijkl/mnop+qrs="},
				},
				answer: func(w http.ResponseWriter, r *http.Request) {
					_, _ = fmt.Fprintf(w, `{"auth":"%s"}`,
						strings.ReplaceAll(r.Header.Get("Authorization"), "/", `\/`))
				},
			},
			{
				name: "a short secret", secret: "s3cr",
				config: map[string]any{"headers": map[string]string{"X-Mixpeek-Secret": "s3cr"}},
				answer: func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, "got "+r.Header.Get("X-Mixpeek-Secret"))
				},
			},
			{
				name: "a literal of the template", secret: "tok_live",
				config: map[string]any{"payload_template": map[string]any{
					"deep": []any{map[string]string{"token": "tok_live_123456789"}}, "id": "{{ event_id }}"}},
				answer: func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) },
			},
			{
				name: "many times, which makes room for more", secret: "SECRETSECRET",
				config: map[string]any{"headers": map[string]string{"X-Mixpeek-Secret": long}},
				answer: func(w http.ResponseWriter, r *http.Request) {
					for range 20 {
						_, _ = io.WriteString(w, r.Header.Get("X-Mixpeek-Secret"))
					}
				},
			},
			{
				name: "an answer that breaks off in a secret", secret: "SECRETSECRET",
				config: map[string]any{"headers": map[string]string{"X-Mixpeek-Secret": long}},
				answer: func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Length", "500")
					channelfixture.BreakOff(w, "got "+long[:200])
				},
			},
		}
		for _, tt := range tests {
			endpoint := map[string]any{"url": channelfixture.Serve(t, tt.answer) + tt.path}
			maps.Copy(endpoint, tt.config)
			result, _ := channelfixture.Open(t,
				httpendpoint.NewDriver(channelfixture.NewClient(t, config), httpendpoint.Options{}),
				endpoint).Send(t.Context(), channelfixture.Message())
			assert.NotEmpty(t, result.Response, tt.name)
			assert.NotContains(t, result.Response, tt.secret, tt.name)
		}
	})
}

// The limit of what is read may itself cut a secret in two.
func TestWebhookRedactsAtTheLimit(t *testing.T) {
	t.Parallel()
	const secret = "SECRETSECRET-sesame"
	url := channelfixture.Serve(t, func(w http.ResponseWriter,
		_ *http.Request) {
		_, _ = io.WriteString(w, "got "+secret)
	})
	client := channelfixture.NewClient(t,
		channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true, MaxResponse: 16})
	t.Cleanup(client.CloseIdleConnections)
	result, err := channelfixture.Open(t, httpendpoint.NewDriver(client, httpendpoint.Options{}),
		httpendpoint.Config{
			URL: url, Headers: map[string]string{"X-Mixpeek-Secret": secret},
		}).Send(t.Context(), channelfixture.Message())
	assert.NoError(t, err)
	assert.Equal(t, "got ", result.Response)
}

// A secret is found in every form that a server may write it in.
func TestWebhookRedactsForms(t *testing.T) {
	t.Parallel()
	const user, password, token = "acme-user", `pass"wö<rd>/&'+`, "tok_ü/sesame+4711&x"
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	forms := map[string]string{
		"Basic as it is sent": "Authorization: Basic " + basic,
		"Basic, decoded":      "login of " + user + ":" + password,
		"the password":        "wrong password " + password,
		"in base64":           base64.StdEncoding.EncodeToString([]byte(token)),
		"in base64 for URLs": base64.URLEncoding.EncodeToString(
			[]byte("?>" + token + "??")),
		"in longer base64": base64.StdEncoding.EncodeToString(
			[]byte("x" + token + "yz")),
		"in hexadecimal":                      hex.EncodeToString([]byte("<" + token + ">")),
		"in HEXADECIMAL":                      strings.ToUpper(hex.EncodeToString([]byte(token))),
		"in a URL":                            "?q=" + url.QueryEscape(token),
		"in lower case":                       "?q=tok_%c3%bc%2fsesame%2b4711%26x",
		"in a path":                           "/x/" + url.PathEscape(token),
		"in HTML":                             "<b>" + html.EscapeString(password) + "</b>",
		"in HTML of Python":                   "pass&quot;wö&lt;rd&gt;/&amp;&#x27;+",
		"in JSON of Python":                   `{"t": "tok_\u00fc/sesame+4711&x"}`,
		"in JSON of PHP":                      `{"t": "tok_\u00fc\/sesame+4711&x"}`,
		"in JSON of Go":                       `{"t": "tok_ü/sesame+4711\u0026x"}`,
		"with what is left out of an excerpt": "tok_ü/ses\r\rame\r+4711&x",
	}
	for name, form := range forms {
		for _, before := range []string{"", "got: ", "é\n"} {
			address := channelfixture.Serve(t,
				func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, before+form) })
			result, err := channelfixture.Open(t,
				httpendpoint.NewDriver(channelfixture.Client(t), httpendpoint.Options{}), httpendpoint.Config{
					URL: address, Headers: map[string]string{"Authorization": "Basic " + basic, "X-Token": token},
				}).Send(t.Context(), channelfixture.Message())
			require.NoError(t, err)
			assert.Contains(t, result.Response, "[redacted]", name)
			shown := strings.ReplaceAll(result.Response, "[redacted]", "")
			assert.Less(t, len(shown), 25, "%s: %q", name, shown)
			for _, part := range []string{"sesame", "4711", "wö", "rd&", basic[4:]} {
				assert.NotContains(t, shown, part, name)
			}
		}
	}
}

// What cannot be read cannot be searched for secrets: it is not shown.
func TestWebhookCompressedAnswer(t *testing.T) {
	t.Parallel()
	address := channelfixture.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "sesame-sesame")
		_ = z.Close()
	})
	result, err := channelfixture.Open(t,
		httpendpoint.NewDriver(channelfixture.Client(t), httpendpoint.Options{}),
		httpendpoint.Config{URL: address}).Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	assert.Equal(t, "(a body in a coding that was not asked for: gzip)", result.Response)
}
