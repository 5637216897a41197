// Package customchannel shows how to deliver events to something that the
// library has no channel for, here Microsoft Teams: a Driver checks the config of
// a subscription, and a Channel makes one attempt to deliver one event. Retries,
// scheduling and history are the Dispatcher's. The test runs the suite that every
// Channel has to pass, and the example registers the Driver.
package customchannel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event"
)

// Driver returns the driver of the channel "teams". Its config is
// {"url": "…"}, with the URL of a Teams workflow that posts what it is sent.
func Driver(client *channelkit.HTTPClient) channel.Driver { return driver{client} }

type driver struct{ client *channelkit.HTTPClient }

// Open checks a config, with every reason why it is wrong.
func (d driver) Open(config json.RawMessage) (channel.Channel, error) {
	var problems event.Problems
	var c struct{ URL string }
	if json.Unmarshal(config, &c) != nil {
		problems.Add("", `must be a JSON object with a text as "url"`)
		return nil, problems.Err()
	}
	_, err := d.client.CheckURL(c.URL)
	problems.AddError("url", err)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &teams{d.client, c.URL}, nil
}

// Fields lets the management API refuse any other field, and mask the URL.
func (driver) Fields() []channel.Field { return []channel.Field{{Name: "url", Secret: true}} }

type teams struct {
	client *channelkit.HTTPClient
	url    string // grants access: never to be shown
}

// Host lets a dispatcher bound what one host that hangs can take of it.
func (t *teams) Host() string {
	u, err := url.Parse(t.url)
	if err != nil {
		return "" // does not happen: the URL was checked
	}
	return strings.ToLower(u.Hostname())
}

// Send posts a card that says what happened. Answers are not kept.
func (t *teams) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	e, err := m.Event()
	if err != nil {
		return channel.Result{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassPayload, Err: err}
	}
	body, err := json.Marshal(card(e))
	if err != nil {
		return channel.Result{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassPayload, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil { // not reached: the URL was checked
		return channel.Result{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassConfig}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.client.Do(req)
	if err != nil {
		return channel.Result{}, err
	}
	return channel.Result{StatusCode: resp.StatusCode}, channel.Classify(resp.StatusCode, resp.Header, time.Now())
}

func card(e *event.Event) any {
	text := func(s string, args ...any) any {
		return map[string]any{"type": "TextBlock", "wrap": true, "text": fmt.Sprintf(s, args...)}
	}
	content := map[string]any{"type": "AdaptiveCard", "version": "1.4", "body": []any{
		text("**%s**", e.Type),
		text("%s %s, at %s", e.Subject.Type, e.Subject.ID, e.OccurredAt.Format(time.RFC1123)),
	}}
	return map[string]any{"type": "message", "attachments": []any{
		map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": content},
	}}
}
