package channelkit

import (
	"bytes"
	"context"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
)

// DefaultTimeout bounds an attempt unless TargetConfig.Timeout is set.
const DefaultTimeout = 10 * time.Second

// NoTimeout is the value of TargetConfig.Timeout that means that only the caller's context bounds
// an attempt.
const NoTimeout time.Duration = math.MaxInt64

// A Target is an HTTP endpoint to which a channel sends. It prepares once what all requests to the
// endpoint have in common. It is safe for concurrent use.
type Target struct {
	client  *HTTPClient
	request *http.Request // never modified
	redact  *Redactor
	timeout time.Duration
	keep    int   // bytes of an answer that are kept
	limit   int64 // in place of MaxResponse
}

// TargetConfig configures a Target.
type TargetConfig struct {
	// URL is where requests go. It must be one that [HTTPClient.CheckURL] returned. Required.
	URL *url.URL

	// Method is the method of the requests. Defaults to POST.
	Method string

	// Header is sent with every request. The Target keeps it, so the caller must not change it
	// afterwards. Its Content-Type defaults to application/json.
	Header http.Header

	// Timeout bounds each attempt. Defaults to DefaultTimeout; with [NoTimeout], only the caller's
	// context bounds an attempt. It must not be negative.
	Timeout time.Duration

	// Redact removes secrets from what is kept of an answer, because some endpoints echo the
	// request. Defaults to a Redactor of the values of Header and the parts of the URL.
	Redact *Redactor

	// Repeatable sends a request once more, in the same attempt, if a kept connection ends before
	// the first byte of an answer, as when an endpoint restarts. The endpoint may then see the
	// request twice. Defaults to false, which is right for messages to people.
	Repeatable bool

	// MaxAnswer is how many bytes of an answer the channel needs to understand it. So many are read
	// even if HTTPConfig.MaxResponse is less. Defaults to as many as Result.Response shows.
	MaxAnswer int
}

// NewTarget returns a Target that sends with the client. It panics if config.URL is nil. The Target
// takes over config.Header and adds the headers that it lacks.
func (c *HTTPClient) NewTarget(config TargetConfig) *Target {
	u, header := config.URL, config.Header
	if header == nil {
		header = http.Header{}
	}
	if config.Redact == nil {
		secrets := URLSecrets(u)
		for _, values := range header {
			secrets = append(secrets, values...)
		}
		config.Redact = NewRedactor(secrets)
	}
	t := &Target{client: c, redact: config.Redact, timeout: config.Timeout,
		keep:  max(config.MaxAnswer, config.Redact.keep()),
		limit: max(c.maxResponse, int64(config.MaxAnswer))}
	if t.timeout == 0 {
		t.timeout = DefaultTimeout
	}
	setDefault(header, "Content-Type", "application/json")
	c.setDefaults(header)
	if config.Repeatable {
		markRepeatable(header)
	}
	t.request = &http.Request{
		Method: config.Method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if t.request.Method == "" {
		t.request.Method = http.MethodPost
	}
	return t
}

// Capabilities returns those of a channel that sends to the Target: its Host, Port and Method, and
// its Timeout unless that is NoTimeout.
func (t *Target) Capabilities() channel.Capabilities {
	c := channel.Capabilities{Host: hostOf(t.request.URL), Port: portOf(t.request.URL),
		Method: t.request.Method}
	if t.timeout != NoTimeout {
		c.Timeout = t.timeout
	}
	return c
}

// WithTimeout returns a context that ends after the Timeout of the Target, for channels whose
// attempt does more than send a request.
func (t *Target) WithTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.timeout == NoTimeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.timeout)
}

// Send makes one attempt: it sends the body, keeps an excerpt of the answer, and returns what
// [channel.Classify] says about the status. prepare can add to the header of the request, for
// example a signature; if it returns an error, nothing is sent. Nil adds nothing.
func (t *Target) Send(
	ctx context.Context, body []byte, prepare func(http.Header) error,
) (channel.Result, error) {
	buf := bodyBuffers.Get().(*[]byte)
	reply, err := t.do(ctx, body, prepare, (*buf)[:0])
	result := t.Result(&reply)
	*buf = reply.Body[:0]
	bodyBuffers.Put(buf)
	if err == nil {
		err = channel.Classify(reply.StatusCode, reply.Header, time.Now())
	}
	return result, err
}

// Do makes one attempt and returns the answer, for services whose answers say more than the status.
// If a 2xx breaks off, it returns what has arrived together with the error. The other errors are
// those of [HTTPClient.Do].
func (t *Target) Do(ctx context.Context, body []byte) (HTTPResponse, error) {
	return t.do(ctx, body, nil, nil)
}

// Result returns what the history keeps of an answer.
func (t *Target) Result(reply *HTTPResponse) channel.Result {
	return channel.Result{StatusCode: reply.StatusCode, Response: t.redact.Response(reply)}
}

func (t *Target) do(
	ctx context.Context, body []byte, prepare func(http.Header) error, buf []byte,
) (HTTPResponse, error) {
	var deadline time.Time
	switch {
	case t.timeout == NoTimeout:
	case t.client.takesDeadline():
		deadline = time.Now().Add(t.timeout)
	default:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.timeout)
		defer cancel()
	}
	req := t.request.WithContext(ctx)
	setBody(req, body)
	if prepare != nil {
		req.Header = maps.Clone(req.Header)
		if err := prepare(req.Header); err != nil {
			return HTTPResponse{Body: buf}, err
		}
	}
	return t.client.do(req, deadline, buf, t.keep, t.limit)
}

// bodyBuffers holds what the start of an answer is read into.
var bodyBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 2*excerptSize)
	return &b
}}

// setBody gives a request a body that net/http knows to be in memory: it then writes header and
// body at once.
func setBody(req *http.Request, body []byte) {
	req.ContentLength = int64(len(body))
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

// markRepeatable lets a request be repeated whose kept connection turns out
// to be closed before the first byte of an answer: an endpoint that restarts, or
// ends idle connections, does so while requests are on their way to it. Whether
// it has read the request is then unknown. A webhook may arrive twice, because
// every delivery is at least once and receivers know the event by its id; a
// message to a person must not, so other channels do not say this.
//
// The field counts though it has no value and is not sent, with net/http as with package http1.
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

// URLSecrets returns the parts of a URL that may grant access, both as they are written and
// decoded: the path with the query, each of them alone, the segments of the path, and the values of
// the query. Short ones are left out.
func URLSecrets(u *url.URL) []string {
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
