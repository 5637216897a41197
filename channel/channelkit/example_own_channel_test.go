package channelkit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// pagerConfig is what a subscription configures. The URL grants access, so it is a secret.
type pagerConfig struct {
	URL channel.Secret `json:"url" channel:"target"`
	// Room is the room that is paged, 32 bytes at most.
	Room string `json:"room"`
}

// ChannelName is the name that subscriptions use, and [webhook.Via] finds.
func (pagerConfig) ChannelName() string { return "pager" }

// pagerDriver checks configurations and opens channels.
type pagerDriver struct{ client *channelkit.HTTPClient }

func (d pagerDriver) Open(config json.RawMessage) (channel.Channel, error) {
	r := channelkit.ReadConfig(config, nil)
	u := r.URL("url", d.client)
	room := r.Line("room", 32)
	if err := r.Problems.Err(); err != nil { // all that is wrong, not only the first
		return nil, err
	}
	return pager{d.client.NewTarget(channelkit.TargetConfig{URL: u}), room}, nil
}

// Schema lets the management API mask the URL, and refuse any other field.
func (pagerDriver) Schema() channel.Schema {
	return channel.Schema{Fields: channelkit.FieldsOf(pagerConfig{})}
}

// pager makes one attempt. The Target says what an answer means; the Dispatcher retries.
type pager struct {
	target *channelkit.Target
	room   string
}

func (p pager) Capabilities() channel.Capabilities { return p.target.Capabilities() }

func (p pager) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	s, err := channelkit.Summarize(m)
	if err != nil {
		return channel.Result{}, err
	}
	body, err := channelkit.JSON(map[string]string{
		"room": p.room, "text": s.Type + ": " + s.Subject,
	})
	if err != nil {
		return channel.Result{}, err
	}
	return p.target.Send(ctx, body, nil)
}

// A channel of one's own: a configuration, a Driver that checks it, and a Channel that makes
// one attempt. Package channeltest has the suite that a Channel should pass.
func Example_ownChannel() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Println(string(body), err)
	}))
	defer server.Close()
	client, err := channelkit.NewHTTPClient(
		channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true}, // for development only
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	channels := channel.NewRegistry() // or standard.New, for those of the library too
	if err := channels.Register("pager", pagerDriver{client}); err != nil {
		fmt.Println(err)
		return
	}

	_, err = channels.Open("pager", json.RawMessage(`{"url": "ftp://example.com", "room": 7}`))
	fmt.Println(err)

	// What the Dispatcher does with the channel of a subscription.
	via := webhook.Via(pagerConfig{URL: channel.Secret(server.URL), Room: "kitchen"})
	c, err := channels.Open(via.Channel, via.Configs)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := channel.NewMessage(event.New("alert.raised", event.Subject{Type: "alert", ID: "a_1"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := c.Send(context.Background(), m)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.StatusCode)
	// Output:
	// invalid: configs.url: must begin with https://; configs.room: must be a string
	// {"room":"kitchen","text":"alert.raised: alert a_1"} <nil>
	// 200
}
