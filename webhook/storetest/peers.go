package storetest

import (
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
		{"Claimers", with(func(f, peer *fixture) { concurrentClaimers(f, peer) })},
		{"TakeOvers", with(func(f, peer *fixture) { concurrentTakeOvers(f, peer) })},
		{"SameEvents", with(func(f, peer *fixture) { concurrentSameEvents(f, peer) })},
		{"CreateThenEmit", with(func(f, peer *fixture) { concurrentCreateThenEmit(f, peer) })},
		{"Quota", with(func(f, peer *fixture) { concurrentQuota(f, peer) })},
		{"Statistics", with(func(f, peer *fixture) { concurrentStatistics(f, peer) })},
		{"Updaters", with(func(f, peer *fixture) { concurrentUpdaters(f, peer) })},
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
	require.Empty(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_2"}), "an update counts at once, whichever process made it")

	updated := peer.update(sub, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"*"} })
	task := f.claimOne(start())
	require.Equal(f.t, updated.Revision, task.Revision, "a task has the subscription's revision, whichever process updated it")
	gone := died(task, start())
	gone.PauseSubscription = true
	peer.settle(start(), gone)
	require.Empty(f.t, f.prefetch(start(), always, newEvent("evt_3")), "deliveries of paused subscriptions are never prefetched, whichever process paused them")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_3", Status: webhook.StatusPaused}), 1)

	peer.setPaused(sub, false)
	require.Equal(f.t, "evt_3", f.claimOne(start()).EventID, "a subscription that was resumed gets its deliveries, whichever process resumed it")
	peer.remove(sub)
	f.emit(start(), "evt_4")
	f.requireNothingDue(start().Add(time.Hour), "a deleted subscription gets nothing, whichever process deleted it")
}

func takeOverByPeer(f, peer *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	mine := f.claimOne(start())
	peer.requireNothingDue(start(), "what one process claimed, no other claims")
	theirs := peer.claimOne(start().Add(lease))
	require.Greater(f.t, theirs.Token, mine.Token, "the token grows with every claim, whichever process claims")
	f.refuse(start(), succeeded(mine, start()), "a process that paused too long must not overwrite the one that took over")
	peer.settle(start(), succeeded(theirs, start()))
}

// manyChangesByPeer catches a store that forgets changes, before those who did
// not need them for a while have heard of them.
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

// usedAgainByPeer lets an id that one organization has deleted go to another.
func usedAgainByPeer(f, peer *fixture) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	peer.remove(sub)
	theirs := sub.Clone()
	theirs.OrganizationID = other
	peer.create(theirs)
	f.emit(start(), "evt_2")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_2"}), "a subscription that was deleted gets nothing, even if another organization uses its id now")
	e := newEvent("evt_3")
	e.OrganizationID = other
	f.enqueue(start(), e)
	require.Len(f.t, f.list(webhook.DeliveryQuery{OrganizationID: other, EventID: "evt_3"}), 1)

	peer.remove(theirs)
	peer.create(sub.Clone())
	f.emit(start(), "evt_4")
	require.Len(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_4"}), 1, "an id that is used again by its first organization is matched")
}
