package storetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// prefetchedCases hold that a delivery which Enqueue handed out is like one that was claimed at
// once, whatever the store does to spare the claim.
func prefetchedCases() []testCase {
	return []testCase{
		{"EachHasALease", prefetchedEachHasALease},
		{"EndOfManyLeases", prefetchedEndOfMany},
		{"Listed", prefetchedAreListed},
		{"Lost", prefetchedAreLost},
		{"Cancelled", prefetchedAreCancelled},
		{"OfDeletedWebhook", prefetchedOfDeleted},
		{"OfDeletedWebhookRefused", prefetchedOfDeletedAreRefused},
		{"Repair", prefetchedAreRepaired},
		{"RepairLimit", prefetchedAreRepairedWithinLimit},
		{"NotPruned", prefetchedAreNotPruned},
		{"LateResult", prefetchedLateResult},
	}
}

// hold enqueues n events, and returns the deliveries in the order of their ids: prefetched, or
// claimed if the store prefetches nothing.
func (f *fixture) hold(now time.Time, prefix string, n int) []webhook.Task {
	f.t.Helper()
	tasks := f.prefetch(now, always, newEvents(prefix, n)...)
	if len(tasks) < n {
		tasks = append(tasks, f.claimN(now, n-len(tasks))...)
	}
	return tasks
}

func prefetchedEachHasALease(f *fixture) {
	sub := f.create(hook())
	tasks := f.hold(start(), "evt", 7)
	end := start().Add(lease)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()),
		retry(tasks[2], start(), start().Add(time.Hour)), requeued(tasks[3]))
	require.Equal(f.t, tasks[3].DeliveryID, f.claimOne(start()).DeliveryID,
		"what was requeued is due, and nothing else of its call")
	require.Empty(f.t, f.extend(end.Add(lease), tasks[4].Lease), "a lease that is held is not lost")
	f.requireNothingDue(end.Add(-tick), "no lease has ended")

	got := sortedIDs(f.claim(end, 100))
	require.Equal(f.t, sortedIDs([]webhook.Task{tasks[3], tasks[5], tasks[6]}), got,
		"when a lease ends, what was neither settled nor extended is due")
	f.refuse(end, succeeded(tasks[5], end), "a result from before the take-over is stale")
	f.settle(end, succeeded(tasks[4], end))
	f.requireNothingDue(end.Add(lease-tick), "all leases hold")
	require.Len(f.t, f.claim(end.Add(lease), 100), 3)
	f.requireStatistics(webhook.Statistics{
		Pending: 1, InFlight: 3, Succeeded: 2, Failed: 2, Dead: 1,
		Duration:    4 * attempt(start(), "").Duration,
		LastSuccess: end, LastFailure: start(), LastFailed: tasks[1].DeliveryID,
	}, sub, "every result counts once")
}

func prefetchedEndOfMany(f *fixture) {
	f.create(hook())
	const calls, each = 120, 3
	var held []webhook.Task
	now := start()
	for range calls {
		tasks := f.hold(now, now.String(), each)
		f.settle(now, succeeded(tasks[1], now))
		held = append(held, tasks[0], tasks[2])
		now = now.Add(tick)
	}
	require.Empty(f.t, f.claim(start().Add(lease-tick), 1000), "no lease has ended")
	require.Len(f.t, f.claim(start().Add(lease), 1000), 2, "the first lease has ended")
	require.Len(f.t, f.claim(now.Add(lease), 1000), len(held)-2, "all leases have ended")
	f.refuse(now.Add(lease), succeeded(held[0], now), "a result from before the take-over is stale")
}

func prefetchedAreListed(f *fixture) {
	sub, second := f.create(hook()), f.create(hook())
	tasks := f.prefetch(start(), always, newEvents("evt", 3)...)
	tasks = append(tasks, f.claim(start(), 100)...)
	require.Len(f.t, tasks, 6)
	for _, task := range tasks[:2] {
		f.extend(start().Add(time.Hour), task.Lease)
	}
	f.emit(start(), "evt_pending")
	f.settle(start(), succeeded(tasks[5], start()))
	in := func(q webhook.DeliveryQuery) []webhook.DeliveryID { return deliveryIDs(f.list(q)) }
	all := in(webhook.DeliveryQuery{Status: webhook.StatusInFlight})
	require.Len(f.t, all, 5, "what was prefetched is in flight, extended or not, and listed once")
	require.IsDecreasing(f.t, all)
	require.Equal(f.t, all[2:4],
		in(webhook.DeliveryQuery{Status: webhook.StatusInFlight, Before: all[1], Limit: 2}))
	require.Len(f.t, in(webhook.DeliveryQuery{Status: webhook.StatusPending}), 2)
	require.Empty(f.t, in(webhook.DeliveryQuery{OrganizationID: other,
		Status: webhook.StatusInFlight}), "another organization has none of them")
	of := func(sub *webhook.Subscription, status webhook.Status) int {
		return len(in(webhook.DeliveryQuery{SubscriptionID: sub.ID, Status: status}))
	}
	mine := of(sub, webhook.StatusInFlight)
	require.Equal(f.t, 5, mine+of(second, webhook.StatusInFlight))
	figures := f.statistics(sub, time.Time{})
	require.Equal(f.t, int64(mine), figures.InFlight)
	require.Equal(f.t, int64(1), figures.Pending)
	f.setPaused(sub, true)
	require.Equal(f.t, mine+1, of(sub, webhook.StatusPaused))
	require.Zero(f.t, of(sub, webhook.StatusInFlight))
	require.Equal(f.t, int64(mine+1), f.statistics(sub, time.Time{}).Paused)
}

func prefetchedAreLost(f *fixture) {
	f.create(hook())
	task := f.hold(start(), "evt", 1)[0]
	f.requireLost(task, 0, time.Time{}, "no lease was lost yet")
	began := start().Add(time.Second)
	require.Empty(f.t, f.startAttempts(began, task.Lease), "a lease that is held is not lost")
	task = f.claimOne(start().Add(lease))
	f.requireLost(task, 1, began, "an attempt that was started and has no result is lost")
	f.requireTime(start().Add(lease), task.DueAt, "DueAt, which is the end of the lease,")
}

func prefetchedAreCancelled(f *fixture) {
	f.create(hook())
	tasks := f.hold(start(), "evt", 2)
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, tasks[0].DeliveryID))
	require.Equal(f.t, webhook.StatusCancelled, f.status(tasks[0].DeliveryID))
	f.refuse(start(), succeeded(tasks[0], start()), "a result for what was cancelled is refused")
	require.Equal(f.t, []webhook.Lease{tasks[0].Lease},
		f.extend(start().Add(time.Hour), tasks[0].Lease, tasks[1].Lease))
	f.requireNothingDue(start().Add(lease), "one is cancelled, and the other was extended")
}

func prefetchedOfDeleted(f *fixture) {
	sub := f.create(hook())
	tasks := f.hold(start(), "evt", 3)
	f.settle(start(), succeeded(tasks[0], start()))
	f.remove(sub)
	first := start().Add(time.Second)
	f.prune(first, time.Time{}, time.Time{})
	for _, task := range tasks[1:] {
		f.requireTime(first, f.get(task.DeliveryID).SettledAt,
			"SettledAt of a delivery that Prune settled")
	}
	f.refuse(first, succeeded(tasks[1], first), "a delivery that Prune settled takes no result")
	require.Equal(f.t, 6, f.prune(first, first.Add(tick), time.Time{}))
}

// Results that come between the removal and Prune are refused, and so are extensions. Prune settles
// these deliveries too, whatever else has been settled meanwhile.
func prefetchedOfDeletedAreRefused(f *fixture) {
	sub := f.create(hook())
	tasks := f.hold(start(), "evt", 2)
	f.remove(sub)
	f.create(hook())
	first := start().Add(time.Second)
	f.refuse(first, succeeded(tasks[0], first), "a delivery of a removed webhook takes no result")
	require.Len(f.t, f.extend(first.Add(lease), tasks[1].Lease), 1)
	for _, id := range []string{"next", "last"} {
		f.settle(first, succeeded(f.hold(first, id, 1)[0], first))
	}
	f.prune(first, time.Time{}, time.Time{})
	for _, task := range tasks {
		f.requireTime(first, f.get(task.DeliveryID).SettledAt,
			"SettledAt of a delivery that Prune settled")
	}
}

func prefetchedAreRepaired(f *fixture) {
	f.create(hook())
	now := start()
	wrong := now.Add(48 * time.Hour) // the clock was two days ahead
	tasks := f.hold(wrong, "evt", 3)
	f.settle(wrong, succeeded(tasks[0], wrong))
	require.Equal(f.t, 2, f.repair(now, repairRequest(now)),
		"leases that end too late are set right, and each counts")
	require.Zero(f.t, f.repair(now, repairRequest(now)))
	f.settle(now, succeeded(tasks[1], now)) // which its holder still can
	f.requireNothingDue(now.Add(lease-tick), "a lease that ended too late ends at the given time")
	require.Equal(f.t, tasks[2].DeliveryID, f.claimOne(now.Add(lease)).DeliveryID)
}

func prefetchedAreRepairedWithinLimit(f *fixture) {
	f.create(hook())
	now := start()
	f.hold(now.Add(time.Hour), "first", 3)
	f.hold(now.Add(time.Hour), "second", 3)
	r := repairRequest(now)
	r.Limit = 2
	for _, want := range []int{2, 2, 2, 0} {
		require.Equal(f.t, want, f.repair(now, r), "a call sets as many right as it may")
	}
	require.Len(f.t, f.claim(r.Until, 100), 6)
}

func prefetchedAreNotPruned(f *fixture) {
	f.create(hook())
	tasks := f.hold(start(), "evt", 4)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()))
	late := start().Add(lease - time.Second)
	require.Equal(f.t, 2, f.prune(late, late, time.Time{}), "only what succeeded goes")
	f.settle(late, succeeded(tasks[2], late))
	require.Zero(f.t, f.prune(late, late, time.Time{}), "its age counts from its settlement")
	require.Equal(f.t, 2, f.prune(late.Add(tick), late.Add(tick), time.Time{}))
	require.Equal(f.t, tasks[3].DeliveryID, f.claimOne(start().Add(lease)).DeliveryID,
		"what is in flight stays, and its lease ends")
	require.Equal(f.t, 2, f.prune(late.Add(tick), late.Add(tick), late.Add(tick)))
	f.requireEvent(tasks[3].EventID, true, "the event of what is in flight stays")
}

// A result that comes after the end of the lease counts if no other process took over.
func prefetchedLateResult(f *fixture) {
	f.create(hook())
	tasks := f.hold(start(), "evt", 3)
	end := start().Add(lease)
	taken := f.claimN(end, 1)[0]
	for _, task := range tasks {
		if task.DeliveryID != taken.DeliveryID {
			f.settle(end, succeeded(task, end))
			d := f.get(task.DeliveryID)
			require.Equal(f.t, webhook.StatusSucceeded, d.Status)
			require.Len(f.t, d.Attempts, 1)
		}
	}
	f.requireNothingDue(end.Add(lease-tick), "what succeeded is not due again")
	require.Equal(f.t, taken.DeliveryID, f.claimOne(end.Add(lease)).DeliveryID)
}

// takeOverPrefetchedByPeer ends leases of a process that does nothing any more.
func takeOverPrefetchedByPeer(f, peer *fixture) {
	f.create(hook())
	peer.requireNothingDue(start(), "nothing is stored yet")
	tasks := append(f.hold(start(), "first", 3), f.hold(start().Add(tick), "second", 100)...)
	f.settle(start(), succeeded(tasks[1], start()))
	peer.requireNothingDue(start().Add(lease-tick), "what one process holds, no other claims")
	first := peer.claim(start().Add(lease), 1000)
	require.Equal(f.t, sortedIDs([]webhook.Task{tasks[0], tasks[2]}), sortedIDs(first))
	require.Greater(f.t, first[0].Token, tasks[0].Token,
		"the token grows with every claim, whichever process claims")
	require.Len(f.t, peer.claim(start().Add(lease+tick), 1000), 100)
	f.refuse(start().Add(lease), succeeded(tasks[0], start()),
		"a process that paused too long must not overwrite the one that took over")
	peer.settle(start().Add(lease), succeeded(first[0], start()))
}
