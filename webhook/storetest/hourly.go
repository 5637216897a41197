package storetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// hourly asks for figures by hour.
func (f *fixture) hourly(q webhook.HourlyQuery) webhook.HourlyPage {
	f.t.Helper()
	page, err := f.HourlyStatistics(f.ctx, q)
	require.NoError(f.t, err, "asking for figures by hour")
	return page
}

func hourlyStatistics(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	idle := f.create(hook())
	f.update(idle, func(sub *webhook.Subscription) { sub.EventTypes[0] = "invoice.*" })
	mine := webhook.HourlyQuery{OrganizationID: org, SubscriptionID: sub.ID}
	require.Empty(f.t, f.hourly(mine).Hours, "nothing was recorded yet")

	hour := start().UTC().Truncate(time.Hour)
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 6)
	f.settle(hour.Add(10*time.Minute),
		attempted(succeeded(tasks[0], start()), time.Second),
		attempted(died(tasks[1], start()), time.Minute))
	f.settle(hour.Add(time.Hour), attempted(succeeded(tasks[2], start()), 2*time.Second),
		attempted(succeeded(tasks[3], start()), 3*time.Second))
	f.settle(hour.Add(3*time.Hour), attempted(retry(tasks[4], start(), start()), 0))
	require.NoError(f.t, f.Cancel(f.ctx, hour.Add(3*time.Hour), org, tasks[5].DeliveryID))

	want := []webhook.HourlyStatistics{
		{SubscriptionID: sub.ID, Hour: hour, Succeeded: 1, Failed: 1, Dead: 1,
			Duration: time.Second + time.Minute, Durations: durations(time.Second, time.Minute),
			LastSuccess: start(), LastFailure: start()},
		{SubscriptionID: sub.ID, Hour: hour.Add(time.Hour), Succeeded: 2, Duration: 5 * time.Second,
			Durations: durations(2*time.Second, 3*time.Second), LastSuccess: start()},
		{SubscriptionID: sub.ID, Hour: hour.Add(3 * time.Hour), Failed: 1, Cancelled: 1,
			Durations: durations(0), LastFailure: start()},
	}
	const rule = "the figures of all channels of a subscription are added up, hour by hour"
	require.Equal(f.t, want, f.hourly(mine).Hours, rule)
	require.Empty(f.t, f.hourly(mine).Next, "one subscription is one page")
	require.Equal(f.t, want, f.hourly(webhook.HourlyQuery{OrganizationID: org}).Hours, rule)
	mine.Since = hour.Add(90 * time.Minute)
	require.Equal(f.t, want[1:], f.hourly(mine).Hours, "Since is rounded down to the hour")

	for _, stranger := range []string{other, ""} {
		page := f.hourly(webhook.HourlyQuery{OrganizationID: stranger, SubscriptionID: sub.ID})
		require.Empty(f.t, page, "what belongs to another organization is not found")
		require.Empty(f.t, f.hourly(webhook.HourlyQuery{OrganizationID: stranger}),
			"what belongs to another organization is not found")
	}
	require.NoError(f.t, f.DeleteSubscription(f.ctx, org, sub.ID, 0))
	require.Empty(f.t, f.hourly(webhook.HourlyQuery{OrganizationID: org}).Hours,
		"figures are removed with their subscription")
}

func hourlyPages(f *fixture) {
	for range 5 {
		f.create(hook("webhook", "slack"))
	}
	f.enqueue(start(), newEvent("evt"))
	for _, task := range f.claimN(start(), 10) {
		f.settle(start(), succeeded(task, start()))
	}
	q := webhook.HourlyQuery{OrganizationID: org, Limit: 2}
	seen := map[string]int64{}
	var sizes []int
	for {
		page := f.hourly(q)
		for _, h := range page.Hours {
			seen[h.SubscriptionID] += h.Succeeded
		}
		sizes = append(sizes, len(page.Hours))
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	require.Equal(f.t, []int{2, 2, 1}, sizes,
		"a page is of Limit subscriptions, whatever channels they have")
	require.Len(f.t, seen, 5)
	for _, n := range seen {
		require.EqualValues(f.t, 2, n, "each subscription is on one page, with all of its channels")
	}
}

// durations counts attempts that took that long.
func durations(took ...time.Duration) (d webhook.Durations) {
	for _, each := range took {
		d.Count(each)
	}
	return d
}
