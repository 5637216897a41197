package api_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Every route is asked for what another organization has: it is not there, and
// nothing of it changes.
func TestForeignIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		ctx := t.Context()
		sub, err := f.client(orgA).Create(ctx, sinkSubscription("s3cr3t name", `{"token": "s3cr3t"}`))
		require.NoError(t, err)
		f.emit(orgA, 1)
		delivery, err := f.dispatcher.Delivery(ctx, orgA, 1)
		require.NoError(t, err)
		before := f.snapshot()

		bodies := map[string]string{
			"PUT /{identifier}": strings.Replace(plainSubscription, "plain", "taken over", 1),
			"POST ":             strings.Replace(plainSubscription, "{", `{"webhook_id": "`+sub.ID+`",`, 1),
			"POST /preview":     `{"template": "{{ event_id }}", "event_id": "` + delivery.EventID + `"}`,
			"DELETE /{identifier}/signing-secret/previous": "",
		}
		want := map[string]int{
			"POST ":                http.StatusConflict,
			"GET ":                 http.StatusOK,
			"POST /list":           http.StatusOK,
			"GET /deliveries":      http.StatusOK,
			"GET /event-types":     http.StatusOK,
			"GET /health":          http.StatusOK,
			"GET /openapi.json":    http.StatusOK,
			"DELETE /{identifier}": http.StatusNoContent,
		}
		for _, route := range f.api.Routes() {
			path := strings.NewReplacer("{identifier}", sub.ID, "{delivery_id}", delivery.ID.String()).Replace(strings.SplitN(route, " ", 2)[1])
			method := strings.SplitN(route, " ", 2)[0]
			a := f.do(method, prefix+path, bodies[route], f.as(orgB)...)
			status := want[route]
			if status == 0 {
				status = http.StatusNotFound
			}
			assert.Equal(t, status, a.Status, "%s: %s", route, a.Body)
			assert.NotContains(t, string(a.Body), "s3cr3t", route)
		}
		assert.Equal(t, before, f.snapshot())
	})
}

// snapshot is all that organization A has.
func (f *fixture) snapshot() []any {
	f.t.Helper()
	subscriptions, err := f.dispatcher.Subscriptions(f.t.Context(), webhook.SubscriptionQuery{OrganizationID: orgA})
	require.NoError(f.t, err)
	deliveries, err := f.dispatcher.Deliveries(f.t.Context(), webhook.DeliveryQuery{OrganizationID: orgA})
	require.NoError(f.t, err)
	return []any{subscriptions, deliveries}
}
