package monitor_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/monitor"
)

// An endpoint whose secret is wrong answers 401 to everything. It stays healthy, and is named.
func TestAnEndpointThatRefusesEverything(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var a answers
		var log bytes.Buffer
		a.set("shop", status(401))
		b := newBench(t, memstore.New(), &a, monitor.Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil))})
		sub := b.subscribe(t, "", "shop", "object.*")
		b.subscribe(t, "", "ops", monitor.WebhookRefusing)
		stop := b.run(t)
		refusing := func() (n int) {
			for _, e := range b.operational(t) {
				if e.Type == monitor.WebhookRefusing {
					documented(t, e)
					assert.Contains(t, e.Metadata["summary"], "Webhook \"shop\" (channel shop) has refused "+
						"everything since 1 January 2000, 00:00 UTC, 61 deliveries, the last one: the endpoint "+
						"answered 401 Unauthorized.")
					n++
				}
			}
			return n
		}
		b.emitFor(t, "", time.Minute, 59*time.Minute)
		assert.Zero(t, refusing(), "not for long enough")
		b.emitFor(t, "", time.Minute, 2*time.Hour)
		assert.Equal(t, 1, refusing())
		assert.Equal(t, []string{monitor.WebhookRefusing}, a.delivered("ops"))
		state, err := b.EndpointState(t.Context(), "", endpointOf(sub))
		require.NoError(t, err)
		assert.Equal(t, webhook.Healthy, state.Health)

		a.set("shop", nil)
		b.emitFor(t, "", time.Minute, 2*time.Minute)
		a.set("shop", status(401))
		b.emitFor(t, "", time.Minute, 30*time.Minute)
		assert.Equal(t, 1, refusing(), "it has accepted some since")
		stop()
		assert.Equal(t, 1, strings.Count(log.String(), "an endpoint refuses everything"))
	})
}
