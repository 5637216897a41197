package client

import (
	"context"
	"iter"
	"net/url"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// APIKeys returns the API keys of the organization, the oldest first, those that were revoked or have
// expired included. It reads page by page, and ends after the first error.
func (c *Client) APIKeys(ctx context.Context) iter.Seq2[*webhook.APIKey, error] {
	return func(yield func(*webhook.APIKey, error) bool) {
		query := url.Values{}
		for {
			var page api.APIKeyPage
			if _, err := c.call(ctx, "GET", "/api-keys", query, nil, &page); err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Results {
				if !yield(&page.Results[i], nil) {
					return
				}
			}
			if page.NextCursor == nil {
				return
			}
			query.Set("cursor", *page.NextCursor)
		}
	}
}

// CreateAPIKey creates an API key and returns it, which nothing shows again. The error matches
// [api.ErrForbidden] if it would have more rights than the Client's API key.
func (c *Client) CreateAPIKey(
	ctx context.Context, asked api.APIKeyRequest,
) (*api.APIKeyResponse, error) {
	out := &api.APIKeyResponse{}
	_, err := c.call(ctx, "POST", "/api-keys", nil, asked, out)
	return orNil(out, err)
}

// RevokeAPIKey revokes an API key by its id, and returns it as it is now.
func (c *Client) RevokeAPIKey(ctx context.Context, id string) (*webhook.APIKey, error) {
	out := &webhook.APIKey{}
	_, err := c.call(ctx, "DELETE", at("api-keys", id), nil, nil, out)
	return orNil(out, err)
}
