package client

import (
	"context"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

// StartReplay begins a replay in the background, and returns at once: a process of the service goes
// on with it until all are replayed or [Client.StopReplay] ends it. [Client.Replay] is for one
// delivery. The error matches webhook.ErrLimit if the organization has webhook.MaxReplays under way.
func (c *Client) StartReplay(
	ctx context.Context, request api.BackgroundReplayRequest, options ...Option,
) (*api.Replay, error) {
	out := &api.Replay{}
	_, err := c.call(ctx, "POST", "/deliveries/replays", nil, request, out, options...)
	return expect(out, out.ID, err)
}

// CountReplay says how many deliveries StartReplay would replay.
func (c *Client) CountReplay(
	ctx context.Context, request api.BackgroundReplayRequest,
) (*api.ReplayCount, error) {
	out := &api.ReplayCount{}
	_, err := c.call(ctx, "POST", "/deliveries/replays/count", nil, request, out)
	return orNil(out, err)
}

// Replays returns the replays that are under way, and the last ones that have ended, the newest
// first.
func (c *Client) Replays(ctx context.Context) ([]api.Replay, error) {
	var out api.ReplayList
	_, err := c.call(ctx, "GET", "/deliveries/replays", nil, nil, &out)
	return out.Results, err
}

// FindReplay returns a replay, with how far it is.
func (c *Client) FindReplay(ctx context.Context, id string) (*api.Replay, error) {
	out := &api.Replay{}
	_, err := c.call(ctx, "GET", at("deliveries", "replays", id), nil, nil, out)
	return orNil(out, err)
}

// StopReplay ends a replay, and returns it as it is then. What it has replayed goes out.
func (c *Client) StopReplay(ctx context.Context, id string) (*api.Replay, error) {
	out := &api.Replay{}
	_, err := c.call(ctx, "POST", at("deliveries", "replays", id, "stop"), nil, nil, out)
	return expect(out, out.ID, err)
}
