package storetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func clockCases() []testCase {
	return []testCase{
		{"Now", clockGoesOn},
		{"Repair", repairs},
		{"RepairNothing", repairsNothing},
		{"RepairLimit", repairsWithinLimit},
	}
}

func (f *fixture) now() time.Time {
	f.t.Helper()
	at, err := f.Now(f.ctx)
	require.NoError(f.t, err, "reading the clock")
	return at
}

func clockGoesOn(f *fixture) {
	last := f.now()
	require.False(f.t, last.IsZero())
	for range 5 {
		at := f.now()
		require.False(f.t, at.Before(last), "the clock does not go back")
		last = at
	}
}

// oneClock reads the clock through both views in turn.
func oneClock(f, peer *fixture) {
	for range 5 {
		mine, theirs, again := f.now(), peer.now(), f.now()
		require.False(f.t, theirs.Before(mine), "all processes have one clock")
		require.False(f.t, again.Before(theirs), "all processes have one clock")
	}
}

func repairRequest(now time.Time) webhook.RepairRequest {
	return webhook.RepairRequest{
		Until: now.Add(lease), LeasesAfter: now.Add(10 * time.Minute), FreshAfter: now.Add(5 * time.Minute), RetriesAfter: now.Add(24 * time.Hour),
		Limit: 1_000,
	}
}

func (f *fixture) repair(now time.Time, r webhook.RepairRequest) int {
	f.t.Helper()
	n, err := f.Repair(f.ctx, now, r)
	require.NoError(f.t, err, "repairing")
	return n
}

func repairs(f *fixture) {
	f.create(hook())
	now := start()
	wrong := now.Add(48 * time.Hour) // the clock was two days ahead
	f.enqueue(wrong, newEvents("leased", 2)...)
	leased := f.claimN(wrong, 2)
	f.emit(wrong, "retried")
	task := f.claimOne(wrong)
	f.settle(wrong, retry(task, wrong, wrong.Add(time.Hour)))
	f.enqueue(wrong, newEvents("fresh", 3)...)

	f.requireNothingDue(now, "all of it waits for the time that the clock had")
	require.Equal(f.t, 6, f.repair(now, repairRequest(now)), "everything that lies too far ahead is set right, and counted")
	var events []string
	for _, task := range f.claim(now, 100) {
		events = append(events, task.EventID)
		f.settle(now, succeeded(task, now))
	}
	require.ElementsMatch(f.t, []string{"fresh_0", "fresh_1", "fresh_2", "retried"}, events, "what is pending is due at once")
	f.settle(now, succeeded(leased[0], now)) // which its holder still can
	again := f.claimOne(now.Add(lease))
	require.Equal(f.t, leased[1].DeliveryID, again.DeliveryID, "a lease that ends too late ends at the given time")
}

func repairsNothing(f *fixture) {
	f.create(hook())
	now := start()
	r := repairRequest(now)
	f.emit(r.FreshAfter, "evt_fresh")
	f.emit(now, "evt_leased")
	leased := f.claimOne(now)
	f.extend(r.LeasesAfter, leased.Lease)
	f.emit(now, "evt_retried")
	task := f.claimOne(now)
	f.settle(now, retry(task, now, r.RetriesAfter))
	replayed := f.settled("evt_replayed", now, webhook.StatusDead)
	require.NoError(f.t, f.Replay(f.ctx, now.Add(365*24*time.Hour), org, replayed))
	require.Zero(f.t, f.repair(now, r), "what lies just at the bounds, or was replayed for later, is left as it is")
	f.requireNothingDue(now, "nothing was changed")
	f.requireTime(r.RetriesAfter, f.get(task.DeliveryID).DueAt, "DueAt")
	f.settle(now, succeeded(leased, now))
}

func repairsWithinLimit(f *fixture) {
	f.create(hook())
	f.create(hook())
	now := start()
	f.enqueue(now.Add(time.Hour), newEvents("evt", 5)...)
	r := repairRequest(now)
	r.Limit = 4
	for _, want := range []int{4, 4, 2, 0} {
		require.Equal(f.t, want, f.repair(now, r), "a call sets as many right as it may")
	}
	require.Len(f.t, f.claim(now, 100), 10)
}
