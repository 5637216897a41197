// Package receiver handles incoming webhooks: it verifies the sender, calls your handler for each
// event, skips events that were handled before, and drops stale entries from caches.
//
//	rcv, err := receiver.New(receiver.Config{
//		Secrets: []receiver.Secret{{Value: os.Getenv("WEBHOOK_SECRET")}},
//	})
//	…
//	events := receiver.NewRouter()
//	events.On("object.*", func(ctx context.Context, e *event.Event) error { … })
//	http.Handle("/webhooks", rcv.Handler(events))
//
// A handler that returns nil has handled the event. If it returns an error, the
// sender gets 503 and sends the event again.
//
// # What to use for what
//
// By default, a Receiver remembers handled events in the memory of the process. That is enough for
// one process whose handlers may run twice for an event after a restart. For more, set
// [Config.Dedupe] or put an inbox behind the Receiver:
//
//	                                  Memory  redisstore  sqldedupe  inbox
//	once in one process               yes     yes         yes        yes
//	once in several processes         no      yes         yes        yes
//	once in spite of a restart        no      yes         yes        yes
//	the sender waits for the handler  yes     yes         yes        no
//	a failed handler is retried by    sender  sender      sender     inbox
//	DoneTx adds a row                 yes     yes         no         yes
//	old keys are removed by           itself  Redis       Prune      its Dispatcher
//
// An inbox stores the event, acknowledges it, and calls the handler afterwards. The
// Receiver in front of it needs no shared Deduper, since the inbox knows what it has
// stored; with one, a duplicate costs the inbox nothing.
//
// "Once" has a gap in all four columns: a process may die after the handler had its effect and
// before that was recorded, and then the handler is called again. If the effect is in a SQL
// database, DoneTx of package sqldedupe closes the gap: the handler records the event in the
// transaction of the effect. The next table shows what can be combined. The column FailOpen stands
// for a Dedupe that fails while [Config.FailOpen] is set:
//
//	                Memory  redisstore  sqldedupe  inbox  FailOpen
//	DoneTx          yes     yes         yes        yes    yes
//	Invalidator     yes     yes         yes        yes    yes
//	your wrapper    yes     yes         yes        -      -
//	inbox behind    yes     yes         yes        -      yes
//
// Receivers that share a Deduper and handle the same events for different purposes need a
// [Config.Consumer] each; otherwise the first to handle an event keeps it from the others. In the
// same way, an inbox needs a name for each purpose.
//
// All senders that one Receiver accepts, by any of its secrets, have one space of event ids: an
// event with the id of an earlier one is a duplicate, whichever sender it is from. Independent
// senders need a Receiver each, with a Consumer and an inbox of its own.
//
// # Checks
//
// [Receiver.Handler] checks, in this order, and stops at the first check that fails:
//
//	method                               405
//	HTTPS                                400
//	content type and encoding            415
//	static secret                        401
//	headers and age of the signature     401
//	body, up to MaxBody and in time      413, 408, 400
//	signature                            401
//	decompressed body, up to MaxDecoded  413, 400
//	event, and that its id is signed     400
//
// A request with a wrong secret is refused before a byte of its body is read. A body
// is decoded, and its event claimed, only after secret and signature were right. All
// 401s look the same to the sender; [Hooks.OnReject] and the log have the reason.
// [Receiver.Check] makes the same checks for code that wants no middleware.
//
// A refusal ends the connection, but not while the sender is still sending: a proxy
// such as nginx would turn the answer into a 502. The Receiver reads what the sender
// still sends and discards it, within the bounds below and the server's own
// ReadTimeout. A sender that exceeds the bytes has another 250 ms to read its answer:
//
//	                             bytes     time    at a time
//	the static secret was right  16 MiB    5 s     64
//	all others                   1 MiB     2 s     64
//
// A sender that waits for 100 Continue (RFC 9110, section 10.1.1) has sent no body yet: if it is
// refused before the Receiver has read any, its connection ends at once.
//
// # What the sender is answered
//
// Senders deliver at least once. The Receiver claims the event in a [Deduper] before
// the handler runs, and settles the claim afterwards:
//
//	the handler …                  the event is …        the sender gets
//	returns nil, or answers 2xx    done                  200, or that 2xx
//	returns ErrAlreadyHandled      done                  200
//	returns ErrNoHandler           done                  200
//	returns an error               released              503
//	answers another status         released              that status
//	returns a Permanent error      dead                  200
//	panics                         released              500
//	has lost the claim             claimed elsewhere     409, Retry-After
//
// Without a call of the handler:
//
//	the event …                    its state is …        the sender gets
//	was handled or given up        unchanged             200
//	is being handled               claimed elsewhere     409, Retry-After
//	cannot be claimed              unchanged             503, Retry-After (see Config.FailOpen)
//
// A process that dies leaves a claim behind whose lease ends, after a minute by
// default. Then the event can be claimed again.
//
// # Caches
//
// An event says in its cache scope what it makes stale. A [Config.Invalidator] drops
// that after the handler has succeeded and before the event is done, and again before
// a duplicate is acknowledged: a handler that settles the claim itself may have died
// before the Invalidator ran. Package invalidate has several.
//
// # Traces
//
// A request may name its trace in the headers traceparent, tracestate and baggage. [Delivery].Trace
// has them, and package event/tracecontext finds them in the context of a handler: events that the
// handler emits with a Dispatcher then belong to the same trace. [Hooks].ProcessStart and
// ProcessEnd enclose the processing of an event. Module receiver/otelhook makes spans of
// OpenTelemetry there.
//
// # Tests
//
// Package receivertest builds signed requests for tests of your handlers, and runs an
// end-to-end suite against any receiver, in any language. Package dedupetest runs the
// rules of a Deduper against your own.
//
// # What is where
//
//   - receiver.go, config.go, errors.go: New, what it can be told, and the errors
//   - check.go, https.go, secret.go, body.go: the checks
//   - drain.go: reading what a refused sender still sends
//   - delivery.go: what a handler finds in its context, and the key of a claim
//   - handler.go, attempt.go, result.go: from the claim to the answer
//   - router.go: handlers by event type
//   - dedupe.go, memory.go: the contract of a Deduper, and one in memory
//   - invalidate.go: the contract of an Invalidator
package receiver
