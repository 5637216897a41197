// Package fairqueue decides which claimed delivery a process attempts next, and how many more it
// claims, so that no organization, host or endpoint takes what others need, however many deliveries
// it has and however long its attempts hang.
//
// # The algorithm
//
// Each endpoint has a queue of its own. Organizations that have something to run are served
// round-robin, and so are the endpoints of each: those that have been answering at once, those that
// have not answered yet, and those that are slow take turns. Of one endpoint, three deliveries that
// were never attempted go before one that has failed before.
//
// Two resources are shared: slots, which attempts in flight take, and the buffer of queued
// deliveries, which is counted in deliveries and in bytes. Of each, a user of it may have no more
// than a dynamic threshold (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
// packet switches", 1998): alpha times what is free. One user on its own gets nearly all, many
// share, and a part stays free for one that has nothing yet. Users are organizations, hosts (for
// slots) and endpoints (for the buffer). Endpoints are also bounded by a window of attempts, which
// begins at two, grows by one with each answer, and is halved by a timeout.
//
// There are two kinds of slots. Fast slots, a quarter, are for endpoints that have been answering
// at once. An attempt that lasts longer than 300 ms gives its fast slot back and takes a general
// one. Attempts of endpoints that are slow, or that have not answered yet, take a general slot from
// the start. The last slots, the reserved slots, are for endpoints that have answered within the
// last second, of organizations and hosts with a good record.
//
// An endpoint that keeps failing is left alone by its circuit breaker: see package breaker. What is
// queued for it meanwhile is requeued: the caller gives it back to the store. The stopwatch
// of an attempt, which tells whether it is slow, can be paused while the attempt waits for this
// process.
//
// An endpoint may have a limit of how many attempts begin, which all processes share. It runs
// nothing without a permit: it is in no run queue until the time of the next one. When it has none
// left, it requests more, and the caller gets them from the store. It keeps no more in the buffer
// than can begin in ten seconds.
//
// What does not fit stays in the store, as the backlog of its endpoint. The queue computes the
// claim budget: how many deliveries the next claim may take, and which organizations and endpoints
// it has to leave out. A delivery that is stored by this process may be prefetched, which means
// that it is claimed with the same call: capacity for it is reserved before. After one that did not
// fit, an endpoint gets nothing prefetched until a claim has taken all that was due, so that later
// deliveries do not overtake a backlog.
//
// # What is where
//
//   - [Core] is all that is decided, without a clock, a lock, goroutines or channels: it is told
//     what happens and when, and says what to do, as [Actions]. A test can drive it through any
//     course of events. [NewCore] makes one, of some [Limits].
//   - [Queue] is a Core for a process: it has the lock, the timer and the claim signal, and starts
//     the workers. [New] makes one.
//   - [Item] is a delivery in it, with a value of the caller's. [Destination] says where it goes,
//     as an organization and an [Endpoint]; [Host] is known later, when it is attempted.
//     [PayloadSize] is the size of a payload that items share.
//   - To run: [Queue.Start], [Queue.Push], [Queue.Next], [Queue.TryBegin], [Queue.Finish],
//     [Queue.Stop], [Queue.WaitWorkers]. With each poll of the store: [Queue.RescheduleAll].
//   - To prefetch: [Queue.BeginAdmission], which makes an [Admission]. After a call that prefetched
//     nothing, [Queue.MarkBacklogSomewhere]: some endpoints have a backlog, the caller cannot tell
//     which.
//   - To claim: [Queue.PlanClaim], [Queue.RecordClaim], [Queue.AbandonClaim], [Queue.ClaimAt],
//     [Queue.ClaimSignal].
//   - Permits: [Queue.PermitSignal], [Queue.PermitRequests], [Queue.GrantPermits],
//     [Queue.Throttle].
//   - [Queue.Stats] and [Queue.BufferEmpty] say how full it is.
//
// queue.go has Queue. The rest is Core: core.go the round-robin, slots.go the shares of slots, with
// the attempts that may get slow and the hosts that endpoints wait for, buffer.go the shares of the
// buffer and the claim budget, permits.go what endpoints with a limit may begin, and endpoint.go
// what is known of endpoints and organizations, and for how long.
package fairqueue
