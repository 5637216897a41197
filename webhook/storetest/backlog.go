package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// backlogCases are for stores that keep how large the backlog was.
func backlogCases(h Harness) []testCase {
	with := withBacklog
	cases := []testCase{
		{"ByHour", with(backlogByHour)},
		{"ByStatus", with(backlogByStatus)},
		{"Gap", with(backlogGap)},
		{"Organizations", with(backlogOfOrganizations)},
		{"Kept", with(backlogKept)},
		{"Concurrently", with(func(f *fixture, s webhook.BacklogStore) { sampleConcurrently(f, s, s) })},
		{"Cancellation", with(backlogCancellation)},
	}
	if h.Peer != nil {
		cases = append(cases, testCase{"Peers", with(func(f *fixture, s webhook.BacklogStore) {
			peer := h.Peer(f.t, f.inner).Capabilities().Backlog
			require.NotNil(f.t, peer, "all processes have the same capabilities")
			sampleConcurrently(f, s, peer)
			f.sample(peer, start().Add(time.Second))
			require.Len(f.t, f.backlog(s, webhook.BacklogQuery{OrganizationID: org}), 4,
				"processes share what they have counted")
		})})
	}
	if h.Reopen != nil {
		cases = append(cases, testCase{"Durability", with(func(f *fixture, s webhook.BacklogStore) {
			f.create(hook())
			f.emit(start(), "evt_1")
			f.sample(s, start())
			s = h.Reopen(f.t, f.inner).Capabilities().Backlog
			require.Len(f.t, f.backlog(s, webhook.BacklogQuery{OrganizationID: org}), 1,
				"what a method reported as done survives the death of the process")
		})})
	}
	return cases
}

// withBacklog runs on what a store declares.
func withBacklog(run func(f *fixture, s webhook.BacklogStore)) func(*fixture) {
	return func(f *fixture) {
		s := f.Capabilities().Backlog
		if s == nil {
			f.t.Skip("the store does not declare Backlog")
		}
		run(f, s)
	}
}

func (f *fixture) sample(s webhook.BacklogStore, now time.Time) {
	f.t.Helper()
	require.NoError(f.t, s.SampleBacklog(f.ctx, now), "counting what is waiting")
}

func (f *fixture) backlog(s webhook.BacklogStore, q webhook.BacklogQuery) []webhook.HourlyBacklog {
	f.t.Helper()
	hours, err := s.HourlyBacklog(f.ctx, q)
	require.NoError(f.t, err, "asking for the backlog by hour")
	return hours
}

// requireBacklog checks the hours of org, and those of all organizations: no other has deliveries.
func (f *fixture) requireBacklog(
	s webhook.BacklogStore, rule string, want ...webhook.HourlyBacklog,
) {
	f.t.Helper()
	require.Equal(f.t, want, f.backlog(s, webhook.BacklogQuery{OrganizationID: org}), rule)
	require.Equal(f.t, want, f.backlog(s, webhook.BacklogQuery{AllOrganizations: true}),
		"of all organizations: "+rule)
}

func backlogByHour(f *fixture, s webhook.BacklogStore) {
	f.requireBacklog(s, "nothing was counted yet")
	hour := start().Truncate(time.Hour)
	f.sample(s, start())
	f.requireBacklog(s, "an hour in which nothing was waiting is there", webhook.HourlyBacklog{Hour: hour})

	f.create(hook())
	f.enqueue(start(), newEvents("evt", 5)...)
	f.sample(s, start().Add(time.Minute))
	first := webhook.HourlyBacklog{Hour: hour, Waiting: 5, OldestDueAge: time.Minute}
	f.requireBacklog(s, "what is waiting is counted, and for how long", first)
	for _, task := range f.claimN(start().Add(time.Minute), 5) {
		f.settle(start().Add(time.Minute), succeeded(task, start()))
	}
	f.sample(s, start().Add(2*time.Minute))
	f.requireBacklog(s, "the largest numbers of the hour stay", first)

	f.emit(start().Add(2*time.Minute), "late")
	f.sample(s, start().Add(22*time.Minute))
	first.OldestDueAge = 20 * time.Minute
	f.requireBacklog(s, "each number is the largest of its own", first)

	later := hour.Add(3*time.Hour + 30*time.Minute)
	f.sample(s, later)
	last := webhook.HourlyBacklog{Hour: hour.Add(3 * time.Hour), Waiting: 1,
		OldestDueAge: later.Sub(start().Add(2 * time.Minute))}
	f.requireBacklog(s, "an hour in which nothing was counted is left out", first, last)
	got := f.backlog(s, webhook.BacklogQuery{OrganizationID: org, Since: later})
	require.Equal(f.t, []webhook.HourlyBacklog{last}, got, "Since is rounded down to the hour")
}

func backlogByStatus(f *fixture, s webhook.BacklogStore) {
	sub := f.create(hook())
	endpoint := endpointOf(sub)
	f.enqueue(start(), newEvents("evt", 6)...)
	tasks := f.claimN(start(), 4)
	f.settle(start(), succeeded(tasks[0], start()), died(tasks[1], start()),
		retry(tasks[2], start(), start().Add(24*time.Hour)))
	at := start()
	sampled := func(waiting int64, age time.Duration, rule string) {
		f.t.Helper()
		f.sample(s, at)
		hours := f.backlog(s, webhook.BacklogQuery{OrganizationID: org, Since: at})
		require.Equal(f.t, []webhook.HourlyBacklog{{Hour: at.Truncate(time.Hour), Waiting: waiting,
			OldestDueAge: age}}, hours, rule)
	}
	sampled(3, 0, "what is pending is waiting, and what is in flight, dead or done is not")
	at = start().Add(time.Hour)
	sampled(3, time.Hour, "what is due is waiting for a claim")
	f.setPaused(sub, true)
	at = start().Add(2 * time.Hour)
	sampled(3, 0, "what is paused is waiting, and not due")
	f.setPaused(sub, false)
	f.setHealth(endpoint, webhook.Degraded, start(), start())
	at = start().Add(3 * time.Hour)
	sampled(3, 0, "what waits for a degraded endpoint is waiting, and not due")
	f.setHealth(endpoint, webhook.Disabled, start(), time.Time{})
	at = start().Add(4 * time.Hour)
	sampled(3, 0, "what waits for a disabled endpoint is waiting, and not due")
	f.remove(sub)
	at = start().Add(5 * time.Hour)
	sampled(0, 0, "what is cancelled with its subscription is not waiting")
	if f.Capabilities().Ordering != nil {
		f.create(ordered())
		at = start().Add(6 * time.Hour)
		f.emitAbout(at, "subject", "one", "two", "three")
		sampled(3, 0, "what waits in line is waiting")
		f.settle(at, died(f.claimOne(at), at))
		at = start().Add(7 * time.Hour)
		sampled(2, 0, "what waits behind a dead one is waiting, and not due")
	}
}

func backlogGap(f *fixture, s webhook.BacklogStore) {
	f.create(hook())
	f.emit(start(), "evt_1")
	f.sample(s, start())
	f.emit(start(), "evt_2")
	waiting := func() int64 {
		f.t.Helper()
		hours := f.backlog(s, webhook.BacklogQuery{OrganizationID: org})
		require.Len(f.t, hours, 1)
		return hours[0].Waiting
	}
	f.sample(s, start().Add(webhook.BacklogSampleGap-tick))
	require.EqualValues(f.t, 1, waiting(), "it was counted shortly before, by this process or another")
	f.sample(s, start().Add(webhook.BacklogSampleGap))
	require.EqualValues(f.t, 2, waiting(), "it was counted long enough before")
	f.emit(start(), "evt_3")
	f.sample(s, start().Add(-time.Minute))
	require.EqualValues(f.t, 3, waiting(), "a clock that was set back does not keep it from being counted")
}

func backlogOfOrganizations(f *fixture, s webhook.BacklogStore) {
	hour := start().Truncate(time.Hour)
	for i, organization := range []string{org, other, ""} {
		sub := hook("webhook", "slack")
		sub.OrganizationID = organization
		f.create(sub)
		for _, e := range newEvents("evt", i+1) {
			e.OrganizationID = organization
			f.enqueue(start().Add(time.Duration(-i)*time.Minute), e)
		}
	}
	idle := hook()
	idle.OrganizationID = "org_idle"
	f.create(idle)
	f.sample(s, start())
	for i, organization := range []string{org, other, ""} {
		require.Equal(f.t, []webhook.HourlyBacklog{{Hour: hour, Waiting: 2 * int64(i+1),
			OldestDueAge: time.Duration(i) * time.Minute}},
			f.backlog(s, webhook.BacklogQuery{OrganizationID: organization}),
			"an organization's backlog is that of its own deliveries")
	}
	require.Equal(f.t, []webhook.HourlyBacklog{{Hour: hour, Waiting: 12,
		OldestDueAge: 2 * time.Minute}}, f.backlog(s, webhook.BacklogQuery{AllOrganizations: true,
		OrganizationID: other}), "the backlog of all organizations is their sum")
	for _, stranger := range []string{"org_idle", "org_unknown"} {
		require.Equal(f.t, []webhook.HourlyBacklog{{Hour: hour}},
			f.backlog(s, webhook.BacklogQuery{OrganizationID: stranger}),
			"an organization of which nothing is waiting has a backlog of 0, known or not")
	}
}

func backlogKept(f *fixture, s webhook.BacklogStore) {
	f.create(hook())
	hour := start().Truncate(time.Hour)
	f.emit(hour, "evt_1")
	for i := range 4 {
		f.sample(s, hour.Add(time.Duration(i)*time.Hour))
	}
	left := func(now time.Time) int {
		f.t.Helper()
		n, err := f.Prune(f.ctx, now, webhook.PruneRequest{Limit: 1})
		require.NoError(f.t, err)
		require.Zero(f.t, n, "the backlog is no part of what Prune counts")
		ofAll := f.backlog(s, webhook.BacklogQuery{AllOrganizations: true})
		require.Len(f.t, f.backlog(s, webhook.BacklogQuery{OrganizationID: org}), len(ofAll))
		return len(ofAll)
	}
	require.Equal(f.t, 3, left(hour.Add(2*time.Hour+webhook.StatisticsKept-tick)),
		"hours that ended StatisticsKept ago go, others stay")
	require.Equal(f.t, 1, left(hour.Add(4*time.Hour+webhook.StatisticsKept-tick)),
		"all hours that are too old go, whatever Limit")
	require.Zero(f.t, left(hour.Add(4*time.Hour+webhook.StatisticsKept)))
}

// sampleConcurrently has many callers count at once, in several hours.
func sampleConcurrently(f *fixture, stores ...webhook.BacklogStore) {
	for i := range 8 {
		sub := hook()
		sub.OrganizationID = fmt.Sprint("org_", i)
		f.create(sub)
		e := newEvent("evt")
		e.OrganizationID = sub.OrganizationID
		f.enqueue(start(), e)
	}
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for n := range 10 {
				at := start().Add(time.Duration(n) * 20 * time.Minute)
				assert.NoError(f.t, stores[i%len(stores)].SampleBacklog(f.ctx, at))
			}
		})
	}
	callers.Wait()
	hours := f.backlog(stores[0], webhook.BacklogQuery{AllOrganizations: true})
	require.Len(f.t, hours, 4)
	for _, h := range hours {
		require.EqualValues(f.t, 8, h.Waiting, "concurrent calls do not add up")
		require.False(f.t, h.More)
	}
	require.Len(f.t, f.backlog(stores[0], webhook.BacklogQuery{OrganizationID: "org_3"}), 4)
}

func backlogCancellation(f *fixture, s webhook.BacklogStore) {
	f.create(hook())
	f.emit(start(), "evt_1")
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	require.Error(f.t, s.SampleBacklog(ctx, start()),
		"SampleBacklog with a cancelled context is an error")
	_, err := s.HourlyBacklog(ctx, webhook.BacklogQuery{OrganizationID: org})
	require.Error(f.t, err, "HourlyBacklog with a cancelled context is an error")
	f.requireBacklog(s, "an error leaves everything as it was")
}
