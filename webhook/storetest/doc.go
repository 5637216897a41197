// Package storetest tests an implementation of [webhook.Store] against the rules of its
// contract:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Harness{
//			New: func(t *testing.T) webhook.Store { return mystore.Open(t.TempDir()) },
//		})
//	}
//
// Every case gets a store of its own and runs in parallel with the others. The message of a failure
// is the rule that was broken. The suite passes times of its own to the store and does not wait: a
// store that uses another clock fails.
//
// [Benchmark] measures a store, in a form in which two stores can be compared.
//
// # What is where
//
//   - storetest.go: Harness, Run, and the groups of the suite
//   - fixture.go: the shorthand of the cases
//   - subscriptions.go: subscriptions, lists and quotas
//   - enqueue.go: events, and deliveries that Enqueue hands out (prefetch)
//   - prefetched.go: what becomes of those when their process ends, or takes long
//   - fanout.go: events with many deliveries, which FanOut may store
//   - claim.go: what a claim returns, and how it rotates between endpoints
//   - lease.go: extended and lost leases, the clock, Repair
//   - settle.go: results of attempts
//   - lifecycle.go: pausing and deleting subscriptions
//   - endpoints.go: the states of endpoints: healthy, degraded, disabled
//   - expired.go: deliveries whose time to live ends while they wait
//   - rates.go: permits of endpoints with a rate limit
//   - history.go, lists.go: queries of deliveries, Replay, Cancel
//   - prune.go: Prune
//   - statistics.go, hourly.go, totals.go, backlog.go: Statistics, the totals of deliveries, and
//     how large the backlog was
//   - capabilities.go: transactions, notifications, idempotency keys
//   - tail.go, results.go: reading in order what was emitted and what became of it; named positions
//   - replays.go: replays of many deliveries
//   - apikeys.go: API keys
//   - diagnosis.go: how the store itself is
//   - heartbeats.go: which processes deliver
//   - ordering.go, orderlines.go: deliveries in order
//   - everymethod.go: tenants, cancelled contexts, limits
//   - concurrency.go: many goroutines
//   - processes.go: several processes on the same data, and a process that starts again
//   - model.go: random operations, compared with a simple model
//   - benchmark.go: Benchmark
package storetest
