package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// Serve the API beside the routes of a service, with a key for each customer.
func Example() {
	dispatcher, err := dispatch.New(memstore.New(), dispatch.Config{})
	if err != nil {
		panic(err)
	}
	keys, err := apikey.New(dispatcher, apikey.Config{}) // in the store, for all processes
	if err != nil {
		panic(err)
	}
	key, _, err := keys.Create(context.Background(), apikey.Service("setup"), webhook.APIKey{
		OrganizationID: "org_acme", Name: "first", // the customer keeps the key, the store a hash
		Rights: webhook.Rights{Role: webhook.RoleAdminister}})
	if err != nil {
		panic(err)
	}
	management, err := api.New(dispatcher, nil, api.Config{APIKeys: keys})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux() // with the routes of the service
	handler := management.Before(mux)

	r := httptest.NewRequest(http.MethodPost, "/v1/organizations/webhooks/", strings.NewReader(`{
		"webhook_name": "audit", "event_types": ["invoice.*"],
		"channels": [{"channel": "webhook", "configs": {"url": "https://example.com/audit"}}]}`))
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, strings.Contains(w.Body.String(), `"webhook_id":"wh_`))
	// Output: 201 true
}
