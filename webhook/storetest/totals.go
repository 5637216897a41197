package storetest

import (
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func totalsCases() []testCase {
	return []testCase{
		{"ByStatus", totalsByStatus},
		{"Prefetched", totalsOfPrefetched},
		{"OldestDue", totalsOldestDue},
		{"Dead", totalsOfDead},
		{"Health", totalsOfHealth},
		{"Organizations", totalsOfOrganizations},
		{"Limit", totalsLimit},
	}
}

// totals asks for the totals of org at now, and checks that they are those of all organizations as
// well: no other has deliveries.
func (f *fixture) totals(now time.Time) webhook.Totals {
	f.t.Helper()
	ofOrg, err := f.Totals(f.ctx, now, webhook.TotalsQuery{OrganizationID: org})
	require.NoError(f.t, err, "asking for the totals of an organization")
	ofAll, err := f.Totals(f.ctx, now, webhook.TotalsQuery{AllOrganizations: true})
	require.NoError(f.t, err, "asking for the totals of all organizations")
	f.requireTotals(ofOrg, ofAll, "the totals of all organizations are those of the only one")
	return ofOrg
}

func (f *fixture) requireTotals(want, got webhook.Totals, rule string) {
	f.t.Helper()
	f.requireTime(want.OldestDue, got.OldestDue, "OldestDue: "+rule)
	want.OldestDue, got.OldestDue = time.Time{}, time.Time{}
	require.Equal(f.t, want, got, rule)
}

func totalsByStatus(f *fixture) {
	sub := f.create(hook())
	f.requireTotals(webhook.Totals{}, f.totals(start()), "a store without deliveries")
	f.enqueue(start(), newEvents("evt", 6)...)
	tasks := f.claimN(start(), 5)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()),
		retry(tasks[2], start(), start().Add(time.Hour)))
	counted := webhook.Totals{Pending: 2, InFlight: 2, Dead: 1, OldestDue: start()}
	f.requireTotals(counted, f.totals(start()),
		"each unfinished delivery counts once, by the status that it reports")

	f.setPaused(sub, true)
	f.requireTotals(webhook.Totals{Paused: 4, Dead: 1}, f.totals(start()),
		"what is paused is neither pending nor in flight, and not due")
	f.setPaused(sub, false)
	f.requireTotals(counted, f.totals(start()), "all is as it was before the pause")
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, tasks[3].DeliveryID))
	counted.InFlight--
	f.requireTotals(counted, f.totals(start()), "what is cancelled does not count")

	f.remove(sub)
	f.requireTotals(webhook.Totals{Dead: 1}, f.totals(start()),
		"deliveries of a deleted subscription are cancelled, but for those that were settled before")
}

func totalsOfPrefetched(f *fixture) {
	f.create(hook())
	taken := 0
	tasks, err := tasksOf(f.Enqueue(f.ctx, start(), newEvents("evt", 3), &webhook.Prefetch{
		Until: start().Add(lease),
		Take:  func(string, webhook.Endpoint) bool { taken++; return taken <= 2 },
	}))
	require.NoError(f.t, err)
	inFlight := int64(len(tasks))
	f.requireTotals(webhook.Totals{Pending: 3 - inFlight, InFlight: inFlight, OldestDue: start()},
		f.totals(start()), "what is prefetched is in flight")
	for _, task := range tasks {
		f.settle(start(), succeeded(task, start()))
	}
	f.requireTotals(webhook.Totals{Pending: 3 - inFlight, OldestDue: start()}, f.totals(start()),
		"what was prefetched and succeeded does not count")
}

func totalsOldestDue(f *fixture) {
	f.create(hook())
	paused := f.create(hook())
	f.setPaused(paused, true)
	f.emit(start(), "evt_1")
	at := func(d time.Duration) time.Time { return f.totals(start().Add(d)).OldestDue }
	f.requireTime(time.Time{}, at(-tick), "nothing is due before it was emitted")
	f.requireTime(start(), at(time.Hour), "it is due since it was emitted")

	task := f.claimOne(start())
	f.requireTime(time.Time{}, at(lease-tick), "what is in flight is not due")
	f.requireTime(start().Add(lease), at(lease), "it is due again when its lease ends")
	f.settle(start(), retry(task, start(), start().Add(time.Hour)))
	f.requireTime(time.Time{}, at(time.Hour-tick), "what waits for its next attempt is not due")
	f.emit(start().Add(30*time.Minute), "evt_2")
	f.requireTime(start().Add(30*time.Minute), at(2*time.Hour), "the oldest of all counts")
	f.setPaused(paused, false)
	f.requireTime(start(), at(2*time.Hour), "one that is paused no longer is due since it was before")
}

func totalsOfDead(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 3)
	f.settle(start(), died(tasks[0], start()), died(tasks[1], start()),
		succeeded(tasks[2], start()))
	f.requireTotals(webhook.Totals{Dead: 2}, f.totals(start()), "the dead are counted")
	require.NoError(f.t, f.Replay(f.ctx, start(), org, tasks[0].DeliveryID))
	f.requireTotals(webhook.Totals{Dead: 1, Pending: 1, OldestDue: start()}, f.totals(start()),
		"what is replayed is not dead any more")
	again := f.claimOne(start())
	f.settle(start(), died(again, start()))
	f.requireTotals(webhook.Totals{Dead: 2}, f.totals(start()), "until it dies again")
	late := start().Add(time.Hour)
	f.prune(late, late, late)
	f.requireTotals(webhook.Totals{}, f.totals(late), "what is pruned does not count")
}

func totalsOfHealth(f *fixture) {
	healthy, failing := f.create(hook()), f.create(hook())
	endpoint := endpointOf(failing)
	f.emit(start(), "evt_1")
	late := start().Add(time.Hour)
	f.emit(late, "evt_2")
	task := f.claimWith(start(), webhook.ClaimRequest{Limit: 1, PerEndpoint: 1,
		Skip: []webhook.Endpoint{endpoint}})[0]
	require.Equal(f.t, healthy.ID, task.Endpoint.SubscriptionID)
	f.settle(start(), succeeded(task, start()))
	f.setHealth(endpoint, webhook.Degraded, start(), start())
	f.requireTotals(webhook.Totals{Pending: 3, OldestDue: late, DegradedEndpoints: 1},
		f.totals(late), "what waits for a degraded endpoint is pending, but not due")
	first, err := f.Totals(f.ctx, late, webhook.TotalsQuery{OrganizationID: org, Limit: 1})
	require.NoError(f.t, err)
	f.requireTime(late, first.OldestDue, "nor is it when not all deliveries are counted")
	f.setHealth(endpoint, webhook.Disabled, start(), time.Time{})
	f.requireTotals(webhook.Totals{Pending: 1, Paused: 2, OldestDue: late, DisabledEndpoints: 1},
		f.totals(late), "what waits for a disabled endpoint is paused")
	f.setHealth(endpoint, webhook.Healthy, start(), time.Time{})
	f.requireTotals(webhook.Totals{Pending: 3, OldestDue: start()}, f.totals(late),
		"and due once the endpoint is healthy")
	f.setHealth(endpoint, webhook.Degraded, start(), start())
	f.remove(failing)
	f.requireTotals(webhook.Totals{Pending: 1, OldestDue: late}, f.totals(late),
		"an endpoint that is gone does not count")
}

func totalsOfOrganizations(f *fixture) {
	for i, organization := range []string{org, other, ""} {
		sub := hook("webhook", "slack")
		sub.OrganizationID = organization
		f.create(sub)
		for _, e := range newEvents("evt", i+1) {
			e.OrganizationID = organization
			f.enqueue(start().Add(time.Duration(-i)*time.Minute), e)
		}
	}
	for i, organization := range []string{org, other, ""} {
		got, err := f.Totals(f.ctx, start(), webhook.TotalsQuery{OrganizationID: organization})
		require.NoError(f.t, err)
		f.requireTotals(webhook.Totals{
			Pending: 2 * int64(i+1), OldestDue: start().Add(time.Duration(-i) * time.Minute),
		}, got, "an organization's totals are those of its own deliveries")
	}
	got, err := f.Totals(f.ctx, start(), webhook.TotalsQuery{AllOrganizations: true})
	require.NoError(f.t, err)
	f.requireTotals(webhook.Totals{Pending: 12, OldestDue: start().Add(-2 * time.Minute)}, got,
		"the totals of all organizations are their sum")
	got, err = f.Totals(f.ctx, start(), webhook.TotalsQuery{OrganizationID: "org_unknown"})
	require.NoError(f.t, err, "an organization that is not known is no error")
	f.requireTotals(webhook.Totals{}, got, "it has no deliveries")
}

func totalsLimit(f *fixture) {
	f.create(hook())
	f.create(hook())
	f.enqueue(start(), newEvents("dead", 2)...)
	for _, task := range f.claimN(start(), 4) {
		f.settle(start(), died(task, start()))
	}
	f.enqueue(start().Add(time.Second), newEvents("evt", 5)...)
	now := start().Add(time.Minute)
	for limit, more := range map[int]struct{ unfinished, dead bool }{
		1: {true, true}, 3: {true, true}, 4: {true, true}, 5: {true, false}, 11: {false, false},
		0: {false, false}, -1: {false, false},
	} {
		got, err := f.Totals(f.ctx, now, webhook.TotalsQuery{OrganizationID: org, Limit: limit})
		require.NoError(f.t, err)
		if more.unfinished {
			assert.GreaterOrEqual(f.t, got.Pending, int64(limit), "it counts up to the limit of %d", limit)
		} else {
			assert.EqualValues(f.t, 10, got.Pending, "below the limit the count is exact (%d)", limit)
		}
		if more.dead {
			assert.GreaterOrEqual(f.t, got.Dead, int64(limit), "it counts up to the limit of %d", limit)
		} else {
			assert.EqualValues(f.t, 4, got.Dead, "below the limit the count is exact (%d)", limit)
		}
		if got.Pending < 10 {
			assert.True(f.t, got.MoreUnfinished, "a count that is too low says so (%d)", limit)
		}
		if got.Dead < 4 {
			assert.True(f.t, got.MoreDead, "a count that is too low says so (%d)", limit)
		}
		if !more.unfinished && limit != 10 {
			assert.False(f.t, got.MoreUnfinished, "a count below the limit is whole (%d)", limit)
		}
		f.requireTime(start().Add(time.Second), got.OldestDue,
			"with few endpoints the oldest is found whatever the limit")
	}
}
