package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/template"
)

// WebhookConfig is the configuration of the "webhook" channel as the published
// contract spells it, for programs that write one. The fields from Method on
// are extensions of this library.
type WebhookConfig struct {
	// URL is where the event is posted to. Required; see HTTPClient.CheckURL.
	URL string `json:"url"`

	// Headers are sent with every request, and may override User-Agent and
	// Content-Type. Those that belong to the connection are refused, and so are
	// values that are empty or hold characters that cannot be seen.
	Headers map[string]string `json:"headers,omitempty"`

	// PayloadTemplate is a JSON object whose strings are templates; what it
	// renders to is the body. Empty means that the stored envelope is the body,
	// byte by byte.
	PayloadTemplate json.RawMessage `json:"payload_template,omitempty"`

	// Timeout of one attempt in seconds, from 0.001 to 300; fractions count.
	// Zero means 10.
	Timeout float64 `json:"timeout,omitempty"`

	// Method is POST or PUT. Empty means POST.
	Method string `json:"method,omitempty"`

	// SigningSecret is a Standard Webhooks key (whsec_ or whsk_) that every
	// request is signed with. Empty means that requests are not signed.
	SigningSecret string `json:"signing_secret,omitempty"`

	// SigningSecrets are further keys that are live at the same time, newest
	// first, for the time of a rotation.
	SigningSecrets []string `json:"signing_secrets,omitempty"`
}

// The limits of an attempt's time.
const (
	DefaultTimeout = 10 * time.Second
	MinTimeout     = time.Millisecond
	MaxTimeout     = 5 * time.Minute
)

// NewWebhookDriver returns the driver of the "webhook" channel, which posts
// events to an HTTP endpoint; its configuration is a [WebhookConfig]. A nil
// client means one of its own with the zero HTTPConfig.
func NewWebhookDriver(client *HTTPClient) Driver {
	if client == nil {
		client = NewHTTPClient(HTTPConfig{})
	}
	return &webhookDriver{client: client}
}

type webhookDriver struct {
	client  *HTTPClient
	library *template.Library
}

// Open checks everything and prepares what all attempts have in common.
func (d *webhookDriver) Open(config json.RawMessage) (Channel, error) {
	r := readConfig(config, d.library)
	c := &webhookChannel{client: d.client, timeout: r.timeout("timeout")}

	u := r.url("url", d.client)
	method := r.method("method")
	signer, secrets := r.signer()
	c.signer = signer
	header := r.headers("headers", signer != nil)
	c.payload = r.objectTemplate("payload_template")
	if err := r.problems.Err(); err != nil {
		return nil, err
	}

	for _, values := range header {
		secrets = append(secrets, values...)
	}
	literals := atLeast(minLiteral, r.literals("payload_template"))
	c.redact = newRedactor(slices.Concat(secrets, urlSecrets(u)), literals...)
	setDefault(header, "Content-Type", "application/json")
	d.client.setDefaults(header)
	markRepeatable(header)
	c.request = &http.Request{
		Method: method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return c, nil
}

// webhookChannel is a WebhookConfig made ready.
type webhookChannel struct {
	client  *HTTPClient
	request *http.Request // what all requests have in common; never modified
	signer  *signature.Signer
	payload *tmpl
	redact  *redactor
	timeout time.Duration
}

// Timeout is how long an attempt may take.
func (c *webhookChannel) Timeout() time.Duration { return c.timeout }

// Send posts the message once.
func (c *webhookChannel) Send(ctx context.Context, m *Message) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	body := m.Payload
	if c.payload != nil {
		var err error
		if body, err = c.payload.run(ctx, m); err != nil {
			return Result{}, err
		}
	}
	req := c.request.WithContext(ctx)
	setBody(req, body)
	if c.signer != nil {
		req.Header = maps.Clone(req.Header)
		if err := c.signer.Sign(req.Header, m.EventID, time.Now(), body); err != nil {
			return Result{}, &Error{Action: Permanent, Class: ClassPayload, Err: errText("the event cannot be signed: its id does not fit")}
		}
	}
	return c.client.send(req, c.redact)
}

// send makes one request, keeps an excerpt of the answer, and classifies it.
func (c *HTTPClient) send(req *http.Request, redact *redactor) (Result, error) {
	buf := bodyBuffers.Get().(*[]byte)
	reply, err := c.do(req, (*buf)[:0], redact.keep())
	result := Result{StatusCode: reply.StatusCode, Response: redact.response(&reply)}
	*buf = reply.Body[:0]
	bodyBuffers.Put(buf)
	if err == nil {
		err = Classify(reply.StatusCode, reply.Header, time.Now())
	}
	return result, err
}

// bodyBuffers holds what the start of an answer is read into.
var bodyBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 2*excerptSize)
	return &b
}}

// setBody gives a request a body that net/http knows to be in memory: it then
// writes header and body at once.
func setBody(req *http.Request, body []byte) {
	req.ContentLength = int64(len(body))
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

// markRepeatable lets net/http repeat a request whose kept connection turns out
// to be closed before the first byte of an answer: an endpoint that restarts, or
// ends idle connections, does so while requests are on their way to it. Whether
// it has read the request is then unknown. A webhook may arrive twice, because
// every delivery is at least once and receivers know the event by its id; a
// message to a person must not, so other channels do not say this.
//
// The field counts though it has no value and is not sent; see http.Transport.
func markRepeatable(h http.Header) {
	const field = "Idempotency-Key"
	if _, set := h[field]; !set {
		h[field] = nil
	}
}

func setDefault(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h[name] = []string{value}
	}
}

// The lengths from which on parts of a configuration that may be secret, but
// mostly are not, are looked for in answers.
const (
	minLiteral = 6 // a path, a value of the query, a string of a template
	minSegment = 8 // one segment of a path, which are often plain words
)

// urlSecrets returns the parts of a URL that may grant access, as they are
// written and as they are meant: path and query as a whole, each alone, the
// path's segments, and the query's values.
func urlSecrets(u *url.URL) []string {
	secrets := []string{u.RequestURI(), u.Path, u.EscapedPath()}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		secrets = append(secrets, value)
	}
	var segments []string
	for written := range strings.SplitSeq(u.EscapedPath(), "/") {
		meant, _ := url.PathUnescape(written) // it has been parsed before
		segments = append(segments, written, meant)
	}
	return append(atLeast(minLiteral, secrets), atLeast(minSegment, segments)...)
}

// atLeast keeps the strings of at least n bytes.
func atLeast(n int, list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return len(s) < n })
}

// url reads a required URL that the client accepts, nil when it is not right.
func (r *configReader) url(name string, client *HTTPClient) *url.URL {
	raw, ok := r.required(name)
	if !ok {
		return nil
	}
	u, err := client.CheckURL(raw)
	r.problems.AddError(name, err)
	return u
}

// timeout reads a number of seconds; zero counts as absent.
func (r *configReader) timeout(name string) time.Duration {
	seconds, ok := r.number(name)
	if !ok || seconds == 0 {
		return DefaultTimeout
	}
	if seconds < MinTimeout.Seconds() || seconds > MaxTimeout.Seconds() {
		r.problems.Add(name, "must be between %g and %g seconds", MinTimeout.Seconds(), MaxTimeout.Seconds())
		return DefaultTimeout
	}
	return time.Duration(seconds * float64(time.Second))
}

// method reads the HTTP method.
func (r *configReader) method(name string) string {
	switch strings.ToUpper(r.text(name)) {
	case "", http.MethodPost:
		return http.MethodPost
	case http.MethodPut:
		return http.MethodPut
	}
	r.problems.Add(name, "must be POST or PUT")
	return http.MethodPost
}

// signer reads the signing keys, and returns nil when there are none. It
// returns the keys' text too, to be kept out of results.
func (r *configReader) signer() (*signature.Signer, []string) {
	type entry struct{ field, secret string }
	var entries []entry
	if _, ok := r.get("signing_secret"); ok {
		if s, ok := r.required("signing_secret"); ok {
			entries = append(entries, entry{"signing_secret", s})
		}
	}
	if r.isEmptyList("signing_secrets") {
		r.problems.Add("signing_secrets", "must hold at least one key, or be absent")
	}
	r.texts("signing_secrets", func(field, s string) { entries = append(entries, entry{field, s}) })
	if len(entries) == 0 {
		return nil, nil
	}
	keys := make([]signature.Key, 0, len(entries))
	secrets := make([]string, 0, len(entries))
	for _, e := range entries {
		key, err := signature.ParseKey(e.secret)
		if err == nil {
			_, err = signature.NewSigner(key) // a key that only verifies is refused here
		}
		if err != nil {
			r.problems.Add(e.field, "must be a Standard Webhooks key that signs: whsec_ and 24 to 64 bytes, or whsk_ and 64 bytes, in base64")
			continue
		}
		keys, secrets = append(keys, key), append(secrets, e.secret)
	}
	signer, err := signature.NewSigner(keys...)
	if err != nil && len(keys) == len(entries) {
		r.problems.Add("signing_secrets", "must be keys that can be used together")
	}
	return signer, secrets
}
