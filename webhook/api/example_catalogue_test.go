package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A service with event types of its own lists them in place of the built-in ones. Previews and
// tests use their examples. Such events need no namespace.
func ExampleConfig_catalogue() {
	types := event.Catalogue{
		{Type: "invoice.paid", Category: "invoice", Description: "An invoice was paid",
			Example: `{"subject":{"type":"invoice","id":"inv_42"},"metadata":{"cents":4200}}`},
		{Type: "invoice.voided", Category: "invoice", Description: "An invoice was cancelled"},
	}
	e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_42"})
	fmt.Println(e.Validate())

	dispatcher, err := dispatch.New(memstore.New(), dispatch.Config{})
	if err != nil {
		panic(err)
	}
	authenticate := func(*http.Request) (string, error) { return "org_acme", nil }
	management, err := api.New(dispatcher, authenticate, api.Config{Catalogue: types})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux() // with the routes of the service
	handler := management.Before(mux)
	r := httptest.NewRequest(http.MethodGet, "/v1/organizations/webhooks/event-types", nil)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var list api.EventTypes
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		panic(err)
	}
	for _, t := range list.Results {
		fmt.Println(t.Type, "-", t.Description)
	}
	fmt.Println("example:", string(list.Results[0].Example))
	// Output:
	// <nil>
	// invoice.paid - An invoice was paid
	// invoice.voided - An invoice was cancelled
	// example: {"subject":{"type":"invoice","id":"inv_42"},"metadata":{"cents":4200}}
}
