package api_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestStatistics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		f.run()
		c, ctx := f.client(orgA), t.Context()
		sub, err := c.Create(ctx, sinkSubscription("w", `{}`, `{}`, `{}`, `{"fail": "rejected"}`))
		require.NoError(t, err)

		begin := time.Now()
		const events = 200
		f.emit(orgA, events)
		s, err := c.Statistics(ctx, sub.ID, time.Time{})
		require.NoError(t, err)
		assert.Equal(t, sub.ID, s.SubscriptionID)
		assert.Equal(t, begin.UTC().Add(-24*time.Hour).Truncate(time.Hour), s.Since)
		assert.Equal(t, map[webhook.Status]int64{
			webhook.StatusSucceeded: 3 * events, webhook.StatusDead: events,
			webhook.StatusPending: 0, webhook.StatusInFlight: 0, webhook.StatusPaused: 0, webhook.StatusCancelled: 0,
		}, s.Deliveries)
		assert.InDelta(t, 0.75, *s.SuccessRate, 1e-9)
		assert.Equal(t, []int64{4 * events, events}, []int64{s.Attempts, s.FailedAttempts})
		assert.Equal(t, begin.UTC(), *s.LastSuccess)
		assert.Equal(t, begin.UTC(), *s.LastFailure)
		failed, err := c.Delivery(ctx, sub.ID, *s.LastFailed)
		require.NoError(t, err)
		assert.Equal(t, "rejected", failed.Attempts[0].Class)

		time.Sleep(2 * time.Hour)
		s, err = c.Statistics(ctx, sub.ID, time.Now().Add(-time.Hour))
		require.NoError(t, err)
		assert.Zero(t, s.Attempts, "of the last hour")
		s, err = c.Statistics(ctx, sub.ID, time.Time{})
		require.NoError(t, err)
		assert.EqualValues(t, 4*events, s.Attempts, "of the last day")
		assert.Equal(t, "NotFoundError", f.do("GET", prefix+"/"+sub.ID+"/statistics", "", f.as(orgB)...).errorType(http.StatusNotFound))
	})
}

// Figures of a webhook that nothing happened to are null where they would
// divide by nothing.
func TestStatisticsOfNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{})
		id := f.create(plainSubscription)
		f.emit(orgA, 3) // nothing runs: they stay pending
		require.NoError(t, f.dispatcher.Cancel(t.Context(), orgA, 1))
		answer := f.do("GET", prefix+"/"+id+"/statistics?since=1999-12-31T12:34:56Z", "").want(http.StatusOK)
		assert.Equal(t, map[string]any{
			"webhook_id": id, "since": "1999-12-31T12:00:00Z",
			"deliveries": map[string]any{
				"pending": 2., "in_flight": 0., "paused": 0., "succeeded": 0., "dead": 0., "cancelled": 1.,
			},
			"success_rate": nil, "attempts": 0., "failed_attempts": 0., "average_duration_ms": nil,
			"last_success": nil, "last_failure": nil, "last_failed_delivery_id": nil,
		}, answer)
	})
}

// An attempt's duration counts in full.
func TestStatisticsAverage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(plainSubscription)
	now := time.Now()
	_, err := f.store.Enqueue(t.Context(), now, []webhook.NewEvent{
		{OrganizationID: orgA, ID: "evt_1", Type: "object.created"}, {OrganizationID: orgA, ID: "evt_2", Type: "object.created"},
	}, nil)
	require.NoError(t, err)
	tasks, err := f.store.Claim(t.Context(), now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 2, PerEndpoint: 2})
	require.NoError(t, err)
	_, err = f.store.Settle(t.Context(), now, []webhook.Settlement{
		{Lease: tasks[0].Lease, Status: webhook.StatusSucceeded, Attempt: &webhook.Attempt{StartedAt: now, Duration: 3 * time.Millisecond}},
		{Lease: tasks[1].Lease, Status: webhook.StatusDead, Attempt: &webhook.Attempt{StartedAt: now, Duration: 2500 * time.Microsecond, Class: "status"}},
	})
	require.NoError(t, err)
	s, err := f.client(orgA).Statistics(t.Context(), id, time.Time{})
	require.NoError(t, err)
	assert.InDelta(t, 2.75, *s.AverageDuration, 1e-9)
}
