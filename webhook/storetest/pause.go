package storetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func pauseCases() []testCase {
	return []testCase{
		{"HoldsPending", pauseHoldsPending},
		{"AttemptUnderWay", pauseDuringAttempt},
		{"ResumeReleases", resumeReleases},
		{"OthersGoOn", pauseLeavesOthers},
		{"ByResult", pauseByResult},
		{"ByStaleResult", pauseByStaleResult},
		{"ByResultOfPaused", pauseByResultOfPaused},
		{"ResultOnAnOlderRevision", pauseByResultOnAnOlderRevision},
	}
}

func pauseHoldsPending(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	f.setPaused(sub, true)
	f.enqueue(start(), newEvents("later", 2)...)
	f.requireNothingDue(start().Add(time.Hour), "deliveries of a paused subscription stay where they are")
	held := f.list(webhook.DeliveryQuery{Status: webhook.StatusPaused})
	require.Len(f.t, held, 5, "pausing a subscription makes all of its unfinished deliveries paused, at once, and those that come later")
	for _, d := range held {
		f.requireTime(start(), d.DueAt, "the DueAt of a paused delivery")
		require.True(f.t, d.SettledAt.IsZero(), "a paused delivery is not settled")
	}
	require.Empty(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPending}), "a paused delivery is not listed as pending")
}

func pauseDuringAttempt(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 4)...)
	tasks := f.claimN(start(), 4)
	f.setPaused(sub, true)
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPaused}), 4,
		"pausing a subscription changes what all of its unfinished deliveries report, in flight or not")

	require.Empty(f.t, f.extend(start().Add(2*lease), tasks[0].Lease, tasks[1].Lease, tasks[2].Lease), "a pause takes no lease away")
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()), retry(tasks[2], start(), start()))
	require.Equal(f.t, webhook.StatusSucceeded, f.status(tasks[0].DeliveryID), "an attempt under way when its subscription is paused still counts")
	require.Equal(f.t, webhook.StatusDead, f.status(tasks[1].DeliveryID), "an attempt under way when its subscription is paused still counts")
	require.Equal(f.t, webhook.StatusPaused, f.status(tasks[2].DeliveryID), "a delivery to be retried is paused while its subscription is paused")
	f.requireNothingDue(start().Add(lease), "a delivery whose lease ended is paused while its subscription is paused")
	f.settle(start().Add(lease), succeeded(tasks[3], start()))
}

func resumeReleases(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 4)...)
	tasks := f.claimN(start(), 2)
	f.settle(start(), retry(tasks[0], start(), start().Add(time.Hour)))
	f.setPaused(sub, true)
	f.setPaused(sub, false)
	require.Equal(f.t, webhook.StatusInFlight, f.status(tasks[1].DeliveryID), "what was in flight before a pause is so after it")
	require.Len(f.t, f.claim(start(), 10), 2, "resuming a subscription releases its paused deliveries")
	f.settle(start(), succeeded(tasks[1], start()))
	require.Equal(f.t, tasks[0].DeliveryID, f.claimN(start().Add(time.Hour), 3)[2].DeliveryID, "a pause does not change when a retry is due")
}

func pauseLeavesOthers(f *fixture) {
	paused, active := f.create(hook("webhook", "slack")), f.create(hook())
	f.emit(start(), "evt_1")
	f.setPaused(paused, true)
	require.Equal(f.t, active.ID, f.claimOne(start()).Endpoint.SubscriptionID, "pausing one subscription holds up no other")
}

func pauseByResult(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	before := f.update(sub, func(sub *webhook.Subscription) { sub.Name = "Read before the pause" })
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 2)
	gone := died(tasks[0], start())
	gone.PauseSubscription = true
	now := start().Add(time.Second)
	f.settle(now, gone)

	require.Equal(f.t, webhook.StatusDead, f.status(tasks[0].DeliveryID), "the result that pauses the subscription is recorded itself")
	paused, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.True(f.t, paused.Paused, "PauseSubscription pauses the subscription together with the result")
	require.Greater(f.t, paused.Revision, before.Revision, "pausing is an update, which the revision counts")
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPaused}), 5, "all unfinished deliveries of the subscription are paused, on every channel")
	f.requireNothingDue(now.Add(time.Hour), "deliveries of a paused subscription stay where they are")
	require.Empty(f.t, f.prefetch(now, always, newEvent("evt_later")), "deliveries of a subscription that a result paused are never prefetched")

	before.Name = "An update that knows nothing of the pause"
	require.ErrorIs(f.t, f.UpdateSubscription(f.ctx, before, webhook.Quota{}), webhook.ErrConflict,
		"an update based on a revision from before the pause would undo it unseen")
	f.settle(now, succeeded(tasks[1], now))
	f.setPaused(sub, false)
	require.Len(f.t, f.claim(now, 10), 6, "a subscription that a result paused can be resumed")
}

func pauseByStaleResult(f *fixture) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	stale := f.claimOne(start())
	f.claimOne(start().Add(lease))
	gone := died(stale, start())
	gone.PauseSubscription = true
	f.refuse(start().Add(lease), gone, "a stale result is refused")
	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.False(f.t, got.Paused, "a result that is refused changes nothing: it does not pause the subscription either")
	require.Equal(f.t, sub.Revision, got.Revision)
}

func pauseByResultOnAnOlderRevision(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	tasks := f.claimN(start(), 2)
	gone := died(tasks[0], start())
	gone.PauseSubscription, gone.Revision = true, sub.Revision
	f.update(sub, func(sub *webhook.Subscription) { sub.Name = "Repaired" })
	f.settle(start(), gone)
	require.Equal(f.t, webhook.StatusDead, f.status(tasks[0].DeliveryID), "the result itself counts")
	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.False(f.t, got.Paused, "a result on an older revision says nothing of the subscription as it is now")

	gone = died(tasks[1], start())
	gone.PauseSubscription, gone.Revision = true, got.Revision
	f.settle(start(), gone)
	got, err = f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.True(f.t, got.Paused, "a result on the subscription's revision pauses it")
}

func pauseByResultOfPaused(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	var settlements []webhook.Settlement
	for _, task := range f.claim(start(), 3) {
		settlement := died(task, start())
		settlement.PauseSubscription = true
		settlements = append(settlements, settlement)
	}
	f.settle(start(), settlements...)
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusDead}), 3,
		"every result counts, though the first one paused the subscription")
	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	require.True(f.t, got.Paused)
}
