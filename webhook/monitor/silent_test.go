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

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/monitor"
)

// A mail about a broken endpoint cannot be delivered itself: the log and health say so, and a list of
// the subscriptions concerned, until one arrives.
func TestOperationalEventsThatDoNotArrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		var log bytes.Buffer
		a.set("shop", refused())
		a.set("ops", status(500))
		b := newBench(t, memstore.New(), &a, monitor.Config{RefusingAfter: dispatch.Never,
			Logger: slog.New(slog.NewTextHandler(&log, nil))})
		b.subscribe(t, "", "shop", "object.*")
		ops := b.subscribe(t, "", "ops", "webhook.*", "delivery.*")
		silent := func() []monitor.Silence {
			list, err := monitor.Silent(t.Context(), b.Dispatcher, "")
			require.NoError(t, err)
			return list
		}
		const line = "an operational event is not delivered"
		stop := b.run(t)
		b.emit(t, "")
		elapse(time.Second)
		assert.Empty(t, silent(), "nothing was to be told yet")
		assert.Empty(t, b.monitor.Reasons())

		elapse(2 * time.Minute)
		list := silent()
		require.Len(t, list, 1)
		assert.Equal(t, ops.ID, list[0].Subscription.ID)
		assert.Regexp(t, `^the last attempt of its channel ops failed at 1 January 2000, 00:0\d UTC: `+
			`the endpoint answered 500 Internal Server Error$`, list[0].Reason)
		assert.Equal(t, []string{"operational events do not arrive, endpoints: 1"}, b.monitor.Reasons())
		elapse(20 * time.Minute)
		assert.Equal(t, 1, strings.Count(log.String(), line), "once an hour")
		for _, want := range []string{"level=ERROR", "webhook_id=" + ops.ID, "channel=ops",
			"event_type=delivery.dead", "delivery_id=dlv_2", "error=\"the endpoint answered 500"} {
			assert.Contains(t, log.String(), want)
		}

		a.set("ops", nil)
		elapse(12 * time.Hour) // until the next attempt
		assert.Equal(t, []string{monitor.DeliveryDead}, a.delivered("ops"))
		assert.Empty(t, silent())
		assert.Empty(t, b.monitor.Reasons())
		assert.Contains(t, log.String(), "level=INFO msg=\"webhook: operational events are delivered again\"")
		stop()

		ops.Paused = true
		require.NoError(t, b.UpdateSubscription(t.Context(), ops))
		assert.Equal(t, "it is paused", silent()[0].Reason)
		ops.Paused = false
		require.NoError(t, b.UpdateSubscription(t.Context(), ops))
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(ops), "ann"))
		assert.Equal(t, "its channel ops is disabled", silent()[0].Reason)
	})
}

// Another process delivers what one could not: that one takes its word back.
func TestOperationalEventsThatAnotherProcessDelivers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var broken, works answers
		store := memstore.New()
		broken.set("shop", refused())
		broken.set("ops", status(500))
		first := newBench(t, store, &broken, monitor.Config{RefusingAfter: dispatch.Never})
		second := newBench(t, store, &works, monitor.Config{})
		first.subscribe(t, "", "shop", "object.*")
		first.subscribe(t, "", "ops", "delivery.*")
		first.watch(t)
		stop := start(t, first.Run)
		first.emit(t, "")
		elapse(2 * time.Minute)
		assert.NotEmpty(t, first.monitor.Reasons())
		stop()
		start(t, second.Run)
		elapse(12 * time.Hour)
		assert.Equal(t, []string{monitor.DeliveryDead}, works.delivered("ops"))
		assert.Empty(t, first.monitor.Reasons())
	})
}

// What gets everything is not there for operational events.
func TestNotifies(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[event.Pattern]bool{"*": false, "object.*": false, "webhook.*": true,
		"delivery.dead": true, "delivery.late": false, "backlog.*": true} {
		sub := &webhook.Subscription{EventTypes: []event.Pattern{"object.created", pattern}}
		assert.Equal(t, want, monitor.Notifies(sub), pattern)
	}
}
