package storetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func prefetchCases() []testCase {
	return []testCase{
		{"AcceptedIsInFlight", acceptedIsInFlight},
		{"RefusedIsPending", refusedIsPending},
		{"Paused", pausedIsNotPrefetched},
		{"LeaseExpires", prefetchedLeaseExpires},
		{"AsksForEachDelivery", asksForEachDelivery},
	}
}

// prefetch enqueues with a Prefetch. A store may ignore it: then it returns no
// tasks, and the deliveries are pending.
func (f *fixture) prefetch(now time.Time, take func(string, webhook.Endpoint) bool, events ...webhook.NewEvent) []webhook.Task {
	f.t.Helper()
	tasks, err := tasksOf(f.Enqueue(f.ctx, now, events, &webhook.Prefetch{Until: now.Add(lease), Take: take}))
	require.NoError(f.t, err, "enqueuing with a prefetch")
	return tasks
}

func always(string, webhook.Endpoint) bool { return true }
func never(string, webhook.Endpoint) bool  { return false }

func acceptedIsInFlight(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	tasks := f.prefetch(start(), always, newEvent("evt_1"))
	prefetched := make(map[webhook.DeliveryID]bool)
	for _, task := range tasks {
		prefetched[task.DeliveryID] = true
		f.requireFresh(task, sub, newEvent("evt_1"), start())
	}
	require.Len(f.t, prefetched, len(tasks), "a delivery is handed out once")
	all := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, all, 2)
	for _, d := range all {
		want := webhook.StatusPending
		if prefetched[d.ID] {
			want = webhook.StatusInFlight
		}
		require.Equal(f.t, want, d.Status, "what Enqueue returned as a task is in flight, everything else is pending")
	}
	for _, task := range f.claim(start(), 10) {
		require.False(f.t, prefetched[task.DeliveryID], "what Enqueue returned as a task is leased, and not claimed as well")
		tasks = append(tasks, task)
	}
	require.Len(f.t, tasks, 2, "every delivery is either prefetched or left to be claimed")
	for _, task := range tasks {
		f.settle(start(), succeeded(task, start()))
	}
}

// requireFresh checks a task for a delivery that was never attempted.
func (f *fixture) requireFresh(task webhook.Task, sub *webhook.Subscription, e webhook.NewEvent, queuedAt time.Time) {
	f.t.Helper()
	require.Positive(f.t, task.DeliveryID, "a task has its delivery's id")
	require.Positive(f.t, task.Token, "a token grows with every claim, from 1 or more")
	f.requireTime(queuedAt.Add(lease), task.Until, "Until")
	f.requireTime(queuedAt, task.QueuedAt, "QueuedAt")
	f.requireTime(queuedAt, task.DueAt, "DueAt")
	require.Equal(f.t, sub.ID, task.Endpoint.SubscriptionID)
	require.Contains(f.t, sub.ChannelKeys(), task.Endpoint.Channel, "a task names the channel's key")
	require.Equal(f.t, sub.OrganizationID, task.OrganizationID)
	require.Equal(f.t, sub.Revision, task.Revision, "a task has the subscription's revision")
	require.Equal(f.t, e.ID, task.EventID)
	require.Equal(f.t, e.Type, task.EventType)
	require.Equal(f.t, e.Payload, task.Payload, "a task has the payload")
	require.Zero(f.t, task.Attempts, "no attempt was made")
	require.Zero(f.t, task.AttemptsSinceQueued, "no attempt was made")
	require.Nil(f.t, task.Progress, "nothing left progress")
}

func refusedIsPending(f *fixture) {
	f.create(hook("webhook", "slack"))
	require.Empty(f.t, f.prefetch(start(), never, newEvent("evt_1")), "what is not accepted is not handed out")
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.Equal(f.t, webhook.StatusPending, d.Status, "what is not accepted is pending")
	}
	onlySlack := func(_ string, e webhook.Endpoint) bool { return e.Channel == "slack" }
	for _, task := range f.prefetch(start(), onlySlack, newEvent("evt_2")) {
		require.Equal(f.t, "slack", task.Endpoint.Channel, "Take is asked about the delivery's own endpoint")
		f.settle(start(), succeeded(task, start()))
	}
	for _, task := range f.claim(start(), 10) {
		f.settle(start(), succeeded(task, start()))
	}
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusSucceeded}), 4, "what is not accepted is due at once")
}

func pausedIsNotPrefetched(f *fixture) {
	sub := f.create(hook())
	for _, task := range f.prefetch(start(), always, newEvent("evt_1")) { // the store may remember who matched
		f.settle(start(), succeeded(task, start()))
	}
	f.setPaused(sub, true)
	refuse := func(string, webhook.Endpoint) bool {
		f.t.Error("deliveries of paused subscriptions are never prefetched: Take must not be asked")
		return true
	}
	require.Empty(f.t, f.prefetch(start(), refuse, newEvent("evt_2")), "deliveries of paused subscriptions are never prefetched")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_2", Status: webhook.StatusPaused}), 1,
		"an event for a paused subscription is kept, and its delivery is paused")
}

func prefetchedLeaseExpires(f *fixture) {
	f.create(hook())
	tasks := f.prefetch(start(), always, newEvent("evt_1"))
	if len(tasks) == 0 {
		tasks = f.claimN(start(), 1)
	}
	again := f.claimOne(start().Add(lease))
	require.Equal(f.t, tasks[0].DeliveryID, again.DeliveryID)
	require.Greater(f.t, again.Token, tasks[0].Token, "a prefetched lease ends like any other, and the token grows")
	f.refuse(start().Add(lease), succeeded(tasks[0], start()), "a result from before the take-over is stale")
	f.settle(start().Add(lease), succeeded(again, start()))
}

func asksForEachDelivery(f *fixture) {
	f.create(hook("webhook", "slack"))
	asked := make(map[webhook.Endpoint]int)
	take := func(organizationID string, e webhook.Endpoint) bool {
		require.Equal(f.t, org, organizationID, "Take is told whose delivery it is")
		asked[e]++
		return asked[e] <= 3
	}
	tasks := f.prefetch(start(), take, newEvents("evt", 5)...)
	taken := make(map[webhook.Endpoint]int)
	for _, task := range tasks {
		taken[task.Endpoint]++
	}
	for endpoint, n := range asked {
		require.LessOrEqual(f.t, n, 5, "Take is asked once for each delivery")
		require.Equal(f.t, min(n, 3), taken[endpoint], "every delivery that Take took is handed out, and none besides")
	}
	require.Len(f.t, f.claim(start(), 100), 10-len(tasks), "what Take did not take is due at once")
}
