package api_test

import (
	"net/http"
	"testing"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

// An organization has as many webhooks and channels as it may, and the error is
// the same locally and through the client.
func TestQuota(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{dispatcher: func(c *dispatch.Config) { c.Quota = webhook.Quota{Subscriptions: 2, Channels: 3} }})
	first := f.create(plainSubscription, "Idempotency-Key", "k")
	f.create(plainSubscription)
	a := f.do("POST", prefix, plainSubscription)
	assert.Equal(t, api.TypeQuota, a.errorType(http.StatusForbidden))
	assert.Contains(t, string(a.Body), `"details":{"limit":"webhooks","max":2}`)
	assert.Empty(t, a.Header.Get("Retry-After"), "waiting changes nothing")
	assert.Equal(t, first, f.create(plainSubscription, "Idempotency-Key", "k"), "a repetition is answered")
	f.do("POST", prefix, plainSubscription, f.as(orgB)...).want(http.StatusCreated)

	sub := sinkSubscription("w", `{}`, `{}`, `{}`)
	_, err := f.client(orgA).Create(t.Context(), sub)
	require.ErrorIs(t, err, webhook.ErrLimit)
	require.NotErrorIs(t, err, api.ErrForbidden)
	sub.OrganizationID = orgA
	require.ErrorIs(t, f.dispatcher.CreateSubscription(t.Context(), sub), webhook.ErrLimit)
	sub.ID = first
	_, err = f.client(orgA).Update(t.Context(), sub)
	require.ErrorIs(t, err, webhook.ErrLimit)
	var limit *webhook.LimitError
	require.ErrorAs(t, f.dispatcher.PutSubscription(t.Context(), sub), &limit)
	assert.Equal(t, webhook.LimitError{Limit: "channels", Max: 3}, *limit)

	_, err = dispatch.New(f.store, dispatch.Config{Quota: webhook.Quota{Subscriptions: -1, Channels: -1}})
	require.ErrorContains(t, err, "Quota.Subscriptions")
	require.ErrorContains(t, err, "Quota.Channels")
}
