package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// An event that stops every process is dead in the end, and its subject goes on after the time that
// the subscription gives any dead delivery.
func TestAnEventThatStopsEveryProcessIsSkipped(t *testing.T) {
	if testing.Short() {
		t.Skip("takes hours of virtual time")
	}
	t.Parallel()
	for name, skipAfter := range map[string]time.Duration{"never": 0, "after an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &mortals{store: memstore.New(), fatal: "poison.", begun: make(map[string]int),
					cfg: dispatch.Config{PollInterval: time.Minute}}
				b := benchOn(t, m.store, m.cfg, accept)
				require.NoError(t, b.CreateSubscription(t.Context(), &webhook.Subscription{
					Name: "test", EventTypes: []event.Pattern{event.MatchAll},
					Ordering: &webhook.Ordering{SkipAfter: skipAfter},
					Channels: []webhook.ChannelConfig{
						webhook.Via(httpendpoint.Config{URL: "https://example.com/"})},
				}))
				poison, next := newEvent("poison.made"), newEvent(event.ObjectCreated)
				next.Subject = poison.Subject
				for _, e := range []*event.Event{poison, next} {
					require.NoError(t, errorOf(b.Emit(t.Context(), e)))
				}
				m.run(t, 10*time.Hour)
				status := make(map[string]webhook.Status)
				for _, d := range b.deliveries(t, webhook.DeliveryQuery{}) {
					status[d.EventID] = d.Status
					assert.Equal(t, skipAfter == 0 && d.EventID == poison.ID, d.Holds)
				}
				want := map[string]webhook.Status{
					poison.ID: webhook.StatusDead, next.ID: webhook.StatusSucceeded}
				if skipAfter == 0 {
					want[next.ID] = webhook.StatusPending
				}
				assert.Equal(t, want, status)
				assert.Positive(t, m.deaths)
			})
		})
	}
}
