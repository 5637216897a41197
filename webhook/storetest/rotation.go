package storetest

import (
	"fmt"
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
	}
}

// subscribe makes a webhook with an event type of its own, and a backlog.
func (f *fixture) subscribe(name string, at time.Time, backlog int) webhook.Endpoint {
	f.t.Helper()
	w := hook()
	w.EventTypes = []event.Pattern{event.Pattern(name + ".sent")}
	f.create(w)
	events := newEvents("evt_"+name, backlog)
	for i := range events {
		events[i].Type = name + ".sent"
	}
	f.enqueue(at, events...)
	return webhook.Endpoint{WebhookID: w.ID, Channel: "webhook"}
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
		a, c, {WebhookID: "wh_unknown", Channel: "webhook"}, {WebhookID: b.WebhookID, Channel: "slack"},
	}}
	for i := range 1_000 {
		r.Skip = append(r.Skip, webhook.Endpoint{WebhookID: fmt.Sprintf("wh_%016x", i), Channel: `quote"'\\{},`})
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
