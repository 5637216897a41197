package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A consumer that cannot be reached reads what was emitted to its webhook, from its named position
// on. Tail connects again by itself, and goes on with what comes.
func ExampleClient_Tail() {
	ctx := context.Background()
	d, err := dispatch.New(memstore.New(), dispatch.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	authenticate := func(*http.Request) (string, error) { return "org_acme", nil }
	h, err := api.New(d, authenticate, api.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(h)
	defer server.Close()

	c, err := client.New(server.URL+api.DefaultPrefix, "", client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	sub, err := c.Create(ctx, &webhook.Subscription{
		Name: "search index", EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{
			webhook.Via(httpendpoint.Config{URL: "https://search.example.com/hook"}),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range []string{"obj_1", "obj_2"} {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: id})
		e.OrganizationID, e.Namespace = "org_acme", "acme"
		if _, err := d.Emit(ctx, e); err != nil {
			fmt.Println(err)
			return
		}
	}

	n := 0
	for record, err := range c.Tail(ctx, sub.ID, client.TailQuery{Name: "indexer"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(record.EventType)
		if _, err := c.Acknowledge(ctx, sub.ID, "indexer", record.Position); err != nil {
			fmt.Println(err)
			return
		}
		if n++; n == 2 {
			break // otherwise it waits for the next event
		}
	}
	// Output:
	// object.created
	// object.created
}
