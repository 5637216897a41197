package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func cancellationCases() []testCase {
	return []testCase{
		{"BeforeTheCall", cancelledBefore},
		{"DuringEnqueue", cancelledDuringEnqueue},
	}
}

func cancelledBefore(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 4)...)
	tasks := f.claimN(start(), 2)
	f.settle(start(), died(tasks[0], start()))
	before, figures := f.list(webhook.DeliveryQuery{}), f.statistics(sub, time.Time{})

	require.NoError(f.t, f.Ping(f.ctx), "a store that can be read answers a Ping")
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	late := start().Add(48 * time.Hour)
	changed := sub.Clone()
	changed.Name = "Changed"
	for name, call := range map[string]func() error{
		"Ping":               func() error { return f.Ping(ctx) },
		"CreateSubscription": func() error { return f.CreateSubscription(ctx, hook(), webhook.Quota{}) },
		"Webhook":            func() error { _, err := f.Subscription(ctx, org, sub.ID); return err },
		"Webhooks": func() error {
			_, err := f.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: org})
			return err
		},
		"CountSubscriptions": func() error {
			_, err := f.CountSubscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: org})
			return err
		},
		"UpdateSubscription": func() error { return f.UpdateSubscription(ctx, changed, webhook.Quota{}) },
		"DeleteSubscription": func() error { return f.DeleteSubscription(ctx, org, sub.ID, 0) },
		"Enqueue": func() error {
			_, err := f.Enqueue(ctx, start(), newEvents("new", 3), &webhook.Prefetch{Until: late, Take: always})
			return err
		},
		"Claim": func() error {
			_, err := f.Claim(ctx, start(), webhook.ClaimRequest{Until: late, Limit: 10, PerEndpoint: 10})
			return err
		},
		"Extend": func() error { _, err := f.Extend(ctx, late, []webhook.Lease{tasks[1].Lease}); return err },
		"Settle": func() error {
			_, err := f.Settle(ctx, start(), []webhook.Settlement{succeeded(tasks[1], start())})
			return err
		},
		"Deliveries": func() error {
			_, err := f.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: org})
			return err
		},
		"Delivery":     func() error { _, err := f.Delivery(ctx, org, tasks[0].DeliveryID); return err },
		"EventPayload": func() error { _, err := f.EventPayload(ctx, org, "evt_0"); return err },
		"Replay":       func() error { return f.Replay(ctx, start(), org, tasks[0].DeliveryID) },
		"Cancel":       func() error { return f.Cancel(ctx, start(), org, tasks[1].DeliveryID) },
		"Statistics": func() error {
			_, err := f.Statistics(ctx, webhook.StatisticsQuery{OrganizationID: org, SubscriptionID: sub.ID})
			return err
		},
		"Prune": func() error {
			_, err := f.Prune(ctx, late, webhook.PruneRequest{SucceededBefore: late, DeadBefore: late, Limit: 10})
			return err
		},
	} {
		require.Error(f.t, call(), "%s with a cancelled context is an error", name)
	}

	all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(f.t, err)
	require.Len(f.t, all, 1, "an error leaves everything as it was")
	f.requireSameSubscription(sub, all[0])
	after := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, after, len(before), "an error leaves everything as it was")
	for i := range before {
		f.requireDelivery(before[i], after[i])
	}
	f.requireStatistics(figures, sub, "an error leaves everything as it was")
	require.Len(f.t, f.claim(start(), 10), 2, "an error leaves everything as it was: nothing was claimed")
}

// cancelledDuringEnqueue cancels while the store asks what to prefetch. Whether
// the call then fails is up to the store; that it is all or nothing is not.
func cancelledDuringEnqueue(f *fixture) {
	f.create(hook())
	for n := range 5 {
		ctx, cancel := context.WithCancel(f.ctx)
		asked := 0
		take := func(string, webhook.Endpoint) bool {
			if asked++; asked > n {
				cancel()
			}
			return true
		}
		prefix := fmt.Sprint("evt", n)
		before := len(f.list(webhook.DeliveryQuery{}))
		tasks, err := tasksOf(f.Enqueue(ctx, start(), newEvents(prefix, 5), &webhook.Prefetch{Until: start().Add(lease), Take: take}))
		cancel()
		stored := len(f.list(webhook.DeliveryQuery{})) - before
		if err != nil {
			require.Empty(f.t, tasks, "if Enqueue fails, nothing was taken")
			require.Zero(f.t, stored, "if Enqueue fails, nothing is stored")
			f.requireEvent(prefix+"_0", false, "if Enqueue fails, nothing is stored")
			f.enqueue(start(), newEvents(prefix, 5)...)
			require.Len(f.t, f.claim(start(), 10), 5, "after Enqueue failed, the same events can be enqueued")
			continue
		}
		require.Equal(f.t, 5, stored, "if Enqueue succeeds, everything is stored")
		require.Len(f.t, f.claim(start(), 10), 5-len(tasks), "what was not handed out is due")
	}
}
