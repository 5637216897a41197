package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

// APIKeys returns the API keys of the organization, the oldest first, those that were revoked or have
// expired included. It reads page by page, and ends after the first error.
func (c *Client) APIKeys(ctx context.Context) iter.Seq2[*webhook.APIKey, error] {
	return pages[webhook.APIKey](ctx, c, "GET", "/api-keys", url.Values{}, nil)
}

// CreateAPIKey creates an API key and returns it, which nothing shows again. The error matches
// [api.ErrForbidden] if it would have more rights than the Client's API key.
func (c *Client) CreateAPIKey(
	ctx context.Context, asked api.APIKeyRequest,
) (*api.APIKeyResponse, error) {
	out := &api.APIKeyResponse{}
	_, err := c.call(ctx, "POST", "/api-keys", nil, asked, out)
	return expect(out, out.ID, err)
}

// RevokeAPIKey revokes an API key by its id, and returns it as it is now. What is no id, such as
// the API key itself, is not sent, because paths are logged: the error is an [*Error] with status
// 404.
func (c *Client) RevokeAPIKey(ctx context.Context, id string) (*webhook.APIKey, error) {
	if !apikey.IsID(id) {
		return nil, &Error{StatusCode: http.StatusNotFound, Type: "NotFoundError",
			Message: "this is not the id of an API key"}
	}
	out := &webhook.APIKey{}
	_, err := c.call(ctx, "DELETE", at("api-keys", id), nil, nil, out)
	return expect(out, out.ID, err)
}
