package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// DeliveryFilter selects deliveries. The zero value selects all.
type DeliveryFilter struct {
	Status    webhook.Status
	EventType string
	EventID   string
	// Since and Until select deliveries by when the event was emitted: Since <= t < Until.
	Since, Until time.Time
}

func (f DeliveryFilter) query() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("status", string(f.Status))
	set("event_type", f.EventType)
	set("event_id", f.EventID)
	if !f.Since.IsZero() {
		set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	if !f.Until.IsZero() {
		set("until", f.Until.UTC().Format(time.RFC3339Nano))
	}
	return q
}

// Deliveries returns the deliveries of a webhook that fit the filter, the newest first, each with
// its attempts. An empty id selects all webhooks. It reads page by page, and ends after the first
// error.
func (c *Client) Deliveries(
	ctx context.Context, subscriptionID string, filter DeliveryFilter,
) iter.Seq2[*webhook.Delivery, error] {
	path := "/deliveries"
	if subscriptionID != "" {
		path = at(subscriptionID, "deliveries")
	}
	return pages[webhook.Delivery](ctx, c, "GET", path, filter.query(), nil)
}

// Delivery returns one delivery of a webhook, with why it has not been settled.
func (c *Client) Delivery(
	ctx context.Context, subscriptionID string, id webhook.DeliveryID,
) (*api.Delivery, error) {
	return c.delivery(ctx, "GET", at(subscriptionID, "deliveries", id.String()))
}

// Replay delivers a settled delivery again. The error matches webhook.ErrWrongStatus if the
// delivery is not settled, or already has 250 attempts (dispatch.MaxReplayed).
func (c *Client) Replay(
	ctx context.Context, subscriptionID string, id webhook.DeliveryID, options ...Option,
) (*api.Delivery, error) {
	return c.delivery(ctx, "POST", at(subscriptionID, "deliveries", id.String(), "replay"), options...)
}

// Cancel ends a delivery that is not settled. The error matches webhook.ErrWrongStatus if it
// is settled.
func (c *Client) Cancel(
	ctx context.Context, subscriptionID string, id webhook.DeliveryID,
) (*api.Delivery, error) {
	return c.delivery(ctx, "POST", at(subscriptionID, "deliveries", id.String(), "cancel"))
}

// Skip lets the next event of the subject have its turn in place of a dead delivery that holds it:
// see webhook.Ordering. The error matches webhook.ErrWrongStatus if the delivery does not.
func (c *Client) Skip(
	ctx context.Context, subscriptionID string, id webhook.DeliveryID,
) (*api.Delivery, error) {
	return c.delivery(ctx, "POST", at(subscriptionID, "deliveries", id.String(), "skip"))
}

func (c *Client) delivery(
	ctx context.Context, method, path string, options ...Option,
) (*api.Delivery, error) {
	out := &api.Delivery{}
	_, err := c.call(ctx, method, path, nil, nil, out, options...)
	return expect(out, out.EventID, err)
}

// Event returns the envelope that a delivery carries.
func (c *Client) Event(
	ctx context.Context, subscriptionID string, id webhook.DeliveryID,
) (*event.Event, error) {
	out := &event.Event{}
	_, err := c.call(ctx, "GET", at(subscriptionID, "deliveries", id.String(), "event"), nil, nil, out)
	return orNil(out, err)
}

// ReplayAll replays the settled deliveries of a webhook that the request selects. It makes as many
// calls as it takes to replay all of them, or request.Limit of them if that is not 0, and returns
// how many were replayed, also after an error. Deliveries that are not settled, that already have
// 250 attempts (dispatch.MaxReplayed), or whose channel is gone are skipped and not counted. With
// an idempotency key the whole call can be repeated after an error, and continues where it ended.
// [Client.StartReplay] leaves it to the service.
func (c *Client) ReplayAll(
	ctx context.Context, subscriptionID string, request api.ReplayRequest, options ...Option,
) (int, error) {
	replayed, limit := 0, request.Limit
	// Each call is a request of its own, and so needs a key of its own.
	options = append(slices.Clip(options), func(h http.Header) {
		if key := h.Get(headerIdempotencyKey); key != "" && request.Cursor != "" {
			h.Set(headerIdempotencyKey, key+"-"+request.Cursor)
		}
	})
	for {
		var out api.ReplayResponse
		_, err := c.call(ctx, "POST", at(subscriptionID, "replay"), nil, request, &out, options...)
		if err != nil {
			return replayed, err
		}
		replayed += out.Replayed
		if out.NextCursor == nil || limit > 0 && replayed >= limit {
			return replayed, nil
		}
		request.Cursor = *out.NextCursor
		if limit > 0 {
			request.Limit = limit - replayed
		}
	}
}

// Statistics returns the figures of a webhook since the hour of the given time; zero is 24 hours
// ago.
func (c *Client) Statistics(
	ctx context.Context, subscriptionID string, since time.Time,
) (*api.Statistics, error) {
	out := &api.Statistics{}
	_, err := c.call(ctx, "GET", at(subscriptionID, "statistics"),
		DeliveryFilter{Since: since}.query(), nil, out)
	return orNil(out, err)
}

// Publish publishes an event, as Dispatcher.Emit does, if the service allows it (api.Config.Publish).
// It gives the event an ID if it has none, so that the call can be repeated after an error: an event
// that was published before does nothing. The OrganizationID does not count. A TTL is rounded up to
// seconds.
func (c *Client) Publish(ctx context.Context, e *event.Event) (*api.Published, error) {
	if e.ID == "" {
		e.ID = event.NewID()
	}
	query := url.Values{}
	if e.TTL != 0 {
		query.Set("ttl_seconds", strconv.FormatFloat(math.Ceil(e.TTL.Seconds()), 'f', -1, 64))
	}
	out := &api.Published{}
	_, err := c.call(ctx, "POST", "/events", query, e, out)
	if err == nil && out.EventID != e.ID {
		err = notOfAPI(fmt.Errorf("it is about the event %q", out.EventID))
	}
	return orNil(out, err)
}

// SendTest makes one attempt for the webhook's channels and returns the results.
func (c *Client) SendTest(
	ctx context.Context, subscriptionID string, request api.TestRequest,
) (*api.TestResponse, error) {
	out := &api.TestResponse{}
	_, err := c.call(ctx, "POST", at(subscriptionID, "test"), nil, request, out)
	return expect(out, out.EventID, err)
}

// Preview renders a template for an event.
func (c *Client) Preview(ctx context.Context, request api.PreviewRequest) (json.RawMessage, error) {
	var out api.PreviewResponse
	_, err := c.call(ctx, "POST", "/preview", nil, request, &out)
	if err == nil && out.Rendered == nil {
		err = notOfAPI(errors.New("nothing is rendered"))
	}
	return out.Rendered, err
}

// EventTypes returns the event types of the API's catalogue.
func (c *Client) EventTypes(ctx context.Context) ([]api.EventType, error) {
	var out api.EventTypes
	_, err := c.call(ctx, "GET", "/event-types", nil, nil, &out)
	return out.Results, err
}

// About says what the API key may do and, to an operator's, how the service is.
func (c *Client) About(ctx context.Context) (*api.About, error) {
	out := &api.About{}
	_, err := c.call(ctx, "GET", "/about", nil, nil, out)
	return orNil(out, err)
}

// Health returns nil if the API can work.
func (c *Client) Health(ctx context.Context) error {
	_, err := c.call(ctx, "GET", "/health", nil, nil, nil)
	return err
}
