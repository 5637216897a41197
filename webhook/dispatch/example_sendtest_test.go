package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Try a subscription before it is stored: one attempt for each of its channels, and what
// came of it.
func ExampleDispatcher_SendTest() {
	ctx := context.Background()
	d := exampleDispatcher(func(context.Context, *channel.Message) (channel.Result, error) {
		status := http.StatusUnauthorized // as an endpoint answers to a wrong secret
		return channel.Result{StatusCode: status}, channel.Classify(status, nil, time.Now())
	}, dispatch.Config{})

	sub := &webhook.Subscription{
		Name: "accounting", EventTypes: []event.Pattern{"invoice.*"},
		Channels: []webhook.ChannelConfig{{Channel: "print", Configs: json.RawMessage(`{}`)}},
	}
	e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_example"})
	results, err := d.SendTest(ctx, sub, e)
	if err != nil { // the subscription or the event is wrong, or there are too many tests
		fmt.Println(err)
		return
	}
	for _, r := range results {
		fmt.Println(r.Channel, r.Succeeded, r.Attempt.StatusCode, r.Attempt.Error)
	}
	// Output: print false 401 the endpoint answered 401 Unauthorized
}
