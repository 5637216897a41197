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
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// Config tunes a Client. The zero value works.
type Config struct {
	// HTTPClient makes the requests. Defaults to http.DefaultClient.
	HTTPClient *http.Client
}

// Client calls a management API. It is safe for concurrent use.
type Client struct {
	base string
	key  string
	http *http.Client
}

// New makes a client of the API whose list of webhooks is at baseURL. The key
// goes into the header "Authorization: Bearer"; empty sends none.
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
	return &Client{base: strings.TrimSuffix(u.String(), "/"), key: apiKey, http: cfg.HTTPClient}, nil
}

// Option adds to one request.
type Option func(http.Header)

// WithIdempotencyKey makes a create or a replay one that can be repeated: the
// same key is the same request.
func WithIdempotencyKey(key string) Option {
	return func(h http.Header) { h.Set(headerIdempotencyKey, key) }
}

const headerIdempotencyKey = "Idempotency-Key"

// WithIfMatch lets a change be made only to the version of that ETag, see
// [Subscription]. Otherwise the error matches webhook.ErrConflict.
func WithIfMatch(etag string) Option {
	return func(h http.Header) { h.Set("If-Match", etag) }
}

// call makes a request and decodes the answer into out, unless that is nil. It
// returns the answer's header.
func (c *Client) call(
	ctx context.Context, method, path string, query url.Values, in, out any, options ...Option,
) (http.Header, error) {
	var body io.Reader = http.NoBody
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("client: encoding the request: %w", err)
		}
		body = bytes.NewReader(encoded)
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
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return nil, fmt.Errorf("client: reading the answer: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return nil, newError(res.StatusCode, res.Header, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return nil, fmt.Errorf("client: the answer is not what the API promises: %w", err)
		}
	}
	return res.Header, nil
}

// at joins the parts of a path below the base.
func at(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, part := range parts {
		escaped[i] = url.PathEscape(part)
	}
	return "/" + strings.Join(escaped, "/")
}
