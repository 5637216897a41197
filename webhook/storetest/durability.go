package storetest

import (
	"encoding/json"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// durabilityCases are for stores that survive the death of their process.
func durabilityCases(h Harness) []testCase {
	if h.Reopen == nil {
		return nil
	}
	reopen := func(f *fixture) *fixture { return f.with(h.Reopen(f.t, f.inner)) }
	return []testCase{
		{"EverythingSurvives", func(f *fixture) { everythingSurvives(f, reopen) }},
		{"IDsAreNotReused", func(f *fixture) { idsAreNotReusedAfter(f, reopen) }},
	}
}

func everythingSurvives(f *fixture, reopen func(*fixture) *fixture) {
	sub, paused, deleted := f.create(hook("webhook", "slack")), f.create(hook("email")), f.create(hook("sms"))
	f.enqueue(start(), newEvents("evt", 4)...)
	sub = f.update(sub, func(sub *webhook.Subscription) { sub.Name = "Renamed" })
	tasks := f.claim(start(), 100)
	require.Len(f.t, tasks, 16)
	var held []webhook.Task // stays in flight
	for _, task := range tasks {
		if task.Endpoint.SubscriptionID == sub.ID {
			held = append(held, task)
		}
	}
	again := retry(held[2], start(), start().Add(time.Second))
	again.Progress = json.RawMessage(`{"done":3}`)
	f.settle(start(), succeeded(held[0], start()), died(held[1], start()), again)
	f.setPaused(paused, true)
	f.remove(deleted)
	require.NoError(f.t, f.Replay(f.ctx, start(), org, held[0].DeliveryID))
	before := f.list(webhook.DeliveryQuery{})
	figures := f.statistics(sub, time.Time{})
	hooks, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(f.t, err)

	f = reopen(f)
	const rule = "what a method reported as done survives the death of the process"
	after := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, after, len(before), rule)
	for i := range before {
		f.requireDelivery(before[i], after[i])
	}
	survived, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(f.t, err)
	require.Equal(f.t, hookIDs(hooks), hookIDs(survived), rule)
	for i := range hooks {
		f.requireSameSubscription(hooks[i], survived[i])
	}
	f.requireStatistics(figures, sub, rule)
	f.emit(start(), "evt_0")
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), len(before), "an event that was stored by the process before is passed over")
	payload, err := f.EventPayload(f.ctx, org, "evt_3")
	require.NoError(f.t, err, rule)
	require.Equal(f.t, newEvent("evt_3").Payload, payload, rule)

	f.refuse(start(), died(held[0], start()), "tokens survive: a stale one is still refused")
	require.Empty(f.t, f.extend(start().Add(2*lease), held[3].Lease), "leases survive")
	f.settle(start(), succeeded(held[4], start()))
	figures.InFlight--
	figures.Succeeded++
	figures.Duration += attempt(start(), "").Duration
	f.requireStatistics(figures, sub, "a result counts, whichever process claimed the delivery")
	for _, task := range f.claim(start().Add(time.Second), 100) {
		switch task.DeliveryID {
		case held[0].DeliveryID:
			require.Zero(f.t, task.AttemptsSinceQueued, rule)
			require.Equal(f.t, 1, task.Attempts, rule)
			require.Greater(f.t, task.Token, held[0].Token, "tokens grow, in the next process too")
		case held[2].DeliveryID:
			require.Equal(f.t, 1, task.AttemptsSinceQueued, rule)
			f.requireSameJSON([]byte(`{"done":3}`), task.Progress, rule)
			f.requireTime(start(), task.QueuedAt, "QueuedAt")
		default:
			require.Fail(f.t, "a lease that has not ended keeps a delivery from being claimed, in the next process too")
		}
	}
	f.create(hook())
	f.update(sub, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"invoice.*"} })
	f.emit(start(), "evt_new")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_new"}), 2, "a store that was reopened is like any other")
}

func idsAreNotReusedAfter(f *fixture, reopen func(*fixture) *fixture) {
	f.create(hook())
	id := f.settled("evt_1", start(), webhook.StatusSucceeded)
	late := start().Add(time.Hour)
	require.Equal(f.t, 2, f.prune(late, late, late))
	f = reopen(f)
	f.emit(late, "evt_2")
	require.Greater(f.t, f.only().ID, id, "ids are never used twice, even if everything was pruned and the process has ended")
}
