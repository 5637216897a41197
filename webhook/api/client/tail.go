package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// TailQuery says where a tail begins and what it selects. The zero value begins with the oldest that
// is stored, and selects all.
type TailQuery struct {
	// After is the Position of the last record that was read.
	After webhook.Position
	// Name is that of a named position of the webhook: the tail begins after it, or as without it if
	// it is not stored. Only for Tail and Events, and not for all webhooks.
	Name string
	// Since selects what was emitted, or for TailResults has happened, at that time or later.
	Since time.Time
	// EventType selects the types that the pattern matches.
	EventType event.Pattern
}

func (q TailQuery) values() url.Values {
	v := DeliveryFilter{EventType: string(q.EventType), Since: q.Since}.query()
	if q.After > 0 {
		v.Set("after", q.After.String())
	}
	if q.Name != "" {
		v.Set("position", q.Name)
	}
	return v
}

// Tail returns what was emitted to a webhook, in order, and goes on with what comes. An empty id
// selects all webhooks. It ends only with ctx, without an error then, or after an error that a
// repetition would not change, such as one that matches webhook.ErrNotFound, or if it cannot connect
// at all; it yields that error. When the connection is lost later, or the API is not available, Tail
// connects again, after waits that grow to half a minute, and goes on after the last record: nothing
// is missed and nothing comes twice.
//
// The HTTP client needs no timeout for it: a connection on which nothing has come for 45 seconds is
// given up.
func (c *Client) Tail(
	ctx context.Context, subscriptionID string, q TailQuery,
) iter.Seq2[*api.TailEvent, error] {
	path := "/events"
	if subscriptionID != "" {
		path = at(subscriptionID, "events")
	}
	return tail[api.TailEvent](ctx, c, path, q.values())
}

// TailDeliveries is Tail for the deliveries of a webhook, or of all: each as it is when it is read,
// with its attempts until then.
func (c *Client) TailDeliveries(
	ctx context.Context, subscriptionID string, q TailQuery,
) iter.Seq2[*api.TailDelivery, error] {
	values := q.values()
	if subscriptionID != "" {
		values.Set("webhook_id", subscriptionID)
	}
	return tail[api.TailDelivery](ctx, c, "/deliveries/tail", values)
}

// TailResults is Tail for what becomes of the deliveries of a webhook, or of all: each attempt, replay
// and cancellation. The positions of results are others than those of what was emitted.
func (c *Client) TailResults(
	ctx context.Context, subscriptionID string, q TailQuery,
) iter.Seq2[*api.TailResult, error] {
	values := q.values()
	if subscriptionID != "" {
		values.Set("webhook_id", subscriptionID)
	}
	return tail[api.TailResult](ctx, c, "/deliveries/results", values)
}

// Events returns one page of what was emitted to a webhook, or to all if the id is empty. If there
// is nothing, it waits for up to that time, which is whole seconds, 30 at most. For the next page,
// set q.After to the Next of this one.
func (c *Client) Events(
	ctx context.Context, subscriptionID string, q TailQuery, wait time.Duration,
) (*api.TailPage[api.TailEvent], error) {
	path := "/events"
	if subscriptionID != "" {
		path = at(subscriptionID, "events")
	}
	values := q.values()
	if wait > 0 {
		values.Set("wait", strconv.Itoa(int(wait/time.Second)))
	}
	out := &api.TailPage[api.TailEvent]{}
	_, err := c.call(ctx, "GET", path, values, nil, out)
	return orNil(out, err)
}

// Positions returns the named positions of a webhook.
func (c *Client) Positions(
	ctx context.Context, subscriptionID string,
) ([]webhook.NamedPosition, error) {
	var out api.PositionList
	_, err := c.call(ctx, "GET", at(subscriptionID, "positions"), nil, nil, &out)
	return out.Results, err
}

// Acknowledge stores that the reader of that name has processed all up to the position, and returns
// what is then stored: a position only moves forward.
func (c *Client) Acknowledge(
	ctx context.Context, subscriptionID, name string, p webhook.Position,
) (*webhook.NamedPosition, error) {
	out := &webhook.NamedPosition{}
	_, err := c.call(ctx, "PUT", at(subscriptionID, "positions", name), nil,
		api.PositionRequest{Position: p}, out)
	return expect(out, out.Name, err)
}

// DeletePosition removes a named position.
func (c *Client) DeletePosition(ctx context.Context, subscriptionID, name string) error {
	_, err := c.call(ctx, "DELETE", at(subscriptionID, "positions", name), nil, nil, nil)
	return err
}

// Totals counts what is unfinished or dead now, across all webhooks.
func (c *Client) Totals(ctx context.Context) (*api.Totals, error) {
	out := &api.Totals{}
	_, err := c.call(ctx, "GET", "/totals", nil, nil, out)
	return orNil(out, err)
}

// HourlyBacklog returns how large the backlog of all webhooks was, hour by hour, since the hour of the
// given time; zero is 24 hours ago.
func (c *Client) HourlyBacklog(ctx context.Context, since time.Time) (*api.BacklogHistory, error) {
	out := &api.BacklogHistory{}
	_, err := c.call(ctx, "GET", "/totals/hourly", DeliveryFilter{Since: since}.query(), nil, out)
	return orNil(out, err)
}

const (
	// silence is after how long without a byte a stream is given up. The API writes every 15 s.
	silence = 45 * time.Second
	// firstWait and longestWait bound the waits before the next connection.
	firstWait   = 500 * time.Millisecond
	longestWait = 30 * time.Second
)

// tail yields the records of one stream after the other.
func tail[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		s := &streamReader{client: c, path: path, query: query}
		stopped := false
		handle := func(data []byte) error {
			record := new(T)
			if err := json.Unmarshal(data, record); err != nil {
				return &permanentError{err}
			}
			if ctx.Err() != nil || !yield(record, nil) {
				stopped = true
				return errStopped
			}
			return nil
		}
		begun := false
		for wait := firstWait; ; wait = min(2*wait, longestWait) {
			connected, err := s.read(ctx, handle)
			if stopped || ctx.Err() != nil {
				return
			}
			begun = begun || connected
			if err != nil && !isTemporary(err, begun) {
				yield(nil, err)
				return
			}
			if connected {
				wait = firstWait
			}
			pause := wait/2 + rand.N(wait/2)
			var answer *Error
			if errors.As(err, &answer) {
				pause = max(pause, min(answer.RetryAfter, longestWait))
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		}
	}
}

// errSilent ends a connection.
var errSilent = fmt.Errorf("nothing has come for %v", silence)

// errStopped ends a stream whose reader has had enough.
var errStopped = errors.New("client: the reader has stopped")

// permanentError is one that another connection would not change.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// isTemporary reports whether the next connection may succeed. begun says that an earlier one has.
func isTemporary(err error, begun bool) bool {
	var answer *Error
	if errors.As(err, &answer) {
		return answer.Retryable()
	}
	var permanent *permanentError
	return begun && !errors.As(err, &permanent)
}

// streamReader reads server-sent events.
type streamReader struct {
	client *Client
	path   string
	query  url.Values
	lastID string
}

// read reads one stream until it ends. connected says that it began.
func (s *streamReader) read(
	ctx context.Context, handle func(data []byte) error,
) (connected bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The API answers at once, and after that the stream is never silent.
	alive := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer alive.Stop()
	res, err := s.client.send(ctx, "GET", s.path, s.query, nil, func(h http.Header) {
		h.Set("Accept", "text/event-stream")
		if s.lastID != "" {
			h.Set("Last-Event-ID", s.lastID)
		}
	})
	if err != nil {
		var network *url.Error
		if errors.Is(context.Cause(ctx), errSilent) && errors.As(err, &network) {
			err = fmt.Errorf("client: %w", &url.Error{Op: network.Op, URL: network.URL, Err: errSilent})
		}
		return false, err
	}
	defer func() { _ = res.Body.Close() }()
	switch contentType := res.Header.Get("Content-Type"); {
	case res.StatusCode/100 != 2:
		answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return false, cut(res, err)
		}
		return false, errorOf(res, answer)
	case !strings.HasPrefix(contentType, "text/event-stream"):
		return false, &permanentError{errors.New("client: the answer is not a stream of events, but " +
			strconv.Quote(contentType))}
	}
	return true, s.parse(readerFunc(func(p []byte) (int, error) {
		n, err := res.Body.Read(p)
		alive.Reset(silence)
		return n, err
	}), handle)
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
