package dispatch_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/isolation"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// limited is a site whose host takes only two requests at a time.
type limited struct{ *isolation.Site }

func (l limited) Capabilities() channel.Capabilities {
	c := l.Site.Capabilities()
	c.MaxInFlight = 2
	return c
}

func registerLimited(t *testing.T, w *isolation.World, registry *channel.Registry) {
	t.Helper()
	require.NoError(t, registry.Register("limited",
		channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
			s, err := w.Open(config)
			return limited{s}, err
		})))
}

func TestMaxAttemptTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := isolation.New(t, memstore.New(), dispatch.Config{MaxAttemptTimeout: 5 * time.Second,
			Retry: dispatch.ExponentialRetry{MaxAttempts: 1}})
		registerLimited(t, w, w.Channels())
		s := &isolation.Site{Kind: "silent", HostName: "a.example", Timed: 60}
		require.NoError(t, w.CreateSubscription(t.Context(),
			&webhook.Subscription{Name: "w", OrganizationID: "a", EventTypes: []event.Pattern{"*"},
				Channels: []webhook.ChannelConfig{via("webhook", s), via("limited", s)}}))
		w.EmitKind(t, "a", "silent")
		elapse(2 * time.Minute)
		took := make(map[string]time.Duration)
		deliveries, err := w.Deliveries(t.Context(), webhook.DeliveryQuery{OrganizationID: "a"})
		require.NoError(t, err)
		for _, d := range deliveries {
			require.Len(t, d.Attempts, 1)
			assert.Equal(t, string(channel.ClassTimeout), d.Attempts[0].Class)
			took[d.Channel] = d.Attempts[0].Duration
		}
		assert.Equal(t, map[string]time.Duration{"webhook": 5 * time.Second, "limited": time.Minute},
			took,
			"the subscriber's timeout is cut, and that of a channel that limits itself is not")
	})
}

func TestALimitedHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := isolation.New(t, memstore.New(), dispatch.Config{})
		registerLimited(t, w, w.Channels())
		for range 5 {
			require.NoError(t, w.CreateSubscription(t.Context(),
				&webhook.Subscription{Name: "w", OrganizationID: "a", EventTypes: []event.Pattern{"*"},
					Channels: []webhook.ChannelConfig{via("limited",
						&isolation.Site{Kind: "under", HostName: "mail.example", Timed: 60})}}))
		}
		for range 4 {
			w.EmitKind(t, "a", "under")
		}
		began := time.Now()
		most := int64(0)
		for range 40 { // 20 attempts of 290 ms, two at a time
			elapse(100 * time.Millisecond)
			most = max(most, w.Hanging.Load())
		}
		assert.EqualValues(t, 2, most, "as many as the channel says")
		deliveries, err := w.Deliveries(t.Context(),
			webhook.DeliveryQuery{OrganizationID: "a", Status: webhook.StatusSucceeded})
		require.NoError(t, err)
		require.Len(t, deliveries, 20)
		last := time.Time{}
		for _, d := range deliveries {
			require.Len(t, d.Attempts, 1)
			last = later(last, d.Attempts[0].StartedAt)
		}
		assert.Less(t, last.Sub(began), 3*time.Second, "one follows upon the other")
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// An endpoint that has not answered yet is not asked by many at once.
func TestANewEndpointIsAskedByFewAtFirst(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		w := isolation.New(t, memstore.New(), dispatch.Config{})
		w.Subscribe(t, "a", 1, &isolation.Site{Kind: "silent", HostName: "a.example", Timed: 10})
		for range 100 {
			w.EmitKind(t, "a", "silent")
		}
		elapse(9 * time.Second)
		assert.EqualValues(t, 2, w.Hanging.Load())
		elapse(10 * time.Minute)
		stats, err := w.Statistics(t.Context(),
			webhook.StatisticsQuery{OrganizationID: "a", SubscriptionID: only(t, w, "a")})
		require.NoError(t, err)
		assert.Less(t, stats.Failed, int64(20),
			"two full timeouts are enough to leave it alone for longer and longer")
	})
}

func only(t *testing.T, w *isolation.World, organization string) string {
	t.Helper()
	all, err := w.Subscriptions(context.Background(),
		webhook.SubscriptionQuery{OrganizationID: organization})
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0].ID
}
