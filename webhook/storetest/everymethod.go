package storetest

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func tenantCases() []testCase {
	return []testCase{
		{"EveryMethod", isolationOfEveryMethod},
		{"NoOrganization", noOrganization},
		{"PruneIsForAll", pruneIsForAll},
	}
}

// isolationOfEveryMethod walks over all methods that take an organization, with
// the ids of one and the name of another.
func isolationOfEveryMethod(f *fixture) {
	sub := f.create(hook())
	f.enqueue(start(), newEvents("evt", 3)...)
	tasks := f.claimN(start(), 2)
	f.settle(start(), died(tasks[0], start()))
	before, figures := f.list(webhook.DeliveryQuery{}), f.statistics(sub, time.Time{})
	dead, inFlight := tasks[0].DeliveryID, tasks[1].DeliveryID

	for _, stranger := range []string{other, "", "org", org + " ", "ORG_A"} {
		const rule = "what belongs to another organization is not found (asked by %q)"
		_, err := f.Subscription(f.ctx, stranger, sub.ID)
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: stranger})
		require.NoError(f.t, err)
		require.Empty(f.t, all, rule, stranger)
		n, err := f.CountSubscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: stranger})
		require.NoError(f.t, err)
		require.Zero(f.t, n, rule, stranger)
		n, err = f.CountSubscriptions(f.ctx,
			webhook.SubscriptionQuery{OrganizationID: stranger, EventType: created})
		require.NoError(f.t, err)
		require.Zero(f.t, n, rule, stranger)
		stolen := sub.Clone()
		stolen.OrganizationID, stolen.Name = stranger, "Stolen"
		require.ErrorIs(f.t, f.UpdateSubscription(f.ctx, stolen, webhook.Quota{}), webhook.ErrNotFound,
			rule, stranger)
		require.ErrorIs(f.t, f.DeleteSubscription(f.ctx, stranger, sub.ID, 0), webhook.ErrNotFound, rule,
			stranger)

		found, err := f.Deliveries(f.ctx, webhook.DeliveryQuery{OrganizationID: stranger})
		require.NoError(f.t, err)
		require.Empty(f.t, found, rule, stranger)
		found, err = f.Deliveries(f.ctx,
			webhook.DeliveryQuery{OrganizationID: stranger, EventID: "evt_0", SubscriptionID: sub.ID})
		require.NoError(f.t, err)
		require.Empty(f.t, found, rule, stranger)
		_, err = f.Delivery(f.ctx, stranger, dead)
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		_, err = f.Statistics(f.ctx, webhook.StatisticsQuery{OrganizationID: stranger,
			SubscriptionID: sub.ID})
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		hours, err := f.HourlyStatistics(f.ctx, webhook.HourlyQuery{OrganizationID: stranger,
			SubscriptionID: sub.ID})
		require.NoError(f.t, err)
		require.Empty(f.t, hours, rule, stranger)
		totals, err := f.Totals(f.ctx, start(), webhook.TotalsQuery{OrganizationID: stranger})
		require.NoError(f.t, err)
		require.Equal(f.t, webhook.Totals{}, totals, rule, stranger)
		_, err = f.EventPayload(f.ctx, stranger, "evt_0")
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		require.ErrorIs(f.t, f.Replay(f.ctx, start(), stranger, dead), webhook.ErrNotFound, rule,
			stranger)
		require.ErrorIs(f.t, f.Cancel(f.ctx, start(), stranger, inFlight), webhook.ErrNotFound, rule,
			stranger)

		theirs := newEvent("evt_of_stranger")
		theirs.OrganizationID = stranger
		f.enqueue(start(), theirs)
		found, err = f.Deliveries(f.ctx, webhook.DeliveryQuery{OrganizationID: stranger})
		require.NoError(f.t, err)
		require.Empty(f.t, found,
			"only events of the same organization reach a subscription (emitted by %q)", stranger)
	}

	got, err := f.Subscription(f.ctx, org, sub.ID)
	require.NoError(f.t, err)
	f.requireSameSubscription(sub, got)
	f.requireStatistics(figures, sub, "only what belongs to the organization counts")
	after := f.list(webhook.DeliveryQuery{})
	require.Len(f.t, after, len(before), "only events of the same organization reach a subscription")
	for i := range before {
		f.requireDelivery(before[i], after[i])
	}
}

// noOrganization checks that the empty name is a tenant like any other.
func noOrganization(f *fixture) {
	theirs := f.create(hook())
	mine := hook()
	mine.OrganizationID = ""
	f.create(mine)
	e := newEvent("evt_1")
	e.OrganizationID = ""
	f.enqueue(start(), e, newEvent("evt_1"))

	all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{})
	require.NoError(f.t, err)
	require.Equal(f.t, []string{mine.ID}, hookIDs(all),
		"the empty organization is a tenant of its own: it does not see the others'")
	found, err := f.Deliveries(f.ctx, webhook.DeliveryQuery{})
	require.NoError(f.t, err)
	require.Len(f.t, found, 1,
		"the empty organization is a tenant of its own: it does not see the others'")
	require.Equal(f.t, mine.ID, found[0].SubscriptionID)
	require.Equal(f.t, theirs.ID, f.only().SubscriptionID)
	require.Len(f.t, f.claim(start(), 10), 2, "claims are for all organizations")
	require.NoError(f.t, f.Cancel(f.ctx, start().Add(time.Second), "", found[0].ID))
	require.NoError(f.t, f.DeleteSubscription(f.ctx, "", mine.ID, 0))
}

func pruneIsForAll(f *fixture) {
	for _, organization := range []string{org, other, ""} {
		sub := hook()
		sub.OrganizationID = organization
		f.create(sub)
		e := newEvent("evt_1")
		e.OrganizationID = organization
		f.enqueue(start(), e)
	}
	for _, task := range f.claimN(start(), 3) {
		f.settle(start(), succeeded(task, start()))
	}
	late := start().Add(time.Hour)
	require.Equal(f.t, 6, f.prune(late, late, late), "pruning is for all organizations")
}

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
		"EndpointState": func() error {
			_, err := f.EndpointState(ctx, org, endpointOf(sub))
			return err
		},
		"EndpointStates": func() error {
			_, err := f.EndpointStates(ctx, webhook.EndpointQuery{OrganizationID: org})
			return err
		},
		"SetEndpointStates": func() error {
			return webhook.SetEndpointState(ctx, f, &webhook.EndpointState{OrganizationID: org,
				Endpoint: endpointOf(sub), Health: webhook.Disabled}, 0)
		},
		"Enqueue": func() error {
			_, err := f.Enqueue(ctx, start(), newEvents("new", 3),
				&webhook.Prefetch{Until: late, Take: always})
			return err
		},
		"FanOut": func() error {
			return errorOf2(f.FanOut(ctx, start(), newEvents("evt", 3), nil))
		},
		"Claim": func() error {
			_, err := f.Claim(ctx, start(), webhook.ClaimRequest{Until: late, Limit: 10, PerEndpoint: 10})
			return err
		},
		"Extend": func() error {
			_, err := f.Extend(ctx, late, []webhook.Lease{tasks[1].Lease})
			return err
		},
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
		"ClaimExpired": func() error { _, err := f.ClaimExpired(ctx, late, late, 1); return err },
		"Cancel":       func() error { return f.Cancel(ctx, start(), org, tasks[1].DeliveryID) },
		"Statistics": func() error {
			_, err := f.Statistics(ctx, webhook.StatisticsQuery{OrganizationID: org, SubscriptionID: sub.ID})
			return err
		},
		"HourlyStatistics": func() error {
			_, err := f.HourlyStatistics(ctx, webhook.HourlyQuery{OrganizationID: org})
			return err
		},
		"Totals": func() error {
			_, err := f.Totals(ctx, start(), webhook.TotalsQuery{AllOrganizations: true})
			return err
		},
		"Prune": func() error {
			_, err := f.Prune(ctx, late, webhook.PruneRequest{SucceededBefore: late, DeadBefore: late,
				Limit: 10})
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
	require.Len(f.t, f.claim(start(), 10), 2,
		"an error leaves everything as it was: nothing was claimed")
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
		tasks, err := tasksOf(f.Enqueue(ctx, start(), newEvents(prefix, 5),
			&webhook.Prefetch{Until: start().Add(lease), Take: take}))
		cancel()
		stored := len(f.list(webhook.DeliveryQuery{})) - before
		if err != nil {
			require.Empty(f.t, tasks, "if Enqueue fails, nothing was taken")
			require.Zero(f.t, stored, "if Enqueue fails, nothing is stored")
			f.requireEvent(prefix+"_0", false, "if Enqueue fails, nothing is stored")
			f.enqueue(start(), newEvents(prefix, 5)...)
			require.Len(f.t, f.claim(start(), 10), 5,
				"after Enqueue failed, the same events can be enqueued")
			continue
		}
		require.Equal(f.t, 5, stored, "if Enqueue succeeds, everything is stored")
		require.Len(f.t, f.claim(start(), 10), 5-len(tasks), "what was not handed out is due")
	}
}

func limitCases() []testCase {
	return []testCase{
		{"BelowOneIsRefused", limitBelowOneIsRefused},
		{"BelowOneIsTheDefaultOfLists", limitBelowOneOfLists},
	}
}

// limitBelowOneIsRefused calls the methods that need a limit without one.
func limitBelowOneIsRefused(f *fixture) {
	f.create(hook())
	now := start().Add(time.Hour)
	f.settled("evt_1", start(), webhook.StatusSucceeded)
	f.emit(start(), "evt_2")
	f.emit(now.Add(time.Hour), "evt_3")
	before := f.list(webhook.DeliveryQuery{})
	for _, limit := range []int{0, -1, math.MinInt} {
		for _, r := range []webhook.ClaimRequest{
			{Until: now.Add(lease), Limit: limit, PerEndpoint: 1},
			{Until: now.Add(lease), Limit: 1, PerEndpoint: limit},
		} {
			tasks, err := f.Claim(f.ctx, now, r)
			require.Error(f.t, err, "Claim needs Limit and PerEndpoint of at least 1, not %d", limit)
			require.Empty(f.t, tasks, "an error leaves everything as it was")
		}
		r := repairRequest(now)
		r.Limit = limit
		_, err := f.Repair(f.ctx, now, r)
		require.Error(f.t, err, "Repair needs a Limit of at least 1, not %d", limit)
		_, err = f.Prune(f.ctx, now, webhook.PruneRequest{
			SucceededBefore: now, DeadBefore: now, Limit: limit,
		})
		require.Error(f.t, err, "Prune needs a Limit of at least 1, not %d", limit)
	}
	require.Equal(f.t, before, f.list(webhook.DeliveryQuery{}),
		"an error leaves everything as it was")
}

// limitBelowOneOfLists asks for lists and claims with bounds that have a default.
func limitBelowOneOfLists(f *fixture) {
	f.create(hook())
	f.create(hook())
	f.enqueue(start(), newEvents("evt", webhook.DefaultPageSize)...)
	for _, none := range []int{0, -1, math.MinInt} {
		for _, eventType := range []string{"", created} {
			all, err := f.Subscriptions(f.ctx, webhook.SubscriptionQuery{
				OrganizationID: org, EventType: eventType, Limit: none, Offset: none,
			})
			require.NoError(f.t, err)
			require.Len(f.t, all, 2, "subscriptions are not bounded by a Limit of %d", none)
			require.Len(f.t,
				f.list(webhook.DeliveryQuery{EventType: eventType, Limit: none, AttemptsBelow: none}),
				webhook.DefaultPageSize, "a Limit of %d is the default for deliveries", none)
		}
		r := webhook.ClaimRequest{Limit: 4, PerEndpoint: 4, PerOrganization: none}
		require.Len(f.t, f.claimWith(start(), r), 4,
			"a PerOrganization of %d is no bound but Limit", none)
	}
}
