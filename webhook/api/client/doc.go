// Package client calls the management API (package api) from Go.
//
//	c, err := client.New("https://example.com/v1/organizations/webhooks", apiKey, client.Config{})
//	sub, err := c.Create(ctx, &webhook.Subscription{ … }, client.WithIdempotencyKey("order-5"))
//	dead := client.DeliveryFilter{Status: webhook.StatusDead}
//	for d, err := range c.Deliveries(ctx, sub.ID, dead) { … }
//
// Requests and answers are types of the packages webhook and api. If the API answers with an error,
// the methods return an [*Error]; [errors.Is] matches it with the errors of the packages webhook,
// api and idempotency.
//
// # What is where
//
// [Client] and its options are in client.go, its calls in webhooks.go, endpoints.go, deliveries.go,
// replays.go, tail.go and apikeys.go, reading of lists in pages.go, the format of streams in sse.go,
// and [Error] in errors.go.
package client
