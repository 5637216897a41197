package storetest

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func endpointCases() []testCase {
	return []testCase{
		{"HealthyAtFirst", healthyAtFirst},
		{"RoundTrip", stateRoundTrip},
		{"CompareAndSet", stateCompareAndSet},
		{"ManyAtOnce", manyStatesAtOnce},
		{"OtherOrganizations", stateOfOthers},
		{"List", listStates},
		{"ListOfAllOrganizations", listStatesOfAll},
		{"DegradedIsProbed", degradedIsProbed},
		{"DegradedProbesFreshFirst", degradedProbesFreshFirst},
		{"DegradedAmongOthers", degradedAmongOthers},
		{"DegradedIsNotPrefetched", degradedIsNotPrefetched},
		{"FailedProbeDoesNotCount", failedProbeDoesNotCount},
		{"ProbeThatWasLost", probeThatWasLost},
		{"DisabledWaits", disabledWaits},
		{"DisabledSurvivesUpdates", disabledSurvivesUpdates},
		{"OneChannelOfTwo", oneChannelOfTwo},
		{"RemovedWithItsChannel", stateRemovedWithChannel},
		{"RemovedWithItsSubscription", stateRemovedWithSubscription},
		{"HealthySince", healthySince},
	}
}

func endpointOf(sub *webhook.Subscription) webhook.Endpoint {
	return webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}
}

func (f *fixture) state(e webhook.Endpoint) webhook.EndpointState {
	f.t.Helper()
	s, err := f.EndpointState(f.ctx, org, e)
	require.NoError(f.t, err, "reading the state of an endpoint")
	return s
}

// setState changes the stored state of an endpoint.
func (f *fixture) setState(e webhook.Endpoint, change func(*webhook.EndpointState)) {
	f.t.Helper()
	s := f.state(e)
	change(&s)
	require.NoError(f.t, webhook.SetEndpointState(f.ctx, f, &s, 0),
		"setting a state that was not changed meanwhile")
}

func (f *fixture) setHealth(e webhook.Endpoint, h webhook.Health, since, probe time.Time) {
	f.t.Helper()
	f.setState(e, func(s *webhook.EndpointState) { s.Health, s.Since, s.NextProbe = h, since, probe })
}

func (f *fixture) states(q webhook.EndpointQuery) []webhook.EndpointState {
	f.t.Helper()
	if q.OrganizationID == "" {
		q.OrganizationID = org
	}
	states, err := f.EndpointStates(f.ctx, q)
	require.NoError(f.t, err, "reading states")
	return states
}

func healthyAtFirst(f *fixture) {
	sub := f.create(hook())
	e := endpointOf(sub)
	require.Equal(f.t, webhook.EndpointState{OrganizationID: org, Endpoint: e,
		Health: webhook.Healthy}, f.state(e), "an endpoint is healthy at first")
	require.Empty(f.t, f.states(webhook.EndpointQuery{}), "healthy endpoints are not listed")
	_, err := f.EndpointState(f.ctx, org, webhook.Endpoint{SubscriptionID: sub.ID, Channel: "slack"})
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "the subscription has no such channel")
	err = webhook.SetEndpointState(f.ctx, f, &webhook.EndpointState{OrganizationID: org,
		Health:   webhook.Disabled,
		Endpoint: webhook.Endpoint{SubscriptionID: webhook.NewID(), Channel: "webhook"}}, 0)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "there is no such subscription")
	err = webhook.SetEndpointState(f.ctx, f, &webhook.EndpointState{OrganizationID: org, Endpoint: e,
		Health: "ill"}, 0)
	require.Error(f.t, err, "there is no such health")
	require.Equal(f.t, webhook.Healthy, f.state(e).Health)
}

// fullState is a state with every field.
func fullState(e webhook.Endpoint, h webhook.Health) webhook.EndpointState {
	s := webhook.EndpointState{
		OrganizationID: org, Endpoint: e, Health: h, Since: start().Add(time.Minute),
		FailingSince: start(), FailedProbes: 3, ChangedBy: "Ann Müller",
		Cause: &webhook.EndpointCause{DeliveryID: 7, Class: "status", StatusCode: 503,
			Error: "the endpoint answered 503, \"later\""},
		InconclusiveProbes: 2,
	}
	s.LastFailure = &webhook.EndpointFailure{Since: start().Add(-time.Hour), Until: start(),
		Cause: &webhook.EndpointCause{DeliveryID: 5, Class: "timeout", Error: "no answer"}}
	if h == webhook.Degraded {
		s.NextProbe = start().Add(time.Hour)
	}
	return s
}

func stateRoundTrip(f *fixture) {
	e := endpointOf(f.create(hook()))
	for _, health := range []webhook.Health{webhook.Degraded, webhook.Disabled} {
		want := fullState(e, health)
		want.Revision = f.state(e).Revision
		before := want.Revision
		require.NoError(f.t, webhook.SetEndpointState(f.ctx, f, &want, 0))
		require.Greater(f.t, want.Revision, before, "the new revision is set in the state")
		require.Equal(f.t, want, f.state(e), "a state is kept as it was set")
		require.Equal(f.t, []webhook.EndpointState{want}, f.states(webhook.EndpointQuery{}))
	}
	back := f.state(e)
	back = webhook.EndpointState{OrganizationID: org, Endpoint: e, Health: webhook.Healthy,
		Since: start().Add(2 * time.Hour), ChangedBy: "Bob", Revision: back.Revision}
	require.NoError(f.t, webhook.SetEndpointState(f.ctx, f, &back, 0))
	require.Equal(f.t, back, f.state(e), "so is that of an endpoint that became healthy")
	require.Empty(f.t, f.states(webhook.EndpointQuery{}), "healthy endpoints are not listed")
}

// manyStatesAtOnce changes states of several organizations in one call, of which some are refused.
func manyStatesAtOnce(f *fixture) {
	var changes []webhook.EndpointChange
	add := func(sub *webhook.Subscription, key string, h webhook.Health) *webhook.EndpointState {
		state := &webhook.EndpointState{OrganizationID: sub.OrganizationID, Health: h,
			Endpoint: webhook.Endpoint{SubscriptionID: sub.ID, Channel: key}}
		changes = append(changes, webhook.EndpointChange{State: state})
		return state
	}
	theirs := hook()
	theirs.OrganizationID = "org_b"
	f.create(theirs)
	two := f.create(hook("webhook", "slack"))
	keys := two.ChannelKeys()
	first := add(two, keys[1], webhook.Degraded)
	add(theirs, theirs.ChannelKeys()[0], webhook.Disabled)
	second := add(two, keys[0], webhook.Disabled)
	var others []*webhook.Subscription
	for range 20 {
		others = append(others, f.create(hook()))
		add(others[len(others)-1], keys[0], webhook.Degraded)
	}
	again := len(changes)
	add(others[0], keys[0], webhook.Disabled)
	missing := len(changes)
	add(&webhook.Subscription{ID: webhook.NewID(), OrganizationID: org}, keys[0], webhook.Degraded)
	stale := len(changes)
	add(f.create(hook()), keys[0], webhook.Degraded)
	changes[stale].SubscriptionRevision = 1

	results, err := f.SetEndpointStates(f.ctx, changes)
	require.NoError(f.t, err)
	require.Len(f.t, results, len(changes))
	for i, result := range results {
		switch i {
		case again, stale:
			require.ErrorIs(f.t, result, webhook.ErrConflict, "change %d", i)
		case missing:
			require.ErrorIs(f.t, result, webhook.ErrNotFound)
		default:
			require.NoError(f.t, result, "change %d", i)
		}
	}
	require.Equal(f.t, *first, f.state(first.Endpoint))
	require.Equal(f.t, *second, f.state(second.Endpoint))
	require.Len(f.t, f.states(webhook.EndpointQuery{OrganizationID: "org_b"}), 1)
	for i, sub := range others {
		require.Equal(f.t, webhook.Degraded, f.state(endpointOf(sub)).Health, "change %d", i)
	}
	require.Equal(f.t, webhook.Healthy, f.state(changes[stale].State.Endpoint).Health,
		"what is refused changes nothing")

	broken := *first
	broken.Health = "ill"
	change := *second
	change.Health = webhook.Healthy
	_, err = f.SetEndpointStates(f.ctx, []webhook.EndpointChange{{State: &change}, {State: &broken}})
	require.Error(f.t, err)
	require.Equal(f.t, webhook.Disabled, f.state(second.Endpoint).Health,
		"after an error nothing is stored")
	results, err = f.SetEndpointStates(f.ctx, nil)
	require.NoError(f.t, err)
	require.Empty(f.t, results)
}

func stateCompareAndSet(f *fixture) {
	sub := f.create(hook())
	e := endpointOf(sub)
	mine, theirs := f.state(e), f.state(e)
	mine.Health, theirs.Health = webhook.Degraded, webhook.Disabled
	require.NoError(f.t, webhook.SetEndpointState(f.ctx, f, &mine, sub.Revision))
	require.ErrorIs(f.t, webhook.SetEndpointState(f.ctx, f, &theirs, 0), webhook.ErrConflict,
		"of two changes that are based on one revision, the second one is refused")
	require.Equal(f.t, webhook.Degraded, f.state(e).Health, "what is refused changes nothing")
	updated := f.update(sub, func(sub *webhook.Subscription) { sub.Name = "Repaired" })
	require.Equal(f.t, mine, f.state(e), "an update changes no state")
	mine.Health = webhook.Disabled
	require.ErrorIs(f.t, webhook.SetEndpointState(f.ctx, f, &mine, sub.Revision), webhook.ErrConflict,
		"a change that is based on an older subscription is refused")
	require.NoError(f.t, webhook.SetEndpointState(f.ctx, f, &mine, updated.Revision))
	require.Equal(f.t, updated.Revision, f.update(sub, func(*webhook.Subscription) {}).Revision-1,
		"a state does not change the revision of its subscription")
}

func stateOfOthers(f *fixture) {
	e := endpointOf(f.create(hook()))
	f.setHealth(e, webhook.Degraded, start(), start())
	for _, stranger := range []string{other, "", org + " "} {
		_, err := f.EndpointState(f.ctx, stranger, e)
		require.ErrorIs(f.t, err, webhook.ErrNotFound, "asked by %q", stranger)
		states, err := f.EndpointStates(f.ctx, webhook.EndpointQuery{OrganizationID: stranger,
			SubscriptionID: e.SubscriptionID})
		require.NoError(f.t, err)
		require.Empty(f.t, states, "asked by %q", stranger)
		stolen := f.state(e)
		stolen.OrganizationID, stolen.Health = stranger, webhook.Disabled
		require.ErrorIs(f.t, webhook.SetEndpointState(f.ctx, f, &stolen, 0), webhook.ErrNotFound,
			"set by %q", stranger)
	}
	require.Equal(f.t, webhook.Degraded, f.state(e).Health)
}

func listStates(f *fixture) {
	var all []webhook.Endpoint
	for i := range 4 {
		sub := f.create(hook("webhook", "webhook", "slack"))
		for j, key := range sub.ChannelKeys() {
			e := webhook.Endpoint{SubscriptionID: sub.ID, Channel: key}
			switch (i + j) % 3 {
			case 1:
				f.setHealth(e, webhook.Degraded, start(), start())
				all = append(all, e)
			case 2:
				f.setHealth(e, webhook.Disabled, start(), time.Time{})
				all = append(all, e)
			}
		}
	}
	found := f.states(webhook.EndpointQuery{})
	require.Len(f.t, found, len(all), "every endpoint that is not healthy is listed")
	var paged []webhook.EndpointState
	var after webhook.Endpoint
	for {
		page := f.states(webhook.EndpointQuery{After: after, Limit: 3})
		require.LessOrEqual(f.t, len(page), 3)
		paged = append(paged, page...)
		if len(page) < 3 {
			break
		}
		after = page[2].Endpoint
	}
	require.Equal(f.t, found, paged, "pages have each state once, in the order of the list")
	for _, h := range []webhook.Health{webhook.Degraded, webhook.Disabled} {
		for _, s := range f.states(webhook.EndpointQuery{Health: h}) {
			require.Equal(f.t, h, s.Health)
		}
	}
	require.Len(f.t, f.states(webhook.EndpointQuery{Health: webhook.Degraded}),
		len(all)-len(f.states(webhook.EndpointQuery{Health: webhook.Disabled})))
	require.Empty(f.t, f.states(webhook.EndpointQuery{Health: webhook.Healthy}))
	require.Empty(f.t, f.states(webhook.EndpointQuery{Health: "ill"}))
	mine := f.states(webhook.EndpointQuery{SubscriptionID: all[0].SubscriptionID})
	require.NotEmpty(f.t, mine)
	for _, s := range mine {
		require.Equal(f.t, all[0].SubscriptionID, s.SubscriptionID)
	}
	require.Len(f.t, f.states(webhook.EndpointQuery{SubscriptionID: all[0].SubscriptionID,
		After: mine[0].Endpoint}), len(mine)-1)
}

// listStatesOfAll lists the endpoints of all organizations.
func listStatesOfAll(f *fixture) {
	for _, id := range []string{other, org, "", org, other} {
		sub := hook("webhook", "slack")
		sub.OrganizationID = id
		sub = f.create(sub)
		for _, key := range sub.ChannelKeys() {
			state := fullState(webhook.Endpoint{SubscriptionID: sub.ID, Channel: key}, webhook.Degraded)
			state.OrganizationID = id
			require.NoError(f.t, webhook.SetEndpointState(f.ctx, f, &state, 0))
		}
	}
	var found []webhook.EndpointState
	q := webhook.EndpointQuery{AllOrganizations: true, Limit: 3}
	for range 4 {
		page, err := f.EndpointStates(f.ctx, q)
		require.NoError(f.t, err)
		found = append(found, page...)
		last := found[len(found)-1]
		q.OrganizationID, q.After = last.OrganizationID, last.Endpoint
	}
	var together []webhook.EndpointState
	var seen []string
	for _, s := range found {
		if slices.Contains(seen, s.OrganizationID) {
			continue
		}
		seen = append(seen, s.OrganizationID)
		states, err := f.EndpointStates(f.ctx, webhook.EndpointQuery{OrganizationID: s.OrganizationID})
		require.NoError(f.t, err)
		together = append(together, states...)
	}
	require.Len(f.t, together, 10)
	require.Equal(f.t, together, found,
		"pages have each state of all organizations once, those of an organization together")
	none, err := f.EndpointStates(f.ctx, webhook.EndpointQuery{AllOrganizations: true,
		Health: webhook.Disabled})
	require.NoError(f.t, err)
	require.Empty(f.t, none)
}

func degradedIsProbed(f *fixture) {
	e := endpointOf(f.create(hook()))
	f.enqueue(start(), newEvents("evt", 5)...)
	probe := start().Add(time.Minute)
	f.setHealth(e, webhook.Degraded, start(), probe)
	f.requireNothingDue(probe.Add(-tick), "a degraded endpoint is left alone until its next probe")
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPending}), 5,
		"what waits for a degraded endpoint is pending")

	task := f.claimOne(probe)
	require.NotNil(f.t, task.Probe, "a task of a degraded endpoint is a probe")
	f.requireTime(probe.Add(lease), task.Probe.NextProbe,
		"the next probe waits for the end of the lease of this one")
	require.Equal(f.t, f.state(e), *task.Probe, "a probe has the state after the claim")
	f.requireNothingDue(probe.Add(lease-tick), "there is one probe at a time")

	next := probe.Add(2 * time.Minute)
	f.settle(probe, retry(task, probe, next))
	failed := *task.Probe
	failed.FailedProbes, failed.NextProbe = 1, next
	require.NoError(f.t, webhook.SetEndpointState(f.ctx, f, &failed, 0),
		"a probe changes the state on the revision that it has")
	f.requireNothingDue(next.Add(-tick), "a degraded endpoint is left alone until its next probe")
	second := f.claimOne(next)
	require.Equal(f.t, 1, second.Probe.FailedProbes)

	f.settle(next, succeeded(second, next))
	f.setState(e, func(s *webhook.EndpointState) { s.Health, s.Since = webhook.Healthy, next })
	require.Len(f.t, f.claim(next, 10), 4, "what waited is due once the endpoint is healthy")
}

func degradedProbesFreshFirst(f *fixture) {
	e := endpointOf(f.create(hook()))
	f.enqueue(start(), newEvents("evt", 3)...)
	first := f.claimN(start(), 1)[0]
	f.settle(start(), retry(first, start(), start()))
	f.setHealth(e, webhook.Degraded, start(), time.Time{})
	task := f.claimOne(start())
	require.NotEqual(f.t, first.DeliveryID, task.DeliveryID,
		"a probe takes a delivery that was never attempted before one that was")
	require.NotNil(f.t, task.Probe, "without a NextProbe, a probe is due at once")
}

func degradedAmongOthers(f *fixture) {
	var probes []webhook.Endpoint
	for i := range 6 {
		e := endpointOf(f.create(hook()))
		if i%2 == 0 {
			probes = append(probes, e)
		}
	}
	f.enqueue(start(), newEvents("evt", 4)...)
	for i, e := range probes {
		due := start()
		if i == 0 {
			due = start().Add(time.Hour)
		}
		f.setHealth(e, webhook.Degraded, start(), due)
	}
	tasks := f.claimWith(start(), webhook.ClaimRequest{Limit: 8, PerEndpoint: 3})
	require.Len(f.t, tasks, 8, "a claim takes all that is due within its bounds")
	tasks = append(tasks, f.claim(start(), 100)...)
	count := make(map[webhook.Endpoint]int)
	for _, task := range tasks {
		count[task.Endpoint]++
	}
	require.Len(f.t, tasks, 3*4+2, "of a degraded endpoint, a claim takes one, and of others all")
	require.Zero(f.t, count[probes[0]])
	require.Equal(f.t, 1, count[probes[1]])
	require.Equal(f.t, 1, count[probes[2]])
	for _, task := range tasks {
		require.Equal(f.t, count[task.Endpoint] == 1, task.Probe != nil,
			"only tasks of degraded endpoints are probes")
	}
}

func degradedIsNotPrefetched(f *fixture) {
	e := endpointOf(f.create(hook()))
	f.emit(start(), "evt_before") // so that a store that remembers where events go does
	f.setHealth(e, webhook.Degraded, start(), start())
	require.Empty(f.t, f.prefetch(start(), always, newEvent("evt_1")),
		"deliveries of a degraded endpoint are never prefetched, even if a probe is due")
	f.setHealth(e, webhook.Disabled, start(), time.Time{})
	require.Empty(f.t, f.prefetch(start(), always, newEvent("evt_2")),
		"deliveries of a disabled endpoint are never prefetched")
	f.setHealth(e, webhook.Healthy, start(), time.Time{})
	require.Len(f.t, f.prefetch(start(), always, newEvent("evt_3")), 1,
		"those of an endpoint that is healthy again are")
	require.Len(f.t, f.claim(start(), 10), 3)
}

func failedProbeDoesNotCount(f *fixture) {
	e := endpointOf(f.create(hook()))
	f.emit(start(), "evt_1")
	f.setHealth(e, webhook.Degraded, start(), start())
	task := f.claimOne(start())
	failed := retry(task, start(), start().Add(time.Minute))
	failed.Probe = true
	f.settle(start(), failed)
	require.Len(f.t, f.get(task.DeliveryID).Attempts, 1, "a failed probe is in the history")
	f.setHealth(e, webhook.Healthy, start(), time.Time{})
	again := f.claimOne(start().Add(time.Minute))
	require.Equal(f.t, 1, again.Attempts)
	require.Zero(f.t, again.AttemptsSinceQueued, "a failed probe does not count as an attempt")
}

func probeThatWasLost(f *fixture) {
	e := endpointOf(f.create(hook()))
	f.enqueue(start(), newEvents("evt", 2)...)
	f.setHealth(e, webhook.Degraded, start(), start())
	lost := f.claimOne(start())
	now := start().Add(lease)
	f.requireNothingDue(now.Add(-tick), "there is one probe at a time")
	next := f.claimOne(now)
	require.NotNil(f.t, next.Probe, "once the lease of a probe has ended, there may be another")
	late := *lost.Probe
	late.Health = webhook.Disabled
	require.ErrorIs(f.t, webhook.SetEndpointState(f.ctx, f, &late, 0), webhook.ErrConflict,
		"a probe that another one has followed changes the state no more")
}

func disabledWaits(f *fixture) {
	sub := f.create(hook())
	e := endpointOf(sub)
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 2)
	f.setHealth(e, webhook.Disabled, start(), time.Time{})
	f.enqueue(start(), newEvents("later", 2)...)
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPaused}), 5,
		"unfinished deliveries of a disabled endpoint are paused, new ones too")
	require.EqualValues(f.t, 5, f.statistics(sub, time.Time{}).Paused)
	f.requireNothingDue(start().Add(time.Hour), "deliveries of a disabled endpoint wait")
	require.Empty(f.t, f.extend(start().Add(2*time.Hour), tasks[0].Lease, tasks[1].Lease),
		"leases stay as they are")
	f.settle(start(), succeeded(tasks[0], start()), retry(tasks[1], start(), start()))
	require.Equal(f.t, webhook.StatusSucceeded, f.status(tasks[0].DeliveryID), "results still count")
	require.Equal(f.t, webhook.StatusPaused, f.status(tasks[1].DeliveryID))
	f.setHealth(e, webhook.Healthy, start(), time.Time{})
	require.Len(f.t, f.claim(start(), 10), 4, "enabling releases what waited")
}

func disabledSurvivesUpdates(f *fixture) {
	sub := f.create(hook())
	e := endpointOf(sub)
	f.emit(start(), "evt_1")
	f.setHealth(e, webhook.Disabled, start(), time.Time{})
	f.setPaused(sub, true)
	f.setPaused(sub, false)
	f.requireNothingDue(start(), "an endpoint stays disabled when its subscription is resumed")
	require.Empty(f.t, f.prefetch(start(), always, newEvent("evt_2")))
	f.setPaused(sub, true)
	f.setHealth(e, webhook.Healthy, start(), time.Time{})
	f.requireNothingDue(start(), "an endpoint that is enabled waits while its subscription is paused")
	require.Empty(f.t, f.prefetch(start(), always, newEvent("evt_3")))
	f.setPaused(sub, false)
	require.Len(f.t, f.claim(start(), 10), 3)
}

func oneChannelOfTwo(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	e := endpointOf(sub)
	f.emit(start(), "evt_before")
	f.setHealth(e, webhook.Disabled, start(), time.Time{})
	tasks := f.prefetch(start(), always, newEvent("evt_1"))
	require.Len(f.t, tasks, 1, "a disabled endpoint holds up no other of its subscription")
	require.Equal(f.t, "slack", tasks[0].Endpoint.Channel)
	require.Equal(f.t, "slack", f.claimOne(start()).Endpoint.Channel)
	require.Len(f.t, f.list(webhook.DeliveryQuery{Status: webhook.StatusPaused}), 2)
	got := f.statistics(sub, time.Time{})
	require.EqualValues(f.t, 2, got.Paused)
	require.EqualValues(f.t, 2, got.InFlight)
	require.Zero(f.t, got.Pending)
}

func stateRemovedWithChannel(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	e := endpointOf(sub)
	f.setHealth(e, webhook.Disabled, start(), time.Time{})
	without := f.update(sub, func(sub *webhook.Subscription) { sub.Channels = sub.Channels[1:] })
	_, err := f.EndpointState(f.ctx, org, e)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "a state is removed with its channel")
	require.Empty(f.t, f.states(webhook.EndpointQuery{}))
	f.update(without, func(w *webhook.Subscription) { w.Channels = sub.Channels })
	require.Equal(f.t, webhook.Healthy, f.state(e).Health, "a channel that is added again is healthy")
	require.Len(f.t, f.prefetch(start(), always, newEvent("evt_1")), 2)
}

func stateRemovedWithSubscription(f *fixture) {
	sub := f.create(hook())
	e := endpointOf(sub)
	f.setHealth(e, webhook.Degraded, start(), start())
	stale := f.state(e)
	f.emit(start(), "evt_1")
	f.remove(sub)
	_, err := f.EndpointState(f.ctx, org, e)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "a state is removed with its subscription")
	require.Empty(f.t, f.states(webhook.EndpointQuery{}))
	require.ErrorIs(f.t, webhook.SetEndpointState(f.ctx, f, &stale, 0), webhook.ErrNotFound)
	f.requireNothingDue(start(), "deliveries of a deleted subscription are not claimed")
	if f.recreate(sub, org) {
		require.Equal(f.t, webhook.Healthy, f.state(e).Health)
	}
}

func healthySince(f *fixture) {
	e := endpointOf(f.create(hook()))
	f.enqueue(start(), newEvents("evt", 2)...)
	require.Zero(f.t, f.claimN(start(), 1)[0].HealthySince, "it has always been healthy")
	f.setHealth(e, webhook.Degraded, start(), start())
	probe := f.claimOne(start())
	require.Zero(f.t, probe.HealthySince, "it is not healthy")
	f.settle(start(), retry(probe, start(), start()))
	at := start().Add(time.Hour)
	f.setHealth(e, webhook.Healthy, at, time.Time{})
	for _, task := range f.claimN(at, 2) {
		f.requireTime(at, task.HealthySince, "HealthySince")
		require.Nil(f.t, task.Probe)
	}
}
