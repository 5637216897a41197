package httpendpoint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
)

// One event, posted once.
func ExampleNewDriver() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.Header.Get("X-Mixpeek-Secret"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()

	// Plain http to loopback is for development only.
	client, err := channelkit.NewHTTPClient(
		channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := httpendpoint.NewDriver(client, httpendpoint.Options{}).Open(json.RawMessage(`{
		"url": "` + server.URL + `/hook",
		"headers": {"X-Mixpeek-Secret": "not-so-secret"},
		"timeout": 2.5
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := channel.NewMessage(event.New(event.ObjectCreated,
		event.Subject{Type: "object", ID: "obj_1"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := c.Send(context.Background(), m)
	fmt.Println(result.StatusCode, err)
	// Output:
	// POST not-so-secret
	// 204 <nil>
}
