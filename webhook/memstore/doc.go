// Package memstore keeps subscriptions, events and deliveries in memory, for tests, for
// development, and for events that may be lost when the process ends:
//
//	store := memstore.New()
//
// It is the reference implementation of [webhook.Store], written to be read by the authors of other
// stores.
//
// # How it works
//
// One mutex guards everything. Enqueue, Claim, Extend and Settle take a few steps under it for each
// delivery that they touch, however many others are stored. These structures make that possible:
//
//   - Each endpoint has heaps of its unfinished deliveries, ordered by one time: when a pending
//     delivery is due, or when the lease of one in flight ends. In both cases the delivery may be
//     claimed then. So a claim reads the heads of heaps, and finds expired leases there too.
//   - Endpoints whose head is due are in a rotation that Claim walks. The others wait in
//     a heap ordered by their heads. Those of paused subscriptions, and disabled ones, are
//     in neither, and so their deliveries wait. A degraded one waits for its next probe.
//   - Settled deliveries move from the endpoint to one of two heaps ordered by the time
//     they were settled, from which Prune takes the oldest.
//   - Each organization, and each event, has its deliveries in the order of their ids,
//     which queries walk, a thousand at a time. Events with a time to live are in a heap ordered by
//     when ClaimExpired looks at them.
//
// Times are kept as whole microseconds since 1970, the precision that the contract asks of
// a store.
//
// # What is where
//
//   - store.go: Store, and a delivery's way from heap to heap
//   - subscriptions.go: subscriptions, their lists and endpoints
//   - queue.go: Enqueue, Claim, Settle and the rest of the queue; transactions
//   - expired.go: what expires
//   - line.go: deliveries in order, and Skip
//   - endpoints.go: the states of endpoints, and their permits
//   - rotation.go: whose turn it is to be claimed
//   - history.go: queries, Replay, Cancel, statistics, Prune
//   - hourly.go, totals.go, backlog.go: figures by hour; what is unfinished or dead; what was waiting
//   - tail.go, results.go: reading in order what was emitted, and what became of it
//   - replays.go: replays of many deliveries
//   - idempotency.go: idempotency keys
//   - apikeys.go: API keys
//   - processes.go: which processes deliver
//   - heap.go: the heap, and the list of deliveries by id
package memstore
