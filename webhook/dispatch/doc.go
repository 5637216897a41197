// Package dispatch publishes events to subscribers and never loses one.
//
// A [Dispatcher] lives in your process, and its state in your database, behind
// a [webhook.Store]: there is no server to run beside your own. [Dispatcher.Emit]
// returns once the event and its deliveries are durable. [Dispatcher.Run]
// delivers them, each to one channel of one subscription, and retries until the
// endpoint accepts or the [RetryPolicy] gives up:
//
//	store, err := sqlite.Open(ctx, "webhooks.db", sqlite.Config{})
//	d, err := dispatch.New(store, dispatch.Config{})
//	go d.Run(ctx)
//
//	err = d.PutSubscription(ctx, &webhook.Subscription{
//		ID:         "wh_shopcaches",
//		Name:       "cache of the shop",
//		EventTypes: []event.Pattern{"object.*"},
//		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
//			URL:     "https://shop.example.com/webhooks",
//			Headers: map[string]string{"X-Mixpeek-Secret": secret},
//		})},
//	})
//
//	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
//	e.Namespace = "acme"
//	_, err = d.Emit(ctx, e)
//
// A program that ends, such as a job, needs no Run: [Dispatcher.Drain] delivers what is
// due, and returns.
//
// # What is promised
//
// Delivery is at least once. Once Emit has returned nil, the event reaches
// every subscription that matched it, or ends as a dead delivery that can be looked
// at and replayed, whatever happens to the process in between. A receiver sees
// an event twice when a process died, or was paused for longer than its lease,
// between a delivery and its result; event_id is what it recognises
// duplicates by. Order is not promised: retries overtake.
//
// # How a delivery goes
//
// See [webhook.Status] for the states. A process that works on a delivery holds a
// lease on it, and a token that grows with every claim. A result with an old
// token is refused, so a process that was paused cannot overwrite the one that
// took over. Any number of processes may share a store; they need no leader.
// Leases and due times go by the store's clock: see package webhook/postgres.
//
// An event that stops the process whenever it is attempted dies after
// Config.MaxLostAttempts attempts without a result, and the deliveries in memory with
// it are still made.
//
// # Fairness
//
// Whatever one organization does, another keeps its rate; and within one, endpoints
// that hang take nothing from those that answer. Organizations have their turns, in the
// store and in memory, and so have the endpoints of each. Attempts in flight, and
// deliveries in memory, have dynamic thresholds (Choudhury and Hahne): an
// organization, a host (whichever subscriptions go there, see [channel.Capabilities]) and an
// endpoint get at most four times what is free.
//
// A quarter of Config.MaxInFlight is for attempts that are answered within 300 ms.
// One that lasts longer leaves that part, and attempts of endpoints that have not
// answered yet, or that have been slow, never enter it: if there is no room for
// them in the rest, they do not begin. The last slots are for endpoints that have
// just answered, of organizations and hosts with a good record. An endpoint that has
// not answered yet is asked twice at a time; each answer earns it one more, up to
// Config.MaxInFlightPerEndpoint. Config.MaxAttemptTimeout cuts the timeouts that
// subscribers ask for.
//
// Templates are rendered few at a time (Config.Renders). Organizations share that by the
// time that their renders take, and those whose renders are short do not wait for the
// others: see [template.Gate]. An attempt that waits to render is not slow by that.
//
// Deliveries wait in a queue for each [webhook.Endpoint], which has a breaker: once 8 deliveries
// have failed without an answer in between, or 2 have run into their timeout where nothing good is
// known of it, it is left alone for a second, doubling to a minute, then tried with one delivery at
// a time. A 429 or 503 with Retry-After is waited out for the endpoint as a whole. Being left alone
// costs a delivery none of its attempts.
//
// A refusal of one event (400, 404, 413, 422 and the like, or one in the
// channel's own terms) is an answer: it says nothing about other events. What was
// never attempted goes before what has failed, and an endpoint that is left alone
// because the same deliveries keep failing is not left alone for new ones.
//
// # Health of an endpoint
//
// What a breaker knows is one process's, and for minutes. For longer, the store keeps the
// [webhook.Health] of each endpoint, which all processes and restarts share, with its cause,
// since when, and who changed it: see [webhook.EndpointState].
//
// An endpoint is degraded once it has failed as a whole for Lifecycle.DegradedAfter, a minute
// by default: by timeouts, failed connections, 5xx, 429 and the like, for 8 deliveries at
// least, and without an answer in between. A success is an answer, and so is the refusal of an
// event: an endpoint that refuses everything is healthy. An endpoint with so few events that
// ten minutes pass between attempts is not degraded either: its deliveries keep to the retry
// policy.
//
// While an endpoint is degraded, its deliveries wait, but for one at a time, over all
// processes: the probe, a minute later at first, then in steps that double up to half an hour.
// The first answer makes the endpoint healthy for all processes. A probe takes a delivery that
// was never attempted before one that has failed.
//
// An endpoint is disabled when it has been failing for Lifecycle.DisabledAfter, 5 days by
// default, or at once when it says that it is gone (410, or [channel.Deactivate]). Nothing is
// attempted then until a person calls [Dispatcher.EnableEndpoint]. Its deliveries wait, and so
// do those of new events; they are reported as paused. The subscription is not paused, and its
// other channels go on. [Dispatcher.DisableEndpoint] does that by hand. A deploy that calls
// PutSubscription enables nothing. An update that changes the configs of a degraded channel
// has it probed at once.
//
// Waiting costs a delivery nothing, because it is not the delivery that has failed. A probe
// that fails does not count as one of its attempts, although it is in the history, until that
// has 125 attempts. Once the endpoint is healthy again, the age that the retry policy allows
// counts from then for all that has waited. It goes out few at a time at first, as to any
// endpoint that has not answered yet. Deliveries that wait are kept until they are delivered
// or cancelled, as those of a paused subscription are.
//
// Hooks.HealthChanged and a line of the log tell of each change once, in the process that
// stored it.
//
// # Traces and metrics
//
// [Hooks] enclose each emit, attempt, claim and call of the store with results. What a Start
// hook returns is the context of what it begins, so that a span of the embedding service
// is the parent of what channels and stores do. [JoinHooks] makes one Hooks of several, such as
// those of a tracer and those of metrics.
//
// An event keeps the trace that it was emitted in, which package event/tracecontext finds in the
// context of Emit: it is stored beside the event, and each attempt has it in its context, whenever
// and in whichever process it is made. Channel "webhook" sends it on in the headers traceparent and
// tracestate, and a receiver gives it to the handler.
//
// [Dispatcher.Stats] counts what waits, what is in flight, paused and dead, says since when the
// oldest delivery has been due, and what this process does. [Dispatcher.Totals] counts for one
// organization. Module webhook/promhook makes metrics for Prometheus of the hooks and of Stats.
//
// # Probes and logs
//
// [NewHealthHandler] is for readiness probes: it says ready or degraded and why, and 503 while the
// store does not answer. [NewLivenessHandler] is for liveness probes, which must not fail because
// the database does.
//
// The log has a line for each delivery that dies, for each lease that is lost, and for each result
// that comes too late, all at Warn, and for each attempt at Debug. Each names event_id,
// delivery_id, webhook_id, channel, organization_id and attempt, and the class and the error if
// there is one. There are 100 lines a minute of each kind at most, except at Debug; the first line
// after some were left out says how many, as unlogged.
//
// # Stores
//
// Module webhook/sqlite keeps everything in a file, module webhook/postgres in a
// PostgreSQL database that any number of processes share; both stand on package
// sqlstore. Package memstore keeps it in memory, for tests and for events that
// may be lost. Package storetest holds the contract of a Store as a suite for
// those who write one.
//
// # What is where
//
//   - config.go, dispatcher.go: Config, New, and subscriptions: Put, Update, Delete
//   - emit.go, ids.go: Emit and EmitTx, and the ids of what they store
//   - run.go, drain.go: Run and Drain: claims, leases, results, pruning
//   - attempt.go, try.go, task.go: one attempt, and the call of its channel
//   - decide.go, retry.go: what follows from an attempt; the retry policies
//   - lifecycle.go, endpoints.go: endpoints that become degraded, disabled and healthy, by what
//     attempts say, and by hand
//   - lost.go, heldleases.go: deliveries whose lease was lost, and the leases held here
//   - replay.go, sendtest.go, testlimits.go: Replay and ReplayAll; SendTest
//   - hooks.go, joinhooks.go, logs.go: Hooks, several of them as one, and the log about deliveries
//   - errors.go: the errors
//   - stats.go, healthhandler.go: Stats, and handlers for probes
//   - channelcache.go, clock.go: opened channels, and the store's clock
//   - internal: the fair queue, its circuit breaker, shared commits, and logging of outages
package dispatch
