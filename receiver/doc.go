// Package receiver is the consumer's half: it checks webhooks, sees to it that
// each event is handled once, and drops what has become stale from caches.
//
//	rcv, err := receiver.New(receiver.Config{
//		Secrets: []receiver.Secret{{Value: os.Getenv("WEBHOOK_SECRET")}},
//	})
//	…
//	events := receiver.NewRouter()
//	events.On("object.*", func(ctx context.Context, e *event.Event) error { … })
//	http.Handle("/webhooks", rcv.Handler(events))
//
// # Checks
//
// [Receiver.Handler] checks, in this order and stopping at the first that
// fails: method, HTTPS, content type and encoding, static secret, age of the
// signature, body up to a limit, signature, event. A wrong secret gets no byte of
// its body read, and nothing that is not authentic is decoded or remembered.
// [Receiver.Check] does the same for code that wants no middleware.
//
// # Handled once
//
// Senders deliver at least once. The Receiver claims the event's id in a
// [Deduper] before the handler runs, and records how that ended:
//
//	the handler …                  the event is …       the sender gets
//	returns nil, or answers 2xx    done                 that 2xx
//	returns an error               given back           503
//	answers another status         given back           that status
//	returns a Permanent error      recorded as dead     200
//	panics                         given back           500
//	has succeeded before           done                 200
//	is running at this moment      somebody else's      409, Retry-After
//	cannot be claimed              untouched            503, Retry-After
//
// A process that dies in between leaves a claim whose lease ends. So a handler
// may still be called twice for one event, if it died after its effect and before
// that was recorded. To have the effect exactly once, settle the claim in the same database
// transaction as the effect: see DoneTx in package sqlstore.
//
// [Memory] serves one process. Packages sqlstore and redisstore have stores
// that replicas share and that outlive a restart; dedupetest has the rules for
// another one.
//
// # Caches
//
// An event says in its cache scope what it makes stale. A [Config.Invalidator]
// drops that before the event counts as done; package invalidate has several.
//
// # Tests
//
// Package receivertest builds signed requests for tests of your handlers, and
// runs an end-to-end suite against any receiver, in any language.
package receiver
