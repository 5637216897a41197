package storetest

import (
	"encoding/json"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

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
	require.Equal(f.t, 1, task.AttemptsSinceQueued, "AttemptsSinceQueued counts the attempts since the replay")
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
		require.NoError(f.t, f.Replay(f.ctx, start(), org, task.DeliveryID), "a delivery that succeeded, died or was cancelled can be replayed")
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
	require.Equal(f.t, progress, task.Progress, "what a dead delivery had reached is not done again by a replay")
	f.settle(start(), succeeded(task, start()))
	require.NoError(f.t, f.Replay(f.ctx, start(), org, id))
	require.Empty(f.t, f.claimOne(start()).Progress, "a delivery that succeeded is replayed as a whole")
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
			require.ErrorIs(f.t, f.Replay(f.ctx, start().Add(time.Second), org, d.ID), webhook.ErrWrongStatus, "a delivery that is %s cannot be replayed", d.Status)
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
	require.NoError(f.t, f.Replay(f.ctx, start(), org, f.only().ID), "a delivery of a paused subscription can be replayed")
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
	for i, d := range f.list(webhook.DeliveryQuery{}) { // pending, pending for a retry, in flight, paused
		f.setPaused(sub, i == 3)
		now := start().Add(time.Duration(i+1) * time.Second)
		require.NoError(f.t, f.Cancel(f.ctx, now, org, d.ID), "a delivery that is not settled can be cancelled")
		want := d
		want.Status, want.SettledAt, want.DueAt = webhook.StatusCancelled, now, time.Time{}
		f.requireDelivery(want, f.get(d.ID))
	}
	f.setPaused(sub, false)
	f.refuse(start(), succeeded(tasks[1], start()), "the result of an attempt that was under way when the delivery was cancelled is refused")
	f.requireNothingDue(start().Add(24*time.Hour), "a cancelled delivery is not claimed")
}

func cancelSettled(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 3)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()))
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, tasks[2].DeliveryID))
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.ErrorIs(f.t, f.Cancel(f.ctx, start().Add(time.Second), org, d.ID), webhook.ErrWrongStatus, "a delivery that is %s cannot be cancelled", d.Status)
		f.requireDelivery(d, f.get(d.ID))
	}
}
