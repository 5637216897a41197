package storetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// replayAfterReadding replays what stood in line at a channel that was removed and added again,
// before Prune has seen that.
func replayAfterReadding(f *fixture) {
	sub := f.create(ordered("webhook", "slack"))
	f.emitAbout(start(), "a", "evt_1", "evt_2")
	tasks := f.claim(start(), 10)
	require.Len(f.t, tasks, 2)
	f.settle(start(), died(tasks[0], start()), died(tasks[1], start()))
	f.update(sub, func(sub *webhook.Subscription) { sub.Channels = sub.Channels[:1] })
	f.update(sub, func(sub *webhook.Subscription) {
		sub.Channels = append(sub.Channels, hook("slack").Channels[0])
	})
	f.emitAbout(start(), "a", "evt_3")
	first := f.claimEvents(start(), "a channel that is added again has lines of its own", "evt_3")[0]
	for _, id := range []string{"evt_2", "evt_1"} {
		for _, d := range f.list(webhook.DeliveryQuery{EventID: id}) {
			if d.Channel == "slack" {
				require.NoError(f.t, f.Replay(f.ctx, start(), org, d.ID))
			}
		}
	}
	f.requireNothingDue(start(), "what is replayed stands in the new line")
	for _, next := range []string{"evt_1", "evt_2"} {
		f.settle(start(), succeeded(first, start()))
		first = f.claimEvents(start(), "in its order", next)[0]
		require.Equal(f.t, "slack", first.Endpoint.Channel)
	}
}

// skipAfterRecreating skips what held a line of a subscription that was deleted and created again,
// when the one that waited for it was replayed to the new one.
func skipAfterRecreating(f *fixture) {
	sub := f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2")
	f.settle(start(), diedUntil(f.claimOne(start()), start(), start().Add(time.Hour)))
	f.remove(sub)
	f.create(sub)
	require.NoError(f.t, f.Replay(f.ctx, start(), org, f.of("evt_2").ID))
	task := f.claimEvents(start(), "it stands in the new line", "evt_2")[0]
	require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, start(), org, f.of("evt_1").ID))
	require.Equal(f.t, webhook.StatusInFlight, f.of("evt_2").Status, "the old line is not its line")
	f.settle(start(), succeeded(task, start()))
	f.requireNothingDue(start().Add(2*time.Hour), "and it was delivered")
}

// pruneAfterRecreating replays what held a line of a subscription that was deleted and created
// again, and has Prune settle the old lines only when it holds a new one.
func pruneAfterRecreating(f *fixture) {
	sub := f.create(ordered())
	f.emitAbout(start(), "a", "evt_1")
	f.settle(start(), died(f.claimOne(start()), start()))
	f.remove(sub)
	f.create(sub)
	dead := f.of("evt_1").ID
	require.NoError(f.t, f.Replay(f.ctx, start(), org, dead))
	f.emitAbout(start(), "a", "evt_2")
	f.settle(start(), died(f.claimEvents(start(), "the replay has its turn", "evt_1")[0], start()))

	f.prune(start(), time.Time{}, time.Time{})
	require.True(f.t, f.of("evt_1").Holds, "Prune leaves the new line as it is")
	require.Equal(f.t, dead, f.of("evt_2").WaitsFor)
	require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, start(), org, dead))
	f.claimEvents(start(), "and the line goes on when it is skipped", "evt_2")
}

// secondDeath has a delivery die twice, the second time for ever.
func secondDeath(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1")
	until := start().Add(time.Hour)
	f.settle(start(), diedUntil(f.claimOne(start()), start(), until))
	require.NoError(f.t, f.Replay(f.ctx, start(), org, f.of("evt_1").ID))
	require.Zero(f.t, f.of("evt_1").SkipAt)
	f.settle(start(), died(f.claimOne(start()), start()))
	dead := f.of("evt_1")
	require.True(f.t, dead.Holds)
	require.Zero(f.t, dead.SkipAt, "the time of the first death counts no more")
	f.emitAbout(start(), "a", "evt_2")
	f.requireNothingDue(until.Add(time.Hour), "nor for later events")
}

// parkedLine has more deliveries of one subject wait while their subscription is paused than a claim
// looks at, and than are given back to the queue at once.
func parkedLine(f *fixture) {
	sub := f.create(ordered())
	f.setPaused(sub, true)
	const n = 130
	for i := range n / 10 {
		events := make([]webhook.NewEvent, 10)
		for j := range events {
			events[j] = about("a", fmt.Sprint("evt_", 10*i+j))
		}
		f.enqueue(start(), events...)
	}
	f.requireNothingDue(start(), "a paused subscription delivers nothing")
	f.setPaused(sub, false)
	for i := range n {
		at := start().Add(time.Duration(i) * time.Second)
		task := f.claimEvents(at, "they go on in order", fmt.Sprint("evt_", i))[0]
		if i == n-2 {
			f.settle(at, diedUntil(task, at, at.Add(time.Second)))
		} else {
			f.settle(at, succeeded(task, at))
		}
	}
	require.Zero(f.t, f.unfinished(start().Add(time.Hour)))

	// One that waits for a time is in the queue, and may be parked there.
	f.emitAbout(start(), "b", "evt_x", "evt_y")
	until := start().Add(time.Hour)
	f.settle(start(), diedUntil(f.claimOne(start()), start(), until))
	f.setPaused(sub, true)
	f.requireNothingDue(until.Add(-tick), "paused")
	require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, start(), org, f.of("evt_x").ID))
	f.setPaused(sub, false)
	f.claimEvents(start(), "the next one has its turn", "evt_y")
}

// settledByPeer has a store settle what another one has claimed.
func settledByPeer(f, peer *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3", "evt_4")
	until := start().Add(time.Hour)
	task := f.claimEvents(start(), "the first one", "evt_1")[0]
	peer.settle(start(), succeeded(task, start()))
	task = f.claimEvents(start(), "the next one has its turn, whoever settles", "evt_2")[0]
	peer.settle(start(), diedUntil(task, start(), until))
	f.requireNothingDue(until.Add(-tick), "a dead one holds its line")
	task = peer.claimEvents(until, "until its time", "evt_3")[0]
	f.settle(until, died(task, until))
	f.requireNothingDue(until, "or for ever")
	require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, until, org, task.DeliveryID))
	peer.claimEvents(until, "it is skipped", "evt_4")
}

// cancelTheNext cancels, one after the other, what waits for the time of a dead one.
func cancelTheNext(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3", "evt_4", "evt_5")
	until := start().Add(time.Hour)
	f.settle(start(), diedUntil(f.claimOne(start()), start(), until))
	for _, id := range []string{"evt_2", "evt_3"} {
		require.NoError(f.t, f.Cancel(f.ctx, start(), org, f.of(id).ID))
	}
	require.Equal(f.t, f.of("evt_1").ID, f.of("evt_4").WaitsFor, "the dead one holds its line")
	f.requireNothingDue(until.Add(-tick), "until its time")
	task := f.claimEvents(until, "then what was not cancelled has its turn", "evt_4")[0]
	f.settle(until, succeeded(task, until))
	f.claimEvents(until, "and the line goes on", "evt_5")
}
