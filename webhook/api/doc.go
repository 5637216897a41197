// Package api is the management API: an [http.Handler] through which the customers of a service
// create, read, change and delete their subscriptions, which this API calls webhooks, look at their
// deliveries, and replay those that failed.
//
// # Start
//
// Serve it in a service that has a Dispatcher:
//
//	keys, err := apikey.New(store, apikey.Config{})
//	h, err := api.New(dispatcher, nil, api.Config{APIKeys: keys})
//	http.ListenAndServe(addr, h.Before(mux)) // serves api.DefaultPrefix, and mux the rest
//
// Package apikey keeps API keys in the store, with a role, a time of expiry and a time of last use,
// for all processes at once. Its Create makes the first one. Customers manage theirs below
// /api-keys.
//
// A service that has keys or sessions of its own writes an [Authenticator]: a function that says
// which organization a request comes from. Such a request may do everything in that organization.
// If it has no Authorization header, because it is a cookie that says so, and changes something, it
// must come from the same origin: see [http.CrossOriginProtection].
// With both, the Authenticator is asked first: an API key from the environment opens the API
// before there is any in the store. [Keys] is an Authenticator with API keys in the memory of one
// process.
//
// To try it, create a webhook, look at it, send a test to it, and read its deliveries:
//
//	curl http://localhost:8080/v1/organizations/webhooks \
//	  -H 'Authorization: Bearer <token>' -H 'Content-Type: application/json' \
//	  -d '{"webhook_id": "wh_0123456789abcdef", "webhook_name": "audit",
//	       "event_types": ["object.*"], "channels": [
//	         {"channel": "webhook", "configs": {"url": "https://example.com/audit"}}]}'
//	curl http://localhost:8080/v1/organizations/webhooks/wh_0123456789abcdef \
//	  -H 'Authorization: Bearer <token>'
//	curl -X POST http://localhost:8080/v1/organizations/webhooks/wh_0123456789abcdef/test \
//	  -H 'Authorization: Bearer <token>'
//	curl http://localhost:8080/v1/organizations/webhooks/wh_0123456789abcdef/deliveries \
//	  -H 'Authorization: Bearer <token>'
//
// GET /openapi.json below the prefix describes all operations. Package client calls them from
// Go. The operations of the published contract, in both of its versions, have its paths, bodies
// and errors; clients of it need no change.
//
// # Roles
//
// An API key has a [webhook.Role]; a request that needs more is answered with 403.
//
//	read         all GET, and POST /list, /preview and /deliveries/replays/count
//	operate      replay, cancel, skip, test, publish, enable and disable endpoints, PATCH of
//	             is_active alone, named positions
//	administer   create, change and delete webhooks, signing secrets, API keys
//
// Seeing a secret is a right of its own: without it, ?reveal= is answered with 403, and a new
// signing secret with its mask. A stream that is open when its API key is revoked goes on until it
// ends, 15 minutes at most.
//
// # Organizations
//
// Every call of the Dispatcher names the organization that the [Authenticator] returned. For a
// request of one organization, the data of all others does not exist: reading it is answered with
// 404, and deleting it with 204, which deletes nothing.
//
// # Secrets
//
// Header values, tokens and signing secrets are answered as [Mask], and so is every field that
// a channel's driver does not list as public (see [channel.Schema]). A client that has to see
// a secret asks for it by its name in the answer:
//
//	GET {prefix}/{webhook_id}?reveal=channels.0.configs.headers.X-Mixpeek-Secret
//
// An update that sends the mask back keeps the stored value, so a client can change what it
// has read and send it back. This works only while the channel sends to the same scheme, host
// and port ([channel.Field.Target]): otherwise a key that may change a webhook, but not reveal
// its secrets, could have them sent elsewhere. If the target has changed, or it is not clear
// which stored value a mask stands for, the update is refused.
//
// # Clients of the published contract
//
// A client that was generated from the published contract knows only the contract's fields. It can
// read every answer: email's recipients are answered as to_addresses, fields that are null are left
// out, and a Slack bot has an empty webhook_url. When it sends a webhook back, the fields that only
// this library has (retry, rate_limit and ordering of a webhook; method, signing_secret,
// signing_secrets, those of a Slack bot) are missing. They keep their stored values; null removes
// them. But if the channel now sends to another scheme, host or port, a missing secret does not
// keep its stored value.
//
// # Input
//
// A body is checked as a whole, and the answer names every problem: unknown fields, also in the
// configs of a channel whose driver lists its fields; names that occur twice in an object; URLs
// that are not https, contain credentials, or lead to a private address, as far as that is visible
// without a lookup; templates that do not compile. The event types of the contract are accepted,
// and so are your own and patterns such as "invoice.*". An answer names the first 100 problems,
// fewer if they are long, and says how many more there are.
//
// Fields that the server sets are accepted and ignored, because clients send back what they
// have read. So is description, of a webhook and of a channel: the contract's examples send
// it, but its schemas do not have it, so answers do not either.
//
// # Publishing
//
// With [Config.Publish], POST /events publishes the event in the body, as [dispatch.Dispatcher.Emit]
// does, for the organization of the request: for services in other languages, and for a person who
// tries a webhook. The answer says how many deliveries that made, and whether the event_id had been
// published before, which does nothing. ?ttl_seconds= is its time to live.
//
// It needs the role operate. That role may send any event to a webhook already, as a test; and what
// publishes events should not need an API key that can change webhooks, or create other keys.
//
// # Reading without a push
//
// GET /{webhook_id}/events reads what was emitted to a webhook, the oldest first, and GET /events
// what was emitted to all. Each answer names the position to go on from, as next: ?after=. A
// consumer that was away catches up so, and acknowledges what it has processed under a name, from
// which it goes on after a restart:
//
//	GET {prefix}/{webhook_id}/events?position=search-index&wait=30
//	PUT {prefix}/{webhook_id}/positions/search-index    {"position": "pos_…"}
//
// With ?wait= a request waits for results. With Accept: text/event-stream the answer is a stream of
// server-sent events, which goes on with what comes; a client that connects again sends the
// Last-Event-ID, and misses nothing. GET /deliveries/tail does the same with deliveries, and GET
// /deliveries/results with what becomes of them: attempts, replays and cancellations. Streams end
// when their [http.Server] shuts down.
//
// # Replays
//
// POST /deliveries/replays begins to replay the deliveries that a filter selects, of one webhook or
// of all, by default the dead ones, and answers at once. The processes of the service go on with it,
// also after a restart. GET /deliveries/replays lists replays, GET /deliveries/replays/{replay_id}
// says how far one is, and POST …/stop ends it. POST /deliveries/replays/count counts first. The
// older POST /{webhook_id}/replay replays before it answers, and takes several requests for many.
//
// # Endpoints that fail
//
// GET /endpoints lists the endpoints that are degraded or disabled, with the cause. GET
// /{webhook_id}/endpoints lists all endpoints of one webhook. An endpoint that refuses events of one
// type and takes the others is healthy: GET /{webhook_id}/refusals names the type. To enable a
// disabled endpoint, send
//
//	POST {prefix}/{webhook_id}/endpoints/enable
//
// and {"channel": "…"} if the webhook has several channels. changed_by then says who did it. is_active
// is the customer's own switch: it stays true when an endpoint is disabled, and sending it back
// enables nothing. Deliveries that wait for a disabled endpoint have the status paused; an answer with
// one delivery says why it waits, and until when (see [Delivery]). See Health
// of an endpoint in the documentation of package dispatch.
//
// # Who changed what
//
// Each change of a webhook or of one of its endpoints leaves a line at Info in [Config.Logger]:
//
//	api: a webhook was changed organization_id=org_a webhook_id=wh_… action=pause
//	changed_by="key_… billing" fields=[is_active]
//
// action is create, update, pause, resume, delete, enable, disable, rotate or drop_previous, as in
// the changes that the console tells. changed_by is the id and the name of the API key, or what
// [Config.Actor] says. fields names what is different now, and never has a value. What was refused,
// and the deletion of what is not there, leave no line. A change that the store did not confirm in
// time leaves the error of the request, and may have been made. The store keeps who enabled or
// disabled an endpoint ([webhook.EndpointState.ChangedBy]); of a paused or deleted webhook it keeps
// no name, so that the line is the only trace. Replays, cancellations and tests leave none.
//
// # How the service is
//
// GET /about says who makes a request, and with which rights. To an operator's API key it also says,
// across all organizations, how much waits and since when, what the process does that answers, which
// version it has, and what the store tells of itself: the version of its tables, and which
// transactions have been open for more than a minute (see [webhook.Diagnosis]). A request that an
// Authenticator has accepted never sees that. "webhooks doctor" reads it.
//
// # Event types
//
// GET /event-types lists [Config.Catalogue], so that customers can choose. The example of a type
// there is what a test sends, and what a preview renders, if the request has no event. Examples
// are not used when a webhook is created: its templates are compiled, and not rendered.
//
// # Bounds
//
// Each answer with 429 or 503 has a Retry-After. The requests in progress are those of this
// process:
//
//	what                          bound                                      beyond it
//	requests in progress          Config.MaxRequests (64)                    503
//	… of one organization         Config.MaxRequestsPerOrganization (16),    429
//	                              and the number of free places
//	tests in progress             a quarter of both, at least 1              429 or 503
//	replays by filter in progress a quarter of both, at least 1              429 or 503
//	streams, and requests that    Config.MaxStreams (256)                    503
//	wait, of this process
//	… of one organization         Config.MaxStreamsPerOrganization (16),     429
//	                              and the number of free places
//	a stream                      15 min                                     the client connects again
//	named positions of a webhook  16                                         403, TypeQuota
//	messages of tests             dispatch.Config.Tests                      429
//	webhooks, channels and        dispatch.Config.Quota                      403, TypeQuota
//	event types
//	requests with an              Config.IdempotentPerMinute (120)           429
//	Idempotency-Key
//	a body                        Config.MaxBody (1 MiB)                     413
//	                              20,000 values and 256 levels               422
//	a body's way to the API       30 s                                       400
//	an answer's way to the client 30 s                                       the connection ends
//	what the store takes for it   1 min                                      503
//	a preview                     2 s                                        422
//	a test                        30 s                                       its attempts time out
//	a replay by filter            20 s                                       a cursor
//	replays in the background     webhook.MaxReplays (10)                    403, TypeQuota
//	of an organization
//	a count of a replay           10,000 deliveries                          "more"
//	a list                        about 4 MiB                                a cursor
//
// A request is in progress until its answer is written. Because an organization never has more
// requests in progress than there are free places, some places are always left for others. A client
// that is slow to send a body or to read an answer loses its place, with 503, as soon as an
// organization with fewer requests needs it. If all places for tests, or all for replays, are
// taken, one is freed for an organization that has fewer of them: the API ends a request that has
// been in progress for 5 s, or that is one of several of its organization. It answers a test that
// it ends with 503, and a replay with a cursor.
//
// As many requests compile or render templates at once as there are processors. A list that is too
// long is refused before its elements are read. Up to 1 MiB of the rest of a refused body is read
// after the answer, so that a proxy passes the answer on. GET of the list of webhooks answers with
// a bare array, so its cursor is in the headers X-Next-Cursor and Link.
//
// # Changing one field
//
// PATCH changes the fields that its body has, by RFC 7396: {"is_active": false} pauses.
//
// # Two writers
//
// An answer with one webhook has an ETag. An update or deletion with If-Match is made only if
// the webhook is still at that version, and is otherwise answered with 412. Without If-Match
// the last writer wins.
//
// # Repetition
//
// A client can repeat a create or a replay that has an Idempotency-Key: it takes effect once, in
// all processes that share the store. A repetition within 24 hours gets the answer of the first
// request, or the webhook that it created as it is now. The same key with another body is answered
// with 422, and a repetition while the first request is in progress with 409. Package idempotency
// does the same for other requests of a service.
//
// # Errors
//
// The API answers an invalid request with 422 and a [ValidationResponse], which lists every problem
// with its location. Every other error is an [ErrorResponse]. An error of the store is logged and
// not shown: the answer is 503 with Retry-After if it matches [webhook.ErrUnavailable], and 500
// otherwise.
//
// # What is where
//
//	api.go          Config, New, Before; the routes, and the way of a request
//	auth.go         Authenticator and Keys
//	apikeys.go      API keys of the store: who makes a request; list, create, revoke
//	admission.go    how many requests are in progress, and which of them end early
//	read.go         bodies and queries: bounds, and reading with all problems
//	errors.go       answers, errors and validation problems
//	webhooks.go     create, read, update, patch, delete; ETag and If-Match
//	list.go         lists of webhooks, their filters and cursors
//	mask.go         masks in answers and updates: see webhook/internal/configs
//	rotate.go       signing secrets
//	endpoints.go    endpoints that fail, enabling and disabling them
//	changes.go      the line in the log about a change
//	deliveries.go   deliveries, replays and statistics
//	replays.go      replays that go on in the background
//	publish.go      publishing of events
//	tail.go         events, deliveries and results from a position on; named positions
//	stream.go       server-sent events, and requests that wait
//	totals.go       figures across all webhooks
//	system.go       what an API key may do; how the service is, for operators
//	preview.go      previews of templates and tests of webhooks
//	idempotency.go  Idempotency-Key
//	about.go        event types and the OpenAPI document
//	health.go       the health check, which needs no key
//	openapi.json    the OpenAPI document
//
// Bodies and configs are walked with package event/jsontext, as envelopes are. This package adds
// only what an API needs: a body is bounded before it is decoded, all of its problems are
// collected, each with its location, and secrets are replaced in the text so that the rest stays as
// it was written.
package api
