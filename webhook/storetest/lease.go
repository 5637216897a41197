package storetest

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func leaseCases() []testCase {
	return []testCase{
		{"Extend", extendLease},
		{"ExtendAfterEnd", extendAfterEnd},
		{"ExtendLate", extendLate},
		{"ExtendEarlier", extendEarlier},
		{"ExtendLost", extendLost},
		{"UnknownLeases", unknownLeases},
		{"Lost", lostLeases},
		{"LostAttempts", lostAttempts},
		{"LostUntilAResult", lostUntilAResult},
		{"StartWithoutLease", startWithoutLease},
		{"OfAnEarlierClaim", leaseOfAnEarlierClaim},
		{"Listed", listedLeases},
	}
}

func (f *fixture) extend(until time.Time, leases ...webhook.Lease) (lost []webhook.Lease) {
	f.t.Helper()
	lost, err := f.Extend(f.ctx, until, leases)
	require.NoError(f.t, err, "a lost lease is not an error")
	return lost
}

func extendLease(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	tasks := f.claimN(start(), 2)
	end := start().Add(lease)
	require.Empty(f.t, f.extend(end.Add(lease), tasks[0].Lease), "a lease that is held is not lost")
	require.Equal(f.t, tasks[1].DeliveryID, f.claimOne(end).DeliveryID,
		"only the lease that was extended holds on")
	f.settle(end.Add(lease-tick), succeeded(tasks[0], end))
}

func extendAfterEnd(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	end := start().Add(2 * lease)
	require.Empty(f.t, f.extend(end, task.Lease),
		"a lease that ended but was not taken over can still be extended")
	f.requireNothingDue(end.Add(-tick), "an extended lease holds until its new end")
	require.Equal(f.t, task.DeliveryID, f.claimOne(end).DeliveryID, "an extended lease ends")
}

// extendLate has a call take effect after the one that was made next.
func extendLate(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	end := start().Add(3 * lease)
	require.Empty(f.t, f.extend(end, task.Lease))
	require.Empty(f.t, f.extend(start().Add(2*lease), task.Lease), "the lease is held")
	f.requireNothingDue(end.Add(-tick), "a lease is not made shorter")
	require.Equal(f.t, task.DeliveryID, f.claimOne(end).DeliveryID)
}

// extendEarlier has each kind of lease extended up to a time before its end.
func extendEarlier(f *fixture) {
	f.create(hook())
	tasks := f.hold(start(), "evt", 2)
	f.emit(start(), "evt_claimed")
	tasks = append(tasks, f.claimOne(start()))
	end := start().Add(lease)
	for _, task := range tasks {
		require.Empty(f.t, f.extend(end.Add(-lease/2), task.Lease), "the lease is held")
	}
	f.requireNothingDue(end.Add(-tick), "a lease is not made shorter")
	require.Len(f.t, f.claim(end, 100), 3)
}

func extendLost(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 6)...)
	tasks := f.claimN(start(), 6)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()),
		webhook.Settlement{Lease: tasks[2].Lease, Status: webhook.StatusPending,
			DueAt: start().Add(time.Hour)})
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, tasks[3].DeliveryID))
	end := start().Add(lease)
	require.Empty(f.t, f.extend(end.Add(time.Hour), tasks[5].Lease))
	taker := f.claimOne(end) // of tasks[4]
	require.Equal(f.t, tasks[4].DeliveryID, taker.DeliveryID)

	var all, want []webhook.Lease
	for _, task := range tasks {
		all = append(all, task.Lease)
	}
	want = all[:5]
	require.ElementsMatch(f.t, want, f.extend(end.Add(time.Hour), all...),
		"Extend returns the leases that are lost: settled, requeued, cancelled, taken over")
	require.Equal(f.t, webhook.StatusSucceeded, f.status(tasks[0].DeliveryID),
		"a lost lease changes nothing")
	f.requireTime(start().Add(time.Hour), f.get(tasks[2].DeliveryID).DueAt,
		"the DueAt of a delivery whose lease is lost")
	require.Equal(f.t, taker.DeliveryID, f.claimOne(end.Add(lease)).DeliveryID,
		"a lost lease does not move the end of the one that took over")

	f.remove(sub)
	require.Equal(f.t, []webhook.Lease{tasks[5].Lease}, f.extend(end.Add(time.Hour), tasks[5].Lease),
		"deleting a subscription ends its unfinished deliveries: their leases are lost")
}

func unknownLeases(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	unknown := []webhook.Lease{
		{DeliveryID: task.DeliveryID, Token: task.Token + 1},
		{DeliveryID: task.DeliveryID, Token: task.Token - 1},
		{DeliveryID: task.DeliveryID + 1, Token: task.Token},
		{},
	}
	require.ElementsMatch(f.t, unknown, f.extend(start().Add(time.Hour), unknown...),
		"a lease that was never given is lost")
	for _, l := range unknown {
		f.refuse(start(), webhook.Settlement{Lease: l, Status: webhook.StatusSucceeded},
			"a lease that was never given settles nothing")
	}
	require.Equal(f.t, webhook.StatusInFlight, f.status(task.DeliveryID))
	f.settle(start(), succeeded(task, start()))
}

func (f *fixture) startAttempts(at time.Time, leases ...webhook.Lease) (lost []webhook.Lease) {
	f.t.Helper()
	lost, err := f.Start(f.ctx, at, leases)
	require.NoError(f.t, err, "a lost lease is not an error")
	return lost
}

// requireLost checks what a task says of lost leases.
func (f *fixture) requireLost(task webhook.Task, lost int, at time.Time, rule string) {
	f.t.Helper()
	require.Equal(f.t, lost, task.Lost, rule)
	if at.IsZero() {
		require.Zero(f.t, task.LostAt, rule)
	} else {
		f.requireTime(at, task.LostAt, "LostAt")
	}
}

func lostLeases(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	now := start()
	f.requireLost(f.claimOne(now), 0, time.Time{}, "no lease was lost yet")
	for range 3 {
		now = now.Add(lease)
		f.requireLost(f.claimOne(now), 1, time.Time{},
			"the first lease that is lost counts, and after it those that an attempt was started with")
	}
}

func lostAttempts(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	now := start()
	task := f.claimOne(now)
	for n := range 3 {
		started := now.Add(time.Second + 7*tick)
		require.Empty(f.t, f.startAttempts(started, task.Lease), "a lease that is held is not lost")
		now = now.Add(lease)
		task = f.claimOne(now)
		f.requireLost(task, n+1, started,
			"an attempt that was started and has no result is lost with its lease")

		lost := retry(task, started, now)
		lost.Lost = true
		f.settle(now, lost)
		require.Len(f.t, f.get(task.DeliveryID).Attempts, n+1,
			"a lost attempt is in the history like any other")
		task = f.claimOne(now)
		f.requireLost(task, n+1, time.Time{}, "a settlement with Lost keeps the count")
		require.Equal(f.t, n+1, task.AttemptsSinceQueued,
			"a lost attempt is one of those that the retry budget allows")
	}
}

func lostUntilAResult(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	now := start().Add(lease)
	task := f.claimOne(start())
	f.startAttempts(now, task.Lease)
	task = f.claimOne(now)
	f.requireLost(task, 1, now, "an attempt was lost")
	now = now.Add(lease)
	task = f.claimOne(now)
	f.requireLost(task, 1, now.Add(-lease), "it is still not in the history, and counts once")
	f.settle(now, webhook.Settlement{Lease: task.Lease, Status: webhook.StatusPending, DueAt: now})
	task = f.claimOne(now)
	f.requireLost(task, 1, now.Add(-lease),
		"it is still not in the history, though the delivery was requeued")
	f.startAttempts(now, task.Lease)
	f.settle(now, webhook.Settlement{Lease: task.Lease, Status: webhook.StatusPending, DueAt: now})
	task = f.claimOne(now)
	f.requireLost(task, 1, time.Time{}, "a requeued attempt was not lost, and is no result either")
	now = now.Add(lease)
	task = f.claimOne(now)
	f.requireLost(task, 1, time.Time{}, "an attempt that was requeued is not lost later")

	f.settle(now, retry(task, now, now))
	f.requireLost(f.claimOne(now), 0, time.Time{}, "a result sets the count to 0")
	now = now.Add(lease)
	task = f.claimOne(now)
	f.requireLost(task, 1, time.Time{}, "a lease was lost again")
	lost := died(task, now)
	lost.Lost = true
	f.settle(now, lost)
	require.NoError(f.t, f.Replay(f.ctx, now, org, task.DeliveryID))
	f.requireLost(f.claimOne(now), 0, time.Time{}, "a replay sets the count to 0")
}

// leaseOfAnEarlierClaim has leases end early, by each way in which that can be, and their deliveries
// claimed again before they were to end.
func leaseOfAnEarlierClaim(f *fixture) {
	sub := f.create(hook())
	tasks := f.hold(start(), "evt", 4)
	f.enqueue(start(), newEvents("claimed", 4)...)
	tasks = append(tasks, f.claimN(start(), 4)...)
	early := start().Add(lease / 2)
	for _, half := range [][]webhook.Task{tasks[:4], tasks[4:]} {
		f.settle(early, requeued(half[0]), retry(half[1], early, early))
		require.Empty(f.t, f.extend(start().Add(lease), half[2].Lease), "a lease that is held is not lost")
		f.settle(early, requeued(half[2]))
		require.NoError(f.t, f.Cancel(f.ctx, early, org, half[3].DeliveryID))
		require.NoError(f.t, f.Replay(f.ctx, early, org, half[3].DeliveryID))
	}
	again := f.claimN(early, 8)
	f.requireNothingDue(early.Add(lease-tick), "the leases of the last claim hold as long as they are to")
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusInFlight}), 8)
	statistics := f.statistics(sub, time.Time{})
	require.EqualValues(f.t, 8, statistics.InFlight, "each counts once")
	require.EqualValues(f.t, 8, f.totals(early).InFlight, "each counts once")
	f.settle(early, succeeded(again[0], early))
	require.Len(f.t, f.claim(early.Add(lease), 100), 7, "the leases of the last claim end")
}

func listedLeases(f *fixture) {
	sub := f.create(hook())
	tasks := f.hold(start(), "evt", 3)
	later := start().Add(lease / 2)
	f.enqueue(later, newEvents("claimed", 3)...)
	tasks = append(tasks, f.claimN(later, 3)...)
	require.Empty(f.t, f.extend(start().Add(3*lease), tasks[0].Lease, tasks[3].Lease))
	ends := []time.Time{start().Add(3 * lease), start().Add(lease), start().Add(lease),
		start().Add(3 * lease), later.Add(lease), later.Add(lease)}
	check := func(status webhook.Status) {
		for i, end := range ends {
			id := tasks[i].DeliveryID
			f.requireTime(end, f.get(id).DueAt, "DueAt of what is in flight")
			for _, s := range []webhook.Status{"", status} {
				list := f.list(webhook.DeliveryQuery{Status: s})
				at := slices.IndexFunc(list, func(d webhook.Delivery) bool { return d.ID == id })
				f.requireTime(end, list[at].DueAt, "DueAt in a list of what is in flight")
			}
		}
	}
	check(webhook.StatusInFlight)
	f.setPaused(sub, true)
	check(webhook.StatusPaused)
}

func startWithoutLease(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	mine := f.claimOne(start())
	now := start().Add(lease)
	theirs := f.claimOne(now)
	require.Equal(f.t, []webhook.Lease{mine.Lease}, f.startAttempts(now, mine.Lease),
		"a lease that another took over is lost")
	now = now.Add(lease)
	task := f.claimOne(now)
	f.requireLost(task, 1, time.Time{}, "what was started with a lost lease was not started")
	require.Greater(f.t, task.Token, theirs.Token)
	f.settle(now, succeeded(task, now))
	require.Equal(f.t, []webhook.Lease{task.Lease}, f.startAttempts(now, task.Lease),
		"the lease of a settled delivery is lost")
}

func clockCases() []testCase {
	return []testCase{
		{"Now", clockGoesOn},
		{"Repair", repairs},
		{"RepairNothing", repairsNothing},
		{"RepairLimit", repairsWithinLimit},
		{"RepairMany", repairsMany},
		{"RepairProbes", repairsProbes},
		{"RepairExpiry", repairsExpiry},
		{"RepairNoExpiry", repairsNoExpiry},
		{"RepairNoReplay", repairsNoReplay},
		{"RepairFutureEvents", repairsFutureEvents},
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

// oneClock reads the clock through both views alternately.
func oneClock(f, peer *fixture) {
	for range 5 {
		mine, theirs, again := f.now(), peer.now(), f.now()
		require.False(f.t, theirs.Before(mine), "all processes have one clock")
		require.False(f.t, again.Before(theirs), "all processes have one clock")
	}
}

func repairRequest(now time.Time) webhook.RepairRequest {
	return webhook.RepairRequest{
		Until: now.Add(lease), LeasesAfter: now.Add(10 * time.Minute),
		FreshAfter: now.Add(5 * time.Minute), RetriesAfter: now.Add(24 * time.Hour),
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
	require.Equal(f.t, 6, f.repair(now, repairRequest(now)),
		"everything that lies too far ahead is set right, and counted")
	var events []string
	for _, task := range f.claim(now, 100) {
		events = append(events, task.EventID)
		f.settle(now, succeeded(task, now))
	}
	require.ElementsMatch(f.t, []string{"fresh_0", "fresh_1", "fresh_2", "retried"}, events,
		"what is pending is due at once")
	f.settle(now, succeeded(leased[0], now)) // which its holder still can
	again := f.claimOne(now.Add(lease))
	require.Equal(f.t, leased[1].DeliveryID, again.DeliveryID,
		"a lease that ends too late ends at the given time")
}

// repairsMany has leases of deliveries whose ids do not follow each other.
func repairsMany(f *fixture) {
	f.create(hook())
	f.setPaused(f.create(hook()), true)
	now, n := start(), 250
	wrong := now.Add(48 * time.Hour)
	f.enqueue(wrong, newEvents("evt", n)...)
	require.Len(f.t, f.claim(wrong, n), n)
	r := repairRequest(now)
	r.Limit = many
	require.Equal(f.t, 2*n, f.repair(now, r), "what waits and what is leased, as much as there is")
	require.Len(f.t, f.claim(r.Until, n), n)
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
	require.Zero(f.t, f.repair(now, r),
		"what lies just at the bounds, or was replayed for later, is left as it is")
	f.requireNothingDue(now, "nothing was changed")
	f.requireTime(r.RetriesAfter, f.get(task.DeliveryID).DueAt, "DueAt")
	f.settle(now, succeeded(leased, now))
}

func repairsProbes(f *fixture) {
	now := start()
	r := repairRequest(now)
	r.ProbesAfter = now.Add(time.Hour)
	ahead, right := endpointOf(f.create(hook())), endpointOf(f.create(hook()))
	disabled := endpointOf(f.create(hook()))
	f.emit(now, "evt_1")
	f.setHealth(ahead, webhook.Degraded, now, r.ProbesAfter.Add(tick))
	f.setHealth(right, webhook.Degraded, now, r.ProbesAfter)
	f.setHealth(disabled, webhook.Disabled, now, time.Time{})
	before := f.state(ahead)
	none := r
	none.ProbesAfter = time.Time{}
	require.Zero(f.t, f.repair(now, none), "without a bound, probes are left as they are")
	require.Equal(f.t, 1, f.repair(now, r), "a probe that lies too far ahead is set right, and counted")
	require.Equal(f.t, ahead, f.claimOne(now).Endpoint)
	require.ErrorIs(f.t, webhook.SetEndpointState(f.ctx, f, &before, 0), webhook.ErrConflict)
	f.requireTime(r.ProbesAfter, f.state(right).NextProbe, "NextProbe")
	require.Zero(f.t, f.repair(now, r))
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

// repairsExpiry has the clock a year ahead when what has expired is looked for.
func repairsExpiry(f *fixture) {
	sub := f.create(hook())
	f.emitTTL(start(), "evt_1", "evt_2")
	now := start().Add(ttl)
	f.repair(now, repairRequest(now))
	f.expired(now.Add(365*24*time.Hour), "what is healthy is claimed")
	f.setPaused(sub, true)
	one := repairRequest(now)
	one.Limit = 1
	f.repair(now, one)
	f.repair(now, repairRequest(now))
	f.expired(now, "it is not left alone for a year", "evt_1", "evt_2")
	require.Zero(f.t, f.repair(now, repairRequest(now)))
}

// repairsNoExpiry has times of events that lie in the future on purpose.
func repairsNoExpiry(f *fixture) {
	sub := f.create(hook())
	later := start().Add(365 * 24 * time.Hour)
	f.emitTTL(start(), "evt_1")
	task := f.claimOne(start())
	f.settle(start(), died(task, start()))
	require.NoError(f.t, f.Replay(f.ctx, later, org, task.DeliveryID))
	f.setPaused(sub, true)
	now := start().Add(ttl)
	f.expired(now, "it was replayed for later")
	require.Zero(f.t, f.repair(now, repairRequest(now)), "and expires later")
	f.expired(later.Add(ttl), "then", "evt_1")
}

// repairsNoReplay has a delivery replayed before it would have expired.
func repairsNoReplay(f *fixture) {
	const day = 24 * time.Hour
	f.create(hook())
	e := about("a", "evt_1")
	e.TTL = day
	f.enqueue(start(), e)
	task := f.claimOne(start())
	f.settle(start(), succeeded(task, start()))
	now := start().Add(time.Minute)
	f.expired(now, "it has succeeded")
	require.NoError(f.t, f.Replay(f.ctx, now, org, task.DeliveryID))
	require.Zero(f.t, f.repair(now, repairRequest(now)), "no clock was ahead")
}

// repairsFutureEvents has the clock ahead when events are stored, and when they expire.
func repairsFutureEvents(f *fixture) {
	ahead := start().Add(24 * time.Hour)
	f.setPaused(f.create(hook()), true)
	f.emitTTL(ahead, "evt_1")
	f.emitTTL(ahead.Add(ttl), "evt_2")
	f.expired(ahead.Add(ttl), "the first one", "evt_1")
	for calls := 0; f.repair(start(), repairRequest(start())) > 0; calls++ {
		require.Less(f.t, calls, 10, "what was repaired stays so")
	}
}
