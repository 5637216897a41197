package webhook_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

// No store is asked for what it could not hold: databases fail in ways of their
// own. The store of the Dispatcher here is nil inside, so that any call panics.
func TestUnstorableIDsAreNotFound(t *testing.T) {
	t.Parallel()
	d, err := webhook.New(struct{ webhook.Store }{}, webhook.Config{Channels: channel.NewRegistry()})
	require.NoError(t, err)
	ctx := t.Context()
	for _, bad := range []string{"wh_\x00", "wh_\xff", "\xed\xa0\x80"} {
		for _, ids := range [][2]string{{"org", bad}, {bad, "wh_0123456789abcdef"}} {
			organization, id := ids[0], ids[1]
			_, err := d.Webhook(ctx, organization, id)
			require.ErrorIs(t, err, webhook.ErrNotFound)
			require.ErrorIs(t, d.DeleteWebhook(ctx, organization, id), webhook.ErrNotFound)
			_, err = d.EventPayload(ctx, organization, id)
			require.ErrorIs(t, err, webhook.ErrNotFound)
			_, err = d.Statistics(ctx, webhook.StatisticsQuery{OrganizationID: organization, WebhookID: id})
			require.ErrorIs(t, err, webhook.ErrNotFound)
			for _, q := range []webhook.DeliveryQuery{{WebhookID: id}, {EventID: id}, {EventType: id}, {Status: webhook.Status(id)}} {
				q.OrganizationID = organization
				found, err := d.Deliveries(ctx, q)
				require.NoError(t, err)
				assert.Empty(t, found)
				progress, err := d.ReplayAll(ctx, q, webhook.ReplayOptions{PerSecond: 1})
				require.NoError(t, err)
				assert.Zero(t, progress.Replayed)
			}
			for _, q := range []webhook.WebhookQuery{{EventType: id}, {After: webhook.WebhookCursor{ID: id}, EventType: bad}} {
				q.OrganizationID = organization
				list, err := d.Webhooks(ctx, q)
				require.NoError(t, err)
				assert.Empty(t, list)
				n, err := d.CountWebhooks(ctx, q)
				require.NoError(t, err)
				assert.Zero(t, n)
			}
		}
		_, err := d.Delivery(ctx, bad, 1)
		require.ErrorIs(t, err, webhook.ErrNotFound)
		require.ErrorIs(t, d.Cancel(ctx, bad, 1), webhook.ErrNotFound)
		require.ErrorIs(t, d.Replay(ctx, bad, 1), webhook.ErrNotFound)
		w := byConfig(`{}`)
		w.ID = bad
		require.Error(t, d.PutWebhook(ctx, w))
		w.ID, w.OrganizationID = "", bad
		require.Error(t, d.CreateWebhook(ctx, w))
	}
}
