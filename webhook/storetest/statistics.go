package storetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func statisticsCases() []testCase {
	return []testCase{
		{"Results", statisticsOfResults},
		{"Unfinished", statisticsOfUnfinished},
		{"RefusedResults", statisticsOfRefused},
		{"Cancel", statisticsOfCancel},
		{"Since", statisticsSince},
		{"Channels", statisticsOfChannels},
		{"Replay", statisticsOfReplay},
		{"OutlivePruning", statisticsOutlivePruning},
		{"Kept", statisticsKept},
		{"LargeBatch", statisticsOfLargeBatch},
		{"NotFound", statisticsNotFound},
		{"DeletedIDUsedAgain", statisticsOfRecreated},
		{"Hourly", hourlyStatistics},
		{"HourlyPages", hourlyPages},
	}
}

// statistics asks for the figures of a subscription of org; zero is all of them.
func (f *fixture) statistics(sub *webhook.Subscription, since time.Time) webhook.Statistics {
	f.t.Helper()
	s, err := f.Statistics(f.ctx, webhook.StatisticsQuery{OrganizationID: org, SubscriptionID: sub.ID,
		Since: since})
	require.NoError(f.t, err, "asking for the statistics of a subscription")
	return s
}

// requireStatistics compares all that is kept of a webhook.
func (f *fixture) requireStatistics(
	want webhook.Statistics, sub *webhook.Subscription, rule string,
) {
	f.t.Helper()
	f.requireSameStatistics(want, f.statistics(sub, time.Time{}), rule)
}

func (f *fixture) requireSameStatistics(want, got webhook.Statistics, rule string) {
	f.t.Helper()
	f.requireTime(want.Since, got.Since, "Since")
	f.requireTime(want.LastSuccess, got.LastSuccess, "LastSuccess")
	f.requireTime(want.LastFailure, got.LastFailure, "LastFailure")
	var counted int64
	for _, n := range got.Durations {
		counted += n
	}
	require.Equal(f.t, got.Attempts(), counted, "Durations counts each attempt")
	want.Durations = got.Durations
	for _, s := range []*webhook.Statistics{&want, &got} {
		s.Since, s.LastSuccess, s.LastFailure = time.Time{}, time.Time{}, time.Time{}
	}
	require.Equal(f.t, want, got, rule)
}

// attempted is a result after an attempt that took that long.
func attempted(s webhook.Settlement, took time.Duration) webhook.Settlement {
	a := *s.Attempt
	a.Duration = took
	s.Attempt = &a
	return s
}

func statisticsOfResults(f *fixture) {
	sub, idle := f.create(hook()), f.create(hook())
	f.requireStatistics(webhook.Statistics{}, sub, "a subscription that nothing was delivered to")
	f.update(idle, func(sub *webhook.Subscription) { sub.EventTypes[0] = "invoice.*" })
	f.enqueue(start(), newEvents("evt", 6)...)
	tasks := f.claimN(start(), 6)
	at := func(ms int) time.Time { return start().Add(time.Duration(ms) * time.Millisecond) }
	f.settle(at(100),
		attempted(succeeded(tasks[0], at(3)), 5*time.Millisecond),
		attempted(succeeded(tasks[1], at(7)), 3*tick),
		attempted(retry(tasks[2], at(5), at(1)), time.Second),
		attempted(died(tasks[3], at(4)), time.Minute),
		webhook.Settlement{Lease: tasks[4].Lease, Status: webhook.StatusDead},
		webhook.Settlement{Lease: tasks[5].Lease, Status: webhook.StatusPending, DueAt: at(900)},
	)
	f.settle(at(200), attempted(succeeded(f.claimOne(at(150)), at(6)), time.Hour))
	require.Equal(f.t,
		durations(5*time.Millisecond, 3*tick, time.Second, time.Minute, time.Hour),
		f.statistics(sub, time.Time{}).Durations, "each attempt counts in the bucket of its duration")
	f.requireStatistics(webhook.Statistics{
		Pending: 1, Succeeded: 3, Failed: 2, Dead: 2,
		Duration:    5*time.Millisecond + 3*tick + time.Second + time.Minute + time.Hour,
		LastSuccess: at(7), LastFailure: at(5), LastFailed: tasks[2].DeliveryID,
	}, sub, "every attempt, every death and no more is counted; the last ones are those that were "+
		"started last")
	f.requireStatistics(webhook.Statistics{}, idle,
		"what is delivered to another subscription is not counted")
}

func statisticsOfUnfinished(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	f.enqueue(start(), newEvents("evt", 5)...)
	f.claimN(start(), 4)
	f.requireStatistics(webhook.Statistics{Pending: 6, InFlight: 4}, sub,
		"unfinished deliveries are counted as they are now")
	late := start().Add(100 * time.Hour)
	f.requireSameStatistics(webhook.Statistics{Since: late.Truncate(time.Hour), Pending: 6,
		InFlight: 4},
		f.statistics(sub, late), "unfinished deliveries are counted whatever Since")
	f.setPaused(sub, true)
	f.requireStatistics(webhook.Statistics{Paused: 10}, sub,
		"deliveries of a paused subscription are paused")
}

func statisticsOfRefused(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	tasks := f.claimN(start(), 2)
	unknown := webhook.Task{Lease: webhook.Lease{DeliveryID: 1 << 40, Token: 1}}
	refused, err := f.Settle(f.ctx, start(), []webhook.Settlement{
		succeeded(tasks[0], start()), died(tasks[0], start()), died(unknown, start()),
		succeeded(tasks[1], start()),
	})
	require.NoError(f.t, err)
	require.Len(f.t, refused, 2)
	f.refuse(start(), died(tasks[0], start()),
		"a settled delivery is not in flight: a second result is refused")
	f.requireStatistics(webhook.Statistics{
		Succeeded: 2, Duration: 2 * attempt(start(), "").Duration, LastSuccess: start(),
	}, sub, "a result that is refused does not count, the others of the call do")
}

func statisticsOfCancel(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 2)...)
	task := f.claimN(start(), 1)[0]
	for _, d := range f.list(webhook.DeliveryQuery{}) {
		require.NoError(f.t, f.Cancel(f.ctx, start(), org, d.ID))
		require.ErrorIs(f.t, f.Cancel(f.ctx, start(), org, d.ID), webhook.ErrWrongStatus)
	}
	f.refuse(start(), succeeded(task, start()),
		"the result of an attempt that ran meanwhile is refused")
	f.requireStatistics(webhook.Statistics{Cancelled: 2}, sub,
		"what Cancel ended counts, each delivery once")
}

func statisticsSince(f *fixture) {
	sub := f.create(hook())
	hour := start().Truncate(time.Hour)
	for i, at := range []time.Time{hour.Add(-tick), hour, hour.Add(59 * time.Minute),
		hour.Add(time.Hour)} {
		f.settled(fmt.Sprint("evt_", i), at, webhook.StatusSucceeded)
	}
	for _, c := range []struct {
		since time.Time
		want  int64
	}{
		{time.Time{}, 4}, {hour.Add(-365 * 24 * time.Hour), 4}, {hour.Add(-time.Hour), 4},
		{hour.Add(-tick), 4},
		{hour, 3}, {hour.Add(time.Hour - tick), 3}, {hour.Add(time.Hour).In(time.FixedZone("", 5400)), 1},
		{hour.Add(2 * time.Hour), 0},
	} {
		s := f.statistics(sub, c.since)
		require.Equal(f.t, c.want, s.Succeeded,
			"what was recorded in the hour of Since or later is counted, and nothing else (Since is %s)",
			c.since)
		f.requireTime(c.since.UTC().Truncate(time.Hour), s.Since,
			"Since, which is rounded down to the hour,")
	}
	f.requireTime(hour.Add(time.Hour), f.statistics(sub, hour).LastSuccess, "LastSuccess")
	require.True(f.t, f.statistics(sub, hour.Add(2*time.Hour)).LastSuccess.IsZero(),
		"LastSuccess is one since Since")
}

func statisticsOfChannels(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	f.emit(start(), "evt_1")
	for _, task := range f.claimN(start(), 2) {
		if task.Endpoint.Channel == "slack" {
			f.settle(start(), died(task, start()))
		} else {
			f.settle(start(), succeeded(task, start()))
		}
	}
	took := attempt(start(), "").Duration
	both := f.statistics(sub, time.Time{})
	require.Equal(f.t, []int64{1, 1, 1}, []int64{both.Succeeded, both.Failed, both.Dead},
		"all channels of a subscription are counted")
	f.update(sub, func(sub *webhook.Subscription) { sub.Channels = sub.Channels[:1] })
	one := webhook.Statistics{Succeeded: 1, Duration: took, LastSuccess: start()}
	f.requireStatistics(one, sub, "the figures of a channel go when it is removed")
	f.update(sub, func(sub *webhook.Subscription) { sub.Channels = hook("webhook", "slack").Channels })
	f.requireStatistics(one, sub, "a channel that is added again begins with zero")
	dead := f.list(webhook.DeliveryQuery{Status: webhook.StatusDead})[0]
	require.NoError(f.t, f.Replay(f.ctx, start(), org, dead.ID))
	f.settle(start(), succeeded(f.claimOne(start()), start()))
	f.requireStatistics(webhook.Statistics{Succeeded: 2, Duration: 2 * took, LastSuccess: start()},
		sub,
		"a delivery that is replayed to a channel that came back counts for that")
}

func statisticsOfReplay(f *fixture) {
	sub := f.create(hook())
	id := f.settled("evt_1", start(), webhook.StatusDead)
	now := start().Add(time.Minute)
	require.NoError(f.t, f.Replay(f.ctx, now, org, id))
	took := attempt(start(), "").Duration
	want := webhook.Statistics{Pending: 1, Failed: 1, Dead: 1, Duration: took, LastFailure: start(),
		LastFailed: id}
	f.requireStatistics(want, sub, "what was recorded stays counted when its delivery is replayed")
	f.settle(now, succeeded(f.claimOne(now), now))
	want.Pending, want.Succeeded, want.Duration, want.LastSuccess = 0, 1, 2*took, now
	f.requireStatistics(want, sub, "a delivery that comes to an end again counts again")
}

func statisticsOutlivePruning(f *fixture) {
	sub := f.create(hook())
	for i, status := range []webhook.Status{webhook.StatusSucceeded, webhook.StatusDead,
		webhook.StatusCancelled} {
		f.settled(fmt.Sprint("evt_", i), start(), status)
	}
	want := f.statistics(sub, time.Time{})
	late := start().Add(time.Hour)
	require.Equal(f.t, 6, f.prune(late, late, late))
	f.requireStatistics(want, sub, "what was recorded stays counted when its delivery is pruned")
}

func statisticsKept(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	hour := start().Truncate(time.Hour)
	for i := range 4 {
		at := hour.Add(time.Duration(i) * time.Hour)
		f.emit(at, fmt.Sprint("evt_", i))
		for _, task := range f.claimN(at, 2) {
			f.settle(at, succeeded(task, at))
		}
	}
	prune := func(now time.Time) {
		f.t.Helper()
		n, err := f.Prune(f.ctx, now, webhook.PruneRequest{Limit: 1})
		require.NoError(f.t, err)
		require.Zero(f.t, n, "figures are no part of what Prune counts")
	}
	prune(hour.Add(2*time.Hour + webhook.StatisticsKept - tick))
	require.EqualValues(f.t, 6, f.statistics(sub, time.Time{}).Succeeded,
		"figures of hours that ended StatisticsKept ago go, others stay")
	prune(hour.Add(4*time.Hour + webhook.StatisticsKept - tick))
	require.EqualValues(f.t, 2, f.statistics(sub, time.Time{}).Succeeded,
		"all figures that are too old go, whatever Limit")
	prune(hour.Add(4*time.Hour + webhook.StatisticsKept))
	f.requireStatistics(webhook.Statistics{}, sub, "figures of hours that ended StatisticsKept ago go")
}

func statisticsOfLargeBatch(f *fixture) {
	const hooks, events = 70, 10
	var all []*webhook.Subscription
	for range hooks {
		all = append(all, f.create(hook()))
	}
	f.enqueue(start(), newEvents("evt", events)...)
	var settlements []webhook.Settlement
	for i, task := range f.claimN(start(), hooks*events) {
		at := start().Add(time.Duration(i) * tick)
		settlements = append(settlements,
			[]webhook.Settlement{succeeded(task, at), died(task, at), retry(task, at, at)}[i%3])
	}
	f.settle(start(), settlements...)
	var attempts int64
	for _, sub := range all {
		s := f.statistics(sub, time.Time{})
		require.EqualValues(f.t, events, s.Attempts(), "one call may have results on many endpoints")
		require.Equal(f.t, s.Failed, s.Dead+s.Pending, "each endpoint has its own figures")
		attempts += s.Attempts()
	}
	require.EqualValues(f.t, hooks*events, attempts)
}

func statisticsNotFound(f *fixture) {
	sub := f.create(hook())
	f.settled("evt_1", start(), webhook.StatusSucceeded)
	f.remove(sub)
	for _, id := range []string{sub.ID, "", "wh_unknown"} {
		_, err := f.Statistics(f.ctx, webhook.StatisticsQuery{OrganizationID: org, SubscriptionID: id})
		require.ErrorIs(f.t, err, webhook.ErrNotFound,
			"a subscription that is deleted or unknown has no statistics (%q)", id)
	}
}

func statisticsOfRecreated(f *fixture) {
	sub := f.create(hook())
	f.settled("evt_1", start(), webhook.StatusSucceeded)
	f.emit(start(), "evt_2")
	f.remove(sub)
	if !f.recreate(sub, org) {
		return
	}
	f.requireStatistics(webhook.Statistics{}, sub,
		"all figures go when the subscription is deleted, though its id is used again")
	f.prune(start(), time.Time{}, time.Time{})
	f.requireStatistics(webhook.Statistics{}, sub, "what Prune settles does not count")
}

// concurrentStatistics settles for the same endpoints from many goroutines: not
// one result may be lost, and none may be counted that was refused.
func concurrentStatistics(views ...*fixture) {
	f := views[0]
	hooks := []*webhook.Subscription{f.create(hook("webhook", "slack")), f.create(hook())}
	const batches, events, endpoints = 8, 4, 3
	inParallel(func(n int) {
		f := views[n%len(views)]
		take := func(string, webhook.Endpoint) bool { return true }
		for i := range batches {
			now := start().Add(time.Duration(n%2) * time.Hour)
			tasks, err := tasksOf(f.Enqueue(f.ctx, now, newEvents(fmt.Sprintf("evt_%d_%d", n, i), events),
				&webhook.Prefetch{Until: now.Add(100 * lease), Take: take}))
			if !assert.NoError(f.t, err) {
				return
			}
			if left := events*endpoints - len(tasks); left > 0 {
				claimed, err := f.Claim(f.ctx, now,
					webhook.ClaimRequest{Until: now.Add(100 * lease), Limit: left, PerEndpoint: left})
				assert.NoError(f.t, err)
				tasks = append(tasks, claimed...)
			}
			settlements := make([]webhook.Settlement, 0, len(tasks))
			for j, task := range tasks {
				if (n+i+j)%2 == 0 {
					settlements = append(settlements, succeeded(task, now))
				} else {
					settlements = append(settlements, died(task, now))
				}
			}
			refused, err := f.Settle(f.ctx, now, settlements)
			assert.NoError(f.t, err)
			assert.Empty(f.t, refused)
		}
	})
	for _, task := range f.claim(start().Add(time.Hour), many) {
		f.settle(start().Add(time.Hour), succeeded(task, start()))
	}
	var ended int64
	for _, sub := range hooks {
		s := f.statistics(sub, time.Time{})
		require.Len(f.t, f.list(webhook.DeliveryQuery{SubscriptionID: sub.ID, Status: webhook.StatusDead,
			Limit: many}), int(s.Dead), "every death is counted once")
		require.Len(f.t, f.list(webhook.DeliveryQuery{SubscriptionID: sub.ID,
			Status: webhook.StatusSucceeded, Limit: many}), int(s.Succeeded),
			"every success is counted once")
		ended += s.Succeeded + s.Dead
	}
	require.EqualValues(f.t, goroutines*batches*events*endpoints, ended,
		"all results are counted, whichever process reported them")
}
