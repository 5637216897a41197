package storetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

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
	f.requireNothingDue(start().Add(lease-tick), "a leased delivery is not handed out before the lease ends")
}

// subMicrosecondTimes catches a store that rounds up: what was enqueued at now
// is due at now.
func subMicrosecondTimes(f *fixture) {
	f.create(hook())
	now := start().Add(999 * time.Nanosecond).In(time.FixedZone("", 5*3600))
	f.emit(now, "evt_1")
	d := f.only()
	require.InDelta(f.t, 0, d.CreatedAt.Sub(now), float64(time.Microsecond), "times are kept to the microsecond")
	require.Zero(f.t, d.CreatedAt.Nanosecond()%1000, "times are kept to the microsecond, not finer, so that all stores answer the same")
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
	require.Equal(f.t, first.DeliveryID, second.DeliveryID, "a delivery whose lease ended by now is due again")
	require.Greater(f.t, second.Token, first.Token, "the token grows with every claim")
	require.Zero(f.t, second.Attempts, "an attempt that nobody reported is not in the history")
	f.requireTime(end.Add(lease), second.Until, "Until")
	f.requireNothingDue(end.Add(lease-tick), "a take-over has a lease of its own")

	f.refuse(end, succeeded(first, end), "a process that paused too long must not overwrite the one that took over")
	require.Equal(f.t, webhook.StatusInFlight, f.status(second.DeliveryID), "a refused result changes nothing")
	require.Empty(f.t, f.only().Attempts, "a refused result is not in the history")
	f.settle(end, succeeded(second, end))
}

func longestDueFirst(f *fixture) {
	f.create(hook())
	order := []int{5, 2, 8, 1, 9, 3, 7, 4, 6, 0} // when each becomes due
	f.enqueue(start(), newEvents("evt", len(order))...)
	var settlements []webhook.Settlement
	for i, task := range f.claim(start(), len(order)) {
		settlements = append(settlements, retry(task, start(), start().Add(time.Duration(order[i])*time.Second)))
	}
	f.settle(start(), settlements...)
	now := start().Add(8 * time.Second)
	var last time.Time
	for n := range 3 {
		for _, task := range f.claim(now, 3) {
			due := settlementFor(settlements, task.DeliveryID).DueAt
			require.False(f.t, due.After(now), "a delivery is not due before its DueAt")
			require.False(f.t, due.Before(last), "within an endpoint, what is due longest comes first (claim %d)", n)
			last = due
		}
	}
	f.requireTime(now, last, "the DueAt of the last one")

	// An expired lease counts from its end: here it is between two others.
	claimed := f.claimN(now.Add(time.Second), 1)[0] // due at 9 s, the last one
	end := now.Add(time.Second + lease)
	tasks := f.claim(end.Add(time.Hour), 20)
	require.Len(f.t, tasks, 10)
	require.Equal(f.t, claimed.DeliveryID, tasks[9].DeliveryID, "within an endpoint, what is due longest comes first: leases that ended earlier go before")
	f.requireTime(end, tasks[9].DueAt, "the DueAt of a task whose lease had ended")
}

// neverAttemptedFirst has a few events that the endpoint refuses, which are due
// again and again.
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
		require.Equal(f.t, fmt.Sprint("evt_good_", i), task.EventID, "and among those what is due longest")
	}
	require.Equal(f.t, 1, tasks[3].AttemptsSinceQueued, "the bounds of a claim are filled with what was attempted")
	f.settle(now, requeued(tasks[0]), requeued(tasks[1]), requeued(tasks[2]))
	require.Equal(f.t, 0, f.claimWith(now, webhook.ClaimRequest{Limit: 10, PerEndpoint: 1})[0].AttemptsSinceQueued, "%s, however few may be claimed", rule)

	// A lease that has ended is no attempt; a replay begins from nothing.
	f.settle(now, died(tasks[3], now))
	require.NoError(f.t, f.Replay(f.ctx, now.Add(time.Second), org, tasks[3].DeliveryID))
	now = now.Add(2 * lease)
	tasks = f.claimN(now, 9)
	for i, task := range tasks {
		require.Equal(f.t, i < 4, task.AttemptsSinceQueued == 0, rule)
	}
	require.Equal(f.t, 2, tasks[2].Attempts+tasks[3].Attempts, "a replayed delivery was not attempted since it was queued")
}

// requeuedKeepsItsPlace has deliveries that a process claimed and did not come
// to attempt.
func requeuedKeepsItsPlace(f *fixture) {
	f.create(hook())
	for i := range 4 {
		f.emit(start().Add(time.Duration(i)*time.Second), fmt.Sprint("evt_", i))
	}
	now := start().Add(time.Minute)
	tasks := f.claimN(now, 3)
	for i, task := range tasks {
		f.requireTime(start().Add(time.Duration(i)*time.Second), task.DueAt, "the DueAt of a claimed task is the delivery's")
	}
	f.settle(now, requeued(tasks[2]), requeued(tasks[0]), requeued(tasks[1]))
	for i, task := range f.claimN(now, 4) {
		require.Equal(f.t, fmt.Sprint("evt_", i), task.EventID, "what is requeued with its DueAt keeps its place")
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
	f.settle(now, webhook.Settlement{Lease: grow("at first").Lease, Status: webhook.StatusPending, DueAt: now})
	f.settle(now, retry(grow("after it was given back"), now, now))
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
		require.Equal(f.t, updated.Revision, task.Revision, "a task has the subscription's revision at the time of the claim")
		f.settle(start(), retry(task, start(), start()))
	}
}

func emptyStore(f *fixture) {
	f.requireNothingDue(start(), "an empty store has nothing due")
	f.create(hook())
	f.requireNothingDue(start(), "a subscription without events has nothing due")
}
