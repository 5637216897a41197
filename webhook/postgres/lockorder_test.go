package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

// TestEndpointsAreLockedInOrder checks that changes of several endpoints lock them in the order of
// their ids: TakePermits does, and would wait for a deadlock to be found.
func TestEndpointsAreLockedInOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, tablesDSN(t))
	var changes []webhook.EndpointChange
	var sub *webhook.Subscription
	for _, id := range []string{"sub_b", "sub_a"} { // not in the order of the names
		sub = sqltest.NewSubscription()
		sub.ID = id
		sub.Channels = append(sub.Channels, sub.Channels[0])
		sub.Channels[1].Channel = "slack"
		require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
		state, err := s.EndpointState(ctx, sub.OrganizationID,
			webhook.Endpoint{SubscriptionID: id, Channel: sub.ChannelKeys()[0]})
		require.NoError(t, err)
		state.Health = webhook.Degraded
		changes = append(changes, webhook.EndpointChange{State: &state})
	}
	keys := sub.ChannelKeys()
	lockedInOrder(t, s, [2]string{"sub_b", keys[0]}, [2]string{"sub_a", keys[0]}, func() error {
		_, err := s.SetEndpointStates(ctx, changes)
		return err
	})
	slices.Reverse(sub.Channels)
	lockedInOrder(t, s, [2]string{"sub_a", keys[0]}, [2]string{"sub_a", keys[1]}, func() error {
		return s.UpdateSubscription(ctx, sub, webhook.Quota{})
	})
}

// lockedInOrder holds one endpoint while the change waits for it, and requires that the change has
// not locked the other one.
func lockedInOrder(t *testing.T, s *stored, first, second [2]string, change func() error) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, s.dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	const lock = `SELECT id FROM webhooks_endpoints WHERE webhook_id = $1 AND channel = $2
		FOR UPDATE NOWAIT`
	var id int64
	require.NoError(t, tx.QueryRow(ctx, lock, first[0], first[1]).Scan(&id))
	done := make(chan error, 1)
	go func() { done <- change() }()
	require.Eventually(t, func() bool {
		waiting := false
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND
			pg_backend_pid() = ANY(pg_blocking_pids(pid)))`).Scan(&waiting)
		return err == nil && waiting
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, tx.QueryRow(ctx, lock, second[0], second[1]).Scan(&id),
		"the other one is not locked yet")
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, <-done)
}
