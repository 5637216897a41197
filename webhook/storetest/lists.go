package storetest

import (
	"math"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// oldestFirst reads each list from both ends, in pages.
func oldestFirst(f *fixture) {
	sub := f.create(hook("webhook", "slack"))
	f.create(hook())
	f.enqueue(start(), newEvents("dead", 5)...)
	for i, task := range f.claimN(start(), 15) {
		if i%3 == 0 {
			f.settle(start(), succeeded(task, start()))
		} else {
			f.settle(start(), died(task, start()))
		}
	}
	f.enqueue(start(), newEvents("evt", 5)...)
	f.claimN(start(), 4)
	all := f.list(webhook.DeliveryQuery{Limit: 100})
	require.Len(f.t, all, 30)
	middle := all[len(all)/2].ID
	for _, q := range []webhook.DeliveryQuery{
		{}, {EventID: "dead_1"}, {EventID: "unknown"}, {SubscriptionID: sub.ID},
		{Status: webhook.StatusDead}, {Status: webhook.StatusSucceeded},
		{Status: webhook.StatusPending}, {Status: webhook.StatusInFlight},
		{Status: webhook.StatusDead, SubscriptionID: sub.ID}, {OrganizationID: other},
	} {
		for _, bounds := range [][2]webhook.DeliveryID{
			{}, {0, middle}, {middle, 0}, {all[9].ID, all[2].ID},
			{0, math.MaxInt64}, {math.MaxInt64, 0}, {middle, math.MaxInt64},
		} {
			q.After, q.Before, q.OldestFirst, q.Limit = bounds[0], bounds[1], false, 100
			want := f.list(q)
			slices.Reverse(want)
			if bounds[0] == math.MaxInt64 {
				require.Empty(f.t, deliveryIDs(want), "no id is larger: %+v", q)
			}
			got := []webhook.Delivery{}
			for q.OldestFirst, q.Limit = true, 4; ; q.After = got[len(got)-1].ID {
				page := f.list(q)
				got = append(got, page...)
				if len(page) < q.Limit {
					break
				}
			}
			require.Equal(f.t, deliveryIDs(want), deliveryIDs(got), "the list from its end: %+v", q)
		}
	}
}
