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
// fails:
//
//	method                               405
//	HTTPS                                400
//	content type and encoding            415
//	static secret                        401
//	headers and age of the signature     401
//	body, up to a limit and in time      413, 408
//	signature                            401
//	event, and that its id is signed     400
//
// A wrong secret is answered before a byte of its body is read, and nothing that
// is not authentic is decoded or remembered. All 401s look the same; [Hooks.OnReject] and the log
// know the reason. [Receiver.Check] does the same for code that wants no
// middleware.
//
// After a refusal the connection ends, but not while the sender is still sending:
// a proxy such as nginx would make a 502 of the answer. What it sends is read and
// thrown away, within bounds for strangers that are small, since this is all that
// they can have. Each bound ends it, as does the server's own ReadTimeout; a sender
// that has sent more has another 250 ms to read its answer:
//
//	                             bytes     time    at once
//	the static secret was right  16 MiB    5 s     64
//	anything else                1 MiB     2 s     64
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
//	is running at this moment      another call's       409, Retry-After
//	cannot be claimed in time      untouched            503, Retry-After
//
// A process that dies in between leaves a claim whose lease ends. So a handler
// may still be called twice for one event, if it died after its effect and
// before that was recorded. To have the effect exactly once, settle the claim in
// the same database transaction as the effect: see DoneTx in package sqldedupe.
//
// [Memory] serves one process. Packages sqldedupe and redisstore have stores
// that replicas share and that outlive a restart; dedupetest has the rules for
// another one.
//
// # Work that takes longer
//
// Package inbox stands between a Receiver and its handlers where these take
// longer than senders wait, or fail more often than senders try: it stores an
// event, which is when the sender gets its 200, and has it handled afterwards,
// with retries and a history of its own.
//
// # Caches
//
// An event says in its cache scope what it makes stale. A [Config.Invalidator]
// drops that before the event counts as done, and again before a duplicate is
// acknowledged: a handler that settles the claim itself may have died before the
// first time. Package invalidate has several.
//
// # Tests
//
// Package receivertest builds signed requests for tests of your handlers, and
// runs an end-to-end suite against any receiver, in any language.
//
// # What is where
//
//   - receiver.go, config.go, errors.go: what to ask for, and what is refused
//   - check.go, https.go, secret.go, body.go: the checks
//   - drain.go: what is read of a body that was refused
//   - delivery.go: what a handler gets, and the key for deduplication
//   - handler.go, attempt.go, result.go: from the claim to the answer
//   - router.go: handlers by event type
//   - dedupe.go, memory.go: the contract of a Deduper, and one in memory
//   - invalidate.go: the contract of an Invalidator
package receiver
