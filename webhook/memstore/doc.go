// Package memstore keeps subscriptions, events and deliveries in memory. It is the
// reference implementation of [webhook.Store]: correct, fast, and written to be
// read by those who write another one. Everything is lost when the process ends,
// so it is for tests, for development, and for events that may be lost.
//
// # How it works
//
// One mutex guards everything, and what the Dispatcher calls all the time does
// no more under it than a few steps for each delivery that it touches; how many
// others are stored does not matter. Four structures make that so:
//
//   - Each endpoint has a heap of its unfinished deliveries. What orders it is
//     one time: when a pending delivery is due, or when the lease of one in
//     flight ends. Both mean the same, that it may be claimed then. So claiming
//     is reading heads, and an expired lease needs no sweeper.
//   - Endpoints whose head is due stand in a rotation that Claim goes round.
//     The others wait in a heap ordered by their heads. Endpoints of paused
//     subscriptions are in neither, which is all it takes to hold their deliveries.
//   - Settled deliveries leave the endpoint for one of two heaps ordered by the
//     time they were settled, from which Prune takes the oldest.
//   - Each organization, and each event, has its deliveries in the order of
//     their ids, which is what queries walk.
//
// Times are kept as whole microseconds since 1970, which is the precision that
// the contract asks of a store.
package memstore
