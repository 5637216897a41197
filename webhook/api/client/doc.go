// Package client calls the management API of webhooks from Go.
//
//	c, err := client.New("https://hooks.example.com/v1/organizations/webhooks", apiKey, client.Config{})
//	w, err := c.Create(ctx, &webhook.Subscription{ … }, client.WithIdempotencyKey("order-5"))
//	for d, err := range c.Deliveries(ctx, w.ID, client.DeliveryFilter{Status: webhook.StatusDead}) { … }
//
// What is sent and received are the types of packages webhook and api. Errors
// that the API answers with are [*Error].
package client
