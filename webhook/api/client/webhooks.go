package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strconv"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// Webhook is a webhook as the API answers with it: its secrets are api.Mask, and its
// OrganizationID and Revision are not set.
type Webhook struct {
	webhook.Subscription
	// ETag names the version, for [WithIfMatch]. Lists do not have it.
	ETag string
}

// Create creates a webhook. If its ID is empty, the API makes one.
func (c *Client) Create(
	ctx context.Context, sub *webhook.Subscription, options ...Option,
) (*Webhook, error) {
	return c.subscription(ctx, "POST", "/", nil, sub, options...)
}

// Get returns one webhook. Secrets are masked, except those that reveal names, such as
// channels.0.configs.headers.X-Token.
func (c *Client) Get(ctx context.Context, id string, reveal ...string) (*Webhook, error) {
	return c.subscription(ctx, "GET", at(id), url.Values{"reveal": reveal}, nil)
}

// Update replaces the webhook with sub's ID. A secret that is api.Mask keeps its stored value, so
// sub may be what Get or List returned. A nil Retry removes the webhook's retry policy, and a nil
// RateLimit or Ordering that. A field of configs beyond the published contract, such as
// signing_secret, keeps its stored value if it is absent; null removes it.
func (c *Client) Update(
	ctx context.Context, sub *webhook.Subscription, options ...Option,
) (*Webhook, error) {
	var in any = sub
	if sub.Retry == nil || sub.RateLimit == nil || sub.Ordering == nil {
		encoded, err := json.Marshal(sub)
		if err != nil {
			return nil, fmt.Errorf("client: encoding the request: %w", err)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(encoded, &members); err != nil {
			return nil, fmt.Errorf("client: encoding the request: %w", err)
		}
		for _, name := range []string{"retry", "rate_limit", "ordering"} {
			if members[name] == nil {
				members[name] = json.RawMessage("null") // the API keeps what is absent
			}
		}
		in = members
	}
	return c.subscription(ctx, "PUT", at(sub.ID), nil, in, options...)
}

// Pause pauses a webhook: its deliveries are stored, and wait until Resume.
func (c *Client) Pause(ctx context.Context, id string, options ...Option) (*Webhook, error) {
	return c.setActive(ctx, id, false, options...)
}

// Resume makes a webhook active again that is paused.
func (c *Client) Resume(ctx context.Context, id string, options ...Option) (*Webhook, error) {
	return c.setActive(ctx, id, true, options...)
}

// setActive changes nothing else of the webhook. The API allows that to API keys that may operate,
// and changes of other fields only to those that may administer.
func (c *Client) setActive(
	ctx context.Context, id string, active bool, options ...Option,
) (*Webhook, error) {
	return c.subscription(ctx, "PATCH", at(id), nil, map[string]bool{"is_active": active}, options...)
}

func (c *Client) subscription(
	ctx context.Context, method, path string, query url.Values, in any, options ...Option,
) (*Webhook, error) {
	sub := &Webhook{}
	header, err := c.call(ctx, method, path, query, in, &sub.Subscription, options...)
	sub.ETag = header.Get("ETag")
	return expect(sub, sub.ID, err)
}

// Delete deletes a webhook. It also returns nil if there is no such webhook.
func (c *Client) Delete(ctx context.Context, id string, options ...Option) error {
	_, err := c.call(ctx, "DELETE", at(id), nil, nil, nil, options...)
	return err
}

// List returns all webhooks, the oldest first. It makes as many calls as it takes.
func (c *Client) List(ctx context.Context) ([]*webhook.Subscription, error) {
	var list []*webhook.Subscription
	query := url.Values{}
	for {
		var page []*webhook.Subscription
		header, err := c.call(ctx, "GET", "/", query, nil, &page)
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
		next := header.Get(api.HeaderNextCursor)
		if next == "" {
			return list, nil
		}
		query.Set("cursor", next)
	}
}

// SubscriptionFilter selects webhooks. The zero value selects all.
type SubscriptionFilter struct {
	// EventType selects webhooks that get events of the type.
	EventType string `json:"event_type,omitempty"`
	// IsActive selects active webhooks, or paused ones. Nil selects both.
	IsActive *bool `json:"is_active,omitempty"`
}

// Search returns the webhooks that fit the filter, the oldest first. It reads page by page, and
// ends after the first error.
func (c *Client) Search(
	ctx context.Context, filter SubscriptionFilter,
) iter.Seq2[*webhook.Subscription, error] {
	const pageSize = 100
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	return pages[webhook.Subscription](ctx, c, "POST", "/list", query, filter)
}

// RotateSecret adds a new signing secret before the present one and returns it. The channel may
// be empty if only one can sign.
func (c *Client) RotateSecret(
	ctx context.Context, id, channel string, options ...Option,
) (*api.RotateResponse, error) {
	out := &api.RotateResponse{}
	_, err := c.call(ctx, "POST", at(id, "signing-secret", "rotate"), nil,
		api.RotateRequest{Channel: channel}, out, options...)
	return expect(out, out.SigningSecret, err)
}

// DropSecrets ends a rotation: only the newest signing secret is kept.
func (c *Client) DropSecrets(
	ctx context.Context, id, channel string, options ...Option,
) (*Webhook, error) {
	return c.subscription(ctx, "DELETE", at(id, "signing-secret", "previous"), channelQuery(channel),
		nil, options...)
}

func channelQuery(channel string) url.Values {
	if channel == "" {
		return nil
	}
	return url.Values{"channel": {channel}}
}

func orNil[T any](out *T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}
