package dispatch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// No store is asked for what it could not hold: databases fail in ways of their
// own. The store of the Dispatcher here is nil inside, so that any call panics.
func TestUnstorableIDsAreNotFound(t *testing.T) {
	t.Parallel()
	d, err := dispatch.New(struct{ webhook.Store }{}, dispatch.Config{Channels: channel.NewRegistry()})
	require.NoError(t, err)
	ctx := t.Context()
	for _, bad := range []string{"wh_\x00", "wh_\xff", "\xed\xa0\x80"} {
		for _, ids := range [][2]string{{"org", bad}, {bad, "wh_0123456789abcdef"}} {
			organization, id := ids[0], ids[1]
			_, err := d.Subscription(ctx, organization, id)
			require.ErrorIs(t, err, webhook.ErrNotFound)
			require.ErrorIs(t, d.DeleteSubscription(ctx, organization, id, 0), webhook.ErrNotFound)
			_, err = d.EventPayload(ctx, organization, id)
			require.ErrorIs(t, err, webhook.ErrNotFound)
			_, err = d.Statistics(ctx, webhook.StatisticsQuery{OrganizationID: organization,
				SubscriptionID: id})
			require.ErrorIs(t, err, webhook.ErrNotFound)
			for _, q := range []webhook.DeliveryQuery{{SubscriptionID: id}, {EventID: id}, {EventType: id},
				{Status: webhook.Status(id)}} {
				q.OrganizationID = organization
				found, err := d.Deliveries(ctx, q)
				require.NoError(t, err)
				assert.Empty(t, found)
				progress, err := d.ReplayAll(ctx, q, dispatch.ReplayOptions{PerSecond: 1})
				require.NoError(t, err)
				assert.Zero(t, progress.Replayed)
			}
			for _, q := range []webhook.SubscriptionQuery{{EventType: id},
				{After: webhook.SubscriptionCursor{ID: id}, EventType: bad}} {
				q.OrganizationID = organization
				list, err := d.Subscriptions(ctx, q)
				require.NoError(t, err)
				assert.Empty(t, list)
				n, err := d.CountSubscriptions(ctx, q)
				require.NoError(t, err)
				assert.Zero(t, n)
			}
		}
		_, err := d.Delivery(ctx, bad, 1)
		require.ErrorIs(t, err, webhook.ErrNotFound)
		require.ErrorIs(t, d.Cancel(ctx, bad, 1), webhook.ErrNotFound)
		require.ErrorIs(t, d.Replay(ctx, bad, 1), webhook.ErrNotFound)
		sub := byConfig(`{}`)
		sub.ID = bad
		require.Error(t, d.PutSubscription(ctx, sub))
		sub.ID, sub.OrganizationID = "", bad
		require.Error(t, d.CreateSubscription(ctx, sub))
	}
}
