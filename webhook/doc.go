// Package webhook defines what the publishing side of the library stores: the [Subscription], which
// says which events go to which channels, and is called a webhook in JSON, in logs and in the console;
// the [Delivery] of one event to one endpoint, with every
// [Attempt]; the [EndpointState] of each endpoint; [Statistics]; and the contract of a [Store].
//
// To publish, start with package github.com/mixpeek/webhooks-go/webhook/dispatch. Its documentation has
// the rest of this: a subscription to deliver to, and the end of the program. Package webhook/sqlite
// is a module of its own.
//
//	store, err := sqlite.Open(ctx, "webhooks.db", sqlite.Config{})
//	d, err := dispatch.New(store, dispatch.Config{})
//	go d.Run(ctx)
//	_, err = d.Emit(ctx, event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"}))
//
// # What is where
//
//	store.go                the Store and its parts, requests and results
//	subscription.go, subscriptionquery.go, quota.go
//	                        the Subscription, queries of them, and how many there may be
//	delivery.go             the Delivery, its Status and its Attempts
//	endpointstate.go        the Health of an endpoint
//	retry.go                the Retry of one subscription
//	ratelimit.go            the RateLimit of one subscription, and how processes share it
//	ordering.go             the Ordering of one subscription, and its rules
//	statistics.go, hourly.go, durations.go, totals.go
//	                        Statistics of a subscription, and Totals of a store
//	tail.go                 reading in order what was emitted, and results; how far readers have come
//	replaystore.go          replays of many deliveries
//	backlogstore.go         how large the backlog was, hour by hour
//	processstore.go         which processes deliver
//	idempotencystore.go     what a store remembers of requests
//	apikeystore.go          API keys, and what they allow
//	diagnosis.go            how the store itself is
//	errors.go               the errors
//
// The packages below this one:
//
//	dispatch            the Dispatcher: emit, deliver, retry, replay
//	memstore            a Store in memory, for tests and for events that may be lost
//	sqlite, postgres    Stores in a database; modules of their own
//	sqlstore            what those two share
//	seal                encrypts the secrets that subscriptions hold
//	storetest           a test suite for the contract of a Store, for stores of your own
//	otelhook            makes spans of OpenTelemetry; a module of its own
//	promhook            makes metrics for Prometheus; a module of its own
//	webhooktest         helpers for tests of code that publishes
//	monitor             emits events when endpoints fail, deliveries die, or the backlog grows
//	idempotency         runs a request once, even if the client repeats it
//	apikey              makes, checks and revokes API keys
//	api, api/client     the management API as an http.Handler, and a client of it
//	console             the web console, as an http.Handler
//	cmd/webhooks        the command line, for senders and receivers
//
// This package imports no package of the library but event and the packages below event. The stores
// import this package and a few internal ones besides. So a store needs no templates, channels or
// mail.
package webhook
