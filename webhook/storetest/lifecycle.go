package storetest

import (
	"errors"
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
	}
}

func pauseHoldsPending(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	f.setPaused(sub, true)
	f.enqueue(start(), newEvents("later", 2)...)
	f.requireNothingDue(start().Add(time.Hour),
		"deliveries of a paused subscription stay where they are")
	held := f.list(webhook.DeliveryQuery{Status: webhook.StatusPaused})
	require.Len(f.t, held, 5,
		"pausing a subscription makes all of its unfinished deliveries paused, at once, and those that "+
			"come later")
	for _, d := range held {
		f.requireTime(start(), d.DueAt, "the DueAt of a paused delivery")
		require.True(f.t, d.SettledAt.IsZero(), "a paused delivery is not settled")
	}
	require.Empty(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPending}),
		"a paused delivery is not listed as pending")
}

func pauseDuringAttempt(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 4)...)
	tasks := f.claimN(start(), 4)
	f.setPaused(sub, true)
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPaused}), 4,
		"pausing a subscription changes what all of its unfinished deliveries report, in flight or not")

	require.Empty(f.t, f.extend(start().Add(2*lease), tasks[0].Lease, tasks[1].Lease, tasks[2].Lease),
		"a pause takes no lease away")
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()),
		retry(tasks[2], start(), start()))
	require.Equal(f.t, webhook.StatusSucceeded, f.status(tasks[0].DeliveryID),
		"an attempt that runs when its subscription is paused still counts")
	require.Equal(f.t, webhook.StatusDead, f.status(tasks[1].DeliveryID),
		"an attempt that runs when its subscription is paused still counts")
	require.Equal(f.t, webhook.StatusPaused, f.status(tasks[2].DeliveryID),
		"a delivery to be retried is paused while its subscription is paused")
	f.requireNothingDue(start().Add(lease),
		"a delivery whose lease ended is paused while its subscription is paused")
	f.settle(start().Add(lease), succeeded(tasks[3], start()))
}

func resumeReleases(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 4)...)
	tasks := f.claimN(start(), 2)
	f.settle(start(), retry(tasks[0], start(), start().Add(time.Hour)))
	f.setPaused(sub, true)
	f.setPaused(sub, false)
	require.Equal(f.t, webhook.StatusInFlight, f.status(tasks[1].DeliveryID),
		"what was in flight before a pause is so after it")
	require.Len(f.t, f.claim(start(), 10), 2, "resuming a subscription releases its paused deliveries")
	f.settle(start(), succeeded(tasks[1], start()))
	require.Equal(f.t, tasks[0].DeliveryID, f.claimN(start().Add(time.Hour), 3)[2].DeliveryID,
		"a pause does not change when a retry is due")
}

func pauseLeavesOthers(f *fixture) {
	paused, active := f.create(hook("webhook", "slack")), f.create(hook())
	f.emit(start(), "evt_1")
	f.setPaused(paused, true)
	require.Equal(f.t, active.ID, f.claimOne(start()).Endpoint.SubscriptionID,
		"pausing one subscription holds up no other")
}

func removalCases() []testCase {
	return []testCase{
		{"DeleteCancels", deleteCancels},
		{"DeletePaused", deletePaused},
		{"DeletedIDUsedAgain", deletedIDUsedAgain},
		{"DeletedIDUsedByAnother", deletedIDUsedByAnother},
		{"RemovedChannelCancels", removedChannelCancels},
		{"RemovedChannelReturns", removedChannelReturns},
		{"RemovedDuplicateChannel", removedDuplicateChannel},
	}
}

func deleteCancels(f *fixture) {
	sub, stays := f.create(hook("webhook", "slack")), f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 9)
	var mine []webhook.Task
	for _, task := range tasks {
		if task.Endpoint.SubscriptionID == sub.ID {
			mine = append(mine, task)
		}
	}
	require.Len(f.t, mine, 6)
	f.settle(start(), succeeded(mine[0], start()), died(mine[1], start()),
		retry(mine[2], start(), start()), retry(mine[3], start(), start().Add(time.Hour)))
	f.remove(sub)

	require.Equal(f.t, webhook.StatusSucceeded, f.status(mine[0].DeliveryID),
		"deliveries keep their history when the subscription is deleted")
	require.Equal(f.t, webhook.StatusDead, f.status(mine[1].DeliveryID),
		"deliveries keep their history when the subscription is deleted")
	for _, task := range mine[2:] {
		d := f.get(task.DeliveryID)
		require.Equal(f.t, webhook.StatusCancelled, d.Status,
			"deleting a subscription cancels its unfinished deliveries at once")
		require.True(f.t, d.DueAt.IsZero(), "a cancelled delivery has no DueAt")
	}
	require.Len(f.t, f.get(mine[2].DeliveryID).Attempts, 1,
		"deliveries keep their history when the subscription is deleted")
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusCancelled,
		SubscriptionID: sub.ID}), 4, "a query for cancelled deliveries finds them")
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusInFlight}), 3,
		"deleting one subscription leaves the others alone")
	f.refuse(start(), succeeded(mine[4], start()),
		"the result of an attempt that ran when the subscription was deleted is refused")
	require.ErrorIs(f.t, f.Cancel(f.ctx, start(), org, mine[2].DeliveryID), webhook.ErrWrongStatus,
		"a cancelled delivery cannot be cancelled again")
	require.ErrorIs(f.t, f.Replay(f.ctx, start(), org, mine[0].DeliveryID), webhook.ErrNotFound,
		"a delivery whose subscription is gone cannot be replayed")
	require.ErrorIs(f.t, f.Replay(f.ctx, start(), org, mine[2].DeliveryID), webhook.ErrNotFound,
		"a delivery whose subscription is gone cannot be replayed")
	for _, task := range f.claim(start().Add(2*time.Hour), 100) {
		require.Equal(f.t, stays.ID, task.Endpoint.SubscriptionID,
			"deliveries of a deleted subscription are not claimed again")
	}
}

func deletePaused(f *fixture) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	f.setPaused(sub, true)
	f.remove(sub)
	require.Equal(f.t, webhook.StatusCancelled, f.only().Status,
		"a paused delivery is cancelled when its subscription is deleted")
	f.requireNothingDue(start().Add(time.Hour),
		"deliveries of a deleted subscription are not claimed again")
}

const revived = "deliveries of a deleted subscription are cancelled from then on, though its id " +
	"is used again"

func deletedIDUsedAgain(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	task := f.claimN(start(), 1)[0]
	f.remove(sub)
	if !f.recreate(sub, org) {
		return
	}
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.Equal(f.t, webhook.StatusCancelled, d.Status, revived)
	}
	f.requireNothingDue(start().Add(time.Hour), revived)
	f.refuse(start(), succeeded(task, start()), revived)

	// The subscription is there again, so its deliveries may be replayed.
	now := start().Add(time.Second)
	if err := f.Replay(f.ctx, now, org, task.DeliveryID); err != nil {
		require.ErrorIs(f.t, err, webhook.ErrNotFound)
		return
	}
	again := f.claimOne(now)
	require.Equal(f.t, task.DeliveryID, again.DeliveryID, "only what is replayed is claimed")
	require.Greater(f.t, again.Token, task.Token, "the token grows with every claim")
	f.settle(now, succeeded(again, now))
	late := now.Add(time.Hour)
	f.prune(late, time.Time{}, time.Time{})
	require.Equal(f.t, 2, f.prune(late, late, time.Time{}),
		"the replayed delivery aged, the others begin to")
}

func deletedIDUsedByAnother(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	task := f.claimN(start(), 1)[0]
	f.remove(sub)
	if !f.recreate(sub, other) {
		return
	}
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.Equal(f.t, webhook.StatusCancelled, d.Status, revived)
		require.ErrorIs(f.t, f.Replay(f.ctx, start(), org, d.ID), webhook.ErrNotFound,
			"a delivery must not be replayed to the subscription of another organization")
	}
	f.requireNothingDue(start().Add(time.Hour), revived)
	f.refuse(start(), succeeded(task, start()), revived)
}

// recreate makes a subscription with the id of a deleted one. A store may refuse
// that for ever.
func (f *fixture) recreate(deleted *webhook.Subscription, organization string) bool {
	f.t.Helper()
	again := deleted.Clone()
	again.OrganizationID = organization
	err := f.CreateSubscription(f.ctx, again, webhook.Quota{})
	if errors.Is(err, webhook.ErrExists) {
		return false
	}
	require.NoError(f.t, err)
	return true
}

func removedChannelCancels(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	f.enqueue(start(), newEvents("evt", 2)...)
	var slack []webhook.Task
	for _, task := range f.claim(start(), 4) {
		if task.Endpoint.Channel == "slack" {
			slack = append(slack, task)
		}
	}
	require.Len(f.t, slack, 2)
	f.settle(start(), retry(slack[0], start(), start()))
	f.update(sub, func(sub *webhook.Subscription) {
		sub.Channels, sub.UpdatedAt = sub.Channels[:1], start().Add(time.Minute)
	})

	for _, task := range slack {
		d := f.get(task.DeliveryID)
		require.Equal(f.t, webhook.StatusCancelled, d.Status,
			"an update that removes a channel cancels its unfinished deliveries, pending or in flight")
		require.True(f.t, d.DueAt.IsZero(), "a cancelled delivery has no DueAt")
		require.ErrorIs(f.t, f.Replay(f.ctx, start(), org, d.ID), webhook.ErrNotFound,
			"a delivery whose channel is gone cannot be replayed")
	}
	f.refuse(start(), succeeded(slack[1], start()),
		"the result of an attempt that ran when the channel was removed is refused")
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusInFlight}), 2,
		"the other channels go on")
	for _, task := range f.claim(start().Add(time.Hour), 10) {
		require.Equal(f.t, "webhook", task.Endpoint.Channel,
			"deliveries to a removed channel are not claimed")
	}
}

func removedChannelReturns(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	f.emit(start(), "evt_1")
	f.update(sub, func(sub *webhook.Subscription) { sub.Channels = sub.Channels[:1] })
	f.update(sub, func(sub *webhook.Subscription) { sub.Channels = hook("webhook", "slack").Channels })
	cancelled := f.list(webhook.DeliveryQuery{Status: webhook.StatusCancelled})
	require.Len(f.t, cancelled, 1,
		"deliveries that a removal of their channel cancelled stay so when the channel comes back")
	require.Equal(f.t, "webhook", f.claimOne(start()).Endpoint.Channel,
		"deliveries that were cancelled are not claimed")

	now := start().Add(time.Second)
	require.NoError(f.t, f.Replay(f.ctx, now, org, cancelled[0].ID),
		"once the channel is back, they can be replayed")
	require.Equal(f.t, "slack", f.claimN(now, 1)[0].Endpoint.Channel, "a replayed delivery is due")
}

func removedDuplicateChannel(f *fixture) {
	sub := f.create(hook("webhook", "webhook", "slack"))
	f.emit(start(), "evt_1")
	f.update(sub, func(sub *webhook.Subscription) {
		sub.Channels = append(sub.Channels[:1:1], sub.Channels[2])
	})
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		want := webhook.StatusPending
		if d.Channel == "webhook#2" {
			want = webhook.StatusCancelled
		}
		require.Equal(f.t, want, d.Status,
			"of two channels of a name, the removed key is the second one's (%s)", d.Channel)
	}
}
