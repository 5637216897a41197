// Package webhook holds what the publishing side of the library keeps: the
// [Subscription] that says which events go to which channels, the [Delivery] of one
// event to one endpoint with its [Attempt]s, [Statistics], and the contract of a
// [Store].
//
// Publishing starts in package [github.com/mixpeek/webhooks-go/webhook/dispatch]:
//
//	store, err := sqlite.Open(ctx, "webhooks.db", sqlite.Config{})
//	d, err := dispatch.New(store, dispatch.Config{})
//	go d.Run(ctx)
//	_, err = d.Emit(ctx, event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"}))
//
// # What is where
//
//	dispatch            the Dispatcher: emit, deliver, retry, replay
//	memstore            a Store in memory, for tests and for events that may be lost
//	sqlite, postgres    Stores in a database; modules of their own
//	sqlstore            what those two share
//	seal                encrypts the secrets that subscriptions hold
//	storetest           the contract of a Store as a suite, for stores of your own
//	idempotency         requests that clients may repeat, and that are done once
//	api, api/client     the management API as an http.Handler, and a client of it
//
// This package imports no other of the library but event, and so do the stores: a
// store pulls in no templates, channels or mail.
package webhook
