// Package dispatch publishes events and delivers each of them at least once, over several processes
// and across restarts.
//
// A [Dispatcher] lives in your process, and its state in your database, behind a [webhook.Store]:
// you run no server for it. [Dispatcher.Emit] returns once the event and its deliveries are
// durable. [Dispatcher.Run] delivers them, each to one channel of one subscription, and retries
// until the endpoint accepts or the [RetryPolicy] gives up:
//
//	store, err := sqlite.Open(ctx, "webhooks.db", sqlite.Config{})
//	d, err := dispatch.New(store, dispatch.Config{})
//	ended := make(chan error, 1)
//	go func() { ended <- d.Run(ctx) }()
//
//	err = d.PutSubscription(ctx, &webhook.Subscription{
//		ID:         "wh_shopcaches", // "wh_", and 10 letters or digits or 16 hexadecimal digits
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
//	// When the program ends: cancel ctx, and wait until Run has stored what it knows.
//	err = <-ended
//
// A program that ends by itself, such as a job, needs no Run: [Dispatcher.Drain] delivers what is
// due, and returns.
//
// # What is promised
//
// Delivery is at least once. Once Emit has returned nil and the store is durable, each delivery of
// the event is retried until the endpoint accepts it, the retry policy gives it up, or its time to
// live ends, whatever happens to the process in between. A delivery that is given up is dead: it
// is kept for Retention.Dead, and can be replayed until it has [MaxReplayed] attempts. Only
// Cancel, and deleting the subscription or the channel, end a delivery earlier.
//
// A receiver gets an event twice if a process dies, or is paused for longer than its lease, between
// an attempt and storing its result. It recognises duplicates by the event_id. Order is promised
// only to a subscription with a [webhook.Ordering] (see Order); otherwise a retry can arrive after
// later events.
//
// # Time to live
//
// An event may say for how long it is worth delivering: see [event.Event.TTL]. It counts from the
// emit, or from the last replay of a delivery, by the store's clock. No attempt begins after it,
// whatever the retry policy, a pause or the health of the endpoint would allow, and a delivery
// that was not delivered by then is dead:
//
//   - at once, when an attempt fails and the next one would be too late. The error of that attempt
//     says so.
//   - otherwise when it has its turn, or while it waits if its subscription is paused or its endpoint
//     degraded or disabled: usually within a minute or so. It may take [webhook.ExpiredWithin] longer
//     if its endpoint was still healthy, or it was in flight, when its time to live ended. The last
//     entry of its history then has [ClassExpired]. What waits in line behind another delivery of its
//     subject expires when its turn comes.
//
// An attempt that has begun in time may end later. Set the timeout of the channel for that.
//
// # How a delivery goes
//
// See [webhook.Status] for the states. A process that works on a delivery holds a lease on it, and
// a token that grows with every claim. A result with an old token is refused, so a process that was
// paused cannot overwrite the result of another that took over. Any number of processes may share a
// store; they need no leader. Leases and due times are by the store's clock: see package
// webhook/postgres.
//
// If an event crashes the process at each attempt, its delivery is dead after
// Config.MaxLostAttempts attempts without a result. The other deliveries that were in memory are
// still made.
//
// # Organizations
//
// An organization is one of your tenants. The OrganizationID of an event and that of a
// [webhook.Subscription] are the same text: a subscription receives the events of its organization,
// and no others. Without tenants leave both empty, and all is one organization.
//
// # Fairness
//
// No organization can slow down another, and no endpoint that hangs can slow down others of the
// same organization. These are the rules:
//
//   - Organizations take turns, in the store and in memory, and so do the endpoints of each.
//   - An organization, a host (of whichever subscriptions: see [channel.Capabilities]) and an
//     endpoint may have at most four times as many attempts in flight, or deliveries in memory, as
//     there are free places: the more places are taken, the fewer each of them may take (A. K.
//     Choudhury and E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet
//     switches", 1998).
//   - A host whose channels say how many attempts it takes at a time, such as a mail server, never
//     gets all of them from one organization if another one has sent something there in the last
//     hour: a mail to many recipients can take minutes. An organization on its own may use all, and
//     where there is only one at a time, they take turns.
//   - A quarter of Config.MaxInFlight is reserved for endpoints that have been answering within
//     300 ms. An attempt that lasts longer moves to the other places. Attempts at endpoints that
//     have been slow, or have not answered yet, take only those from the start, and wait until one
//     is free.
//   - The last free places go to endpoints that have answered within the last second, of
//     organizations and hosts that have been answering.
//   - The Dispatcher makes at most two attempts at a time at an endpoint that has not answered yet,
//     and one more after each answer, up to Config.MaxInFlightPerEndpoint.
//   - Config.MaxAttemptTimeout cuts the timeouts that subscribers ask for.
//   - Config.Renders bounds how many templates are rendered at a time. Organizations share that by
//     the time that their renders take: see [template.Gate]. Waiting for it does not make an
//     attempt slow.
//   - At one endpoint, three deliveries that were never attempted go before one that has failed
//     before.
//
// # Rate limits
//
// A subscription may say how many attempts begin at each of its channels: see
// [webhook.RateLimit]. Channels may have a limit of their own ([channel.Capabilities]), as slack and
// sms do, which that of the subscription replaces. These are the rules:
//
//   - All processes share the limit through the store. In any time of length t, at most Burst +
//     PerSecond × (t + 1 s) attempts begin, whatever the number of processes. The difference between
//     the processes' estimates of the store's clock adds to t.
//   - A process takes permits for up to a second, with one write for up to 512 endpoints that need
//     some, of all organizations in turn. A permit that it does not use within a second is lost.
//   - Processes that want more than there is take turns, and get about the same. A burst after a
//     pause goes to the one that asks first.
//   - A delivery that waits for a permit uses up no attempt, no worker and no place. What cannot
//     begin within ten seconds or so stays in the store, for any process.
//   - 429, and any answer with Retry-After, halves the rate for all processes, down to a 32nd of the
//     limit, and stops all attempts for that time, up to a minute. The rate grows again by a
//     twentieth of the limit each 10 seconds. Without a limit such an answer slows each process for
//     itself: see below.
//   - While the store does not answer, endpoints with a limit get no attempts.
//   - Tests ([Dispatcher.SendTest]) do not count: Config.Tests bounds them.
//
// ProcessStats.RateLimited counts the endpoints that wait. Hooks.Throttled tells of each rate that
// was lowered.
//
// # Order
//
// Deliveries are made in any order, unless the subscription has a [webhook.Ordering]. Then the events
// of each subject are delivered one after the other at each of its endpoints, in the order of their
// emits, and what fails holds back its own subject only. An event that is dead holds its subject until
// it is replayed ([Dispatcher.Replay]) or skipped ([Dispatcher.Skip]), or for as long as the
// subscription says. The rules are those of [webhook.Ordering].
//
// Such deliveries are not prefetched, and those of one subject take a claim each: a subject gets as
// many deliveries a second as attempts, writes and claims can follow upon each other. Many subjects
// share claims and writes as usual.
//
// # Endpoints that fail
//
// A healthy answer of an endpoint is a success, or the refusal of one event: a 4xx other than 408, 425
// and 429, or a code of the channel that says so. Such a refusal is retried like any other failure,
// because endpoints answer 404 or 401 while they are deployed, but it says nothing about other events.
// Only 410 ends a delivery at once, and disables the endpoint; a channel of your own can end one with
// an error that is permanent. Timeouts, failed connections and 5xx are no healthy answers.
//
// Each [webhook.Endpoint] has a queue of its own, with a circuit breaker:
//
//   - The Dispatcher stops calling an endpoint for 1 second after 8 deliveries have failed without
//     a healthy answer in between. A failure that took longer than 300 ms counts for four if the
//     endpoint has not been answering fast.
//   - After that it makes one attempt at a time. Each further failure stops the calls for twice as
//     long, up to 1 minute. The first healthy answer ends this.
//   - If only the same deliveries keep failing, new ones are attempted nevertheless.
//   - After a 429 or 503 with Retry-After, the endpoint gets no delivery until that time has
//     passed. Each of these counts as one of the 8, even if all are of the same delivery.
//
// While an endpoint is not called, its deliveries wait and use up no attempt.
//
// # Health of an endpoint
//
// A breaker belongs to one process and remembers failures for minutes. Beyond that, the store keeps
// the [webhook.Health] of each endpoint, which all processes and restarts share, with its cause,
// since when, and who changed it: see [webhook.EndpointState].
//
// An endpoint is degraded once it has failed as a whole for Lifecycle.DegradedAfter, a minute by
// default: by timeouts, failed connections, 5xx, 429 and the like, for 8 different deliveries at
// least, and without a healthy answer in between. An endpoint that refuses every event is healthy,
// and package webhook/monitor names it.
// [Dispatcher.Refusals] names an event type that an endpoint refuses while it takes others.
// An endpoint with so few events that ten minutes pass between attempts is not degraded either: its
// deliveries keep to the retry policy.
//
// While an endpoint is degraded, its deliveries wait, but for one at a time, over all
// processes: the probe, a minute later at first, then in steps that double up to half an hour.
// The first healthy answer makes the endpoint healthy for all processes. A probe takes a delivery that
// was never attempted before one that has failed. If a probe says nothing about the endpoint, as
// when its event cannot be rendered, the next one follows at once, 100 times in a row at most.
//
// An endpoint is disabled when it has been failing for Lifecycle.DisabledAfter, 5 days by default,
// and for at least 8 probes, or at once when it says that it is gone (410, or [channel.Disable]).
// Nothing is attempted then until a person calls [Dispatcher.EnableEndpoint], or changes the
// configs of its channel (see below). Its deliveries wait, and so do those of new events; they are
// reported as paused. The subscription is not paused, and its other channels go on.
// [Dispatcher.DisableEndpoint] does that by hand. A deploy that calls PutSubscription with the same
// configs enables nothing. An update that changes the configs of a channel that is degraded, or
// disabled by the library, has it probed at once.
//
// A process that reaches nothing does not blame the endpoints: if 8 hosts have failed, and none has
// answered since, it takes itself to be cut off, and logs that at Error. Until a host answers, it
// makes no endpoint degraded or disabled, and counts no failed probe.
//
// Waiting costs a delivery nothing, because it is not the delivery that has failed. A probe
// that fails does not count as one of its attempts, although it is in the history, until that
// has 125 attempts. Once the endpoint is healthy again, the age that the retry policy allows
// counts from then for all deliveries that have waited. They go out a few at a time at first, as
// to any endpoint that has not answered yet. Deliveries that wait are kept until they are delivered
// or cancelled, as those of a paused subscription are.
//
// Hooks.HealthChanged and a line of the log tell of each change once, in the process that
// stored it. The line says since when the endpoint has been failing, as failing_since. If it had
// failed before, also until a person enabled it, failed_before_since and failed_before_until say
// when; the state keeps that as LastFailure. Package webhook/monitor makes events of these changes,
// for a mail to the owner of the endpoint or a page to those on call.
//
// # Traces and metrics
//
// [Hooks] enclose each emit, attempt, claim and call of the store with results. The context that a
// Start hook returns is used for the operation that it begins, so that a span of the embedding
// service is the parent of the spans of channels and stores. [JoinHooks] makes one Hooks of
// several, such as those of a tracer and those of metrics.
//
// An event keeps the trace that it was emitted in, which package event/tracecontext finds in the
// context of Emit. It is stored with the event, and the context of each attempt has it, also in
// another process. Channel "webhook" sends it in the headers traceparent and tracestate, and a
// receiver passes it to the handler. Module webhook/otelhook makes spans of OpenTelemetry for emits
// and attempts.
//
// [Dispatcher.Stats] counts the deliveries that wait, are in flight, paused or dead, and says how
// long the oldest due delivery has been waiting and what this process does. [Dispatcher.Totals]
// counts for one organization. [Dispatcher.Processes] lists all processes that deliver from the
// store, with figures of each, and shows which of them were killed. Module webhook/promhook makes
// metrics for Prometheus from the hooks and from Stats. Package webhook/monitor needs no other
// program: it emits events when deliveries are dead or have been due for too long.
//
// # Probes and logs
//
// [NewHealthHandler] is for readiness probes: it answers ready or degraded, with the reasons, and
// 503 while the store does not answer. [NewLivenessHandler] is for liveness probes, which must not
// fail because the database does.
//
// When Run begins and when it ends, the log has a line, at Info, with what the store holds: pending,
// in_flight, paused and dead deliveries, degraded and disabled endpoints, and since when the oldest
// delivery has been due. in_flight_elsewhere are leased to other processes, or were to one that
// died: those are claimed when their lease ends.
//
// The log has a line for each delivery that becomes dead, for each lease that is lost, and for each
// result that comes too late, all at Warn, and for each attempt at Debug. Each line has event_id,
// delivery_id, webhook_id, channel, organization_id and attempt, and the class and the error if
// there is one. Those of attempts and their results, and of endpoints whose health changes, have
// webhook_name and host too, as far as they are known, and never a path or a query. In a minute
// there are at most 10 lines of each kind about one endpoint and 100 about all of them, except at
// Debug; the first line about an endpoint is always written, for up to 1000 of them. If lines were
// left out, another line says how many within a minute, and which endpoint most of them were about.
//
// # Stores
//
// Module webhook/sqlite keeps everything in a file, and module webhook/postgres in a PostgreSQL
// database that any number of processes share; both use package sqlstore. Package memstore keeps
// everything in memory, for tests and for events that may be lost. Package storetest is a test
// suite for stores of your own.
//
// # What is where
//
//   - config.go, dispatcher.go: Config, New, and subscriptions: Put, Update, Delete
//   - emit.go: Emit and EmitTx
//   - fanout.go: the deliveries of an event for many endpoints, in turns between organizations
//   - ids.go: which ids and filters a store can hold
//   - run.go, drain.go: Run and Drain: claims, leases, results, pruning
//   - claimpace.go: what is claimed, and how soon a claim is repeated
//   - attempt.go, try.go, task.go: one attempt, and the call of its channel
//   - decide.go, retry.go: what follows from an attempt; the retry policies
//   - expiry.go: deliveries whose time to live has ended
//   - rates.go: permits of endpoints with a rate limit
//   - lifecycle.go, endpoints.go: endpoints that become degraded, disabled and healthy, by what
//     attempts say, and by hand
//   - refusals.go: which event types the endpoints of a subscription refuse
//   - reach.go: whether this process reaches anything
//   - lost.go, heldleases.go: deliveries whose lease was lost, and the leases held here
//   - replays.go: replays of many that go on in the background
//   - backlog.go: how large the backlog was, hour by hour
//   - replay.go, sendtest.go, testlimits.go: Replay and ReplayAll; SendTest
//   - hooks.go, joinhooks.go, logs.go: Hooks, several of them as one, and the log about deliveries
//   - tail.go, tailpoll.go: Tail, its readers, and what they share; named positions
//   - errors.go: the errors
//   - processes.go: which processes deliver, and the heartbeats that tell
//   - waiting.go: why a delivery waits, and until when
//   - stats.go, healthhandler.go: Stats, and handlers for probes
//   - channelcache.go, clock.go: opened channels, and the store's clock
//   - internal: the fair queue, its circuit breaker, shared commits, and logging of outages
package dispatch
