package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func claimCases() []testCase {
	return []testCase{
		{"TaskHasEverything", taskHasEverything},
		{"OnlyWhatIsDue", onlyWhatIsDue},
		{"OnlyOnce", onlyOnce},
		{"SubMicrosecondTimes", subMicrosecondTimes},
		{"ExpiredLease", expiredLease},
		{"LongestDueFirst", longestDueFirst},
		{"NeverAttemptedFirst", neverAttemptedFirst},
		{"RequeuedKeepsItsPlace", requeuedKeepsItsPlace},
		{"TokensGrow", tokensGrow},
		{"CurrentRevision", currentRevision},
		{"EmptyStore", emptyStore},
	}
}

func taskHasEverything(f *fixture) {
	sub := hook("slack", "slack")
	sub.Channels[1].Configs = []byte(`{"webhook_url":"https://example.com"}`)
	f.create(sub)
	sub = f.update(sub, func(*webhook.Subscription) {})
	f.emit(start(), "evt_1")
	tasks := f.claim(start(), 10)
	require.Len(f.t, tasks, 2)
	for _, task := range tasks {
		f.requireFresh(task, sub, newEvent("evt_1"), start())
	}
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.Equal(f.t, webhook.StatusInFlight, d.Status, "a claimed delivery is in flight")
		require.False(f.t, d.DueAt.IsZero(), "a delivery that is not settled has a DueAt")
		require.True(f.t, d.SettledAt.IsZero(), "a delivery that is not settled has no SettledAt")
	}
}

func onlyWhatIsDue(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	f.requireNothingDue(start().Add(-tick), "a delivery is not due before its DueAt")
	task := f.claimOne(start())
	due := start().Add(30 * time.Second)
	f.settle(start(), retry(task, start(), due))
	f.requireTime(due, f.only().DueAt, "DueAt")
	f.requireNothingDue(due.Add(-tick), "a retry is not due before its DueAt, to the microsecond")
	f.claimOne(due)
}

func onlyOnce(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 10)...)
	seen := make(map[webhook.DeliveryID]bool)
	for range 4 {
		for _, task := range f.claim(start(), 3) {
			require.False(f.t, seen[task.DeliveryID], "no delivery is handed out twice under one lease")
			seen[task.DeliveryID] = true
		}
	}
	require.Len(f.t, seen, 10, "fewer than Limit tasks means that nothing else is due")
	f.requireNothingDue(start().Add(lease-tick),
		"a leased delivery is not handed out before the lease ends")
}

// subMicrosecondTimes catches a store that rounds up: a delivery that is enqueued at now must be
// due at now.
func subMicrosecondTimes(f *fixture) {
	f.create(hook())
	now := start().Add(999 * time.Nanosecond).In(time.FixedZone("", 5*3600))
	f.emit(now, "evt_1")
	d := f.only()
	require.InDelta(f.t, 0, d.CreatedAt.Sub(now), float64(time.Microsecond),
		"times are kept to the microsecond")
	require.Zero(f.t, d.CreatedAt.Nanosecond()%1000,
		"times are kept to the microsecond, not finer, so that all stores answer the same")
	task := f.claimOne(now)
	f.settle(now, retry(task, now, now.Add(time.Second)))
	f.claimOne(now.Add(time.Second))
}

func expiredLease(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	first := f.claimOne(start())
	end := start().Add(lease)
	f.requireNothingDue(end.Add(-tick), "a lease holds until it ends")
	second := f.claimOne(end)
	require.Equal(f.t, first.DeliveryID, second.DeliveryID,
		"a delivery whose lease ended by now is due again")
	require.Greater(f.t, second.Token, first.Token, "the token grows with every claim")
	require.Zero(f.t, second.Attempts, "an attempt without a reported result is not in the history")
	f.requireTime(end.Add(lease), second.Until, "Until")
	f.requireNothingDue(end.Add(lease-tick), "a take-over has a lease of its own")

	f.refuse(end, succeeded(first, end),
		"a process that paused too long must not overwrite the one that took over")
	require.Equal(f.t, webhook.StatusInFlight, f.status(second.DeliveryID),
		"a refused result changes nothing")
	require.Empty(f.t, f.only().Attempts, "a refused result is not in the history")
	f.settle(end, succeeded(second, end))
}

func longestDueFirst(f *fixture) {
	f.create(hook())
	order := []int{5, 2, 8, 1, 9, 3, 7, 4, 6, 0} // when each becomes due
	f.enqueue(start(), newEvents("evt", len(order))...)
	var settlements []webhook.Settlement
	for i, task := range f.claim(start(), len(order)) {
		settlements = append(settlements,
			retry(task, start(), start().Add(time.Duration(order[i])*time.Second)))
	}
	f.settle(start(), settlements...)
	now := start().Add(8 * time.Second)
	var last time.Time
	for n := range 3 {
		for _, task := range f.claim(now, 3) {
			due := settlementFor(settlements, task.DeliveryID).DueAt
			require.False(f.t, due.After(now), "a delivery is not due before its DueAt")
			require.False(f.t, due.Before(last),
				"within an endpoint, what is due longest comes first (claim %d)", n)
			last = due
		}
	}
	f.requireTime(now, last, "the DueAt of the last one")

	// An expired lease counts from its end: here it is between two others.
	claimed := f.claimN(now.Add(time.Second), 1)[0] // due at 9 s, the last one
	end := now.Add(time.Second + lease)
	tasks := f.claim(end.Add(time.Hour), 20)
	require.Len(f.t, tasks, 10)
	require.Equal(f.t, claimed.DeliveryID, tasks[9].DeliveryID,
		"within an endpoint, what is due longest comes first: leases that ended earlier go before")
	f.requireTime(end, tasks[9].DueAt, "the DueAt of a task whose lease had ended")
}

// neverAttemptedFirst has a few events that the endpoint refuses and that become due repeatedly.
func neverAttemptedFirst(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt_refused", 6)...)
	for _, task := range f.claimN(start(), 6) {
		f.settle(start(), retry(task, start(), start().Add(time.Second)))
	}
	f.enqueue(start().Add(2*time.Second), newEvents("evt_good", 3)...)
	now := start().Add(3 * time.Second)
	tasks := f.claimN(now, 4)
	const rule = "within an endpoint, what was not attempted since it was queued comes first"
	for i, task := range tasks[:3] {
		require.Zero(f.t, task.AttemptsSinceQueued, rule)
		require.Equal(f.t, fmt.Sprint("evt_good_", i), task.EventID,
			"and among those what is due longest")
	}
	require.Equal(f.t, 1, tasks[3].AttemptsSinceQueued,
		"the bounds of a claim are filled with what was attempted")
	f.settle(now, requeued(tasks[0]), requeued(tasks[1]), requeued(tasks[2]))
	require.Equal(f.t, 0, f.claimWith(now,
		webhook.ClaimRequest{Limit: 10, PerEndpoint: 1})[0].AttemptsSinceQueued,
		"%s, however few may be claimed", rule)

	// A lease that has ended is no attempt; a replay begins from nothing.
	f.settle(now, died(tasks[3], now))
	require.NoError(f.t, f.Replay(f.ctx, now.Add(time.Second), org, tasks[3].DeliveryID))
	now = now.Add(2 * lease)
	tasks = f.claimN(now, 9)
	for i, task := range tasks {
		require.Equal(f.t, i < 4, task.AttemptsSinceQueued == 0, rule)
	}
	require.Equal(f.t, 2, tasks[2].Attempts+tasks[3].Attempts,
		"a replayed delivery was not attempted since it was queued")
}

// requeuedKeepsItsPlace has deliveries that a process claimed and did not attempt.
func requeuedKeepsItsPlace(f *fixture) {
	f.create(hook())
	for i := range 4 {
		f.emit(start().Add(time.Duration(i)*time.Second), fmt.Sprint("evt_", i))
	}
	now := start().Add(time.Minute)
	tasks := f.claimN(now, 3)
	for i, task := range tasks {
		f.requireTime(start().Add(time.Duration(i)*time.Second), task.DueAt,
			"the DueAt of a claimed task is the delivery's")
	}
	f.settle(now, requeued(tasks[2]), requeued(tasks[0]), requeued(tasks[1]))
	for i, task := range f.claimN(now, 4) {
		require.Equal(f.t, fmt.Sprint("evt_", i), task.EventID,
			"what is requeued with its DueAt keeps its place")
		require.Zero(f.t, task.Attempts, "a requeued delivery was not attempted")
	}
}

func settlementFor(all []webhook.Settlement, id webhook.DeliveryID) webhook.Settlement {
	for _, s := range all {
		if s.DeliveryID == id {
			return s
		}
	}
	return webhook.Settlement{}
}

func tokensGrow(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	var last int64
	now := start()
	grow := func(how string) webhook.Task {
		task := f.claimOne(now)
		require.Greater(f.t, task.Token, last, "the token grows with every claim, %s too", how)
		last = task.Token
		return task
	}
	f.settle(now, webhook.Settlement{Lease: grow("at first").Lease, Status: webhook.StatusPending,
		DueAt: now})
	f.settle(now, retry(grow("after it was requeued"), now, now))
	grow("after a retry")
	now = now.Add(lease)
	f.settle(now, died(grow("after a lease ended"), now))
	id := f.only().ID
	require.NoError(f.t, f.Replay(f.ctx, now, org, id))
	grow("after a replay")
	require.NoError(f.t, f.Cancel(f.ctx, now, org, id))
	require.NoError(f.t, f.Replay(f.ctx, now, org, id))
	grow("after it was cancelled")
}

func currentRevision(f *fixture) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	for i := range 3 {
		updated := f.update(sub, func(sub *webhook.Subscription) { sub.Name = fmt.Sprint("Name ", i) })
		task := f.claimOne(start())
		require.Equal(f.t, updated.Revision, task.Revision,
			"a task has the subscription's revision at the time of the claim")
		f.settle(start(), retry(task, start(), start()))
	}
}

func emptyStore(f *fixture) {
	f.requireNothingDue(start(), "an empty store has nothing due")
	f.create(hook())
	f.requireNothingDue(start(), "a subscription without events has nothing due")
}

func rotationCases() []testCase {
	return []testCase{
		{"Bounds", claimBounds},
		{"BacklogHidesNoEndpoint", backlogHidesNoEndpoint},
		{"SmallClaims", smallClaims},
		{"Skip", claimSkip},
		{"SkippedBacklog", skippedBacklog},
		{"ManyEndpoints", manyEndpoints},
		{"ManyEndpointsOfOneOrganization", manyOfOneOrganization},
		{"ClaimBoundsOfAnOrganization", boundsOfAnOrganization},
		{"SkipOrganizations", skipOrganizations},
	}
}

// subscribe makes a subscription with an event type of its own, and a backlog.
func (f *fixture) subscribe(name string, at time.Time, backlog int) webhook.Endpoint {
	f.t.Helper()
	sub := hook()
	sub.EventTypes = []event.Pattern{event.Pattern(name + ".sent")}
	f.create(sub)
	events := newEvents("evt_"+name, backlog)
	for i := range events {
		events[i].Type = name + ".sent"
	}
	f.enqueue(at, events...)
	return webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"}
}

// byEndpoint counts tasks by endpoint, and checks the bounds of the request.
func (f *fixture) byEndpoint(
	tasks []webhook.Task, r webhook.ClaimRequest,
) map[webhook.Endpoint]int {
	f.t.Helper()
	count := make(map[webhook.Endpoint]int)
	for _, task := range tasks {
		count[task.Endpoint]++
		require.LessOrEqual(f.t, count[task.Endpoint], r.PerEndpoint,
			"Claim must not return more than PerEndpoint tasks of one endpoint")
		require.NotContains(f.t, r.Skip, task.Endpoint, "Claim must not claim for an endpoint of Skip")
	}
	return count
}

func claimBounds(f *fixture) {
	backlog := map[webhook.Endpoint]int{
		f.subscribe("a", start(), 7): 7,
		f.subscribe("b", start(), 1): 1,
		f.subscribe("c", start(), 4): 4,
	}
	for total := 12; total > 0; {
		r := webhook.ClaimRequest{Limit: 100, PerEndpoint: 3}
		got := f.byEndpoint(f.claimWith(start(), r), r)
		for endpoint, left := range backlog {
			require.Equal(f.t, min(left, 3), got[endpoint],
				"fewer than Limit tasks means that nothing else is due within PerEndpoint: every endpoint "+
					"gives as many as it may")
			backlog[endpoint] -= got[endpoint]
			total -= got[endpoint]
		}
	}
	f.requireNothingDue(start(), "every delivery was claimed")
}

func backlogHidesNoEndpoint(f *fixture) {
	f.subscribe("busy", start(), 5_000)
	quiet := f.subscribe("quiet", start().Add(time.Second), 1) // due long after the others
	r := webhook.ClaimRequest{Limit: 64, PerEndpoint: 16}
	require.Equal(f.t, 1, f.byEndpoint(f.claimWith(start().Add(time.Second), r), r)[quiet],
		"a long backlog of one endpoint never hides another: within the bounds there is room for both")

	f.subscribe("late", start().Add(2*time.Second), 2)
	served := 0
	now := start().Add(2 * time.Second)
	for range 8 {
		for _, task := range f.claim(now, 10) { // the busy one alone could fill each of these
			if task.EventType == "late.sent" {
				served++
			}
		}
		now = now.Add(time.Millisecond)
	}
	require.Equal(f.t, 2, served,
		"a long backlog of one endpoint never hides another: within a few claims each has a turn")
}

func smallClaims(f *fixture) {
	const endpoints = 5
	for i := range endpoints {
		f.subscribe(fmt.Sprint("type", i), start(), 100)
	}
	now := start()
	served := make(map[webhook.Endpoint]int)
	for range 4 * endpoints {
		for _, task := range f.claim(now, 1) {
			served[task.Endpoint]++
		}
		now = now.Add(time.Millisecond)
	}
	require.Len(f.t, served, endpoints,
		"between endpoints the store rotates: in four rounds, one at a time, every endpoint has a turn")
	for endpoint, n := range served {
		require.LessOrEqual(f.t, n, 2*4,
			"between endpoints the store rotates: %v must not have twice its share", endpoint)
	}
}

func claimSkip(f *fixture) {
	a, b, c := f.subscribe("a", start(), 3), f.subscribe("b", start(), 3), f.subscribe("c", start(), 3)
	r := webhook.ClaimRequest{Limit: 100, PerEndpoint: 2, Skip: []webhook.Endpoint{
		a, c, {SubscriptionID: "wh_unknown", Channel: "webhook"},
		{SubscriptionID: b.SubscriptionID, Channel: "slack"},
	}}
	for i := range 1_000 {
		r.Skip = append(r.Skip, webhook.Endpoint{SubscriptionID: fmt.Sprintf("wh_%016x", i),
			Channel: `quote"'\\{},`})
	}
	require.Equal(f.t, map[webhook.Endpoint]int{b: 2}, f.byEndpoint(f.claimWith(start(), r), r),
		"endpoints of Skip are passed over, others are not")
	r.Skip = []webhook.Endpoint{b}
	require.Equal(f.t, map[webhook.Endpoint]int{a: 2, c: 2}, f.byEndpoint(f.claimWith(start(), r), r),
		"Skip counts for the one claim only")
	require.Len(f.t, f.claim(start(), 100), 3, "what was passed over stays due")
}

func skippedBacklog(f *fixture) {
	busy := f.subscribe("busy", start(), 2_000)
	quiet := f.subscribe("quiet", start().Add(time.Second), 3)
	r := webhook.ClaimRequest{Limit: 10, PerEndpoint: 10, Skip: []webhook.Endpoint{busy}}
	require.Equal(f.t, map[webhook.Endpoint]int{quiet: 3},
		f.byEndpoint(f.claimWith(start().Add(time.Second), r), r),
		"fewer than Limit tasks means that nothing else is due, though a long backlog is to be skipped")
}

func manyEndpoints(f *fixture) {
	const endpoints, each = 200, 2
	var channels []string
	for range 50 {
		channels = append(channels, "webhook")
	}
	for range endpoints / len(channels) {
		f.create(hook(channels...))
	}
	f.enqueue(start(), newEvents("evt", each)...)
	r := webhook.ClaimRequest{Limit: 30, PerEndpoint: 1}
	now := start()
	served := make(map[webhook.Endpoint]int)
	for total := 0; total < endpoints*each; {
		got := f.byEndpoint(f.claimWith(now, r), r)
		require.NotEmpty(f.t, got,
			"fewer than Limit tasks means that nothing else is due, but %d deliveries are",
			endpoints*each-total)
		for endpoint := range got {
			served[endpoint]++
			total++
		}
		now = now.Add(time.Millisecond)
	}
	require.Len(f.t, served, endpoints,
		"with more endpoints than fit into a claim, every endpoint has a turn")
	f.requireNothingDue(now, "every delivery was claimed")
}

// inOrganization makes a subscription of the organization with as many channels, and as
// many events for each of them.
func (f *fixture) inOrganization(organization string, channels, events int) *webhook.Subscription {
	f.t.Helper()
	sub := hook(slices.Repeat([]string{"webhook"}, channels)...)
	sub.OrganizationID = organization
	f.create(sub)
	list := newEvents("evt_"+sub.ID, events)
	for i := range list {
		list[i].OrganizationID = organization
	}
	f.enqueue(start(), list...)
	return sub
}

// ofOrganizations counts tasks, and checks the bounds of the request.
func (f *fixture) ofOrganizations(tasks []webhook.Task, r webhook.ClaimRequest) map[string]int {
	f.t.Helper()
	f.byEndpoint(tasks, r)
	count := make(map[string]int)
	for _, task := range tasks {
		count[task.OrganizationID]++
		require.NotContains(f.t, r.SkipOrganizations, task.OrganizationID,
			"Claim must not claim for an organization of SkipOrganizations")
	}
	for organization, n := range count {
		require.True(f.t, r.PerOrganization == 0 || n <= r.PerOrganization,
			"Claim must not return more than PerOrganization tasks of %s", organization)
	}
	return count
}

// manyOfOneOrganization has one with far more endpoints than fit into a claim, each
// with something due, between two with one.
func manyOfOneOrganization(f *fixture) {
	f.inOrganization("before", 1, 2)
	for range 7 {
		f.inOrganization("large", 50, 0)
	}
	f.inOrganization("large", 50, 2) // the events are for all of them
	f.inOrganization("behind", 1, 2)
	r := webhook.ClaimRequest{Limit: 40, PerOrganization: 10, PerEndpoint: 1}
	served := make(map[string]int)
	for range 4 {
		got := f.ofOrganizations(f.claimWith(start(), r), r)
		require.Equal(f.t, 10, got["large"], "the organization with many endpoints has its turn, too")
		for organization, n := range got {
			served[organization] += n
		}
	}
	require.Equal(f.t, map[string]int{"before": 2, "behind": 2, "large": 40}, served,
		"between organizations the store rotates: within a few claims every organization has a turn, "+
			"however many endpoints another one has")

	endpoints := make(map[webhook.Endpoint]int)
	for range 36 + 40 {
		for _, task := range f.claimWith(start(), r) {
			endpoints[task.Endpoint]++
		}
	}
	require.Len(f.t, endpoints, 400, "and within it every endpoint has a turn")
	f.requireNothingDue(start(), "every delivery was claimed")
}

func boundsOfAnOrganization(f *fixture) {
	f.inOrganization("a", 5, 5)
	f.inOrganization("b", 1, 3)
	f.inOrganization("c", 3, 1)
	due := map[string]int{"a": 25, "b": 3, "c": 3}
	for due["a"]+due["b"]+due["c"] > 0 {
		r := webhook.ClaimRequest{Limit: 100, PerOrganization: 4, PerEndpoint: 3}
		got := f.ofOrganizations(f.claimWith(start(), r), r)
		for organization, n := range due {
			require.Equal(f.t, min(n, 4, r.PerEndpoint*map[string]int{"a": 5, "b": 1, "c": 3}[organization]),
				got[organization],
				"fewer than Limit tasks means that nothing else is due within PerOrganization: every "+
					"organization gives as many as it may")
			due[organization] -= got[organization]
		}
	}
	f.requireNothingDue(start(), "every delivery was claimed")

	f.inOrganization("d", 5, 5)
	r := webhook.ClaimRequest{Limit: 7, PerOrganization: 100, PerEndpoint: 100}
	require.Equal(f.t, map[string]int{"d": 7}, f.ofOrganizations(f.claimWith(start(), r), r),
		"Limit also holds with a larger PerOrganization")
	r = webhook.ClaimRequest{Limit: 100, PerEndpoint: 100}
	require.Equal(f.t, map[string]int{"d": 18}, f.ofOrganizations(f.claimWith(start(), r), r),
		"without a PerOrganization there is no bound")
}

func skipOrganizations(f *fixture) {
	for _, organization := range []string{"a", "b", "c"} {
		f.inOrganization(organization, 4, 2)
	}
	r := webhook.ClaimRequest{Limit: 100, PerEndpoint: 1,
		SkipOrganizations: []string{"a", "unknown", "quote\"'\\{},", "c", ""}}
	require.Equal(f.t, map[string]int{"b": 4}, f.ofOrganizations(f.claimWith(start(), r), r),
		"organizations of SkipOrganizations are passed over, others are not")
	r.SkipOrganizations = []string{"b"}
	require.Equal(f.t, map[string]int{"a": 4, "c": 4}, f.ofOrganizations(f.claimWith(start(), r), r),
		"SkipOrganizations counts for the one claim only")
	require.Len(f.t, f.claim(start(), 100), 12, "what was passed over stays due")
}
