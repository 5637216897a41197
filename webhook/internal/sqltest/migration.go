package sqltest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

const first, second, third = "wh_0000000000000001", "wh_0000000000000002", "wh_0000000000000003"

// Version1 returns statements that fill the tables of version 1, with the default
// prefix: organization a has an active subscription with two channels, a third of which
// was removed, and a paused one; b has one, with a delivery that has been attempted twice
// since it was replayed.
func Version1() []string {
	return []string{
		`INSERT INTO webhooks_webhooks (id, organization_id, name, event_types, channels, paused,
			created_at, updated_at, revision) VALUES
			('` + second + `', 'a', 'second', '["invoice.*"]', '[{"channel":"webhook","configs":{}}]', 1,
				2000000, 3000000, 2000007),
			('` + first + `', 'a', 'first', '["*"]',
				'[{"channel":"slack","configs":{}},{"channel":"webhook","configs":{}}]', 0, 1000000, 1000000,
				1000000),
			('` + third + `', 'b', 'third', '["*"]', '[{"channel":"webhook","configs":{}}]', 0, 3000000,
				3000000, 3000000)`,
		`INSERT INTO webhooks_endpoints (organization_id, webhook_id, channel, state) VALUES
			('a', '` + second + `', 'webhook', 1), ('a', '` + first + `', 'email', 2), ('a', '` + first + `',
				'slack', 0),
			('a', '` + first + `', 'webhook', 0), ('b', '` + third + `', 'webhook', 0)`,
		`INSERT INTO webhooks_events (id, organization_id, event_id, type, created_at, last_id, payload)
			VALUES (1000000, 'b', 'evt_0', 'invoice.paid', 4000000, 1000001, '{}')`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, state, at, token, tries, attempts)
			SELECT 1000001, 1000000, id, 0, 4000000, 3, 2, 4 FROM webhooks_endpoints
				WHERE webhook_id = '` + third + `'`,
	}
}

// CheckMigrated checks a store on a database that was filled with Version1 and has been
// brought to the newest version.
func CheckMigrated(t *testing.T, s webhook.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	emit := func(organizationID, id string) map[webhook.Endpoint]webhook.Status {
		_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{OrganizationID: organizationID, ID: id,
			Type: "invoice.paid", Payload: []byte(`{}`)}}, nil)
		require.NoError(t, err)
		all, err := s.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: organizationID, EventID: id})
		require.NoError(t, err)
		got := make(map[webhook.Endpoint]webhook.Status)
		for _, d := range all {
			got[d.Endpoint] = d.Status
		}
		return got
	}
	var old []webhook.Task
	claim := func() map[string]int64 {
		tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
			Limit: 10, PerEndpoint: 10})
		require.NoError(t, err)
		revisions := make(map[string]int64)
		for _, task := range tasks {
			if task.EventID == "evt_0" {
				old = append(old, task)
			}
			revisions[task.Endpoint.SubscriptionID] = task.Revision
		}
		return revisions
	}
	require.Equal(t, map[webhook.Endpoint]webhook.Status{
		{SubscriptionID: first, Channel: "slack"}:    webhook.StatusPending,
		{SubscriptionID: first, Channel: "webhook"}:  webhook.StatusPending,
		{SubscriptionID: second, Channel: "webhook"}: webhook.StatusPaused,
	}, emit("a", "evt_1"), "the subscriptions are matched as they were before the migration")
	require.Len(t, emit("b", "evt_1"), 1)
	require.Equal(t, map[string]int64{first: 1_000_000, third: 3_000_000}, claim())
	require.Len(t, old, 1, "a delivery from before the migration is due")
	require.Equal(t, int64(4), old[0].Token)
	require.Equal(t, 2, old[0].AttemptsSinceQueued)
	require.Equal(t, 4, old[0].Attempts)

	require.ErrorIs(t, s.CreateSubscription(ctx,
		&webhook.Subscription{ID: webhook.NewID(), OrganizationID: "a", CreatedAt: now},
		webhook.Quota{Subscriptions: 2}),
		webhook.ErrLimit, "what was there before the migration counts")
	sub, err := s.Subscription(ctx, "a", second)
	require.NoError(t, err)
	sub.Paused = false
	require.NoError(t, s.UpdateSubscription(ctx, sub, webhook.Quota{}),
		"a subscription from before the migration can be changed")
	require.Equal(t, map[string]int64{second: 2_000_008}, claim())
	sub.Channels = append(sub.Channels, webhook.ChannelConfig{Channel: "sms", Configs: []byte(`{}`)})
	require.ErrorIs(t, s.UpdateSubscription(ctx, sub, webhook.Quota{Channels: 3}), webhook.ErrLimit)
	require.NoError(t, s.DeleteSubscription(ctx, "a", first, 0))
	require.Equal(t, map[webhook.Endpoint]webhook.Status{{SubscriptionID: second,
		Channel: "webhook"}: webhook.StatusPending}, emit("a", "evt_2"))
	require.Equal(t, map[string]int64{second: 2_000_008}, claim())
}
