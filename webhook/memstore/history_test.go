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
	for calls, later := 0, late; ; calls, later = calls+1, later.Add(time.Minute) {
		require.Less(t, calls, 100, "Prune comes to an end")
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
	for pieces, more := 1, true; more; pieces++ {
		var tasks []webhook.Task
		tasks, more = s.claimExpiredPiece(expired, expired.Add(time.Minute), events, nil)
		require.Empty(t, tasks)
		left := 0
		for _, e := range s.expiring.items {
			if e.at <= micros(expired) {
				left++
			}
		}
		require.GreaterOrEqual(t, left, events-pieces*maxHeld)
		require.True(t, more || left == 0)
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

// TestWideEventsExpireInPieces checks that an event with many deliveries expires although a piece ends
// amid them, and one of them is replayed meanwhile.
func TestWideEventsExpireInPieces(t *testing.T) {
	t.Parallel()
	s, ctx := New(), t.Context()
	now := time.Date(2025, 10, 8, 16, 9, 0, 0, time.UTC)
	const endpoints = maxHeld + 500
	for i := range endpoints {
		given := &webhook.Subscription{ID: fmt.Sprintf("wh_%016x", i), Name: "Orders", Paused: i > 0,
			EventTypes: []event.Pattern{event.MatchAll},
			Channels:   []webhook.ChannelConfig{{Channel: "webhook"}}}
		require.NoError(t, s.CreateSubscription(ctx, given, webhook.Quota{}))
	}
	_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: "evt_1", Type: event.ObjectCreated,
		TTL: time.Minute}}, nil)
	require.NoError(t, err)
	first, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Hour), Limit: 9,
		PerEndpoint: 9})
	require.NoError(t, err)
	require.Len(t, first, 1)
	_, err = s.Settle(ctx, now, []webhook.Settlement{{Lease: first[0].Lease,
		Status: webhook.StatusSucceeded}})
	require.NoError(t, err)

	expired := now.Add(time.Hour)
	until := expired.Add(time.Minute)
	tasks, more := s.claimExpiredPiece(expired, until, endpoints, nil)
	require.True(t, more)
	require.Len(t, tasks, maxHeld-1)
	require.NoError(t, s.Replay(ctx, expired, "", first[0].DeliveryID))
	given, err := s.Subscription(ctx, "", first[0].Endpoint.SubscriptionID)
	require.NoError(t, err)
	given.Paused = true
	require.NoError(t, s.UpdateSubscription(ctx, given, webhook.Quota{}))

	rest, err := s.ClaimExpired(ctx, expired, until, endpoints)
	require.NoError(t, err)
	require.Len(t, rest, endpoints-maxHeld)
	for _, task := range append(tasks, rest...) {
		_, err := s.Settle(ctx, expired, []webhook.Settlement{{Lease: task.Lease,
			Status: webhook.StatusDead}})
		require.NoError(t, err)
	}
	again, err := s.ClaimExpired(ctx, expired.Add(time.Minute), until, endpoints)
	require.NoError(t, err)
	require.Len(t, again, 1, "it expires a minute after it was replayed")
	require.Equal(t, first[0].DeliveryID, again[0].DeliveryID)
}
