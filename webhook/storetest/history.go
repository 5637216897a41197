package storetest

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func historyCases() []testCase {
	return []testCase{
		{"NewestFirst", newestFirst},
		{"OldestFirst", oldestFirst},
		{"Filters", deliveryFilters},
		{"FilterStatus", deliveryFilterStatus},
		{"WithoutAttempts", withoutAttempts},
		{"Paging", deliveryPaging},
		{"PagingWhileInserting", pagingWhileInserting},
		{"DefaultLimit", defaultLimit},
		{"NotFound", historyNotFound},
	}
}

func newestFirst(f *fixture) {
	f.create(hook("webhook", "slack"))
	for i := range 5 {
		f.emit(start().Add(time.Duration(i)*time.Second), fmt.Sprint("evt_", i))
	}
	all := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, all, 10)
	for i, d := range all {
		require.Equal(f.t, fmt.Sprint("evt_", 4-i/2), d.EventID, "deliveries are listed the newest first")
		if i > 0 {
			require.Less(f.t, d.ID, all[i-1].ID, "ids grow: the newest delivery has the largest")
		}
		f.requireDelivery(d, f.get(d.ID))
	}
}

func deliveryFilters(f *fixture) {
	first, second := f.create(hook()), f.create(hook())
	f.update(second, func(sub *webhook.Subscription) { sub.EventTypes = []event.Pattern{"invoice.*"} })
	for i := range 10 {
		e := newEvent(fmt.Sprint("evt_", i))
		if i%2 == 1 {
			e.Type = "invoice.paid"
		}
		f.enqueue(start().Add(time.Duration(i)*time.Second), e)
	}
	at := func(i int) time.Time { return start().Add(time.Duration(i) * time.Second) }
	all := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, all, 15)

	for name, c := range map[string]struct {
		query webhook.DeliveryQuery
		fits  func(webhook.Delivery) bool
	}{
		"EventID": {webhook.DeliveryQuery{EventID: "evt_3"},
			func(d webhook.Delivery) bool { return d.EventID == "evt_3" }},
		"unknown EventID": {webhook.DeliveryQuery{EventID: "evt_"},
			func(webhook.Delivery) bool { return false }},
		"EventType": {webhook.DeliveryQuery{EventType: "invoice.paid"},
			func(d webhook.Delivery) bool { return d.EventType == "invoice.paid" }},
		"EventType is no pattern": {webhook.DeliveryQuery{EventType: "invoice.*"},
			func(webhook.Delivery) bool { return false }},
		"SubscriptionID": {webhook.DeliveryQuery{SubscriptionID: first.ID},
			func(d webhook.Delivery) bool { return d.SubscriptionID == first.ID }},
		"unknown SubscriptionID": {webhook.DeliveryQuery{SubscriptionID: "wh_"},
			func(webhook.Delivery) bool { return false }},
		"Since": {webhook.DeliveryQuery{Since: at(4)},
			func(d webhook.Delivery) bool { return !d.CreatedAt.Before(at(4)) }},
		"Since, later by a tick": {webhook.DeliveryQuery{Since: at(4).Add(tick)},
			func(d webhook.Delivery) bool { return !d.CreatedAt.Before(at(5)) }},
		"Until": {webhook.DeliveryQuery{Until: at(4)},
			func(d webhook.Delivery) bool { return d.CreatedAt.Before(at(4)) }},
		"Until, later by a tick": {webhook.DeliveryQuery{Until: at(4).Add(tick)},
			func(d webhook.Delivery) bool { return d.CreatedAt.Before(at(5)) }},
		"Since and Until": {webhook.DeliveryQuery{Since: at(2), Until: at(3)},
			func(d webhook.Delivery) bool { return d.CreatedAt.Equal(at(2)) }},
		"Before": {webhook.DeliveryQuery{Before: all[5].ID},
			func(d webhook.Delivery) bool { return d.ID < all[5].ID }},
		"Status": {webhook.DeliveryQuery{Status: webhook.StatusPending},
			func(webhook.Delivery) bool { return true }},
		"all at once": {
			webhook.DeliveryQuery{EventID: "evt_5", EventType: "invoice.paid", SubscriptionID: second.ID,
				Status: webhook.StatusPending, Since: at(5), Until: at(6), Before: all[0].ID, Limit: 3},
			func(d webhook.Delivery) bool { return d.EventID == "evt_5" && d.SubscriptionID == second.ID },
		},
		"one does not fit": {webhook.DeliveryQuery{EventID: "evt_5", EventType: created},
			func(webhook.Delivery) bool { return false }},
	} {
		var want []webhook.DeliveryID
		for _, d := range all {
			if c.fits(d) {
				want = append(want, d.ID)
			}
		}
		require.Equal(f.t, want, deliveryIDs(f.list(c.query)),
			"the query selects what fits all of its fields, the newest first (%s)", name)
	}
}

func withoutAttempts(f *fixture) {
	f.create(hook())
	for n := range 3 {
		f.emit(start(), fmt.Sprint("evt_", n))
		task := f.claimOne(start())
		for range n {
			f.settle(start(), retry(task, start(), start()))
			task = f.claimOne(start())
		}
		f.settle(start(), died(task, start()))
	}
	for below, want := range map[int]int{0: 3, 1: 0, 2: 1, 3: 2, 4: 3} {
		for _, status := range []webhook.Status{"", webhook.StatusDead} {
			found := f.list(webhook.DeliveryQuery{AttemptsBelow: below, Status: status})
			require.Len(f.t, found, want, "AttemptsBelow %d selects deliveries with fewer attempts", below)
			brief := f.list(webhook.DeliveryQuery{AttemptsBelow: below, Status: status,
				WithoutAttempts: true})
			for i := range found {
				require.NotEmpty(f.t, found[i].Attempts)
				found[i].Attempts = nil
			}
			require.Equal(f.t, found, brief, "WithoutAttempts leaves out the attempts, and nothing else")
		}
	}
	brief := f.list(webhook.DeliveryQuery{EventID: "evt_2", AttemptsBelow: 4, WithoutAttempts: true})
	require.Len(f.t, brief, 1)
	require.Nil(f.t, brief[0].Attempts, "WithoutAttempts leaves out the attempts")
}

func deliveryIDs(all []webhook.Delivery) []webhook.DeliveryID {
	var ids []webhook.DeliveryID
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return ids
}

func deliveryFilterStatus(f *fixture) {
	active, paused, deleted := f.create(hook()), f.create(hook()), f.create(hook())
	f.enqueue(start(), newEvents("evt", 6)...)
	tasks := make(map[string]int)
	var settlements []webhook.Settlement
	for _, task := range f.claim(start(), 100) {
		switch n := tasks[task.Endpoint.SubscriptionID]; n {
		case 0:
			settlements = append(settlements, succeeded(task, start()))
		case 1:
			settlements = append(settlements, died(task, start()))
		case 2:
			settlements = append(settlements, retry(task, start(), start()))
		case 3:
			require.NoError(f.t, f.Cancel(f.ctx, start(), org, task.DeliveryID))
		}
		tasks[task.Endpoint.SubscriptionID]++
	}
	f.settle(start(), settlements...)
	f.setPaused(paused, true)
	f.remove(deleted)

	want := map[string]map[webhook.Status]int{
		active.ID: {webhook.StatusSucceeded: 1, webhook.StatusDead: 1, webhook.StatusPending: 1,
			webhook.StatusCancelled: 1, webhook.StatusInFlight: 2},
		paused.ID: {webhook.StatusSucceeded: 1, webhook.StatusDead: 1, webhook.StatusCancelled: 1,
			webhook.StatusPaused: 3},
		deleted.ID: {webhook.StatusSucceeded: 1, webhook.StatusDead: 1, webhook.StatusCancelled: 4},
	}
	for id, counts := range want {
		for _, status := range []webhook.Status{
			webhook.StatusPending, webhook.StatusInFlight, webhook.StatusPaused,
			webhook.StatusSucceeded, webhook.StatusDead, webhook.StatusCancelled,
		} {
			got := f.list(webhook.DeliveryQuery{SubscriptionID: id, Status: status})
			require.Len(f.t, got, counts[status], "a query by status finds what reports that status: %s",
				status)
			for _, d := range got {
				require.Equal(f.t, status, d.Status, "a query by status finds what reports that status")
			}
		}
	}
}

func deliveryPaging(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 25)...)
	want := deliveryIDs(f.list(webhook.DeliveryQuery{}))
	for _, limit := range []int{1, 7, 24, 25, 26} {
		var got []webhook.DeliveryID
		for q := (webhook.DeliveryQuery{Limit: limit}); ; q.Before = got[len(got)-1] {
			page := deliveryIDs(f.list(q))
			require.LessOrEqual(f.t, len(page), limit, "Limit bounds the answer")
			require.LessOrEqual(f.t, len(got), len(want), "a page has only ids below the cursor")
			got = append(got, page...)
			if len(page) < limit {
				break
			}
		}
		require.Equal(f.t, want, got,
			"pages of %d, each before the last id of the one before it, are the whole list", limit)
	}
}

func pagingWhileInserting(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("old", 9)...)
	want := deliveryIDs(f.list(webhook.DeliveryQuery{}))
	var got []webhook.DeliveryID
	for i := range 3 {
		q := webhook.DeliveryQuery{Limit: 3}
		if i > 0 {
			q.Before = got[len(got)-1]
		}
		got = append(got, deliveryIDs(f.list(q))...)
		f.enqueue(start(), newEvents(fmt.Sprint("new", i), 5)...)
	}
	require.Equal(f.t, want, got,
		"deliveries that are stored between two pages shift nothing: a cursor is stable")
}

func defaultLimit(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 105)...)
	for _, none := range []int{0, -1, math.MinInt} {
		require.Len(f.t, f.list(webhook.DeliveryQuery{Limit: none}), 100,
			"a query without a limit, or with a negative one, returns 100")
		require.Len(f.t, f.list(webhook.DeliveryQuery{EventType: created, Limit: none}), 100)
	}
	require.Len(f.t, f.list(webhook.DeliveryQuery{Limit: 1_000}), 105, "a larger limit is not cut")
}

func historyNotFound(f *fixture) {
	_, err := f.Delivery(f.ctx, org, 1)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "an unknown delivery")
	_, err = f.EventPayload(f.ctx, org, "evt_1")
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "an unknown event")
	require.ErrorIs(f.t, f.Replay(f.ctx, start(), org, 1), webhook.ErrNotFound,
		"replaying an unknown delivery")
	require.ErrorIs(f.t, f.Cancel(f.ctx, start(), org, 1), webhook.ErrNotFound,
		"cancelling an unknown delivery")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}),
		"an empty store has no deliveries, which is no error")
	require.Zero(f.t, f.prune(start(), start(), start()), "an empty store has nothing to prune")
}

func replayCases() []testCase {
	return []testCase{
		{"NewBudget", replayNewBudget},
		{"EverySettledStatus", replayEverySettledStatus},
		{"NotSettled", replayNotSettled},
		{"Progress", replayProgress},
		{"Paused", replayPaused},
		{"Cancel", cancelDelivery},
		{"CancelSettled", cancelSettled},
	}
}

func replayNewBudget(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	now := start()
	for range 3 {
		f.settle(now, retry(f.claimOne(now), now, now))
	}
	f.settle(now, died(f.claimOne(now), now))
	before := f.only()
	require.Len(f.t, before.Attempts, 4)

	later := start().Add(48*time.Hour + tick)
	require.NoError(f.t, f.Replay(f.ctx, later, org, before.ID))
	want := before
	want.Status, want.DueAt, want.SettledAt = webhook.StatusPending, later, time.Time{}
	f.requireDelivery(want, f.only())

	f.requireNothingDue(later.Add(-tick), "a replayed delivery is due at the time of the replay")
	task := f.claimOne(later)
	require.Equal(f.t, 4, task.Attempts, "a replay keeps the history")
	require.Zero(f.t, task.AttemptsSinceQueued, "a replay has a new budget: no attempt was made since")
	f.requireTime(later, task.QueuedAt, "QueuedAt, which is the time of the replay,")
	f.settle(later, retry(task, later, later))
	task = f.claimOne(later)
	require.Equal(f.t, 5, task.Attempts)
	require.Equal(f.t, 1, task.AttemptsSinceQueued,
		"AttemptsSinceQueued counts the attempts since the replay")
	f.settle(later, succeeded(task, later))
	attempts := f.only().Attempts
	require.Len(f.t, attempts, 6)
	require.Equal(f.t, 6, attempts[5].Number, "attempts are numbered over replays too")
	f.requireTime(start(), f.only().CreatedAt, "CreatedAt, which a replay does not change,")
}

func replayEverySettledStatus(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 3)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()))
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, tasks[2].DeliveryID))
	for _, task := range tasks {
		require.NoError(f.t, f.Replay(f.ctx, start(), org, task.DeliveryID),
			"a delivery that succeeded, died or was cancelled can be replayed")
		f.refuse(start(), died(task, start()), "a result from before a replay is stale")
	}
	require.Equal(f.t, sortedIDs(tasks), sortedIDs(f.claim(start(), 10)))
}

func replayProgress(f *fixture) {
	f.create(hook())
	progress := json.RawMessage(`{"reached":["a"]}`)
	f.emit(start(), "evt_1")
	settlement := died(f.claimOne(start()), start())
	settlement.Progress = progress
	f.settle(start(), settlement)
	id := f.only().ID
	require.NoError(f.t, f.Replay(f.ctx, start(), org, id))
	task := f.claimOne(start())
	require.Equal(f.t, progress, task.Progress,
		"what a dead delivery had reached is not done again by a replay")
	f.settle(start(), succeeded(task, start()))
	require.NoError(f.t, f.Replay(f.ctx, start(), org, id))
	require.Empty(f.t, f.claimOne(start()).Progress,
		"a delivery that succeeded is replayed as a whole")
}

func replayNotSettled(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	task := f.claimN(start(), 1)[0]
	for _, paused := range []bool{false, true} {
		if paused {
			f.setPaused(sub, true)
		}
		for _, d := range f.list(webhook.DeliveryQuery{}) {
			require.ErrorIs(f.t, f.Replay(f.ctx, start().Add(time.Second), org, d.ID),
				webhook.ErrWrongStatus, "a delivery that is %s cannot be replayed", d.Status)
			f.requireDelivery(d, f.get(d.ID))
		}
	}
	f.settle(start(), succeeded(task, start()))
}

func replayPaused(f *fixture) {
	sub := f.create(hook())
	f.emit(start(), "evt_1")
	f.settle(start(), died(f.claimOne(start()), start()))
	f.setPaused(sub, true)
	require.NoError(f.t, f.Replay(f.ctx, start(), org, f.only().ID),
		"a delivery of a paused subscription can be replayed")
	require.Equal(f.t, webhook.StatusPaused, f.only().Status, "and is paused")
	f.requireNothingDue(start(), "a delivery of a paused subscription is not claimed")
	f.setPaused(sub, false)
	f.claimOne(start())
}

func cancelDelivery(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 4)...)
	tasks := f.claimN(start(), 3)
	f.settle(start(), retry(tasks[0], start(), start().Add(time.Hour)))
	// Pending, pending for a retry, in flight, paused.
	for i, d := range f.list(webhook.DeliveryQuery{}) {
		f.setPaused(sub, i == 3)
		now := start().Add(time.Duration(i+1) * time.Second)
		require.NoError(f.t, f.Cancel(f.ctx, now, org, d.ID),
			"a delivery that is not settled can be cancelled")
		want := d
		want.Status, want.SettledAt, want.DueAt = webhook.StatusCancelled, now, time.Time{}
		f.requireDelivery(want, f.get(d.ID))
	}
	f.setPaused(sub, false)
	f.refuse(start(), succeeded(tasks[1], start()),
		"the result of an attempt that ran when the delivery was cancelled is refused")
	f.requireNothingDue(start().Add(24*time.Hour), "a cancelled delivery is not claimed")
}

func cancelSettled(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 3)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()))
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, tasks[2].DeliveryID))
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.ErrorIs(f.t, f.Cancel(f.ctx, start().Add(time.Second), org, d.ID), webhook.ErrWrongStatus,
			"a delivery that is %s cannot be cancelled", d.Status)
		f.requireDelivery(d, f.get(d.ID))
	}
}
