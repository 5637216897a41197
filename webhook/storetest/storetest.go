package storetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Harness tells the suite how to make the store under test.
type Harness struct {
	// New returns an empty store, and closes it with t.Cleanup. It is called once for each case, from
	// parallel tests.
	New func(t *testing.T) webhook.Store
	// Reopen closes a store that New returned, like a process that ends, and opens its data again. Nil
	// means that the store is not durable.
	Reopen func(t *testing.T, s webhook.Store) webhook.Store
	// Begin begins a transaction of the caller on the data of a store that New returned. It is
	// required if the store declares Transactions.
	Begin func(t *testing.T, s webhook.Store) CallerTx
	// Peer opens the data of a store that New returned a second time, like another process, while the
	// first stays in use. Nil means that only one process can use the store.
	Peer func(t *testing.T, s webhook.Store) webhook.Store
	// Groups names the groups of the suite to run, as the names of the subtests begin: Subscriptions,
	// Enqueue, Prefetch, Prefetched, FanOut, Claim, Rotation, Lease, Clock, Settle, Pause, Endpoints,
	// Removal, History, Replay, Prune, Statistics, Totals, Backlog, Requests, APIKeys, Tail, Ordering,
	// Diagnostics, Processes, Transactions, Notifications, Wrapped, Tenants, Cancellation, Limits,
	// Concurrency, Model, Durability, Peers; or single cases, such as Claim/OnlyOnce. An unknown name
	// fails the test. Empty runs all. Use it for a second way to open a store that has passed the whole
	// suite.
	Groups []string
	// Histories is how many random sequences of calls the group Model makes, each compared with a simple
	// model of a store. Zero means 6. They are a fifth of the time that the suite takes.
	Histories int
}

// CallerTx is a transaction that the suite uses as a caller would.
type CallerTx struct {
	// Tx is what EnqueueTx takes.
	Tx webhook.Tx
	// Commit and Rollback end the transaction.
	Commit, Rollback func() error
}

// testCase is one rule, or a few that belong together.
type testCase struct {
	name string
	run  func(f *fixture)
}

// group is a part of the suite.
type group struct {
	name  string
	cases []testCase
}

// has reports whether name is that of the group, or of one of its cases after the group's.
func (g group) has(name string) bool {
	return name == g.name || slices.ContainsFunc(g.cases, func(c testCase) bool {
		return name == g.name+"/"+c.name
	})
}

// slowGroups are left out with -short.
var slowGroups = []string{"Concurrency", "Model", "Peers"}

// Run runs the suite, each case as a parallel subtest.
// With -short it leaves out the groups that take most of the time, Concurrency, Model and Peers, and
// the cases with many subscriptions, requests or leases, or with a large batch.
func Run(t *testing.T, h Harness) {
	t.Helper()
	groups := []group{
		{"Subscriptions", subscriptionCases()},
		{"Enqueue", enqueueCases()},
		{"Prefetch", prefetchCases()},
		{"Prefetched", prefetchedCases()},
		{"FanOut", fanOutCases()},
		{"Claim", claimCases()},
		{"Rotation", rotationCases()},
		{"Lease", leaseCases()},
		{"Clock", clockCases()},
		{"Settle", settleCases()},
		{"Pause", pauseCases()},
		{"Endpoints", endpointCases()},
		{"Rates", rateCases()},
		{"Removal", removalCases()},
		{"History", historyCases()},
		{"Replay", replayCases()},
		{"Prune", pruneCases()},
		{"Statistics", statisticsCases()},
		{"Totals", totalsCases()},
		{"Backlog", backlogCases(h)},
		{"Requests", requestCases(h)},
		{"APIKeys", apiKeyCases(h)},
		{"Tail", tailCases(h)},
		{"BulkReplays", bulkReplayCases(h)},
		{"Ordering", orderingCases(h)},
		{"Expired", expiredCases()},
		{"Diagnostics", diagnosticCases()},
		{"Processes", processCases(h)},
		{"Transactions", transactionCases(h)},
		{"Notifications", notificationCases(h)},
		{"Wrapped", wrapped(slices.Concat(
			[]testCase{{"Requests", withIdempotency(requestOnce)}, {"Backlog", withBacklog(backlogByHour)},
				{"Processes", withProcesses(putProcess)}},
			transactionCases(h),
			notificationCases(h), diagnosticCases()))},
		{"Tenants", tenantCases()},
		{"Cancellation", cancellationCases()},
		{"Limits", limitCases()},
		{"Concurrency", concurrencyCases()},
		{"Model", modelCases(cmp.Or(h.Histories, 6))},
		{"Durability", durabilityCases(h)},
		{"Peers", peerCases(h)},
	}
	for _, name := range h.Groups {
		known := slices.ContainsFunc(groups, func(g group) bool { return g.has(name) })
		require.True(t, known, "Harness.Groups: the suite has no group or case %q", name)
	}
	for _, group := range groups {
		if testing.Short() && slices.Contains(slowGroups, group.name) {
			continue
		}
		for _, c := range group.cases {
			if len(h.Groups) > 0 && !slices.Contains(h.Groups, group.name) &&
				!slices.Contains(h.Groups, group.name+"/"+c.name) {
				continue
			}
			if testing.Short() && (strings.Contains(c.name, "Many") || c.name == "LargeBatch") {
				continue
			}
			t.Run(group.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.run(newFixture(t, h.New(t)))
			})
		}
	}
}

// fixture is a store with helpers for the cases.
type fixture struct {
	webhook.Store
	// inner is what the Harness made: it may be wrapped in Store.
	inner webhook.Store
	t     *testing.T
	ctx   context.Context
}

func newFixture(t *testing.T, s webhook.Store) *fixture {
	return &fixture{Store: s, inner: s, t: t, ctx: t.Context()}
}

// with returns the fixture for another view of the same data.
func (f *fixture) with(s webhook.Store) *fixture { return newFixture(f.t, s) }

// wrapped runs cases on a store that is wrapped in a type that embeds the interface, as callers may
// do.
func wrapped(cases []testCase) []testCase {
	out := slices.Clone(cases)
	for i, c := range out {
		out[i].run = func(f *fixture) {
			f.Store = struct{ webhook.Store }{f.Store}
			c.run(f)
		}
	}
	return out
}
