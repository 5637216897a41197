package storetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func pruneCases() []testCase {
	return []testCase{
		{"ByAge", pruneByAge},
		{"Strictly", pruneStrictly},
		{"KeepsUnfinished", pruneKeepsUnfinished},
		{"KeepsEventsInUse", pruneKeepsEventsInUse},
		{"EventsWithoutDeliveries", pruneEventsWithoutDeliveries},
		{"Limit", pruneLimit},
		{"DeletedWebhooks", pruneDeletedSubscriptions},
		{"DeletedWebhooksInSteps", pruneDeletedSubscriptionsInSteps},
		{"DeletedWebhooksHoldUpNobody", pruneDeletedSubscriptionsHoldUpNobody},
		{"RemovedChannels", pruneRemovedChannels},
		{"Replayed", pruneReplayed},
		{"PrunedIsNotFound", prunedIsNotFound},
		{"IDsAreNotReused", idsAreNotReused},
	}
}

// settled makes a settled delivery of an event of its own.
func (f *fixture) settled(id string, at time.Time, status webhook.Status) webhook.DeliveryID {
	f.t.Helper()
	f.emit(at, id)
	task := f.claimOne(at)
	switch status {
	case webhook.StatusCancelled:
		require.NoError(f.t, f.Cancel(f.ctx, at, org, task.DeliveryID))
	case webhook.StatusDead:
		f.settle(at, died(task, at))
	default:
		f.settle(at, succeeded(task, at))
	}
	return task.DeliveryID
}

func (f *fixture) requireEvent(id string, kept bool, rule string) {
	f.t.Helper()
	_, err := f.EventPayload(f.ctx, org, id)
	if kept {
		require.NoError(f.t, err, rule)
	} else {
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule)
	}
}

func pruneByAge(f *fixture) {
	f.create(hook())
	var ids []webhook.DeliveryID
	for day := range 4 {
		for _, status := range []webhook.Status{webhook.StatusSucceeded, webhook.StatusCancelled,
			webhook.StatusDead} {
			at := start().Add(time.Duration(day) * 24 * time.Hour)
			ids = append(ids, f.settled(fmt.Sprintf("evt_%d_%s", day, status), at, status))
		}
	}
	now := start().Add(30 * 24 * time.Hour)
	day := func(n int) time.Time { return start().Add(time.Duration(n)*24*time.Hour - time.Hour) }
	require.Zero(f.t, f.prune(now, time.Time{}, time.Time{}),
		"a zero time keeps everything of that kind")

	require.Equal(f.t, 8, f.prune(now, day(2), time.Time{}),
		"SucceededBefore removes what succeeded or was cancelled before it, and then the events, and "+
			"every row counts")
	require.Equal(f.t, 1+1, f.prune(now, day(1), day(1)), "DeadBefore removes what died before it")
	require.Equal(f.t, 1, f.prune(now, time.Time{}, day(2)),
		"without SucceededBefore, events without deliveries are kept")
	f.requireEvent("evt_1_dead", true, "without SucceededBefore, events without deliveries are kept")
	require.Equal(f.t, 1, f.prune(now, day(2), day(2)))
	f.requireEvent("evt_1_dead", false, "an event without deliveries goes once it is old enough")

	var left []webhook.DeliveryID
	for i := len(ids) - 1; i >= 6; i-- {
		left = append(left, ids[i])
	}
	require.Equal(f.t, left, deliveryIDs(f.list(webhook.DeliveryQuery{})),
		"Prune keeps what is younger")
	require.Zero(f.t, f.prune(now, day(2), day(2)), "pruning again finds nothing")
}

func pruneStrictly(f *fixture) {
	f.create(hook())
	f.settled("evt_1", start(), webhook.StatusSucceeded)
	f.settled("evt_2", start(), webhook.StatusDead)
	now := start().Add(time.Hour)
	require.Zero(f.t, f.prune(now, start(), start()),
		"what was settled at the given time was not settled before it")
	require.Equal(f.t, 4, f.prune(now, start().Add(tick), start().Add(tick)))
}

func pruneKeepsUnfinished(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 2)
	f.settle(start(), retry(tasks[0], start(), start()))
	late := start().Add(1000 * 24 * time.Hour)
	for _, paused := range []bool{false, true} {
		f.setPaused(sub, paused)
		require.Zero(f.t, f.prune(late, late, late),
			"Prune never removes a delivery that is not settled, nor its event")
	}
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPaused}), 3)
	f.setPaused(sub, false)
	for _, task := range f.claim(late, 10) {
		require.NotEmpty(f.t, task.Payload, "the event of a delivery is kept")
	}
}

func pruneKeepsEventsInUse(f *fixture) {
	f.create(hook("webhook", "slack"))
	f.emit(start(), "evt_1")
	tasks := f.claimN(start(), 2)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()))
	late := start().Add(time.Hour)
	require.Equal(f.t, 1, f.prune(late, late, time.Time{}), "only the delivery that succeeded goes")
	f.requireEvent("evt_1", true, "an event that has a delivery left is kept")
	require.NoError(f.t, f.Replay(f.ctx, late, org, tasks[1].DeliveryID),
		"what is left can be replayed")
	require.JSONEq(f.t, `{"event_id":"evt_1"}`, string(f.claimOne(late).Payload))
}

func pruneEventsWithoutDeliveries(f *fixture) {
	f.emit(start(), "evt_old")
	f.emit(start().Add(time.Hour), "evt_new")
	late := start().Add(48 * time.Hour)
	require.Zero(f.t, f.prune(late, time.Time{}, late), "DeadBefore is not about events")
	require.Equal(f.t, 1, f.prune(late, start().Add(time.Hour), time.Time{}),
		"events without deliveries go that were emitted before SucceededBefore")
	f.requireEvent("evt_old", false, "an event without deliveries goes once it is old enough")
	f.requireEvent("evt_new", true, "a younger event is kept")
}

func pruneLimit(f *fixture) {
	f.create(hook())
	for i := range 5 {
		f.settled(fmt.Sprint("evt_", i), start(), webhook.StatusSucceeded)
		f.settled(fmt.Sprint("dead_", i), start(), webhook.StatusDead)
	}
	late := start().Add(time.Hour)
	total := 0
	for range 20 {
		n, err := f.Prune(f.ctx, late, webhook.PruneRequest{SucceededBefore: late,
			DeadBefore: late, Limit: 3})
		require.NoError(f.t, err)
		require.LessOrEqual(f.t, n, 3, "Limit bounds the rows of one call")
		total += n
		if n < 3 {
			break
		}
	}
	require.Equal(f.t, 20, total,
		"less than Limit means that nothing is left: ten deliveries and ten events")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}))
	require.Zero(f.t, f.prune(late, late, late), "less than Limit means that nothing is left")
}

func pruneDeletedSubscriptions(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	task := f.claimN(start(), 1)[0]
	f.remove(sub)
	first := start().Add(time.Hour)
	require.Zero(f.t, f.prune(first, first, first),
		"deliveries of a deleted subscription begin to age when Prune settles them")
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.Equal(f.t, webhook.StatusCancelled, d.Status)
		f.requireTime(first, d.SettledAt, "SettledAt of a delivery that Prune settled")
	}
	f.refuse(first, succeeded(task, first), "a delivery that Prune settled takes no result")
	second := first.Add(time.Hour)
	f.prune(second, time.Time{}, time.Time{})
	require.Equal(f.t, 6, f.prune(second, first.Add(tick), time.Time{}),
		"deliveries of a deleted subscription age from the Prune that settled them")
}

func pruneDeletedSubscriptionsInSteps(f *fixture) {
	sub := f.create(hook())
	const events = 10
	f.enqueue(start(), newEvents("evt", events)...)
	f.remove(sub)
	total := 0
	for day := range 20 {
		now := start().Add(time.Duration(day+1) * 24 * time.Hour)
		n, err := f.Prune(f.ctx, now, webhook.PruneRequest{SucceededBefore: now, DeadBefore: now,
			Limit: 3})
		require.NoError(f.t, err)
		require.LessOrEqual(f.t, n, 3, "Limit bounds the rows of one call")
		total += n
	}
	require.Equal(f.t, 2*events, total,
		"deliveries of a deleted subscription are all pruned in the end, however small Limit is")
}

func pruneDeletedSubscriptionsHoldUpNobody(f *fixture) {
	f.create(hook())
	old := f.settled("evt_old", start(), webhook.StatusSucceeded)
	const events, limit, most = 5, 1, 4
	gone := []*webhook.Subscription{f.create(hook("webhook", "slack")), f.create(hook())}
	f.enqueue(start(), newEvents("evt", events)...)
	for _, sub := range gone {
		f.remove(sub)
	}
	settled := func() (n int) {
		for _, sub := range gone {
			for _, d := range f.list(webhook.DeliveryQuery{SubscriptionID: sub.ID}) {
				if !d.SettledAt.IsZero() {
					n++
				}
			}
		}
		return n
	}
	const all = events * (2 + 1)
	late := start().Add(time.Hour)
	r := webhook.PruneRequest{SucceededBefore: late, DeadBefore: late, Limit: limit}
	for before, calls := 0, 0; ; calls++ {
		n, err := f.Prune(f.ctx, late, r)
		require.NoError(f.t, err)
		_, err = f.Delivery(f.ctx, org, old)
		require.ErrorIs(f.t, err, webhook.ErrNotFound,
			"what is old goes at once, whatever there is to settle")
		after := settled()
		require.LessOrEqual(f.t, after-before, most,
			"four times Limit bounds how many deliveries of deleted subscriptions one call settles")
		if before = after; n < limit {
			break
		}
		require.Equal(f.t, limit, n, "Limit bounds what Prune returns")
		require.Less(f.t, calls, all, "Prune comes to an end")
	}
	require.Equal(f.t, all, settled(), "less than Limit means that nothing is left to settle")
}

func pruneRemovedChannels(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	f.emit(start(), "evt_1")
	f.update(sub, func(sub *webhook.Subscription) {
		sub.Channels, sub.UpdatedAt = sub.Channels[:1], start().Add(time.Minute)
	})
	late := start().Add(time.Hour)
	f.prune(late, time.Time{}, time.Time{})
	require.Equal(f.t, 1, f.prune(late, late.Add(tick), late.Add(tick)),
		"deliveries to a removed channel are cancelled, and age like others")
	require.Equal(f.t, webhook.StatusPending, f.only().Status)
}

func pruneReplayed(f *fixture) {
	f.create(hook())
	id := f.settled("evt_1", start(), webhook.StatusDead)
	again := start().Add(time.Hour)
	require.NoError(f.t, f.Replay(f.ctx, again, org, id))
	late := start().Add(48 * time.Hour)
	require.Zero(f.t, f.prune(late, late, late),
		"a delivery that was replayed is not settled any more")
	f.settle(again, succeeded(f.claimOne(again), again))
	require.Zero(f.t, f.prune(late, again, late),
		"the age of a delivery counts from its last settlement")
	require.Equal(f.t, 2, f.prune(late, again.Add(tick), time.Time{}))
}

func prunedIsNotFound(f *fixture) {
	f.create(hook())
	id := f.settled("evt_1", start(), webhook.StatusDead)
	late := start().Add(time.Hour)
	require.Equal(f.t, 2, f.prune(late, late, late))
	_, err := f.Delivery(f.ctx, org, id)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "a pruned delivery is gone")
	require.ErrorIs(f.t, f.Replay(f.ctx, late, org, id), webhook.ErrNotFound,
		"a pruned delivery cannot be replayed")
	require.ErrorIs(f.t, f.Cancel(f.ctx, late, org, id), webhook.ErrNotFound,
		"a pruned delivery cannot be cancelled")
	f.requireEvent("evt_1", false, "a pruned event is gone")
	f.refuse(late, webhook.Settlement{Lease: webhook.Lease{DeliveryID: id, Token: 1},
		Status: webhook.StatusSucceeded}, "a pruned delivery cannot be settled")

	f.emit(late, "evt_1")
	require.Greater(f.t, f.only().ID, id, "an event that is not stored any more is a new one")
}

func idsAreNotReused(f *fixture) {
	f.create(hook())
	var last webhook.DeliveryID
	for i := range 4 {
		id := f.settled(fmt.Sprint("evt_", i), start(), webhook.StatusSucceeded)
		require.Greater(f.t, id, last,
			"ids grow, and are never used twice, even if the store was emptied in between")
		last = id
		require.Equal(f.t, 2, f.prune(start().Add(time.Hour), start().Add(time.Hour), time.Time{}))
	}
}
