package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// orderingCases are for stores that deliver in order.
func orderingCases(h Harness) []testCase {
	with := func(run func(f *fixture)) func(*fixture) {
		return func(f *fixture) {
			if f.Capabilities().Ordering == nil {
				f.t.Skip("the store does not declare Ordering")
			}
			run(f)
		}
	}
	cases := []testCase{
		{"OneAfterTheOther", with(oneAfterTheOther)},
		{"LinesAreApart", with(linesAreApart)},
		{"NeverPrefetched", with(orderedNeverPrefetched)},
		{"TheFrontKeepsItsTurn", with(frontKeepsItsTurn)},
		{"ADeadOneHolds", with(deadOneHolds)},
		{"Skip", with(skipDead)},
		{"SkipAt", with(skipAt)},
		{"SkipAtAndLaterEvents", with(skipAtAndLaterEvents)},
		{"Cancel", with(cancelOrdered)},
		{"Waits", with(orderedPausesAndProbes)},
		{"Removal", with(removalOfOrdered)},
		{"Replay", with(replayOrdered)},
		{"ReplaysInOrder", with(replaysInOrder)},
		{"Prune", with(pruneOrdered)},
		{"Counts", with(countsOrdered)},
		{"Lists", with(listsOrdered)},
		{"FanOut", with(fanOutOrdered)},
		{"Changes", with(changesOfOrdering)},
		{"Repair", with(repairOrdered)},
		{"ManyInOneLine", with(manyInOneLine)},
		{"ReplayAfterReadding", with(replayAfterReadding)},
		{"PruneAfterRecreating", with(pruneAfterRecreating)},
		{"SkipAfterRecreating", with(skipAfterRecreating)},
		{"SecondDeath", with(secondDeath)},
		{"ParkedLine", with(parkedLine)},
		{"CancelTheNext", with(cancelTheNext)},
		{"Random", with(randomOrdered)},
		{"Concurrent", with(func(f *fixture) { concurrentLines(f, f) })},
	}
	if h.Peer != nil {
		cases = append(cases, testCase{"SettledByAPeer", with(func(f *fixture) {
			settledByPeer(f, f.with(h.Peer(f.t, f.inner)))
		})}, testCase{"ConcurrentPeers", with(func(f *fixture) {
			concurrentLines(f, f.with(h.Peer(f.t, f.inner)))
		})})
	}
	if h.Begin != nil {
		cases = append(cases, testCase{"Transactions", with(func(f *fixture) {
			if f.Capabilities().Transactions != nil {
				orderedTransactions(f, func() CallerTx { return h.Begin(f.t, f.inner) })
			}
		})})
	}
	return cases
}

// ordered makes a subscription with an Ordering.
func ordered(channels ...string) *webhook.Subscription {
	sub := hook(channels...)
	sub.Ordering = &webhook.Ordering{}
	return sub
}

// about makes an event about the subject.
func about(subject, id string) webhook.NewEvent {
	e := newEvent(id)
	e.Subject = event.Subject{Type: "object", ID: subject}
	return e
}

// emitAbout stores events about one subject, one after the other.
func (f *fixture) emitAbout(now time.Time, subject string, ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		f.enqueue(now, about(subject, id))
	}
}

// claimEvents claims what is due and returns the tasks, in the order of their ids, of the events.
func (f *fixture) claimEvents(now time.Time, rule string, ids ...string) []webhook.Task {
	f.t.Helper()
	tasks := f.claim(now, 100)
	slices.SortFunc(tasks, func(a, b webhook.Task) int { return int(a.DeliveryID - b.DeliveryID) })
	got := []string{}
	for _, task := range tasks {
		got = append(got, task.EventID)
	}
	require.Equal(f.t, append([]string{}, ids...), got, rule)
	return tasks
}

// of returns the only delivery of an event.
func (f *fixture) of(eventID string) webhook.Delivery {
	f.t.Helper()
	all := f.list(webhook.DeliveryQuery{EventID: eventID})
	require.Len(f.t, all, 1)
	return all[0]
}

// unfinished is how many deliveries are not settled.
func (f *fixture) unfinished(now time.Time) int64 {
	f.t.Helper()
	t := f.totals(now)
	return t.Unfinished()
}

func diedUntil(task webhook.Task, at, skip time.Time) webhook.Settlement {
	s := died(task, at)
	s.SkipAt = skip
	return s
}

func oneAfterTheOther(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3")
	at := start()
	for i := range 3 {
		task := f.claimEvents(at, "one event about a subject has its turn at a time",
			fmt.Sprint("evt_", i+1))[0]
		require.True(f.t, task.Ordered)
		if i < 2 {
			next := f.of(fmt.Sprint("evt_", i+2))
			require.Equal(f.t, task.DeliveryID, next.WaitsFor, "what waits names what has its turn")
			require.Zero(f.t, next.DueAt, "and has no time at which it is due")
			require.Equal(f.t, webhook.StatusPending, next.Status)
			require.Empty(f.t, next.Attempts)
		}
		f.requireNothingDue(at.Add(lease/2), "the others wait while the first one is in flight")
		at = at.Add(time.Second)
		f.settle(at, succeeded(task, at))
	}
	f.requireNothingDue(at, "all are delivered")
	f.emitAbout(at, "a", "evt_4")
	task := f.claimEvents(at, "a line that was empty begins again", "evt_4")[0]
	require.Zero(f.t, f.of("evt_4").WaitsFor)
	require.Equal(f.t, at, task.DueAt)
	f.settle(at, succeeded(task, at))

	f.emitAbout(at, "a", "evt_5", "evt_6")
	task = f.claimEvents(at, "the first one", "evt_5")[0]
	later := at.Add(time.Minute / 2)
	f.settle(later, succeeded(task, later))
	task = f.claimEvents(later, "a success lets the next one have its turn at once", "evt_6")[0]
	require.Equal(f.t, later, task.DueAt, "it could be claimed from then on")
	require.Equal(f.t, at, task.QueuedAt, "and was emitted before")
}

func linesAreApart(f *fixture) {
	f.create(ordered("webhook", "slack"))
	plain := hook()
	f.create(plain)
	f.enqueue(start(), about("a", "evt_1"), about("b", "evt_2"), about("a", "evt_3"))
	other := about("a", "evt_4")
	other.Subject.Type = "collection"
	f.enqueue(start(), other)
	counts := map[string]int{}
	var ordered []webhook.Task
	for _, task := range f.claim(start(), 100) {
		counts[task.EventID]++
		if task.Endpoint.SubscriptionID != plain.ID {
			require.True(f.t, task.Ordered)
			ordered = append(ordered, task)
		} else {
			require.False(f.t, task.Ordered, "other subscriptions have no lines")
		}
	}
	require.Equal(f.t, map[string]int{"evt_1": 3, "evt_2": 3, "evt_3": 1, "evt_4": 3}, counts,
		"each type and id of a subject has a line at each endpoint")
	for _, task := range ordered {
		if task.EventID == "evt_1" && task.Endpoint.Channel == "slack" {
			f.settle(start(), succeeded(task, start()))
		}
	}
	next := f.claimEvents(start(), "one endpoint goes on without the other", "evt_3")[0]
	require.Equal(f.t, "slack", next.Endpoint.Channel)
}

func orderedNeverPrefetched(f *fixture) {
	sub := f.create(ordered())
	enqueued, err := enqueueAll(f.ctx, f.Store, start(),
		[]webhook.NewEvent{about("a", "evt_1"), about("a", "evt_2")}, &webhook.Prefetch{
			Until: start().Add(lease),
			Take: func(string, webhook.Endpoint) bool {
				f.t.Error("Take is not asked for what stands in line")
				return true
			},
		})
	require.NoError(f.t, err)
	require.Empty(f.t, enqueued.Tasks)
	require.Equal(f.t, []webhook.Emitted{{EventID: "evt_1", Deliveries: 1, Ordered: true},
		{EventID: "evt_2", Deliveries: 1, Ordered: true}}, enqueued.Events)
	f.remove(sub)
	f.create(hook())
	enqueued, err = f.Enqueue(f.ctx, start(), []webhook.NewEvent{about("a", "evt_3")}, nil)
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{{EventID: "evt_3", Deliveries: 1}}, enqueued.Events)
}

func frontKeepsItsTurn(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2")
	const rule = "the front has its turn until it has succeeded"
	task := f.claimEvents(start(), rule, "evt_1")[0]
	f.settle(start(), requeued(task))
	task = f.claimEvents(start(), rule, "evt_1")[0]
	due := start().Add(time.Hour)
	f.settle(start(), retry(task, start(), due))
	require.Equal(f.t, task.DeliveryID, f.of("evt_2").WaitsFor)
	f.requireNothingDue(due.Add(-tick), "what waits is not due while the front is tried again")
	task = f.claimEvents(due, rule, "evt_1")[0]
	require.Equal(f.t, 1, task.AttemptsSinceQueued)
	lost := due.Add(lease)
	task = f.claimEvents(lost, "a lease that ended changes nothing", "evt_1")[0]
	require.True(f.t, task.Ordered)
	require.Equal(f.t, 1, task.Lost)
	f.settle(lost, succeeded(task, lost))
	f.claimEvents(lost, "then it is the next one's", "evt_2")
}

func deadOneHolds(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2")
	f.emitAbout(start(), "b", "evt_3")
	tasks := f.claimEvents(start(), "a turn for each subject", "evt_1", "evt_3")
	f.settle(start(), died(tasks[0], start()), died(tasks[1], start()))
	later := start().Add(1000 * time.Hour)
	f.requireNothingDue(later, "a dead delivery holds its subject")
	f.emitAbout(later, "a", "evt_4")
	f.requireNothingDue(later, "also for later events")
	dead := f.of("evt_1")
	require.Equal(f.t, webhook.StatusDead, dead.Status)
	require.True(f.t, dead.Holds)
	require.Zero(f.t, dead.SkipAt)
	require.Zero(f.t, dead.WaitsFor)
	require.True(f.t, f.of("evt_3").Holds, "whether something waits or not")
	require.Equal(f.t, dead.ID, f.of("evt_2").WaitsFor)
	require.Equal(f.t, dead.ID, f.of("evt_4").WaitsFor)

	require.NoError(f.t, f.Replay(f.ctx, later, org, dead.ID))
	require.False(f.t, f.of("evt_1").Holds)
	task := f.claimEvents(later, "a replay of it attempts it again", "evt_1")[0]
	require.True(f.t, task.Ordered)
	f.settle(later, died(task, later))
	f.requireNothingDue(later, "what follows waits on")
	require.NoError(f.t, f.Replay(f.ctx, later.Add(time.Hour), org, dead.ID))
	f.requireNothingDue(later.Add(time.Hour-tick), "also while the replay is not due")
	later = later.Add(time.Hour)
	task = f.claimEvents(later, "a replay of it attempts it again", "evt_1")[0]
	f.settle(later, succeeded(task, later))
	task = f.claimEvents(later, "after its success the others go on in order", "evt_2")[0]
	f.settle(later, succeeded(task, later))
	f.claimEvents(later, "after its success the others go on in order", "evt_4")
}

func skipDead(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3")
	skip := func(organization string, id webhook.DeliveryID) error {
		return f.Capabilities().Ordering.Skip(f.ctx, start().Add(time.Hour), organization, id)
	}
	const rule = "only what is dead and holds its line can be skipped"
	require.ErrorIs(f.t, skip(org, f.of("evt_1").ID), webhook.ErrWrongStatus, rule)
	task := f.claimEvents(start(), "the first one", "evt_1")[0]
	require.ErrorIs(f.t, skip(org, task.DeliveryID), webhook.ErrWrongStatus, rule)
	require.ErrorIs(f.t, skip(org, f.of("evt_2").ID), webhook.ErrWrongStatus, rule)
	f.settle(start(), died(task, start()))
	for _, stranger := range []string{other, ""} {
		require.ErrorIs(f.t, skip(stranger, task.DeliveryID), webhook.ErrNotFound)
	}
	require.ErrorIs(f.t, skip(org, task.DeliveryID+1000), webhook.ErrNotFound)
	require.NoError(f.t, skip(org, task.DeliveryID))
	skipped := f.of("evt_1")
	require.Equal(f.t, webhook.StatusDead, skipped.Status, "what is skipped stays dead")
	require.Equal(f.t, start(), skipped.SettledAt)
	require.False(f.t, skipped.Holds)
	require.ErrorIs(f.t, skip(org, task.DeliveryID), webhook.ErrWrongStatus, rule)
	later := start().Add(time.Hour)
	f.requireNothingDue(later.Add(-tick), "the next one has its turn from then on")
	task = f.claimEvents(later, "the next one has its turn", "evt_2")[0]
	require.Equal(f.t, later, task.DueAt)
	f.settle(later, succeeded(task, later))
	task = f.claimEvents(later, "and then the one after it", "evt_3")[0]
	f.settle(later, died(task, later))
	require.NoError(f.t, skip(org, task.DeliveryID))
	f.emitAbout(later, "a", "evt_4")
	f.claimEvents(later, "a line in which nothing waited is free", "evt_4")
}

func skipAt(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3", "evt_4", "evt_5")
	now := start()
	for _, at := range []time.Time{now, now.Add(-time.Hour)} {
		task := f.claim(now, 10)[0]
		f.settle(now, diedUntil(task, now, at))
		require.False(f.t, f.get(task.DeliveryID).Holds, "it is skipped at once")
	}
	task := f.claimEvents(now, "two are skipped", "evt_3")[0]
	until := now.Add(time.Hour)
	f.settle(now, diedUntil(task, now, until))
	dead := f.of("evt_3")
	require.True(f.t, dead.Holds)
	require.Equal(f.t, until, dead.SkipAt)
	f.requireNothingDue(until.Add(-tick), "it holds its line until then")
	require.Equal(f.t, dead.ID, f.of("evt_4").WaitsFor)

	// It is replayed just before.
	require.NoError(f.t, f.Replay(f.ctx, until.Add(-tick), org, dead.ID))
	task = f.claimEvents(until, "a replay before that attempts it again", "evt_3")[0]
	require.Zero(f.t, f.of("evt_3").SkipAt)
	f.settle(until, died(task, until))
	f.requireNothingDue(until.Add(1000*time.Hour), "the time of the first death counts no more")
	require.NoError(f.t, f.Replay(f.ctx, until, org, dead.ID))
	task = f.claimEvents(until, "the replay", "evt_3")[0]
	again := until.Add(time.Hour)
	f.settle(until, diedUntil(task, until, again))
	f.requireNothingDue(again.Add(-tick), "it holds its line until then")
	task = f.claimEvents(again, "then the next one has its turn", "evt_4")[0]
	require.Equal(f.t, again, task.DueAt)
	require.True(f.t, task.Ordered)
	require.False(f.t, f.of("evt_3").Holds)
	require.Equal(f.t, task.DeliveryID, f.of("evt_5").WaitsFor)
	f.settle(again, diedUntil(task, again, again.Add(time.Hour)))
	require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, again, org, task.DeliveryID))
	f.claimEvents(again, "a person may skip it before", "evt_5")
}

// skipAtAndLaterEvents has nothing that waits when a delivery dies.
func skipAtAndLaterEvents(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1")
	until := start().Add(time.Hour)
	f.settle(start(), diedUntil(f.claimOne(start()), start(), until))
	f.emitAbout(start().Add(time.Minute), "a", "evt_2", "evt_3")
	f.requireNothingDue(start().Add(time.Minute), "the line is held")
	f.requireNothingDue(until.Add(-tick), "until it is skipped")
	task := f.claimEvents(until, "then the first of the others has its turn", "evt_2")[0]
	f.settle(until, succeeded(task, until))
	task = f.claimEvents(until, "and then the next", "evt_3")[0]
	f.settle(until, diedUntil(task, until, until.Add(time.Hour)))
	f.emitAbout(until.Add(2*time.Hour), "a", "evt_4")
	f.claimEvents(until.Add(2*time.Hour), "an event after that time has its turn at once", "evt_4")
	require.False(f.t, f.of("evt_3").Holds)

	f.emitAbout(start(), "b", "evt_5", "evt_6")
	task = f.claimEvents(start(), "another subject", "evt_5")[0]
	f.settle(start(), diedUntil(task, start(), until))
	f.emitAbout(start(), "b", "evt_7")
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, f.of("evt_6").ID))
	f.requireNothingDue(until.Add(-tick), "the next one was cancelled")
	f.claimEvents(until, "so it is the turn of the one after it", "evt_7")
}

func cancelOrdered(f *fixture) {
	f.create(ordered())
	cancel := func(id string) {
		f.t.Helper()
		require.NoError(f.t, f.Cancel(f.ctx, start(), org, f.of(id).ID))
	}
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3", "evt_4", "evt_5")
	cancel("evt_1")
	task := f.claimEvents(start(), "one that was cancelled before its first claim", "evt_2")[0]
	cancel("evt_3")
	cancel("evt_2")
	require.Zero(f.t, f.of("evt_2").WaitsFor)
	f.refuse(start(), succeeded(task, start()), "it was cancelled")
	task = f.claimEvents(start(), "what is cancelled leaves the line, in flight or not", "evt_4")[0]
	f.settle(start(), retry(task, start(), start().Add(time.Hour)))
	cancel("evt_4")
	task = f.claimEvents(start(), "what is cancelled leaves the line, though it is not due", "evt_5")[0]
	cancel("evt_5")
	f.emitAbout(start(), "a", "evt_6")
	f.claimEvents(start(), "an empty line is free", "evt_6")
	require.Equal(f.t, webhook.StatusCancelled, f.status(task.DeliveryID))
}

// orderedPausesAndProbes has an endpoint that may not be attempted.
func orderedPausesAndProbes(f *fixture) {
	sub := f.create(ordered())
	e := endpointOf(sub)
	f.setPaused(sub, true)
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3")
	f.emitAbout(start(), "b", "evt_4")
	f.requireNothingDue(start(), "a paused subscription delivers nothing")
	require.Equal(f.t, webhook.StatusPaused, f.of("evt_2").Status)
	f.setPaused(sub, false)
	tasks := f.claimEvents(start(), "it goes on in order", "evt_1", "evt_4")
	f.setPaused(sub, true)
	f.settle(start(), succeeded(tasks[0], start()))
	f.requireNothingDue(start(), "the next one of a paused subscription waits")
	require.Equal(f.t, webhook.StatusPaused, f.of("evt_2").Status)
	require.Equal(f.t, webhook.StatusPaused, f.of("evt_3").Status)
	f.setPaused(sub, false)
	f.setHealth(e, webhook.Disabled, start(), time.Time{})
	f.requireNothingDue(start(), "a disabled endpoint gets nothing")
	f.setHealth(e, webhook.Degraded, start(), start())
	f.settle(start(), retry(tasks[1], start(), start().Add(time.Hour)))
	probe := f.claimEvents(start(), "a probe takes what has its turn", "evt_2")[0]
	require.NotNil(f.t, probe.Probe)
	failed := retry(probe, start(), start())
	failed.Probe = true
	f.settle(start(), failed)
	f.setHealth(e, webhook.Degraded, start(), start())
	probe = f.claimEvents(start(), "after a failed probe it still has its turn", "evt_2")[0]
	f.settle(start(), succeeded(probe, start()))
	f.setHealth(e, webhook.Healthy, start(), time.Time{})
	f.claimEvents(start(), "a healthy endpoint goes on", "evt_3")
}

func removalOfOrdered(f *fixture) {
	sub := f.create(ordered("webhook", "slack"))
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3")
	tasks := f.claim(start(), 10)
	require.Len(f.t, tasks, 2)
	f.settle(start(), died(tasks[0], start()), died(tasks[1], start()))
	f.update(sub, func(sub *webhook.Subscription) { sub.Channels = sub.Channels[:1] })
	count := func(status webhook.Status) int { return len(f.list(webhook.DeliveryQuery{Status: status})) }
	require.Equal(f.t, 2, count(webhook.StatusCancelled), "what waits for a channel that is gone is cancelled")
	f.prune(start(), time.Time{}, time.Time{})
	require.Equal(f.t, 2, count(webhook.StatusCancelled))
	for _, d := range f.list(webhook.DeliveryQuery{Status: webhook.StatusCancelled}) {
		require.NotZero(f.t, d.SettledAt, "Prune settles it")
		require.Zero(f.t, d.WaitsFor)
	}
	f.update(sub, func(sub *webhook.Subscription) {
		sub.Channels = append(sub.Channels, hook("slack").Channels[0])
	})
	f.emitAbout(start(), "a", "evt_4")
	task := f.claimEvents(start(), "a channel that is added again has lines of its own", "evt_4")[0]
	require.Equal(f.t, "slack", task.Endpoint.Channel)
	f.settle(start(), retry(task, start(), start()))
	for _, d := range f.list(webhook.DeliveryQuery{EventID: "evt_1"}) {
		if d.Channel == "slack" {
			require.NoError(f.t, f.Replay(f.ctx, start(), org, d.ID),
				"a replay goes to the channel that is there now")
		}
	}
	task = f.claimEvents(start(), "and stands in its line", "evt_4")[0]
	f.settle(start(), succeeded(task, start()))
	task = f.claimEvents(start(), "and stands in its line", "evt_1")[0]
	require.Equal(f.t, "slack", task.Endpoint.Channel)
	require.True(f.t, task.Ordered)

	f.remove(sub)
	f.refuse(start(), succeeded(task, start()), "its subscription is deleted")
	require.Zero(f.t, count(webhook.StatusPending))
	f.prune(start(), time.Time{}, time.Time{})
	require.Zero(f.t, f.unfinished(start()))
	f.prune(start().Add(time.Hour), start().Add(time.Minute), start().Add(time.Minute))
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}), "what held a line that is gone is pruned")
}

func replayOrdered(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3", "evt_4")
	replay := func(at time.Time, id string) {
		f.t.Helper()
		require.NoError(f.t, f.Replay(f.ctx, at, org, f.of(id).ID))
	}
	task := f.claimEvents(start(), "in order", "evt_1")[0]
	f.settle(start(), succeeded(task, start()))
	task = f.claimEvents(start(), "in order", "evt_2")[0]
	replay(start(), "evt_1")
	f.requireNothingDue(start(), "a replay waits for what has its turn")
	f.settle(start(), succeeded(task, start()))
	task = f.claimEvents(start(), "and stands in line before the others", "evt_1")[0]
	require.True(f.t, task.Ordered)
	f.settle(start(), succeeded(task, start()))
	task = f.claimEvents(start(), "which go on then", "evt_3")[0]
	require.NoError(f.t, f.Cancel(f.ctx, start(), org, f.of("evt_4").ID))
	replay(start(), "evt_4")
	f.settle(start(), diedUntil(task, start(), start()))
	task = f.claimEvents(start(), "one that was cancelled is in line again", "evt_4")[0]
	replay(start(), "evt_3")
	f.requireNothingDue(start(), "one that was skipped waits for its turn")
	f.settle(start(), succeeded(task, start()))
	task = f.claimEvents(start(), "and has it", "evt_3")[0]
	f.settle(start(), succeeded(task, start()))

	later := start().Add(time.Hour)
	replay(later, "evt_2")
	f.emitAbout(start(), "a", "evt_5")
	f.requireNothingDue(later.Add(-tick), "a replay for a later time stands in line until then")
	task = f.claimEvents(later, "and is the first", "evt_2")[0]
	f.settle(later, succeeded(task, later))
	f.claimEvents(later, "then come later events", "evt_5")
}

// replaysInOrder replays several.
func replaysInOrder(f *fixture) {
	f.create(ordered())
	ids := []string{"evt_1", "evt_2", "evt_3", "evt_4", "evt_5"}
	f.emitAbout(start(), "a", ids...)
	for range 4 {
		f.settle(start(), succeeded(f.claimOne(start()), start()))
	}
	last := f.claimOne(start())
	for i, id := range []string{"evt_3", "evt_1", "evt_4", "evt_2"} {
		require.NoError(f.t, f.Replay(f.ctx, start().Add(time.Duration(i)*time.Second), org, f.of(id).ID))
	}
	later := start().Add(10 * time.Second)
	f.settle(later, succeeded(last, later))
	for _, id := range ids[:4] {
		task := f.claimEvents(later, "replays that wait are made in the order of the emits", id)[0]
		f.settle(later, succeeded(task, later))
	}
	for i, id := range ids { // the oldest first, each a second later
		require.NoError(f.t, f.Replay(f.ctx, later.Add(time.Duration(i)*time.Second), org, f.of(id).ID))
	}
	for i, id := range ids {
		at := later.Add(time.Duration(i) * time.Second)
		f.requireNothingDue(at.Add(-tick), "a replay has a time, also in line")
		f.settle(at, succeeded(f.claimEvents(at, "and comes then", id)[0], at))
	}
}

func pruneOrdered(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2")
	f.emitAbout(start(), "b", "evt_3")
	tasks := f.claimEvents(start(), "two subjects", "evt_1", "evt_3")
	f.settle(start(), died(tasks[0], start()), succeeded(tasks[1], start()))
	later := start().Add(time.Hour)
	require.Positive(f.t, f.prune(later, later, later))
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), 2, "Prune keeps what holds its line, and what waits")
	require.Equal(f.t, tasks[0].DeliveryID, f.of("evt_2").WaitsFor)
	require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, later, org, tasks[0].DeliveryID))
	require.Positive(f.t, f.prune(later, later, later))
	require.Empty(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_1"}), "until it is skipped")
	task := f.claimEvents(later, "the other one is there", "evt_2")[0]
	f.settle(later, diedUntil(task, later, later.Add(time.Hour)))
	f.prune(later.Add(2*time.Hour), later.Add(2*time.Hour), later.Add(2*time.Hour))
	f.emitAbout(later.Add(3*time.Hour), "a", "evt_4")
	f.claimEvents(later.Add(3*time.Hour), "a line goes on after its time", "evt_4")
	f.prune(later.Add(4*time.Hour), later.Add(4*time.Hour), later.Add(4*time.Hour))
	require.Empty(f.t, f.list(webhook.DeliveryQuery{EventID: "evt_2"}), "and what held it is pruned")
}

func countsOrdered(f *fixture) {
	sub := f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3")
	f.emitAbout(start(), "b", "evt_4", "evt_5")
	tasks := f.claimEvents(start(), "two subjects", "evt_1", "evt_4")
	f.settle(start(), died(tasks[1], start()))
	s := f.statistics(sub, time.Time{})
	require.Equal(f.t, []int64{3, 1, 0}, []int64{s.Pending, s.InFlight, s.Paused},
		"what waits is pending")
	t := f.totals(start())
	require.EqualValues(f.t, 4, t.Unfinished())
	require.EqualValues(f.t, 3, t.Pending)
	require.EqualValues(f.t, 1, t.Dead)
	require.Zero(f.t, t.OldestDue, "what waits in line is not due")
	require.Equal(f.t, []int64{3, 1}, []int64{t.InLine, t.Holding}, "what waits, and behind what is dead")
	f.requireTime(start(), t.OldestHolding, "since when the oldest dead one holds its line")
	f.setPaused(sub, true)
	s = f.statistics(sub, time.Time{})
	require.EqualValues(f.t, 4, s.Paused)
	require.EqualValues(f.t, 4, f.totals(start()).Paused)
	some, err := f.Totals(f.ctx, start(), webhook.TotalsQuery{OrganizationID: org, Limit: 2})
	require.NoError(f.t, err)
	require.True(f.t, some.MoreUnfinished)
}

func listsOrdered(f *fixture) {
	sub := f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3")
	f.emitAbout(start(), "b", "evt_4", "evt_5")
	tasks := f.claimEvents(start(), "two subjects", "evt_1", "evt_4")
	f.settle(start(), died(tasks[1], start()))
	ids := func(q webhook.DeliveryQuery) []string {
		got := []string{}
		for _, d := range f.list(q) {
			got = append(got, d.EventID)
		}
		return got
	}
	require.Equal(f.t, []string{"evt_5", "evt_3", "evt_2"},
		ids(webhook.DeliveryQuery{Status: webhook.StatusPending}))
	require.Equal(f.t, []string{"evt_5", "evt_3"},
		ids(webhook.DeliveryQuery{Status: webhook.StatusPending, Limit: 2}))
	require.Equal(f.t, []string{"evt_2"}, ids(webhook.DeliveryQuery{Status: webhook.StatusPending,
		SubscriptionID: sub.ID, Before: f.of("evt_3").ID}))
	require.Equal(f.t, []string{"evt_4"}, ids(webhook.DeliveryQuery{Status: webhook.StatusDead}))
	require.Equal(f.t, []string{"evt_4"}, ids(webhook.DeliveryQuery{Holding: true}))
	require.Equal(f.t, []string{"evt_4"}, ids(webhook.DeliveryQuery{Holding: true,
		Status: webhook.StatusDead, SubscriptionID: sub.ID}))
	require.Empty(f.t, ids(webhook.DeliveryQuery{Holding: true, Status: webhook.StatusPending}))
	require.Empty(f.t, ids(webhook.DeliveryQuery{Holding: true, OrganizationID: other}))
	require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, start(), org, tasks[1].DeliveryID))
	require.Empty(f.t, ids(webhook.DeliveryQuery{Holding: true}))
	require.Equal(f.t, []string{"evt_4"}, ids(webhook.DeliveryQuery{Status: webhook.StatusDead}))
	f.setPaused(sub, true)
	require.Len(f.t, ids(webhook.DeliveryQuery{Status: webhook.StatusPaused}), 4)
}

// fanOutOrdered has events that match many endpoints, in and out of order.
func fanOutOrdered(f *fixture) {
	subs := f.wide()
	f.update(subs[1], func(sub *webhook.Subscription) { sub.Ordering = &webhook.Ordering{} })
	for _, id := range []string{"evt_1", "evt_2"} {
		f.enqueue(start(), about("a", id))
	}
	next := func(claim int) map[string]int {
		counts := map[string]int{}
		for _, task := range f.claim(start(), 1000) {
			require.Equal(f.t, task.Endpoint.SubscriptionID == subs[1].ID, task.Ordered)
			if counts[task.EventID]++; claim > 0 || task.Ordered {
				f.settle(start(), succeeded(task, start()))
			}
		}
		return counts
	}
	require.Equal(f.t, map[string]int{"evt_1": 300, "evt_2": 200}, next(0))
	require.Equal(f.t, map[string]int{"evt_2": 100}, next(1))
}

func changesOfOrdering(f *fixture) {
	sub := f.create(hook())
	f.emitAbout(start(), "a", "evt_1")
	f.update(sub, func(sub *webhook.Subscription) {
		sub.Ordering = &webhook.Ordering{SkipAfter: time.Hour}
	})
	f.emitAbout(start(), "a", "evt_2", "evt_3")
	tasks := f.claimEvents(start(), "what is ordered does not wait for what was emitted before",
		"evt_1", "evt_2")
	require.False(f.t, tasks[0].Ordered)
	require.True(f.t, tasks[1].Ordered)
	got := f.update(sub, func(sub *webhook.Subscription) { sub.Ordering = nil })
	require.Nil(f.t, got.Ordering)
	f.emitAbout(start(), "a", "evt_4")
	require.False(f.t, f.claimEvents(start(), "later events do not wait", "evt_4")[0].Ordered)
	f.settle(start(), succeeded(tasks[1], start()))
	require.True(f.t, f.claimEvents(start(), "what stands in line stays in its order", "evt_3")[0].Ordered)
}

// repairOrdered has times that lie in the future on purpose.
func repairOrdered(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "a", "evt_1", "evt_2", "evt_3")
	until := start().Add(1000 * time.Hour)
	f.settle(start(), diedUntil(f.claimOne(start()), start(), until))
	n, err := f.Repair(f.ctx, start(), webhook.RepairRequest{Until: start(), LeasesAfter: start(),
		FreshAfter: start(), RetriesAfter: start(), ProbesAfter: start(), Limit: 10})
	require.NoError(f.t, err)
	require.Zero(f.t, n, "the time of a line is no wrong clock")
	f.requireNothingDue(until.Add(-tick), "the line is held")
	f.claimEvents(until, "until then", "evt_2")
}

// manyInOneLine has a line that waits, and others that go on.
func manyInOneLine(f *fixture) {
	f.create(ordered())
	f.emitAbout(start(), "slow", "evt_first")
	first := f.claimOne(start())
	const n = 2000
	for i := range 4 {
		events := make([]webhook.NewEvent, n/4)
		for j := range events {
			events[j] = about("slow", fmt.Sprint("evt_", i*n/4+j))
		}
		f.enqueue(start(), events...)
	}
	f.emitAbout(start(), "fast", "evt_fast")
	found := false
	for range 3 {
		for _, task := range f.claimWith(start(), webhook.ClaimRequest{Limit: 100, PerEndpoint: 20}) {
			require.Equal(f.t, "evt_fast", task.EventID)
			found = true
		}
	}
	require.True(f.t, found, "a few claims find another subject behind %d deliveries that wait", n)
	f.settle(start(), succeeded(first, start()))
	for i := range 20 {
		task := f.claimEvents(start(), "they have their turns in order", fmt.Sprint("evt_", i))[0]
		f.settle(start(), succeeded(task, start()))
	}
	require.EqualValues(f.t, n-20+1, f.unfinished(start()))
}

// randomOrdered does at random what can happen, and checks after each claim what has its turn.
func randomOrdered(f *fixture) {
	random := rand.New(rand.NewPCG(1, 2))
	sub := f.create(ordered("webhook", "slack"))
	type lineOf struct{ subject, channel string }
	turns := map[lineOf]webhook.Task{}         // in flight
	reached := map[lineOf]webhook.DeliveryID{} // the last that had its first turn
	replayed := map[webhook.DeliveryID]bool{}
	now, emitted := start(), 0
	subject := map[string]string{} // by event
	claim := func() {
		for _, task := range f.claimWith(now, webhook.ClaimRequest{Limit: 1 + random.IntN(20),
			PerEndpoint: 1 + random.IntN(10), Until: now.Add(time.Hour)}) {
			l := lineOf{subject[task.EventID], task.Endpoint.Channel}
			if held, ok := turns[l]; ok {
				require.Equal(f.t, held.DeliveryID, task.DeliveryID, "one has its turn at a time")
			}
			turns[l] = task
			if !replayed[task.DeliveryID] {
				require.GreaterOrEqual(f.t, task.DeliveryID, reached[l], "in the order of the ids")
				reached[l] = task.DeliveryID
			}
		}
	}
	settleAll := func(fail int) {
		for _, l := range slices.SortedFunc(maps.Keys(turns), func(a, b lineOf) int {
			return int(turns[a].DeliveryID - turns[b].DeliveryID)
		}) {
			task := turns[l]
			s := succeeded(task, now)
			switch n := random.IntN(10); {
			case n >= fail:
			case n == 0:
				s = died(task, now)
			case n == 1:
				s = diedUntil(task, now, now.Add(time.Duration(random.IntN(60))*time.Second))
			case n == 2:
				s = requeued(task)
			default:
				s = retry(task, now, now.Add(time.Duration(random.IntN(60))*time.Second))
			}
			refused, err := f.Settle(f.ctx, now, []webhook.Settlement{s})
			require.NoError(f.t, err)
			if len(refused) > 0 {
				require.True(f.t, f.get(task.DeliveryID).Status.Settled(), "it was cancelled")
			}
			delete(turns, l)
		}
	}
	pick := func() webhook.Delivery {
		all := f.list(webhook.DeliveryQuery{Limit: 200})
		return all[random.IntN(len(all))]
	}
	for range 150 {
		now = now.Add(time.Duration(random.IntN(20)) * time.Second)
		switch random.IntN(8) {
		case 0, 1, 2:
			var events []webhook.NewEvent
			for range 1 + random.IntN(4) {
				emitted++
				id, s := fmt.Sprint("evt_", emitted), fmt.Sprint("s", random.IntN(5))
				subject[id] = s
				events = append(events, about(s, id))
			}
			f.enqueue(now, events...)
		case 3, 4:
			claim()
		case 5:
			settleAll(5)
		case 6:
			if emitted == 0 {
				break
			}
			d := pick()
			l := lineOf{subject[d.EventID], d.Channel}
			if err := f.Replay(f.ctx, now, org, d.ID); err == nil {
				replayed[d.ID] = true
			} else if f.Cancel(f.ctx, now, org, d.ID) == nil && turns[l].DeliveryID == d.ID {
				delete(turns, l)
			}
		case 7:
			for _, d := range f.list(webhook.DeliveryQuery{Holding: true}) {
				if random.IntN(2) == 0 {
					require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, now, org, d.ID))
				}
			}
			if random.IntN(4) == 0 {
				f.setPaused(sub, random.IntN(2) == 0)
			}
		}
	}
	f.setPaused(sub, false)
	for range 1000 {
		now = now.Add(time.Hour)
		claim()
		settleAll(0)
		for _, d := range f.list(webhook.DeliveryQuery{Holding: true}) {
			require.NoError(f.t, f.Capabilities().Ordering.Skip(f.ctx, now, org, d.ID))
		}
		if f.unfinished(now) == 0 {
			return
		}
	}
	f.t.Fatalf("no line stands still: %+v", f.totals(now))
}

// concurrentLines emits, claims and settles through all views at once.
func concurrentLines(views ...*fixture) {
	f := views[0]
	f.create(ordered())
	const subjects, events = 4, 25
	now := start()
	var mu sync.Mutex
	inFlight := map[string]bool{}
	delivered := map[string][]string{}
	want := map[string][]string{}
	left := subjects * events
	inParallel(func(n int) {
		v := views[n%len(views)]
		if n < subjects {
			for i := range events {
				s, id := fmt.Sprint("s", n), fmt.Sprintf("evt_%d_%d", n, i)
				if _, err := v.Enqueue(v.ctx, now, []webhook.NewEvent{about(s, id)}, nil); err != nil {
					v.t.Errorf("enqueuing: %v", err)
				}
				mu.Lock()
				want[s] = append(want[s], id)
				mu.Unlock()
			}
			return
		}
		subjectOf := func(id string) string { return "s" + id[len("evt_"):len("evt_")+1] }
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
			tasks, err := v.Claim(v.ctx, now, webhook.ClaimRequest{Until: now.Add(lease), Limit: 3,
				PerEndpoint: 3})
			if err != nil {
				v.t.Errorf("claiming: %v", err)
				return
			}
			mu.Lock()
			for _, task := range tasks {
				s := subjectOf(task.EventID)
				assert.False(v.t, inFlight[s], "two events of subject %s are in flight", s)
				inFlight[s] = true
				delivered[s] = append(delivered[s], task.EventID)
			}
			done := left == 0
			mu.Unlock()
			if done {
				return
			}
			for _, task := range tasks {
				mu.Lock()
				inFlight[subjectOf(task.EventID)] = false
				left--
				mu.Unlock()
				if refused, err := v.Settle(v.ctx, now, []webhook.Settlement{succeeded(task, now)}); err != nil ||
					len(refused) > 0 {
					v.t.Errorf("settling: refused %v, error %v", refused, err)
				}
			}
		}
	})
	require.Equal(f.t, want, delivered, "each subject's events in the order of their emits, each once")
}

// orderedTransactions emits in transactions of the caller.
func orderedTransactions(f *fixture, begin func() CallerTx) {
	f.create(ordered())
	q := f.Capabilities().Transactions
	tx := begin()
	emitted, err := q.EnqueueTx(f.ctx, tx.Tx, start(),
		[]webhook.NewEvent{about("a", "evt_1"), about("a", "evt_2")})
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{{EventID: "evt_1", Deliveries: 1, Ordered: true},
		{EventID: "evt_2", Deliveries: 1, Ordered: true}}, emitted)
	emitted, err = q.EnqueueTx(f.ctx, tx.Tx, start(),
		[]webhook.NewEvent{about("a", "evt_3"), about("a", "evt_1")})
	require.NoError(f.t, err)
	require.Equal(f.t, []webhook.Emitted{{EventID: "evt_3", Deliveries: 1, Ordered: true},
		{EventID: "evt_1", Duplicate: true}}, emitted)
	require.NoError(f.t, tx.Commit())
	f.emitAbout(start(), "a", "evt_4")
	for i := range 4 {
		task := f.claimEvents(start(), "the order of the calls", fmt.Sprint("evt_", i+1))[0]
		f.settle(start(), succeeded(task, start()))
	}
}
