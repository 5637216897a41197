package storetest

import (
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
		n, err = f.CountSubscriptions(f.ctx, webhook.SubscriptionQuery{OrganizationID: stranger, EventType: created})
		require.NoError(f.t, err)
		require.Zero(f.t, n, rule, stranger)
		stolen := sub.Clone()
		stolen.OrganizationID, stolen.Name = stranger, "Stolen"
		require.ErrorIs(f.t, f.UpdateSubscription(f.ctx, stolen, webhook.Quota{}), webhook.ErrNotFound, rule, stranger)
		require.ErrorIs(f.t, f.DeleteSubscription(f.ctx, stranger, sub.ID, 0), webhook.ErrNotFound, rule, stranger)

		found, err := f.Deliveries(f.ctx, webhook.DeliveryQuery{OrganizationID: stranger})
		require.NoError(f.t, err)
		require.Empty(f.t, found, rule, stranger)
		found, err = f.Deliveries(f.ctx, webhook.DeliveryQuery{OrganizationID: stranger, EventID: "evt_0", SubscriptionID: sub.ID})
		require.NoError(f.t, err)
		require.Empty(f.t, found, rule, stranger)
		_, err = f.Delivery(f.ctx, stranger, dead)
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		_, err = f.Statistics(f.ctx, webhook.StatisticsQuery{OrganizationID: stranger, SubscriptionID: sub.ID})
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		_, err = f.EventPayload(f.ctx, stranger, "evt_0")
		require.ErrorIs(f.t, err, webhook.ErrNotFound, rule, stranger)
		require.ErrorIs(f.t, f.Replay(f.ctx, start(), stranger, dead), webhook.ErrNotFound, rule, stranger)
		require.ErrorIs(f.t, f.Cancel(f.ctx, start(), stranger, inFlight), webhook.ErrNotFound, rule, stranger)

		theirs := newEvent("evt_of_stranger")
		theirs.OrganizationID = stranger
		f.enqueue(start(), theirs)
		found, err = f.Deliveries(f.ctx, webhook.DeliveryQuery{OrganizationID: stranger})
		require.NoError(f.t, err)
		require.Empty(f.t, found, "only events of the same organization reach a subscription (emitted by %q)", stranger)
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
	require.Equal(f.t, []string{mine.ID}, hookIDs(all), "the empty organization is a tenant of its own: it does not see the others'")
	found, err := f.Deliveries(f.ctx, webhook.DeliveryQuery{})
	require.NoError(f.t, err)
	require.Len(f.t, found, 1, "the empty organization is a tenant of its own: it does not see the others'")
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
