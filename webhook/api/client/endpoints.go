package client

import (
	"context"
	"iter"
	"net/url"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// Endpoints returns the states of all endpoints of a webhook, in the order of its channels.
func (c *Client) Endpoints(
	ctx context.Context, subscriptionID string,
) ([]webhook.EndpointState, error) {
	var page api.EndpointPage
	_, err := c.call(ctx, "GET", at(subscriptionID, "endpoints"), nil, nil, &page)
	if err != nil {
		return nil, err
	}
	return page.Results, nil
}

// UnhealthyEndpoints returns the states of all endpoints, of all webhooks, with that health:
// webhook.Degraded or webhook.Disabled. Empty is both. It reads page by page, and ends after the
// first error.
func (c *Client) UnhealthyEndpoints(
	ctx context.Context, health webhook.Health,
) iter.Seq2[*webhook.EndpointState, error] {
	query := url.Values{}
	if health != "" {
		query.Set("health", string(health))
	}
	return pages[webhook.EndpointState](ctx, c, "GET", "/endpoints", query, nil)
}

// Refusals says which event types the endpoints of a webhook refuse, as far as its latest deliveries
// tell.
func (c *Client) Refusals(ctx context.Context, subscriptionID string) (*api.Refusals, error) {
	out := &api.Refusals{}
	_, err := c.call(ctx, "GET", at(subscriptionID, "refusals"), nil, nil, out)
	return orNil(out, err)
}

// EnableEndpoint enables an endpoint that is degraded or disabled, and returns its state. The
// channel may be empty if the webhook has only one.
func (c *Client) EnableEndpoint(
	ctx context.Context, subscriptionID, channel string,
) (*webhook.EndpointState, error) {
	return c.changeEndpoint(ctx, subscriptionID, channel, "enable")
}

// DisableEndpoint disables an endpoint until it is enabled, and returns its state.
func (c *Client) DisableEndpoint(
	ctx context.Context, subscriptionID, channel string,
) (*webhook.EndpointState, error) {
	return c.changeEndpoint(ctx, subscriptionID, channel, "disable")
}

func (c *Client) changeEndpoint(
	ctx context.Context, subscriptionID, channel, change string,
) (*webhook.EndpointState, error) {
	out := &webhook.EndpointState{}
	_, err := c.call(ctx, "POST", at(subscriptionID, "endpoints", change), nil,
		api.EndpointRequest{Channel: channel}, out)
	return expect(out, out.SubscriptionID, err)
}
