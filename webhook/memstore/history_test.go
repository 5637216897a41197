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
			Type: event.ObjectCreated}}, nil)
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
		if n < 17 {
			break
		}
	}
	require.Empty(t, s.subscriptions)
	require.Empty(t, s.endpoints)
	require.Empty(t, s.events)
	require.Empty(t, s.deliveries)
	require.Empty(t, s.orphans)
	require.Empty(t, s.organizations[""].deliveries.entries)
	require.Zero(t, s.idle.len()+s.finished.len()+s.dead.len())
	require.Zero(t, s.rotation.lanes.Len()+s.rotation.waiting.len())
}
