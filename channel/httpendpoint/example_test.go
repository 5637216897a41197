package httpendpoint_test

import (
	"context"
	"encoding/json"
	"errors"
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

// A configuration that is wrong is refused with every reason at once.
func ExampleNewDriver_refused() {
	_, err := httpendpoint.NewDriver(nil, httpendpoint.Options{}).Open(json.RawMessage(`{
		"url": "http://10.0.0.8/hook",
		"headers": {"Host": "example.com"},
		"timeout": -1
	}`))
	var invalid *event.ValidationError
	if errors.As(err, &invalid) {
		for _, p := range invalid.Problems {
			fmt.Println(p)
		}
	}
	// Output:
	// timeout: must be between 0.001 and 300 seconds
	// url: must be https: plain http is not allowed here
	// url: must have a public host: private network addresses are not connected to
	// headers.Host: must not be set: it belongs to the connection
}
