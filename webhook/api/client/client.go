package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 64 << 20

// Config configures a Client. The zero value works.
type Config struct {
	// HTTPClient makes the requests. Defaults to http.DefaultClient, which has no timeout. New copies
	// it: a redirect that would change the method of a request is not followed.
	HTTPClient *http.Client
	// Organization is the organization that all requests are for, if the API key is an operator's.
	// Empty is that of the API key.
	Organization string
}

// Client calls a management API. Make one with [New]. It is safe for concurrent use.
//
// All methods return an [*Error] if the API answers with an error. If there is no answer, or one
// that cannot be decoded, they return an error that wraps the cause: that of the HTTP client, which
// is a [*url.Error] also if the answer breaks off, or of ctx. The Client reads at most 64 MiB of an
// answer. It does not retry.
//
// A redirect is followed if the method stays the same. Of any other request than a GET, 301 to 303
// would make a GET that changes nothing: they are an [*Error] that names the address.
type Client struct {
	base string
	key  string
	// organization is sent if it is not empty.
	organization string
	http         *http.Client
}

// New returns a Client of the API at baseURL, which is the address of the list of webhooks. The API
// key is sent in the header "Authorization: Bearer"; an empty one is not sent. New returns an
// [*event.ValidationError] if baseURL is invalid.
func New(baseURL, apiKey string, cfg Config) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" ||
		u.Fragment != "" || u.User != nil {
		var p event.Problems
		p.Add("baseURL", "must be an http or https URL without credentials, query and fragment")
		return nil, p.Err()
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = http.DefaultClient
	}
	return &Client{base: strings.TrimSuffix(u.String(), "/"), key: apiKey,
		organization: cfg.Organization, http: keepingMethods(cfg.HTTPClient)}, nil
}

// maxRedirects is that of net/http.
const maxRedirects = 10

// keepingMethods returns a copy of the client that follows no redirect that changes the method.
func keepingMethods(c *http.Client) *http.Client {
	out, check := *c, c.CheckRedirect
	out.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		switch {
		case next.Method != via[0].Method:
			return http.ErrUseLastResponse
		case check != nil:
			return check(next, via)
		case len(via) >= maxRedirects:
			return fmt.Errorf("stopped after %d redirects", maxRedirects)
		}
		return nil
	}
	return &out
}

// Option changes the header of one request.
type Option func(http.Header)

// WithIdempotencyKey lets a create or a replay be repeated: it takes effect once for all requests
// with the same idempotency key.
func WithIdempotencyKey(key string) Option {
	return func(h http.Header) { h.Set(headerIdempotencyKey, key) }
}

const headerIdempotencyKey = "Idempotency-Key"

// WithIfMatch makes a change only if the webhook is still at the version of the ETag (see
// [Webhook.ETag]). Otherwise the error matches webhook.ErrConflict.
func WithIfMatch(etag string) Option {
	return func(h http.Header) { h.Set("If-Match", etag) }
}

// call makes a request, decodes the answer into out unless that is nil, and returns the answer's
// header. The path is "/" or what at returns.
func (c *Client) call(
	ctx context.Context, method, path string, query url.Values, in, out any, options ...Option,
) (http.Header, error) {
	res, err := c.send(ctx, method, path, query, in, options...)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return nil, cut(res, err)
	}
	if res.StatusCode/100 != 2 {
		return nil, errorOf(res, answer)
	}
	switch {
	case out != nil:
		if err := json.Unmarshal(answer, out); err != nil {
			return nil, notOfAPI(err)
		}
	case method == http.MethodDelete && res.StatusCode != http.StatusNoContent:
		return nil, notOfAPI(fmt.Errorf("it has the status %d in place of 204", res.StatusCode))
	}
	return res.Header, nil
}

// cut is the error of an answer that could not be read to its end, in the form in which an
// http.Client returns that of one that has not begun.
func cut(res *http.Response, cause error) error {
	method := res.Request.Method
	return fmt.Errorf("client: reading the answer: %w", &url.Error{
		Op: method[:1] + strings.ToLower(method[1:]), URL: res.Request.URL.Redacted(), Err: cause})
}

// notOfAPI is the error of an answer of another server, such as one that answers 200 to everything.
func notOfAPI(cause error) error {
	return fmt.Errorf("client: the answer is not one of the API: %w", cause)
}

// expect returns what a change was answered with, whose id tells that the API has made it.
func expect[T any](out *T, id string, err error) (*T, error) {
	if err == nil && id == "" {
		err = notOfAPI(errors.New("it does not say what was changed"))
	}
	return orNil(out, err)
}

// send makes a request and returns the answer, whatever its status. The caller closes its body.
func (c *Client) send(
	ctx context.Context, method, path string, query url.Values, in any, options ...Option,
) (*http.Response, error) {
	var body io.Reader = http.NoBody
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("client: encoding the request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	if path == "" {
		return nil, &Error{StatusCode: http.StatusNotFound, Type: "NotFoundError",
			Message: "an id is empty, or consists of dots"}
	}
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.organization != "" {
		req.Header.Set(api.HeaderOrganization, c.organization)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	for _, option := range options {
		option(req.Header)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return res, nil
}

// at joins the parts of a path below the base. It returns "" if a part is empty, "." or "..": the
// path would lead to another resource than the one that is meant.
func at(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			return ""
		}
		escaped[i] = url.PathEscape(part)
	}
	return "/" + strings.Join(escaped, "/")
}
