package memstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// TestPruneReleasesMemory checks that nothing keeps what was pruned.
func TestPruneReleasesMemory(t *testing.T) {
	t.Parallel()
	s, ctx := New(), t.Context()
	now := time.Date(2025, 10, 8, 16, 9, 0, 0, time.UTC)
	for i := range 3 {
		given := &webhook.Subscription{
			ID: fmt.Sprintf("wh_%016x", i), Name: "Orders", EventTypes: []event.Pattern{event.MatchAll},
			Channels: []webhook.ChannelConfig{{Channel: "webhook"}, {Channel: "slack"}},
		}
		require.NoError(t, s.CreateSubscription(ctx, given, webhook.Quota{}))
	}
	const events = 50
	for i := range events {
		_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: fmt.Sprint("evt_", i),
			Type: event.ObjectCreated, TTL: time.Minute}}, nil)
		require.NoError(t, err)
	}
	tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
		Limit: 4 * events, PerEndpoint: events})
	require.NoError(t, err)
	for i, task := range tasks {
		status := []webhook.Status{webhook.StatusSucceeded, webhook.StatusDead,
			webhook.StatusPending}[i%3]
		_, err := s.Settle(ctx, now, []webhook.Settlement{{Lease: task.Lease, Status: status,
			DueAt: now}})
		require.NoError(t, err)
	}
	for i := range 3 {
		require.NoError(t, s.DeleteSubscription(ctx, "", fmt.Sprintf("wh_%016x", i), 0))
	}

	late := now.Add(time.Hour)
	for later := late; ; later = later.Add(time.Minute) {
		n, err := s.Prune(ctx, later, webhook.PruneRequest{SucceededBefore: later, DeadBefore: later,
			Limit: 17})
		require.NoError(t, err)
		if n < 17 && len(s.deliveries) == 0 {
			break
		}
	}
	require.Empty(t, s.subscriptions)
	require.Empty(t, s.endpoints)
	require.Empty(t, s.events)
	require.Empty(t, s.deliveries)
	require.Empty(t, s.orphans)
	require.Empty(t, s.organizations[""].deliveries.entries)
	require.Zero(t, s.idle.len()+s.finished.len()+s.dead.len()+s.expiring.len())
	require.Zero(t, s.rotation.lanes.Len()+s.rotation.waiting.len())
}

// TestNoCallLooksAtAll checks that calls for one organization, however much that has stored, hold the
// lock for a bounded number of deliveries.
func TestNoCallLooksAtAll(t *testing.T) {
	t.Parallel()
	s, ctx := New(), t.Context()
	now := time.Date(2025, 10, 8, 16, 9, 0, 0, time.UTC)
	given := &webhook.Subscription{ID: "wh_1", Name: "Orders", EventTypes: []event.Pattern{event.MatchAll},
		Channels: []webhook.ChannelConfig{{Channel: "webhook"}}}
	require.NoError(t, s.CreateSubscription(ctx, given, webhook.Quota{}))
	const events = 2*maxHeld + 500
	for i := range events {
		_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: fmt.Sprint("evt_", i),
			Type: event.ObjectCreated, TTL: time.Minute}}, nil)
		require.NoError(t, err)
	}

	for _, oldest := range []bool{false, true} {
		q := webhook.DeliveryQuery{EventType: "none", OldestFirst: oldest}
		pieces := 1
		for {
			found, more := s.listPiece(&q, nil)
			require.Empty(t, found)
			if !more {
				break
			}
			pieces++
		}
		require.Equal(t, 3, pieces, "OldestFirst: %v", oldest)
		all, err := s.Deliveries(ctx, webhook.DeliveryQuery{OldestFirst: oldest, Until: now})
		require.NoError(t, err)
		require.Empty(t, all)
	}

	// The endpoint is healthy, so that claims hand out what has expired.
	expired := now.Add(time.Hour)
	for calls := 1; calls <= 3; calls++ {
		tasks, err := s.ClaimExpired(ctx, expired, expired.Add(time.Minute), events)
		require.NoError(t, err)
		require.Empty(t, tasks)
		left := 0
		for _, e := range s.expiring.items {
			if e.at <= micros(expired) {
				left++
			}
		}
		require.Equal(t, max(0, events-calls*maxHeld), left)
	}

	require.NoError(t, s.DeleteSubscription(ctx, "", "wh_1", 0))
	for calls := 1; len(s.orphans) > 0; calls++ {
		n, err := s.Prune(ctx, expired, webhook.PruneRequest{Limit: 250})
		require.NoError(t, err)
		require.Equal(t, min(events, calls*4*250), s.finished.len())
		require.Equal(t, len(s.orphans) > 0, n == 250, "there is more to do")
	}
	require.Empty(t, s.orphans)
}
