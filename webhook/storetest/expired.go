package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func expiredCases() []testCase {
	return []testCase{
		{"WhatWaits", expiredThatWait},
		{"NotWhatIsClaimed", expiredThatIsClaimed},
		{"Leases", expiredLeases},
		{"Replayed", expiredAgain},
		{"Ordered", expiredInLine},
		{"Limit", expiredLimit},
		{"Wide", expiredOfWideEvents},
	}
}

const ttl = time.Minute

// emitTTL stores events with a time to live.
func (f *fixture) emitTTL(at time.Time, ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		e := about("a", id)
		e.TTL = ttl
		f.enqueue(at, e)
	}
}

// expired takes what has expired, and returns the tasks by their event.
func (f *fixture) expired(now time.Time, rule string, ids ...string) map[string]webhook.Task {
	f.t.Helper()
	list, err := f.ClaimExpired(f.ctx, now, now.Add(lease), 100)
	require.NoError(f.t, err)
	tasks, want := map[string]webhook.Task{}, map[string]bool{}
	for _, task := range list {
		tasks[task.EventID] = task
	}
	for _, id := range ids {
		want[id] = true
		require.Contains(f.t, tasks, id, rule)
	}
	require.Len(f.t, list, len(want), rule)
	return tasks
}

func expiredThatWait(f *fixture) {
	paused, disabled, degraded := f.create(hook()), f.create(hook()), f.create(hook())
	f.setPaused(paused, true)
	f.setHealth(endpointOf(disabled), webhook.Disabled, start(), time.Time{})
	f.setHealth(endpointOf(degraded), webhook.Degraded, start(), start().Add(time.Hour))
	f.emitTTL(start(), "evt_1")
	f.enqueue(start(), newEvent("evt_without"))
	f.expired(start().Add(ttl-tick), "nothing has expired")
	late := start().Add(ttl)
	list, err := f.ClaimExpired(f.ctx, late, late.Add(lease), 100)
	require.NoError(f.t, err)
	require.Len(f.t, list, 3, "what is paused, disabled and degraded")
	var dead []webhook.Settlement
	for _, task := range list {
		require.Equal(f.t, "evt_1", task.EventID)
		require.Equal(f.t, org, task.OrganizationID)
		require.Equal(f.t, late, task.ExpiresAt)
		require.Nil(f.t, task.Probe)
		dead = append(dead, died(task, late))
	}
	f.expired(late, "each is taken once")
	f.settle(late, dead...)
	for _, d := range f.list(webhook.DeliveryQuery{EventID: "evt_1"}) {
		require.Equal(f.t, webhook.StatusDead, d.Status)
		require.Equal(f.t, late, d.SettledAt)
	}
	require.EqualValues(f.t, 3, f.unfinished(late), "those without a time to live wait on")
	f.expired(late.Add(100*time.Hour), "for ever")
}

func expiredThatIsClaimed(f *fixture) {
	sub := f.create(hook())
	f.emitTTL(start(), "evt_1", "evt_2", "evt_3")
	inFlight := f.claimN(start(), 1)[0]
	late := start().Add(ttl)
	f.expired(late, "what is healthy is claimed")
	done := f.claimWith(late, webhook.ClaimRequest{Limit: 10, PerEndpoint: 10})
	f.settle(late, succeeded(done[0], late))
	f.setPaused(sub, true)
	f.settle(late, requeued(done[1]))
	late = late.Add(webhook.ExpiredWithin)
	tasks := f.expired(late, "once it is paused, and what had a lease, too",
		done[1].EventID, inFlight.EventID)
	require.Greater(f.t, tasks[inFlight.EventID].Token, inFlight.Token)
	f.remove(sub)
	f.refuse(late, died(tasks[inFlight.EventID], late), "its subscription is deleted")
	f.expired(late.Add(time.Hour), "what is cancelled has not expired")
}

func expiredLeases(f *fixture) {
	f.setPaused(f.create(hook()), true)
	f.emitTTL(start(), "evt_1")
	late := start().Add(ttl)
	first := f.expired(late, "it has expired", "evt_1")["evt_1"]
	f.expired(late.Add(lease-tick), "it is leased")
	late = late.Add(webhook.ExpiredWithin + lease)
	again := f.expired(late, "a lease that ended is taken again", "evt_1")["evt_1"]
	f.refuse(late, died(first, late), "another caller has it")
	f.settle(late, died(again, late))
	f.expired(late.Add(time.Hour), "it is dead")
}

func expiredAgain(f *fixture) {
	sub := f.create(hook())
	f.emitTTL(start(), "evt_1")
	task := f.claimOne(start())
	f.settle(start(), died(task, start()))
	f.setPaused(sub, true)
	late := start().Add(ttl)
	f.expired(late, "it is dead")
	replayed := start().Add(time.Hour)
	require.NoError(f.t, f.Replay(f.ctx, replayed, org, task.DeliveryID))
	f.expired(replayed, "a replay begins the time to live again")
	f.expired(replayed.Add(ttl-tick), "to its end")
	again := f.expired(replayed.Add(ttl), "then it has expired", "evt_1")["evt_1"]
	require.Equal(f.t, replayed.Add(ttl), again.ExpiresAt)
}

func expiredInLine(f *fixture) {
	if f.Capabilities().Ordering == nil {
		f.t.Skip("the store does not declare Ordering")
	}
	sub := f.create(ordered())
	f.emitTTL(start(), "evt_1", "evt_2", "evt_3")
	f.settle(start(), requeued(f.claimEvents(start(), "the first one", "evt_1")[0]))
	f.setPaused(sub, true)
	for i := range 3 {
		late := start().Add(time.Hour * time.Duration(i+1))
		id := fmt.Sprint("evt_", i+1)
		task := f.expired(late, "one after the other has its turn, and expires", id)[id]
		require.True(f.t, task.Ordered)
		f.settle(late, diedUntil(task, late, late))
	}
	require.Zero(f.t, f.unfinished(start().Add(time.Hour*24)))
}

func expiredLimit(f *fixture) {
	f.setPaused(f.create(hook("webhook", "slack")), true)
	const n = 130
	events := newEvents("evt", n)
	for i := range events {
		events[i].TTL = ttl
	}
	f.enqueue(start(), events...)
	late := start().Add(ttl)
	seen := map[webhook.DeliveryID]bool{}
	for _, want := range []int{25, 25, 2*n - 50, 0} {
		limit := 25
		if want != limit {
			limit = 1000
		}
		tasks, err := f.ClaimExpired(f.ctx, late, late.Add(lease), limit)
		require.NoError(f.t, err)
		require.Len(f.t, tasks, want)
		for _, task := range tasks {
			require.False(f.t, seen[task.DeliveryID], "each once")
			seen[task.DeliveryID] = true
		}
	}
	_, err := f.ClaimExpired(f.ctx, late, late, 0)
	require.Error(f.t, err, "a limit of 0 is an error")
}

// expiredOfWideEvents has so many deliveries that a store may not look at all of them at once.
func expiredOfWideEvents(f *fixture) {
	channels := slices.Repeat([]string{"webhook"}, 50)
	f.setPaused(f.create(hook(channels...)), true)
	events := newEvents("evt", 14)
	for i := range events {
		events[i].TTL = ttl
	}
	f.enqueue(start(), events...)
	late := start().Add(ttl)
	tasks, err := f.ClaimExpired(f.ctx, late, late.Add(lease), 1000)
	require.NoError(f.t, err)
	require.Len(f.t, tasks, 50*len(events))
	var dead []webhook.Settlement
	for _, task := range tasks {
		dead = append(dead, died(task, late))
	}
	f.settle(late, dead...)

	// Of one event, many are claimed by others, and those that wait are among them.
	var subs []*webhook.Subscription
	for i := range 26 {
		sub := f.create(hook(channels...))
		f.setPaused(sub, i%2 == 1)
		subs = append(subs, sub)
	}
	f.emitTTL(start(), "evt_wide")
	seen := map[webhook.DeliveryID]bool{}
	claim := func(now time.Time, wants ...int) {
		f.t.Helper()
		for _, want := range wants {
			tasks, err := f.ClaimExpired(f.ctx, now, now.Add(lease), 240)
			require.NoError(f.t, err)
			require.Len(f.t, tasks, want)
			var dead []webhook.Settlement
			for _, task := range tasks {
				require.Equal(f.t, "evt_wide", task.EventID)
				require.False(f.t, seen[task.DeliveryID], "each once")
				seen[task.DeliveryID] = true
				dead = append(dead, died(task, now))
			}
			f.settle(now, dead...)
		}
	}
	claim(late, 240, 240, 220, 0)
	for _, sub := range subs {
		f.setPaused(sub, true)
	}
	late = late.Add(webhook.ExpiredWithin)
	claim(late, 240, 240, 170, 0)
}
