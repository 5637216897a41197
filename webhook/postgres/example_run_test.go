package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// TestExampleTx runs what ExampleTx shows.
func TestExampleTx(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	pool := newPool(t, schemaDSN(t), nil)
	_, err := pool.Exec(t.Context(), "CREATE TABLE articles (id text PRIMARY KEY, title text)")
	require.NoError(t, err)
	store, err := postgres.New(t.Context(), pool, postgres.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	d, err := dispatch.New(store, dispatch.Config{})
	require.NoError(t, err)
	require.NoError(t, d.PutSubscription(t.Context(), &webhook.Subscription{
		ID: "wh_searchpage", Name: "search", EventTypes: []event.Pattern{"article.*"},
		Channels: []webhook.ChannelConfig{
			webhook.Via(httpendpoint.Config{URL: "https://search.example.com/webhooks"}),
		},
	}))

	require.NoError(t, saveArticle(t.Context(), pool, d, "art_1", "Red shoes"))
	require.Error(t, saveArticle(t.Context(), pool, d, "art_1", "Blue shoes"))
	deliveries, err := d.Deliveries(t.Context(), webhook.DeliveryQuery{})
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	assert.Equal(t, "article.created", deliveries[0].EventType)
}
