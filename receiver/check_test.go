package receiver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// tripwire is a body that must not be read.
type tripwire struct{ t *testing.T }

func (b tripwire) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func (tripwire) Close() error { return nil }

// A request with a wrong form is refused before a byte of its body is read, with a status for
// each reason.
func TestForm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*http.Request)
		status int
		reason error
	}{
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }, 405, receiver.ErrMethod},
		{"PUT", func(r *http.Request) { r.Method = http.MethodPut }, 405, receiver.ErrMethod},
		{"no content type", func(r *http.Request) { r.Header.Del("Content-Type") }, 415,
			receiver.ErrContentType},
		{"form", func(r *http.Request) {
			r.Header.Set("Content-Type",
				"application/x-www-form-urlencoded")
		}, 415, receiver.ErrContentType},
		{"two content types", func(r *http.Request) {
			r.Header.Add("Content-Type", "application/json")
		}, 415, receiver.ErrContentType},
		{"garbled content type", func(r *http.Request) {
			r.Header.Set("Content-Type", "application/json, =")
		}, 415, receiver.ErrContentType},
		{"gzip unless opted in", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
			415, receiver.ErrContentEncoding},
		{"br", func(r *http.Request) { r.Header.Set("Content-Encoding", "br") }, 415,
			receiver.ErrContentEncoding},
		{"no secret", func(r *http.Request) { r.Header.Del("X-Mixpeek-Secret") }, 401,
			receiver.ErrSecretMissing},
		{"wrong secret", func(r *http.Request) { r.Header.Set("X-Mixpeek-Secret", "guess") }, 401,
			receiver.ErrSecretMismatch},
		{"empty secret", func(r *http.Request) { r.Header.Set("X-Mixpeek-Secret", "") }, 401,
			receiver.ErrSecretMismatch},
		{"prefix of the secret", func(r *http.Request) {
			r.Header.Set("X-Mixpeek-Secret",
				secret[:len(secret)-1])
		}, 401, receiver.ErrSecretMismatch},
		{"secret twice, both right", func(r *http.Request) {
			r.Header.Add("X-Mixpeek-Secret", secret)
		}, 401, receiver.ErrSecretRepeated},
		{"secret twice, one wrong", func(r *http.Request) {
			r.Header.Add("X-Mixpeek-Secret", "guess")
		}, 401, receiver.ErrSecretRepeated},
		{"announced length over the limit",
			func(r *http.Request) { r.ContentLength = receiver.DefaultMaxBody + 1 }, 413,
			receiver.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := newSpy(t)
			b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
			r := post(envelope(t, "evt_1"))
			r.Body = tripwire{t}
			tt.change(r)
			w := serve(b.Handler(failing(errors.New("not reached"))), r)
			assert.Equal(t, tt.status, w.Code)
			assert.ErrorIs(t, b.reason(t), tt.reason)
			assert.Empty(t, store.Calls(),
				"the store is not called for a refused request")
			if tt.status == 405 {
				assert.Equal(t, "POST", w.Header().Get("Allow"))
			}
			assert.NotContains(t, b.log.String(), secret)
			assert.NotContains(t, b.log.String(), "guess")
		})
	}
}

// Parameters of JSON types are ignored, including charset: JSON is UTF-8 (RFC 8259, sections
// 8.1 and 11).
func TestContentTypes(t *testing.T) {
	t.Parallel()
	for contentType, status := range map[string]int{
		"application/json":                       200,
		"application/json; charset=utf-8":        200,
		"Application/JSON;charset=UTF-8":         200,
		"application/json; charset=utf8":         200,
		"application/json; charset=UTF8":         200,
		"application/json; charset=us-ascii":     200,
		"application/json; charset=\"utf-8\"":    200,
		"application/json; charset=":             200,
		"application/json; charset=iso-8859-15":  200,
		"application/json; charset=utf-16":       200,
		"application/json; charset=a; charset=b": 200,
		"application/json; utf-8":                200,
		"application/json; odata=verbose":        200,
		"application/json; =":                    200,
		"application/json;":                      200,
		"application/json ; charset=utf-8":       200,
		"application/cloudevents+json":           200,
		"application/vnd.acme.event+json; v=1":   200,
		"text/json":                              415,
		"application/jsonx":                      415,
		"application/+jsonx":                     415,
		"/a+json":                                415,
		"+json":                                  415,
		"text/plain; application/json":           415,
		"text/plain;a/b+json":                    415,
		"multipart/form-data; boundary=+json":    415,
		"application/json, application/json":     415,
		"text/plain, application/a+json":         415,
		"text/plain application/a+json":          415,
	} {
		r := post(envelope(t, "evt_1"))
		r.Header.Set("Content-Type", contentType)
		assert.Equal(t, status, serve(setup(t).Handler(receiver.HandlerFunc(ok)), r).Code,
			contentType)
	}

	only := func(c *receiver.Config) { c.ContentTypes = []string{"text/xml"} }
	for contentType, status := range map[string]int{
		"text/xml": 200, "text/xml; charset=utf-8": 200, "text/xml; charset=UTF8": 200,
		"text/xml; charset=us-ascii": 200,
		"text/xml; charset=utf-16":   415, "text/xml; charset=": 415, "text/xml; =": 415,
		"application/json": 415,
	} {
		r := post(envelope(t, "evt_1"))
		r.Header.Set("Content-Type", contentType)
		assert.Equal(t, status, serve(setup(t, only).Handler(receiver.HandlerFunc(ok)), r).Code,
			contentType)
	}
}

// A body in another charset than UTF-8 is not JSON.
func TestOtherCharset(t *testing.T) {
	t.Parallel()
	r := post("{\"event_id\":\"evt_1\",\"event_type\":\"a.b\",\"namespace\":\"caf\xe9\"}")
	r.Header.Set("Content-Type", "application/json; charset=iso-8859-1")
	assert.Equal(t, 400, serve(setup(t).Handler(receiver.HandlerFunc(ok)), r).Code)
}

// A request came over HTTPS if TLS ends in this process, or if a trusted proxy says so.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		name      string
		tls       bool
		peer      string
		forwarded []string
		trusted   []netip.Prefix
		ok        bool
	}{
		{"TLS", true, "192.0.2.1:1234", nil, nil, true},
		{"plain", false, "192.0.2.1:1234", nil, nil, false},
		{"header from a stranger, no proxy configured", false, "10.0.0.1:1234", []string{"https"},
			nil,
			false},
		{"header from an untrusted peer", false, "192.0.2.1:1234", []string{"https"}, proxies,
			false},
		{"trusted proxy", false, "10.1.2.3:1234", []string{"https"}, proxies, true},
		{"trusted proxy, mapped address", false, "[::ffff:10.1.2.3]:1234", []string{"https"},
			proxies, true},
		{"trusted proxy, v6 with zone", false, "[fd00::1%eth0]:1234", []string{"HTTPS"}, proxies,
			true},
		{"trusted proxy says http", false, "10.1.2.3:1234", []string{"http"}, proxies, false},
		{"trusted proxy says nothing", false, "10.1.2.3:1234", nil, proxies, false},
		{"proxy appends to a header of the sender", false, "10.1.2.3:1234",
			[]string{"https, http"}, proxies, false},
		{"the same in two lines", false, "10.1.2.3:1234", []string{"https", "http"}, proxies,
			false},
		{"two proxies", false, "10.1.2.3:1234", []string{"https,https"}, proxies, true},
		{"empty header", false, "10.1.2.3:1234", []string{""}, proxies, false},
		{"peer without an address", false, "@", []string{"https"}, proxies, false},
		{"trusted proxy that encrypts again", true, "10.1.2.3:1234", []string{"https"}, proxies, true},
		{"the same, to which the sender talked http", true, "10.1.2.3:1234", []string{"http"}, proxies,
			false},
		{"the same, and the sender made up https", true, "10.1.2.3:1234", []string{"https", "http"},
			proxies, false},
		{"the same, which says nothing", true, "10.1.2.3:1234", nil, proxies, true},
		{"TLS with a header of the sender", true, "192.0.2.1:1234", []string{"http"}, proxies, true},
		{"the same, no proxy configured", true, "10.1.2.3:1234", []string{"http"}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *receiver.Config) {
				c.AllowHTTP, c.TrustedProxies = false, tt.trusted
			})
			r := post(envelope(t, "evt_1"))
			r.RemoteAddr = tt.peer
			if tt.forwarded != nil {
				r.Header["X-Forwarded-Proto"] = tt.forwarded
			}
			if tt.tls {
				r.TLS = new(tls.ConnectionState)
			}
			w := serve(b.Handler(receiver.HandlerFunc(ok)), r)
			if tt.ok {
				assert.Equal(t, 200, w.Code)
				return
			}
			assert.Equal(t, 400, w.Code)
			assert.ErrorIs(t, b.reason(t), receiver.ErrInsecure)
			assert.Empty(t, w.Header().Get("Location"), "never a redirect")
		})
	}
}

// A body of exactly the limit passes and one byte more does not, with a Content-Length and in
// chunks.
func TestBodyLimit(t *testing.T) {
	t.Parallel()
	body := envelope(t, "evt_1")
	for _, tt := range []struct {
		name    string
		limit   int
		chunked bool
		status  int
	}{
		{"at the limit", len(body), false, 200},
		{"at the limit, chunked", len(body), true, 200},
		{"one over", len(body) - 1, false, 413},
		{"one over, chunked", len(body) - 1, true, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := newSpy(t)
			b := setup(t, func(c *receiver.Config) { c.MaxBody, c.Dedupe = int64(tt.limit), store })
			r := post(body)
			if tt.chunked {
				// The limit may be reached before the end of the body is seen.
				r.ContentLength, r.Body = -1, io.NopCloser(iotest.OneByteReader(r.Body))
			}
			assert.Equal(t, tt.status, serve(b.Handler(receiver.HandlerFunc(ok)), r).Code)
			if tt.status != 200 {
				assert.ErrorIs(t, b.reason(t), receiver.ErrTooLarge)
				assert.Empty(t, store.Calls())
			}
		})
	}
	t.Run("larger than the first buffer", func(t *testing.T) {
		t.Parallel()
		body := body + strings.Repeat(" ", 200_000)
		assert.Equal(t, 200, serve(setup(t).Handler(receiver.HandlerFunc(ok)), post(body)).Code)
	})
	t.Run("one MiB by default", func(t *testing.T) {
		t.Parallel()
		fits := body + strings.Repeat(" ", 1<<20-len(body))
		assert.Equal(t, 200, serve(setup(t).Handler(receiver.HandlerFunc(ok)), post(fits)).Code)
		assert.Equal(t, 413, serve(setup(t).Handler(receiver.HandlerFunc(ok)), post(fits+" ")).Code)
	})
}

// A body without a Content-Length is not read beyond the limit.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	b := setup(t, func(c *receiver.Config) { c.MaxBody = limit })
	endless := &endlessBody{most: 10 * limit}
	r := post("")
	r.ContentLength, r.Body = -1, endless
	assert.Equal(t, 413, serve(b.Handler(receiver.HandlerFunc(ok)), r).Code)
	assert.Less(t, endless.read, 2*limit)
}

// endlessBody ends only so that a failing test ends.
type endlessBody struct{ read, most int }

func (e *endlessBody) Read(p []byte) (int, error) {
	if e.read > e.most {
		return 0, io.EOF
	}
	e.read += len(p)
	return len(p), nil
}

func (*endlessBody) Close() error { return nil }

func gzipped(t *testing.T, body string) string {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	_, err := io.WriteString(zw, body)
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	return buf.String()
}

// With MaxDecoded the decompressed body is bounded.
func TestGzip(t *testing.T) {
	t.Parallel()
	body := envelope(t, "evt_1")
	packed := gzipped(t, body)
	bomb := gzipped(t, body+strings.Repeat(" ", 8<<20))
	tests := []struct {
		name     string
		body     string
		encoding string
		limit    int
		status   int
		reason   error
	}{
		{"fits", packed, "gzip", len(body), 200, nil},
		{"no limit to speak of", packed, "gzip", math.MaxInt, 200, nil},
		{"any case", packed, "GZIP", len(body), 200, nil},
		{"by its old name", packed, "x-gzip", len(body), 200, nil},
		{"identity", body, "identity", len(body), 200, nil},
		{"one over", packed, "gzip", len(body) - 1, 413, receiver.ErrTooLarge},
		{"bomb", bomb, "gzip", 1 << 20, 413, receiver.ErrTooLarge},
		{"bomb is not read to its end", bomb[:len(bomb)-9], "gzip", 1 << 20, 413,
			receiver.ErrTooLarge},
		{"twice", packed, "gzip, gzip", 1 << 20, 415, receiver.ErrContentEncoding},
		{"not gzip", body, "gzip", 1 << 20, 400, receiver.ErrMalformed},
		{"cut short", packed[:len(packed)-4], "gzip", 1 << 20, 400, receiver.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *receiver.Config) { c.MaxDecoded = int64(tt.limit) })
			r := post(tt.body)
			r.Header.Set("Content-Encoding", tt.encoding)
			w := serve(b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				data, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, body, string(data))
				assert.NotContains(t, r.Header.Get("Content-Encoding"), "gzip")
			})), r)
			assert.Equal(t, tt.status, w.Code)
			if tt.reason != nil {
				assert.ErrorIs(t, b.reason(t), tt.reason)
			}
		})
	}
}

// An authentic body that is not an event gets 400.
func TestMalformed(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":    "",
		"text":     "hello",
		"array":    `[{"event_id":"evt_1"}]`,
		"cut":      `{"event_id":"evt_1"`,
		"twice":    `{"event_id":"evt_1","event_type":"a.b"}{}`,
		"type":     `{"event_id":7,"event_type":"a.b"}`,
		"typeless": `{"event_id":"evt_1"}`,
		"not UTF8": "{\"event_id\":\"\xff\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newSpy(t)
			b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
			w := serve(b.Handler(failing(errors.New("not reached"))), post(body))
			assert.Equal(t, 400, w.Code)
			assert.ErrorIs(t, b.reason(t), receiver.ErrMalformed)
			assert.Empty(t, store.Calls())
		})
	}
}

// brokenBody ends early, as when a sender disconnects.
type brokenBody struct{ io.Reader }

func (b brokenBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (brokenBody) Close() error { return nil }

func TestBrokenBody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := post(envelope(t, "evt_1"))
	r.Body = brokenBody{r.Body}
	assert.Equal(t, 400, serve(b.Handler(receiver.HandlerFunc(ok)), r).Code)
	assert.ErrorIs(t, b.reason(t), receiver.ErrBody)
}

// The key of a claim is the event's id, or else a hash.
func TestKey(t *testing.T) {
	t.Parallel()
	long := "evt_" + strings.Repeat("x", 300)
	tests := []struct {
		name     string
		body     string
		consumer string
		key      string
	}{
		{"the event's id", `{"event_id":"evt_1","event_type":"a.b"}`, "", "evt_1"},
		{"for a consumer", `{"event_id":"evt_1","event_type":"a.b"}`, "search", "search/evt_1"},
		{"without an id, the body's hash", `{"event_type":"object.created"}`, "", "body:"},
		{"an id that is too long for an index", `{"event_id":"` + long + `","event_type":"a.b"}`,
			"", "id:"},
		{"an id that PostgreSQL cannot store", `{"event_id":"evt_\u0000","event_type":"a.b"}`, "",
			"id:"},
		{"an id that looks like a consumer's", `{"event_id":"search/evt_1","event_type":"a.b"}`, "",
			"id:"},
		{"an id that looks like a hash",
			`{"event_id":"body:` + strings.Repeat("0", 64) + `","event_type":"a.b"}`, "", "id:"},
		{"an id beyond ASCII", `{"event_id":"evt_é","event_type":"a.b"}`, "", "id:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *receiver.Config) { c.Consumer = tt.consumer })
			d, err := b.Check(post(tt.body))
			require.NoError(t, err)
			if prefix, _, hashed := strings.Cut(tt.key, ":"); hashed {
				assert.Regexp(t, "^"+prefix+":[0-9a-f]{64}$", d.Claim.Key)
				return
			}
			assert.Equal(t, tt.key, d.Claim.Key)
		})
	}
	t.Run("other bodies, other keys", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		one, err := b.Check(post(`{"event_type":"a.b","metadata":{"n":1}}`))
		require.NoError(t, err)
		two, err := b.Check(post(`{"event_type":"a.b","metadata":{"n":2}}`))
		require.NoError(t, err)
		assert.NotEqual(t, one.Claim.Key, two.Claim.Key)
	})
	t.Run("an unsigned webhook-id is ignored", func(t *testing.T) {
		t.Parallel()
		r := post(`{"event_type":"object.created"}`)
		r.Header.Set("Webhook-Id", "evt_made_up")
		d, err := setup(t).Check(r)
		require.NoError(t, err)
		assert.Contains(t, d.Claim.Key, "body:")
	})
}

// Config.Decode decodes payloads of other formats.
func TestDecode(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *receiver.Config) {
		c.ContentTypes = []string{"text/plain"}
		c.Decode = func(h http.Header, body []byte) (*event.Event, error) {
			if string(body) == "bad" {
				return nil, errors.New("unknown shape")
			}
			if string(body) == "nil" {
				return nil, nil
			}
			return &event.Event{ID: string(body), Type: h.Get("X-Kind")}, nil
		}
	})
	send := func(body string) int {
		r := post(body)
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("X-Kind", "invoice.paid")
		router := receiver.NewRouter()
		router.On("invoice.*", func(_ context.Context, e *event.Event) error {
			assert.Equal(t, body, e.ID)
			return nil
		})
		return serve(b.Handler(router), r).Code
	}
	assert.Equal(t, 200, send("evt_7"))
	assert.Equal(t, []receiver.Outcome{receiver.Handled}, b.outcomes())
	assert.Equal(t, 400, send("bad"))
	assert.Equal(t, 400, send("nil"))
}

// Check claims nothing, and the request's body can be read again.
func TestCheck(t *testing.T) {
	t.Parallel()
	store := newSpy(t)
	b := setup(t, func(c *receiver.Config) { c.Dedupe = store })
	r := post(envelope(t, "evt_1"))
	for range 2 {
		d, err := b.Check(r)
		require.NoError(t, err)
		assert.Equal(t, "evt_1", d.Event.ID)
		assert.Zero(t, d.Claim.Token)
	}
	assert.Empty(t, store.Calls())

	r.Header.Set("X-Mixpeek-Secret", "guess")
	d, err := b.Check(r)
	var rejection *receiver.Rejection
	require.ErrorAs(t, err, &rejection)
	assert.Equal(t, 401, rejection.Status)
	assert.ErrorIs(t, err, receiver.ErrSecretMismatch)
	assert.Nil(t, d)
}

// Both spellings of the envelope are one event.
func TestSpellings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d, err := b.Check(post(`{"event_id":"evt_1","event_type":"a.b","namespace":"acme","cache_scope_to_invalidate":{"scope":"COLLECTION","collection_id":"col_1"}}`))
	require.NoError(t, err)
	assert.Equal(t, "acme", d.Event.Namespace)
	assert.Equal(t, event.ScopeCollection, d.Event.CacheScope.Kind)
	d, err = b.Check(post(`{"event_id":"evt_1","event_type":"a.b","namespace_id":"ns_1","cache_scope":{"scope":"collection","collection_id":"col_1"}}`))
	require.NoError(t, err)
	assert.Equal(t, "ns_1", d.Event.NamespaceID)
	assert.Equal(t, "col_1", d.Event.CacheScope.CollectionID)
}
