// Package customchannel shows how to deliver events to something for which the library has no
// channel, here Microsoft Teams. A Driver checks the configuration of a subscription, and a Channel
// makes one attempt to deliver one event. The Dispatcher retries, schedules, and keeps the history.
// The test runs the suite that every Channel has to pass, and the example registers the Driver.
package customchannel

import (
	"context"
	"encoding/json"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
)

// Name is the channel's name in subscriptions.
const Name = "teams"

// Config is the configuration of the channel.
type Config struct {
	// URL is the URL of a Teams workflow that posts what it is sent. The URL grants access, so it
	// is a secret.
	URL channel.Secret `json:"url" channel:"target"`
}

// ChannelName returns Name.
func (Config) ChannelName() string { return Name }

// Driver returns the driver of the channel. Its configuration is a [Config].
func Driver(client *channelkit.HTTPClient) channel.Driver { return driver{client} }

type driver struct{ client *channelkit.HTTPClient }

// Open checks a configuration. The error names everything that is wrong.
func (d driver) Open(config json.RawMessage) (channel.Channel, error) {
	r := channelkit.ReadConfig(config, nil)
	u := r.URL("url", d.client)
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	return teams{d.client.NewTarget(channelkit.TargetConfig{URL: u})}, nil
}

// Schema lets the management API refuse any other field, and mask the URL.
func (driver) Schema() channel.Schema { return channel.Schema{Fields: channelkit.FieldsOf(Config{})} }

type teams struct{ target *channelkit.Target }

// Capabilities returns those of the workflow's host.
func (t teams) Capabilities() channel.Capabilities { return t.target.Capabilities() }

// Send posts a card that says what happened.
func (t teams) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	s, err := channelkit.Summarize(m)
	if err != nil {
		return channel.Result{}, err
	}
	body, err := channelkit.JSON(card("**"+s.Type+"**", s.Subject, s.When()))
	if err != nil {
		return channel.Result{}, err
	}
	return t.target.Send(ctx, body, nil)
}

// card makes an Adaptive Card of lines of text.
func card(lines ...string) any {
	type object = map[string]any
	var body []any
	for _, line := range lines {
		body = append(body, object{"type": "TextBlock", "wrap": true, "text": line})
	}
	content := object{"type": "AdaptiveCard", "version": "1.4", "body": body}
	return object{"type": "message", "attachments": []any{
		object{"contentType": "application/vnd.microsoft.card.adaptive", "content": content},
	}}
}
