package storetest

import (
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// quotaBounds holds subscriptions and channels of one organization against a quota.
func quotaBounds(f *fixture) {
	full := func(limit string, most int, err error) {
		f.t.Helper()
		var e *webhook.LimitError
		require.ErrorAs(f.t, err, &e, "what is beyond the quota is refused")
		require.Equal(f.t, webhook.LimitError{Limit: limit, Max: most}, *e)
	}
	quota := webhook.Quota{Subscriptions: 2, Channels: 4}
	first, second := hook(), hook("webhook", "slack")
	require.NoError(f.t, f.CreateSubscription(f.ctx, first, quota))
	full("channels", 4, f.CreateSubscription(f.ctx, hook("a", "b", "c", "d"), quota))
	require.NoError(f.t, f.CreateSubscription(f.ctx, second, quota))
	again := hook()
	again.ID = first.ID
	require.ErrorIs(f.t, f.CreateSubscription(f.ctx, again, quota), webhook.ErrExists, "a used id is ErrExists, also when the quota is used up")
	refused := hook()
	full("webhooks", 2, f.CreateSubscription(f.ctx, refused, quota))
	require.Zero(f.t, refused.Revision, "an error leaves everything as it was: no revision is set")
	_, err := f.Subscription(f.ctx, org, refused.ID)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "an error leaves everything as it was: nothing is stored")
	stranger := hook()
	stranger.OrganizationID = other
	require.NoError(f.t, f.CreateSubscription(f.ctx, stranger, quota), "what another organization has does not count")

	grow := func(channels ...string) error {
		sub, err := f.Subscription(f.ctx, org, second.ID)
		require.NoError(f.t, err)
		sub.Channels = hook(channels...).Channels
		return f.UpdateSubscription(f.ctx, sub, quota)
	}
	require.NoError(f.t, grow("webhook", "slack", "email"))
	full("channels", 4, grow("webhook", "slack", "email", "sms"))
	got, err := f.Subscription(f.ctx, org, second.ID)
	require.NoError(f.t, err)
	require.Len(f.t, got.Channels, 3, "an error leaves everything as it was")
	require.Empty(f.t, f.list(webhook.DeliveryQuery{}))
	f.emit(start(), "evt_1")
	require.Len(f.t, f.list(webhook.DeliveryQuery{}), 4, "an error leaves everything as it was: events go to what was there")
	quota = webhook.Quota{Subscriptions: 1, Channels: 1}
	require.NoError(f.t, grow("sms", "email", "slack"), "an update that adds no channels is made, whatever there is")
	require.NoError(f.t, grow("sms"))
	full("channels", 1, grow("sms", "email"))
	f.remove(first)
	require.NoError(f.t, f.DeleteSubscription(f.ctx, org, second.ID, 0))
	require.NoError(f.t, f.CreateSubscription(f.ctx, hook(), quota), "what is deleted no longer counts")
	require.NoError(f.t, f.CreateSubscription(f.ctx, hook(), webhook.Quota{}), "a quota of zero is none")
}

// concurrentQuota creates subscriptions in all views at once, and must not exceed the
// quota of them together.
func concurrentQuota(views ...*fixture) {
	const most = 5
	var created atomic.Int64
	inParallel(func(n int) {
		mine := views[n%len(views)]
		for range 3 {
			err := mine.CreateSubscription(mine.ctx, hook("webhook", "slack"), webhook.Quota{Subscriptions: most, Channels: 2*most + 1})
			if err == nil {
				created.Add(1)
				continue
			}
			assert.ErrorIs(mine.t, err, webhook.ErrLimit)
		}
	})
	n, err := views[0].CountSubscriptions(views[0].ctx, webhook.SubscriptionQuery{OrganizationID: org})
	require.NoError(views[0].t, err)
	require.Equal(views[0].t, most, n, "calls at the same time do not exceed the quota together")
	require.EqualValues(views[0].t, most, created.Load())
}
