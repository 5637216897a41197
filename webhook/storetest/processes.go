package storetest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// peerCases are for stores that several processes use at once.
func peerCases(h Harness) []testCase {
	if h.Peer == nil {
		return nil
	}
	type pair = func(f, peer *fixture)
	with := func(run pair) func(*fixture) {
		return func(f *fixture) { run(f, f.with(h.Peer(f.t, f.inner))) }
	}
	return []testCase{
		{"ChangesCountAtOnce", with(changesCountAtOnce)},
		{"ManyChanges", with(manyChangesByPeer)},
		{"UsedAgain", with(usedAgainByPeer)},
		{"ChangeThenEmit", with(func(f, peer *fixture) { concurrentChangeThenEmit(f, peer) })},
		{"OneClock", with(oneClock)},
		{"TakeOver", with(takeOverByPeer)},
		{"TakeOverPrefetched", with(takeOverPrefetchedByPeer)},
		{"Claimers", with(func(f, peer *fixture) { concurrentClaimers(f, peer) })},
		{"TakeOvers", with(func(f, peer *fixture) { concurrentTakeOvers(f, peer) })},
		{"SameEvents", with(func(f, peer *fixture) { concurrentSameEvents(f, peer) })},
		{"CreateThenEmit", with(func(f, peer *fixture) { concurrentCreateThenEmit(f, peer) })},
		{"Quota", with(func(f, peer *fixture) { concurrentQuota(f, peer) })},
		{"Statistics", with(func(f, peer *fixture) { concurrentStatistics(f, peer) })},
		{"Updaters", with(func(f, peer *fixture) { concurrentUpdaters(f, peer) })},
		{"EndpointStates", with(statesByPeer)},
		{"FanOuts", with(func(f, peer *fixture) { concurrentFanOuts(f, peer) })},
		{"Probers", with(func(f, peer *fixture) { concurrentProbers(f, peer) })},
	}
}

// changesCountAtOnce catches a process that remembers subscriptions as they were.
func changesCountAtOnce(f, peer *fixture) {
	f.emit(start(), "evt_0")
	sub := peer.create(hook())
	f.emit(start(), "evt_1")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_1"}), 1,
		"a subscription that was created before Enqueue began is matched, whichever process created it")

	peer.update(sub, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"invoice.*"} })
	f.emit(start(), "evt_2")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_2"}),
		"an update counts at once, whichever process made it")

	updated := peer.update(sub,
		func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"*"} })
	task := f.claimOne(start())
	require.Equal(f.t, updated.Revision, task.Revision,
		"a task has the subscription's revision, whichever process updated it")
	peer.settle(start(), died(task, start()))
	peer.setPaused(sub, true)
	require.Empty(f.t, f.prefetch(start(), always, newEvent("evt_3")),
		"deliveries of paused subscriptions are never prefetched, whichever process paused them")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_3", Status: webhook.StatusPaused}), 1)

	peer.setPaused(sub, false)
	require.Equal(f.t, "evt_3", f.claimOne(start()).EventID,
		"a subscription that was resumed gets its deliveries, whichever process resumed it")
	peer.remove(sub)
	f.emit(start(), "evt_4")
	f.requireNothingDue(start().Add(time.Hour),
		"a deleted subscription gets nothing, whichever process deleted it")
}

func statesByPeer(f, peer *fixture) {
	e := endpointOf(f.create(hook()))
	f.emit(start(), "evt_0")
	peer.setHealth(e, webhook.Degraded, start(), start())
	require.Empty(f.t, f.prefetch(start(), always, newEvent("evt_1")),
		"nothing is prefetched for a degraded endpoint, whichever process found out")
	require.NotNil(f.t, f.claimOne(start()).Probe)
	peer.requireNothingDue(start(), "there is one probe at a time, over all processes")
	require.Equal(f.t, f.state(e), peer.state(e))
	peer.setHealth(e, webhook.Healthy, start(), time.Time{})
	require.Len(f.t, f.prefetch(start(), always, newEvent("evt_2")), 1)
	require.Len(f.t, f.claim(start(), 10), 1)
}

func takeOverByPeer(f, peer *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	mine := f.claimOne(start())
	peer.requireNothingDue(start(), "what one process claimed, no other claims")
	theirs := peer.claimOne(start().Add(lease))
	require.Greater(f.t, theirs.Token, mine.Token,
		"the token grows with every claim, whichever process claims")
	f.refuse(start(), succeeded(mine, start()),
		"a process that paused too long must not overwrite the one that took over")
	peer.settle(start(), succeeded(theirs, start()))
}

// manyChangesByPeer catches a store that forgets changes before processes that did not need them
// have read them.
func manyChangesByPeer(f, peer *fixture) {
	const changes, removed = 300, 5
	var gone []*webhook.Subscription
	for range removed {
		gone = append(gone, f.create(hook()))
	}
	kept := f.create(hook())
	f.emit(start(), "evt_0")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_0"}), removed+1)

	for _, sub := range gone[1:] {
		peer.remove(sub)
	}
	added := peer.create(hook())
	for i := range changes {
		added.Name = fmt.Sprint("change ", i)
		require.NoError(f.t, peer.UpdateSubscription(peer.ctx, added, webhook.Quota{}))
	}
	peer.remove(gone[0]) // the store may have forgotten those that went first
	tasks := f.prefetch(start(), always, newEvent("evt_1"))
	got := make(map[string]int64)
	for _, d := range f.list(webhook.DeliveryQuery{EventID: "evt_1"}) {
		got[d.SubscriptionID] = 0
	}
	for _, task := range append(tasks, f.claim(start(), 100)...) {
		if task.EventID == "evt_1" {
			got[task.Endpoint.SubscriptionID] = task.Revision
		}
	}
	require.Equal(f.t, map[string]int64{kept.ID: kept.Revision, added.ID: added.Revision}, got,
		"however many changes another process made since the last call, all of them count")
}

// usedAgainByPeer uses the id of a deleted subscription in another organization.
func usedAgainByPeer(f, peer *fixture) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	peer.remove(sub)
	theirs := sub.Clone()
	theirs.OrganizationID = other
	peer.create(theirs)
	f.emit(start(), "evt_2")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_2"}),
		"a subscription that was deleted gets nothing, even if another organization uses its id now")
	e := newEvent("evt_3")
	e.OrganizationID = other
	f.enqueue(start(), e)
	require.Len(f.t, f.list(webhook.DeliveryQuery{OrganizationID: other, EventID: "evt_3"}), 1)

	peer.remove(theirs)
	peer.create(sub.Clone())
	f.emit(start(), "evt_4")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_4"}), 1,
		"an id that is used again by its first organization is matched")
}

// durabilityCases are for stores that keep their data when their process ends.
func durabilityCases(h Harness) []testCase {
	if h.Reopen == nil {
		return nil
	}
	reopen := func(f *fixture) *fixture { return f.with(h.Reopen(f.t, f.inner)) }
	return []testCase{
		{"EverythingSurvives", func(f *fixture) { everythingSurvives(f, reopen) }},
		{"EndpointStates", func(f *fixture) { statesSurvive(f, reopen) }},
		{"FanOut", func(f *fixture) { fanOutSurvives(f, reopen) }},
		{"IDsAreNotReused", func(f *fixture) { idsAreNotReusedAfter(f, reopen) }},
	}
}

func statesSurvive(f *fixture, reopen func(*fixture) *fixture) {
	sub := f.create(hook("webhook", "slack", "sms"))
	f.emit(start(), "evt_1")
	var want []webhook.EndpointState
	for i, h := range []webhook.Health{webhook.Degraded, webhook.Disabled, webhook.Healthy} {
		s := fullState(webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[i]}, h)
		require.NoError(f.t, webhook.SetEndpointState(f.ctx, f, &s, 0))
		want = append(want, s)
	}
	f = reopen(f)
	for _, s := range want {
		require.Equal(f.t, s, f.state(s.Endpoint), "states survive a restart")
	}
	require.Len(f.t, f.prefetch(start(), always, newEvent("evt_2")), 1)
	require.Len(f.t, f.claim(start(), 10), 1)
	require.Len(f.t, f.claim(start().Add(time.Hour), 10), 3, "one of them is a probe")
}

func everythingSurvives(f *fixture, reopen func(*fixture) *fixture) {
	sub, paused, deleted := f.create(hook("webhook", "slack")), f.create(hook("email")),
		f.create(hook("sms"))
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
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), len(before),
		"an event that was stored by the process before is passed over")
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
			require.Fail(f.t,
				"a lease that has not ended keeps a delivery from being claimed, in the next process too")
		}
	}
	f.create(hook())
	f.update(sub, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"invoice.*"} })
	f.emit(start(), "evt_new")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_new"}), 2,
		"a store that was reopened is like any other")
}

func idsAreNotReusedAfter(f *fixture, reopen func(*fixture) *fixture) {
	f.create(hook())
	id := f.settled("evt_1", start(), webhook.StatusSucceeded)
	late := start().Add(time.Hour)
	require.Equal(f.t, 2, f.prune(late, late, late))
	f = reopen(f)
	f.emit(late, "evt_2")
	require.Greater(f.t, f.only().ID, id,
		"ids are never used twice, even if everything was pruned and the process has ended")
}
