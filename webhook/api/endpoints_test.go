package api_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		actor := "ann\n@example.com" + strings.Repeat("é", 150)
		f := newFixture(t, options{api: func(c *api.Config) {
			c.Actor = func(r *http.Request) string { return actor }
		}})
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{}`))
		require.NoError(t, err)
		states, err := c.Endpoints(ctx, sub.ID)
		require.NoError(t, err)
		e := webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}
		assert.Equal(t, []webhook.EndpointState{{Endpoint: e, Health: webhook.Healthy}}, states)

		disabled, err := c.DisableEndpoint(ctx, sub.ID, "")
		require.NoError(t, err)
		assert.Equal(t, webhook.Disabled, disabled.Health)
		assert.False(t, disabled.Since.IsZero())
		by := disabled.ChangedBy
		assert.True(t, strings.HasPrefix(by, "ann@example.comé") && strings.HasPrefix(
			"ann@example.com"+strings.Repeat("é", 150), by), by)
		assert.LessOrEqual(t, len(by), 200)
		states, err = c.Endpoints(ctx, sub.ID)
		require.NoError(t, err)
		assert.Equal(t, []webhook.EndpointState{*disabled}, states)
		stored, err := c.Get(ctx, sub.ID)
		require.NoError(t, err)
		assert.False(t, stored.Paused, "is_active is the customer's own switch")
		f.emit(orgA, 1)
		for d, err := range c.Deliveries(ctx, sub.ID, client.DeliveryFilter{}) {
			require.NoError(t, err)
			assert.Equal(t, webhook.StatusPaused, d.Status)
		}

		actor = ""
		enabled, err := c.EnableEndpoint(ctx, sub.ID, e.Channel)
		require.NoError(t, err)
		assert.Equal(t, webhook.Healthy, enabled.Health)
		assert.Equal(t, "api", enabled.ChangedBy)

		_, err = f.client(orgB).EnableEndpoint(ctx, sub.ID, "")
		require.ErrorIs(t, err, webhook.ErrNotFound)
		_, err = f.client(orgB).Endpoints(ctx, sub.ID)
		require.ErrorIs(t, err, webhook.ErrNotFound)
		path := prefix + "/" + sub.ID + "/endpoints/enable"
		assert.Equal(t, []string{"body.channel: value_error"},
			f.do("POST", path, `{"channel": "fax"}`).problems())
	})
}

func TestListUnhealthyEndpoints(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t, options{})
	c, ctx := f.client(orgA), t.Context()
	const n = 105 // more than a page
	want := make(map[webhook.Endpoint]bool)
	for i := range n {
		sub := sinkSubscription("w", `{}`)
		sub.Channels = append(sub.Channels, sub.Channels[0])
		created, err := c.Create(ctx, sub)
		require.NoError(t, err)
		if i == 0 {
			assert.Equal(t, []string{"body.channel: missing"},
				f.do("POST", prefix+"/"+created.ID+"/endpoints/disable", "").problems())
		}
		key := created.ChannelKeys()[1]
		_, err = c.DisableEndpoint(ctx, created.ID, key)
		require.NoError(t, err)
		want[webhook.Endpoint{SubscriptionID: created.ID, Channel: key}] = true
	}
	for _, health := range []webhook.Health{"", webhook.Disabled} {
		got := make(map[webhook.Endpoint]bool)
		for s, err := range c.UnhealthyEndpoints(ctx, health) {
			require.NoError(t, err)
			assert.False(t, got[s.Endpoint], "it is there twice")
			got[s.Endpoint] = true
		}
		assert.Equal(t, want, got)
	}
	for s, err := range c.UnhealthyEndpoints(ctx, webhook.Degraded) {
		t.Error("none is degraded", s, err)
	}
	for s, err := range f.client(orgB).UnhealthyEndpoints(ctx, "") {
		t.Error("they are another organization's", s, err)
	}
	assert.Equal(t, []string{"query.health: enum"},
		f.do("GET", prefix+"/endpoints?health=healthy", "").problems())
	assert.Equal(t, []string{"query.cursor: value_error"},
		f.do("GET", prefix+"/endpoints?cursor=x", "").problems())
	a := f.do("GET", prefix+"/endpoints?limit=1", "")
	a.want(http.StatusOK)
	assert.Contains(t, string(a.Body), `"health":"disabled"`)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{}`, `{"fail": "rejected"}`))
		require.NoError(t, err)
		assert.Equal(t, map[string]any{"webhook_id": sub.ID, "looked_at": 0., "results": []any{}},
			f.do("GET", prefix+"/"+sub.ID+"/refusals", "").want(http.StatusOK))
		f.emit(orgA, 3)
		found, err := c.Refusals(ctx, sub.ID)
		require.NoError(t, err)
		assert.Equal(t, 6, found.LookedAt)
		require.Len(t, found.Results, 1)
		r := found.Results[0]
		assert.Equal(t, []any{sub.ChannelKeys()[1], "object.created", 3, 3, "rejected"},
			[]any{r.Channel, r.EventType, r.Refused, r.Attempted, r.LastAttempt.Class})
		refused, err := c.Delivery(ctx, sub.ID, r.DeliveryID)
		require.NoError(t, err)
		assert.Equal(t, r.LastAttempt, refused.Attempts[0])
		_, err = f.client(orgB).Refusals(ctx, sub.ID)
		assert.ErrorIs(t, err, webhook.ErrNotFound)
	})
}
