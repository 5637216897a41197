package storetest

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func settleCases() []testCase {
	return []testCase{
		{"Succeeded", settleSucceeded},
		{"Dead", settleDead},
		{"Retry", settleRetry},
		{"Requeue", settleRequeue},
		{"OnlyOnce", settleOnlyOnce},
		{"TwiceInOneCall", settleTwiceInOneCall},
		{"Mixed", settleMixed},
		{"HistoryIsExact", historyIsExact},
		{"Progress", settleProgress},
		{"UpdateDuringAttempt", updateDuringAttempt},
		{"LargeBatch", settleLargeBatch},
	}
}

func settleSucceeded(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	at := start().Add(150 * time.Millisecond)
	f.settle(at, succeeded(task, start()))
	d := f.only()
	require.Equal(f.t, webhook.StatusSucceeded, d.Status)
	f.requireTime(at, d.SettledAt, "SettledAt")
	require.True(f.t, d.DueAt.IsZero(), "a settled delivery has no DueAt")
	require.Len(f.t, d.Attempts, 1)
	require.True(f.t, d.Attempts[0].Succeeded())
	f.requireNothingDue(at.Add(240*time.Hour), "a delivery that succeeded is never claimed again")
}

func settleDead(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	at := start().Add(time.Second)
	// Out of budget, without an attempt.
	f.settle(at, webhook.Settlement{Lease: task.Lease, Status: webhook.StatusDead})
	d := f.only()
	require.Equal(f.t, webhook.StatusDead, d.Status)
	f.requireTime(at, d.SettledAt, "SettledAt")
	require.True(f.t, d.DueAt.IsZero(), "a settled delivery has no DueAt")
	require.Empty(f.t, d.Attempts, "a settlement without an attempt adds none to the history")
	f.requireNothingDue(at.Add(240*time.Hour), "a dead delivery is never claimed again")
}

func settleRetry(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	now := start()
	for n := 1; n <= 4; n++ {
		task := f.claimOne(now)
		require.Equal(f.t, n-1, task.Attempts, "Attempts is the number of attempts in the history")
		require.Equal(f.t, n-1, task.AttemptsSinceQueued,
			"AttemptsSinceQueued is the number of attempts since QueuedAt")
		f.requireTime(start(), task.QueuedAt, "QueuedAt, which a retry does not change,")
		due := now.Add(time.Duration(n) * time.Minute)
		f.settle(now.Add(time.Second), retry(task, now, due))
		d := f.only()
		require.Equal(f.t, webhook.StatusPending, d.Status, "a delivery to be tried again is pending")
		f.requireTime(due, d.DueAt, "DueAt")
		require.True(f.t, d.SettledAt.IsZero(), "a delivery that is not settled has no SettledAt")
		require.Len(f.t, d.Attempts, n)
		require.Equal(f.t, n, d.Attempts[n-1].Number, "attempts are numbered from 1, by the store")
		f.refuse(now.Add(time.Second), succeeded(task, now),
			"a result on a delivery that is not in flight is refused")
		now = due
	}
}

func settleRequeue(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	f.settle(start(), webhook.Settlement{Lease: task.Lease, Status: webhook.StatusPending,
		DueAt: start().Add(time.Second)})
	d := f.only()
	require.Equal(f.t, webhook.StatusPending, d.Status)
	require.Empty(f.t, d.Attempts, "a delivery that is requeued was not attempted")
	again := f.claimOne(start().Add(time.Second))
	require.Zero(f.t, again.Attempts, "a delivery that is requeued was not attempted")
	require.Zero(f.t, again.AttemptsSinceQueued, "requeuing costs none of the budget")
}

func settleOnlyOnce(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	f.settle(start(), succeeded(task, start()))
	before := f.only()
	f.refuse(start().Add(time.Hour), died(task, start()),
		"a settled delivery is not in flight: a second result is refused")
	f.requireDelivery(before, f.only())
}

func settleTwiceInOneCall(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	task := f.claimOne(start())
	refused, err := f.Settle(f.ctx, start(),
		[]webhook.Settlement{succeeded(task, start()), died(task, start())})
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Lease{task.Lease}, refused,
		"a delivery is settled once, even if a call has two results on it")
	require.Equal(f.t, webhook.StatusSucceeded, f.only().Status, "the first result counts")
	require.Len(f.t, f.only().Attempts, 1)
}

func settleMixed(f *fixture) {
	f.create(hook())
	f.enqueue(start(), newEvents("evt", 5)...)
	tasks := f.claimN(start(), 5)
	stale := tasks[1]
	f.settle(start(), retry(stale, start(), start().Add(time.Hour)))
	unknown := webhook.Task{Lease: webhook.Lease{DeliveryID: 1 << 40, Token: 1}}
	refused, err := f.Settle(f.ctx, start(), []webhook.Settlement{
		succeeded(tasks[0], start()),
		succeeded(stale, start()),
		died(tasks[2], start()),
		succeeded(unknown, start()),
		retry(tasks[3], start(), start().Add(time.Minute)),
		{Lease: tasks[4].Lease, Status: webhook.StatusPending, DueAt: start()},
	})
	require.NoError(f.t, err)
	require.ElementsMatch(f.t, []webhook.Lease{stale.Lease, unknown.Lease}, refused,
		"results that are stale are returned, and do not keep the others of the call from being recorded")
	want := []struct {
		status   webhook.Status
		attempts int
	}{
		{webhook.StatusSucceeded, 1}, {webhook.StatusPending, 1}, {webhook.StatusDead, 1},
		{webhook.StatusPending, 1}, {webhook.StatusPending, 0},
	}
	for i, task := range tasks {
		d := f.get(task.DeliveryID)
		require.Equal(f.t, want[i].status, d.Status, "result %d of the call", i)
		require.Len(f.t, d.Attempts, want[i].attempts, "result %d of the call", i)
	}
}

func historyIsExact(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	attempts := []webhook.Attempt{
		{StartedAt: start().Add(tick), Duration: 1 * tick, StatusCode: 500, Class: "status", Error: "500",
			Response: "plain"},
		{StartedAt: start().Add(time.Hour), Duration: 9*time.Second + 999_999*tick, Class: "timeout",
			Error: "no answer in 10 s"},
		{
			StartedAt: start().Add(time.Hour + 999_999*tick), StatusCode: 400, Class: "status",
			Error: "quotes \" ' ` and \\ and \\u0041 and %s and $1 and ? and :x",
			Response: "Ünïcode 日本語 🚚 \u2028 \ufffd, lines\nof\r\ntext,\ttabs, " +
				"<html>&amp; and a NUL: \x00 in the middle",
		},
		{StartedAt: start().Add(2 * time.Hour), Duration: 240 * time.Hour, StatusCode: 599,
			Class: "other", Response: strings.Repeat("x🚚", 4096)},
		{StartedAt: start().Add(3 * time.Hour), StatusCode: 204},
	}
	now := start()
	for i := range attempts {
		task := f.claimOne(now)
		reported := attempts[i]
		reported.Number = 77 // for the store to overwrite
		f.settle(now, webhook.Settlement{Lease: task.Lease, Status: webhook.StatusPending, DueAt: now,
			Attempt: &reported})
		require.Equal(f.t, 77, reported.Number, "a store does not write into what it is given")
		attempts[i].Number = i + 1
	}
	want := f.only()
	want.Attempts = attempts
	f.requireDelivery(want, f.only())
	f.requireDelivery(want, f.get(want.ID))

	// Finer times are cut or rounded to the microsecond, nothing else.
	task := f.claimOne(now)
	fine := webhook.Attempt{
		StartedAt: start().Add(1_501 * time.Nanosecond).In(time.FixedZone("", -3600)),
		Duration:  2_501 * time.Nanosecond,
	}
	f.settle(now, webhook.Settlement{Lease: task.Lease, Status: webhook.StatusSucceeded,
		Attempt: &fine})
	got := f.only().Attempts[len(attempts)]
	require.InDelta(f.t, 0, got.StartedAt.Sub(fine.StartedAt), float64(tick),
		"StartedAt is kept to the microsecond")
	require.InDelta(f.t, 0, got.Duration-fine.Duration, float64(tick),
		"Duration is kept to the microsecond")

	scribbled := f.only()
	scribbled.Attempts[0].Error = "changed"
	require.Equal(f.t, "500", f.only().Attempts[0].Error,
		"changing what a query returned must not reach into the store")
}

func settleProgress(f *fixture) {
	f.create(hook())
	f.emit(start(), "evt_1")
	now := start()
	step := func(want string, status webhook.Status, progress string) {
		f.t.Helper()
		task := f.claimOne(now)
		if want == "" {
			require.Nil(f.t, task.Progress, "Progress is nil until a settlement leaves some")
		} else {
			f.requireSameJSON([]byte(want), task.Progress,
				"Progress is what the last settlement with progress left")
		}
		s := webhook.Settlement{Lease: task.Lease, Status: status, DueAt: now}
		if progress != "" {
			s.Progress = json.RawMessage(progress)
		}
		f.settle(now, s)
		copy(s.Progress, "XXXXXXXX")
		copy(task.Progress, "XXXXXXXX")
	}
	step("", webhook.StatusPending, "")
	step("", webhook.StatusPending, `{"done":["+1555","+1556 \"x\" 🚚"],"n":12345678901234567890}`)
	step(`{"done":["+1555","+1556 \"x\" 🚚"],"n":12345678901234567890}`, webhook.StatusPending, "")
	step(`{"done":["+1555","+1556 \"x\" 🚚"],"n":12345678901234567890}`, webhook.StatusPending,
		`{"z":1,"a":2}`)
	step(`{"z":1,"a":2}`, webhook.StatusPending, `[3]`)
	step(`[3]`, webhook.StatusDead, `"four"`)
	require.NoError(f.t, f.Replay(f.ctx, now, org, f.only().ID))
	step(`"four"`, webhook.StatusSucceeded, "")
}

func updateDuringAttempt(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	f.emit(start(), "evt_1")
	tasks := f.claimN(start(), 2)
	updated := f.update(sub, func(sub *webhook.Subscription) {
		sub.EventTypes = []event.Pattern{"invoice.*"} // which the current event does not match
		sub.Channels[0].Configs = json.RawMessage(`{"url":"https://example.com/moved"}`)
		sub.Channels[0], sub.Channels[1] = sub.Channels[1], sub.Channels[0]
	})
	const rule = "an update does not touch deliveries whose channel key stays, whatever else changes"
	require.Empty(f.t, f.extend(start().Add(2*lease), tasks[0].Lease, tasks[1].Lease), rule)
	f.settle(start(), succeeded(tasks[0], start()), retry(tasks[1], start(), start()))
	task := f.claimOne(start())
	require.Equal(f.t, tasks[1].DeliveryID, task.DeliveryID, rule)
	require.Equal(f.t, updated.Revision, task.Revision,
		"a task has the subscription's revision at the time of the claim")
}

func settleLargeBatch(f *fixture) {
	f.create(hook())
	const n = 2_000
	f.enqueue(start(), newEvents("evt", n)...)
	tasks := f.claimN(start(), n)
	var settlements []webhook.Settlement
	var leases []webhook.Lease
	for _, task := range tasks {
		settlements = append(settlements, succeeded(task, start()))
		leases = append(leases, task.Lease)
	}
	require.Empty(f.t, f.extend(start().Add(time.Hour), leases...),
		"one call may extend thousands of leases")
	f.settle(start(), settlements...)
	require.Empty(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusInFlight}),
		"one call may settle thousands of deliveries")
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusSucceeded, Limit: n + 1}), n)
}
