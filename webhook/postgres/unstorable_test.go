package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// The server refuses text that contains NUL or is not UTF-8. Nothing has such an id, so the result
// is the same as for any unknown id.
func TestUnstorableIDs(t *testing.T) {
	t.Parallel()
	d, err := dispatch.New(open(t, tablesDSN(t)), dispatch.Config{})
	require.NoError(t, err)
	for _, id := range []string{"wh_\x00", "wh_\xff"} {
		_, err := d.Subscription(t.Context(), "org", id)
		require.ErrorIs(t, err, webhook.ErrNotFound)
		found, err := d.Deliveries(t.Context(), webhook.DeliveryQuery{OrganizationID: "org", EventID: id})
		require.NoError(t, err)
		assert.Empty(t, found)
	}
}

// Errors that may pass without a change match webhook.ErrUnavailable. Those that an operator has to
// fix do not.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		postgres.ErrFull, postgres.ErrReadOnly, postgres.ErrTooManyConnections, postgres.ErrLogin,
		postgres.ErrNoDatabase, postgres.ErrTimeout, postgres.ErrUnavailable,
	} {
		require.ErrorIs(t, err, webhook.ErrUnavailable)
	}
	for _, err := range []error{postgres.ErrPermission, postgres.ErrNoSchema} {
		require.NotErrorIs(t, err, webhook.ErrUnavailable)
	}
}
