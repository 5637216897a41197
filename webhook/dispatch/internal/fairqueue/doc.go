// Package fairqueue decides which claimed delivery a process attempts next, and how many more it
// claims, so that no organization, host or endpoint takes what others need, however many deliveries
// it has and however long its attempts hang.
//
// # The algorithm
//
// Each endpoint has a queue of its own. Organizations that have something to run are served
// round-robin, and so are the endpoints of each. An endpoint is fast, neutral or slow by how long
// its attempts have been lasting; a new one is neutral. Fast, neutral and slow endpoints take
// turns. The items of an endpoint are fresh deliveries, which were never attempted, and retries,
// which have failed before: three fresh ones go before one retry.
//
// Two resources are shared: slots, which attempts in flight take, and the buffer of queued
// deliveries, which is counted in deliveries and in bytes. Of each, a user of it may have no more
// than a dynamic threshold (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
// packet switches", 1998): alpha times what is free. One user on its own gets nearly all, many
// share, and a part stays free for one that has nothing yet. Users are organizations, hosts (for
// slots) and endpoints (for the buffer). Endpoints are also bounded by a window of attempts in
// flight, which begins at two, grows by one with each answer, and is halved by a slow failure, such
// as a timeout. A host may have a limit of attempts in flight that its channel sets. While several
// organizations use such a host, none of them may have all of these, unless that is one.
//
// There are two kinds of slots. Fast slots, a quarter, are for fast endpoints. An attempt that
// lasts for 300 ms gives its fast slot back and takes a general one. Fast endpoints may take
// general slots too, and slow and neutral ones take no others. The last sixteenth of all slots, and
// as many of the fast ones, are held back: for fast endpoints that have given a fast answer within
// the last second, if neither their organization nor their host is slow. The stopwatch of an
// attempt, which tells whether it is slow, can be paused while the attempt waits for this process.
//
// An endpoint that keeps failing backs off, as its circuit breaker says: see package breaker. What
// is queued for it is then requeued: see below.
//
// An endpoint may have a rate limit, which bounds how many attempts begin, over all processes. It
// runs nothing without a permit: it is in no run queue until the time of the next one. When it has
// none left, it requests more, and the caller gets them from the store. When the buffer has as much
// for it as can begin in ten seconds, it gets no more.
//
// What does not fit stays in the store, as the backlog of its endpoint. The queue computes the
// claim budget: how many deliveries the next claim may take, and which organizations and endpoints
// it has to skip. A delivery that is stored by this process may be prefetched, which means that the
// call that stores it claims it too: capacity for it is reserved before. After one that did not
// fit, an endpoint gets nothing prefetched until a claim has taken all that was due, so that later
// deliveries do not overtake a backlog.
//
// # Requeued and put back
//
// To requeue a delivery is to return it to the store, where another claim finds it. The caller does
// that with the items that are in [FinishResult], that [Core.RescheduleAll], [Core.Push],
// [Core.Stop], [Core.ResetSubscription] and [Core.ResetEndpoint] return, and that are [Rejected].
// To put an item back is to return it to the queue of its endpoint, in memory. [Core.TryBegin] does
// that with an item that has to wait: see [PutBack].
//
// # States of an endpoint
//
// A known endpoint is in one of three states, each of which has a list in [Core]:
//
//	active   Core.activeEndpoints  It has something queued, reserved or in flight, or a backlog.
//	                               Each plan of a claim walks over these.
//	resting  Core.resting          It backs off and has nothing queued, reserved or in flight. No
//	                               plan walks over these. Claims skip those with a backlog.
//	idle     Core.idleEndpoints    It has nothing to do and does not back off. It is forgotten after
//	                               ten minutes.
//
// Its circuit breaker says two more things, which have no list:
//
//	backing off  It gets no attempts until a time, because its breaker is open or because it has
//	             asked for that with Retry-After. It is active or resting.
//	tripped      Its breaker is open or half-open. Once it no longer backs off, it gets one attempt
//	             at a time, or one of a retry and one of a fresh delivery, until it answers.
//	             Core.trippedBreakers counts these, if an attempt has failed.
//
// # What is where
//
//   - [Core] makes all decisions, without a clock, a lock, goroutines or channels: it is told
//     what happens and when, and says what to do, as [Actions]. A test can drive it through any
//     course of events. [NewCore] makes one, of some [Limits].
//   - [Queue] is a Core for a process: it has the lock, the timer and the signals, and starts the
//     workers. [New] makes one.
//   - [Item] is a delivery in it, with a value of the caller's. [Destination] says where it goes,
//     as an organization and an [Endpoint]; [Host] is known later, when it is attempted.
//     [PayloadSize] is the size of a payload that items share.
//   - To run: [Queue.Start], [Queue.Push], [Queue.Next], [Queue.TryBegin], [Queue.Finish],
//     [Queue.Stop], [Queue.WaitWorkers]. With each poll of the store: [Queue.RescheduleAll].
//     After a change of a subscription or an endpoint: [Queue.ResetSubscription],
//     [Queue.ResetEndpoint].
//   - The stopwatch: [Queue.PauseStopwatch], [Queue.ResumeStopwatch], [Queue.PausedFor].
//   - To prefetch: [Queue.BeginAdmission], which makes an [Admission]. After a call that stored
//     deliveries without an Admission: [Queue.MarkBacklogSomewhere], because the caller cannot tell
//     which endpoints have a backlog.
//   - To claim: [Queue.PlanClaim], [Queue.RecordClaim], [Queue.AbandonClaim], [Queue.ClaimAt],
//     [Queue.ClaimSignal], [Queue.SignalClaim].
//   - Permits of endpoints with a [RateLimit]: [Queue.PermitSignal], [Queue.TakePermitDemands],
//     [Queue.SupplyPermits], [Queue.Throttle].
//   - [Queue.Stats] and [Queue.BufferEmpty] say how full it is.
//
// queue.go has Queue. The rest is Core: core.go the round-robin, slots.go the shares of slots, with
// the attempts that may get slow and the hosts that endpoints wait for, buffer.go the shares of the
// buffer and the claim budget, permits.go what endpoints with a rate limit may begin, resting.go
// the endpoints that back off and have nothing to do, and endpoint.go what is known of endpoints
// and organizations, and for how long.
package fairqueue
