package standard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
)

// transportFunc is a function that carries out requests.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// traced sends the id of a trace along. A RoundTripper must not change the request that it
// is given, so it changes a copy.
func traced(next http.RoundTripper) http.RoundTripper {
	return transportFunc(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		return next.RoundTrip(r)
	})
}

// Wrap what carries out the requests of all channels that speak HTTP. Addresses are checked
// below it.
func ExampleNew_middleware() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.Header.Get("Traceparent"))
	}))
	defer server.Close()
	channels, err := standard.New(standard.Config{HTTP: channelkit.HTTPConfig{
		AllowHTTP: true, AllowPrivate: true, // for development only
		Middleware: []func(http.RoundTripper) http.RoundTripper{traced},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}

	// What the Dispatcher does for an attempt.
	c, err := channels.Open(httpendpoint.Name, json.RawMessage(`{"url":"`+server.URL+`"}`))
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
	// POST 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
	// 200
}
