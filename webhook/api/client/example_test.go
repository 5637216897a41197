package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// exampleServer serves an API without keys.
func exampleServer() *httptest.Server {
	d, err := dispatch.New(memstore.New(), dispatch.Config{})
	if err != nil {
		panic(err)
	}
	a, err := api.New(d, func(*http.Request) (string, error) { return "org_acme", nil }, api.Config{})
	if err != nil {
		panic(err)
	}
	return httptest.NewServer(a)
}

// Change a webhook that was read: the masked secret keeps its value, and the change is made only
// if the webhook is still at the version that was read.
func ExampleClient_Update() {
	server := exampleServer()
	defer server.Close()
	ctx := context.Background()

	c, err := client.New(server.URL+api.DefaultPrefix, "", client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	sub, err := c.Create(ctx, &webhook.Subscription{
		Name:       "cache of the shop",
		EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL:     "https://shop.example.com/webhooks",
			Headers: map[string]string{"X-Mixpeek-Secret": "s3cr3t"},
		})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(sub.Channels[0].Configs))

	sub.Paused = true
	if sub, err = c.Update(ctx, &sub.Subscription, client.WithIfMatch(sub.ETag)); err != nil {
		fmt.Println(err)
		return
	}
	sub, err = c.Get(ctx, sub.ID, "channels.0.configs.headers.X-Mixpeek-Secret")
	fmt.Println(string(sub.Channels[0].Configs), sub.Paused, err)
	// Output:
	// {"url":"https://shop.example.com/webhooks","headers":{"X-Mixpeek-Secret":"********"}}
	// {"url":"https://shop.example.com/webhooks","headers":{"X-Mixpeek-Secret":"s3cr3t"}} true <nil>
}

// A webhook with a retry schedule of its own, and back to that of the Dispatcher.
func ExampleClient_Update_retry() {
	server := exampleServer()
	defer server.Close()
	ctx := context.Background()

	c, err := client.New(server.URL+api.DefaultPrefix, "", client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	sub, err := c.Create(ctx, &webhook.Subscription{
		Name:       "orders of the shop",
		EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{
			webhook.Via(httpendpoint.Config{URL: "https://shop.example.com/webhooks"}),
		},
		Retry: &webhook.Retry{Delays: []time.Duration{5 * time.Second, time.Minute, time.Hour}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sub.Retry.Delays)

	sub.Retry = nil
	sub, err = c.Update(ctx, &sub.Subscription, client.WithIfMatch(sub.ETag))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sub.Retry == nil)
	// Output:
	// [5s 1m0s 1h0m0s]
	// true
}

// An error names everything that is wrong with a request.
func ExampleError() {
	server := exampleServer()
	defer server.Close()
	c, err := client.New(server.URL+api.DefaultPrefix, "", client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Create(context.Background(), &webhook.Subscription{
		EventTypes: []event.Pattern{"*"},
		Channels:   []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: "http://localhost/"})},
	})
	var answer *client.Error
	if !errors.As(err, &answer) {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.StatusCode)
	for _, p := range answer.Problems {
		fmt.Println(p.Location, p.Message)
	}
	// Output:
	// 422
	// [body webhook_name] is required
	// [body channels 0 configs url] must be https: plain http is not allowed here
	// [body channels 0 configs url] must have a public host: loopback addresses are not connected to
}
