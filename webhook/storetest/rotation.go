package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func rotationCases() []testCase {
	return []testCase{
		{"Bounds", claimBounds},
		{"BacklogHidesNobody", backlogHidesNobody},
		{"SmallClaims", smallClaims},
		{"Skip", claimSkip},
		{"SkippedBacklog", skippedBacklog},
		{"ManyEndpoints", manyEndpoints},
		{"ManyEndpointsOfOneOrganization", manyOfOneOrganization},
		{"ClaimBoundsOfAnOrganization", boundsOfAnOrganization},
		{"SkipOrganizations", skipOrganizations},
	}
}

// subscribe makes a subscription with an event type of its own, and a backlog.
func (f *fixture) subscribe(name string, at time.Time, backlog int) webhook.Endpoint {
	f.t.Helper()
	sub := hook()
	sub.EventTypes = []event.Pattern{event.Pattern(name + ".sent")}
	f.create(sub)
	events := newEvents("evt_"+name, backlog)
	for i := range events {
		events[i].Type = name + ".sent"
	}
	f.enqueue(at, events...)
	return webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"}
}

// byEndpoint counts tasks, and checks the bounds of the request.
func (f *fixture) byEndpoint(tasks []webhook.Task, r webhook.ClaimRequest) map[webhook.Endpoint]int {
	f.t.Helper()
	count := make(map[webhook.Endpoint]int)
	for _, task := range tasks {
		count[task.Endpoint]++
		require.LessOrEqual(f.t, count[task.Endpoint], r.PerEndpoint, "Claim must not return more than PerEndpoint tasks of one endpoint")
		require.NotContains(f.t, r.Skip, task.Endpoint, "Claim must not claim for an endpoint of Skip")
	}
	return count
}

func claimBounds(f *fixture) {
	backlog := map[webhook.Endpoint]int{
		f.subscribe("a", start(), 7): 7,
		f.subscribe("b", start(), 1): 1,
		f.subscribe("c", start(), 4): 4,
	}
	for total := 12; total > 0; {
		r := webhook.ClaimRequest{Limit: 100, PerEndpoint: 3}
		got := f.byEndpoint(f.claimWith(start(), r), r)
		for endpoint, left := range backlog {
			require.Equal(f.t, min(left, 3), got[endpoint],
				"fewer than Limit tasks means that nothing else is due within PerEndpoint: every endpoint gives as many as it may")
			backlog[endpoint] -= got[endpoint]
			total -= got[endpoint]
		}
	}
	f.requireNothingDue(start(), "every delivery was claimed")
}

func backlogHidesNobody(f *fixture) {
	f.subscribe("busy", start(), 5_000)
	quiet := f.subscribe("quiet", start().Add(time.Second), 1) // due long after the others
	r := webhook.ClaimRequest{Limit: 64, PerEndpoint: 16}
	require.Equal(f.t, 1, f.byEndpoint(f.claimWith(start().Add(time.Second), r), r)[quiet],
		"a long backlog of one endpoint never hides another: within the bounds there is room for both")

	f.subscribe("late", start().Add(2*time.Second), 2)
	served := 0
	now := start().Add(2 * time.Second)
	for range 8 {
		for _, task := range f.claim(now, 10) { // the busy one alone could fill each of these
			if task.EventType == "late.sent" {
				served++
			}
		}
		now = now.Add(time.Millisecond)
	}
	require.Equal(f.t, 2, served, "a long backlog of one endpoint never hides another: within a few claims everybody has a turn")
}

func smallClaims(f *fixture) {
	const endpoints = 5
	for i := range endpoints {
		f.subscribe(fmt.Sprint("type", i), start(), 100)
	}
	now := start()
	served := make(map[webhook.Endpoint]int)
	for range 4 * endpoints {
		for _, task := range f.claim(now, 1) {
			served[task.Endpoint]++
		}
		now = now.Add(time.Millisecond)
	}
	require.Len(f.t, served, endpoints, "between endpoints the store rotates: four times round, one at a time, everybody has a turn")
	for endpoint, n := range served {
		require.LessOrEqual(f.t, n, 2*4, "between endpoints the store rotates: %v must not have twice its share", endpoint)
	}
}

func claimSkip(f *fixture) {
	a, b, c := f.subscribe("a", start(), 3), f.subscribe("b", start(), 3), f.subscribe("c", start(), 3)
	r := webhook.ClaimRequest{Limit: 100, PerEndpoint: 2, Skip: []webhook.Endpoint{
		a, c, {SubscriptionID: "wh_unknown", Channel: "webhook"}, {SubscriptionID: b.SubscriptionID, Channel: "slack"},
	}}
	for i := range 1_000 {
		r.Skip = append(r.Skip, webhook.Endpoint{SubscriptionID: fmt.Sprintf("wh_%016x", i), Channel: `quote"'\\{},`})
	}
	require.Equal(f.t, map[webhook.Endpoint]int{b: 2}, f.byEndpoint(f.claimWith(start(), r), r),
		"endpoints of Skip are passed over, others are not")
	r.Skip = []webhook.Endpoint{b}
	require.Equal(f.t, map[webhook.Endpoint]int{a: 2, c: 2}, f.byEndpoint(f.claimWith(start(), r), r),
		"Skip counts for the one claim only")
	require.Len(f.t, f.claim(start(), 100), 3, "what was passed over stays due")
}

func skippedBacklog(f *fixture) {
	busy := f.subscribe("busy", start(), 2_000)
	quiet := f.subscribe("quiet", start().Add(time.Second), 3)
	r := webhook.ClaimRequest{Limit: 10, PerEndpoint: 10, Skip: []webhook.Endpoint{busy}}
	require.Equal(f.t, map[webhook.Endpoint]int{quiet: 3}, f.byEndpoint(f.claimWith(start().Add(time.Second), r), r),
		"fewer than Limit tasks means that nothing else is due, though a long backlog is to be skipped")
}

func manyEndpoints(f *fixture) {
	const endpoints, each = 200, 2
	var channels []string
	for range 50 {
		channels = append(channels, "webhook")
	}
	for range endpoints / len(channels) {
		f.create(hook(channels...))
	}
	f.enqueue(start(), newEvents("evt", each)...)
	r := webhook.ClaimRequest{Limit: 30, PerEndpoint: 1}
	now := start()
	served := make(map[webhook.Endpoint]int)
	for total := 0; total < endpoints*each; {
		got := f.byEndpoint(f.claimWith(now, r), r)
		require.NotEmpty(f.t, got, "fewer than Limit tasks means that nothing else is due, but %d deliveries are", endpoints*each-total)
		for endpoint := range got {
			served[endpoint]++
			total++
		}
		now = now.Add(time.Millisecond)
	}
	require.Len(f.t, served, endpoints, "with more endpoints than fit into a claim, everybody has a turn")
	f.requireNothingDue(now, "every delivery was claimed")
}

// inOrganization makes a subscription of the organization with as many channels, and as
// many events for each of them.
func (f *fixture) inOrganization(organization string, channels, events int) *webhook.Subscription {
	f.t.Helper()
	sub := hook(slices.Repeat([]string{"webhook"}, channels)...)
	sub.OrganizationID = organization
	f.create(sub)
	list := newEvents("evt_"+sub.ID, events)
	for i := range list {
		list[i].OrganizationID = organization
	}
	f.enqueue(start(), list...)
	return sub
}

// ofOrganizations counts tasks, and checks the bounds of the request.
func (f *fixture) ofOrganizations(tasks []webhook.Task, r webhook.ClaimRequest) map[string]int {
	f.t.Helper()
	f.byEndpoint(tasks, r)
	count := make(map[string]int)
	for _, task := range tasks {
		count[task.OrganizationID]++
		require.NotContains(f.t, r.SkipOrganizations, task.OrganizationID, "Claim must not claim for an organization of SkipOrganizations")
	}
	for organization, n := range count {
		require.True(f.t, r.PerOrganization == 0 || n <= r.PerOrganization, "Claim must not return more than PerOrganization tasks of %s", organization)
	}
	return count
}

// manyOfOneOrganization has one with far more endpoints than fit into a claim, each
// with something due, between two with one.
func manyOfOneOrganization(f *fixture) {
	f.inOrganization("before", 1, 2)
	for range 7 {
		f.inOrganization("large", 50, 0)
	}
	f.inOrganization("large", 50, 2) // the events are for all of them
	f.inOrganization("behind", 1, 2)
	r := webhook.ClaimRequest{Limit: 40, PerOrganization: 10, PerEndpoint: 1}
	served := make(map[string]int)
	for range 4 {
		got := f.ofOrganizations(f.claimWith(start(), r), r)
		require.Equal(f.t, 10, got["large"], "the organization with many endpoints has its turn, too")
		for organization, n := range got {
			served[organization] += n
		}
	}
	require.Equal(f.t, map[string]int{"before": 2, "behind": 2, "large": 40}, served,
		"between organizations the store rotates: within a few claims every organization has a turn, however many endpoints another one has")

	endpoints := make(map[webhook.Endpoint]int)
	for range 36 + 40 {
		for _, task := range f.claimWith(start(), r) {
			endpoints[task.Endpoint]++
		}
	}
	require.Len(f.t, endpoints, 400, "and within it every endpoint has a turn")
	f.requireNothingDue(start(), "every delivery was claimed")
}

func boundsOfAnOrganization(f *fixture) {
	f.inOrganization("a", 5, 5)
	f.inOrganization("b", 1, 3)
	f.inOrganization("c", 3, 1)
	due := map[string]int{"a": 25, "b": 3, "c": 3}
	for due["a"]+due["b"]+due["c"] > 0 {
		r := webhook.ClaimRequest{Limit: 100, PerOrganization: 4, PerEndpoint: 3}
		got := f.ofOrganizations(f.claimWith(start(), r), r)
		for organization, n := range due {
			require.Equal(f.t, min(n, 4, r.PerEndpoint*map[string]int{"a": 5, "b": 1, "c": 3}[organization]), got[organization],
				"fewer than Limit tasks means that nothing else is due within PerOrganization: every organization gives as many as it may")
			due[organization] -= got[organization]
		}
	}
	f.requireNothingDue(start(), "every delivery was claimed")

	f.inOrganization("d", 5, 5)
	r := webhook.ClaimRequest{Limit: 7, PerOrganization: 100, PerEndpoint: 100}
	require.Equal(f.t, map[string]int{"d": 7}, f.ofOrganizations(f.claimWith(start(), r), r), "Limit holds beside a wider PerOrganization")
	r = webhook.ClaimRequest{Limit: 100, PerEndpoint: 100}
	require.Equal(f.t, map[string]int{"d": 18}, f.ofOrganizations(f.claimWith(start(), r), r), "without a PerOrganization there is no bound")
}

func skipOrganizations(f *fixture) {
	for _, organization := range []string{"a", "b", "c"} {
		f.inOrganization(organization, 4, 2)
	}
	r := webhook.ClaimRequest{Limit: 100, PerEndpoint: 1, SkipOrganizations: []string{"a", "unknown", "quote\"'\\{},", "c", ""}}
	require.Equal(f.t, map[string]int{"b": 4}, f.ofOrganizations(f.claimWith(start(), r), r), "organizations of SkipOrganizations are passed over, others are not")
	r.SkipOrganizations = []string{"b"}
	require.Equal(f.t, map[string]int{"a": 4, "c": 4}, f.ofOrganizations(f.claimWith(start(), r), r), "SkipOrganizations counts for the one claim only")
	require.Len(f.t, f.claim(start(), 100), 12, "what was passed over stays due")
}
