package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

// TestEndpointsAreLockedInOrder holds the endpoint with the smaller id. Changes of the states of both
// must wait for it without having locked the other: TakePermits locks in that order, and would wait
// for a deadlock to be found.
func TestEndpointsAreLockedInOrder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := open(t, tablesDSN(t))
	var changes []webhook.EndpointChange
	for _, id := range []string{"sub_b", "sub_a"} { // not in the order of the names
		sub := sqltest.NewSubscription()
		sub.ID = id
		require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
		state, err := s.EndpointState(ctx, sub.OrganizationID,
			webhook.Endpoint{SubscriptionID: id, Channel: sub.ChannelKeys()[0]})
		require.NoError(t, err)
		state.Health = webhook.Degraded
		changes = append(changes, webhook.EndpointChange{State: &state})
	}
	conn, err := pgx.Connect(ctx, s.dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	const lock = `SELECT id FROM webhooks_endpoints WHERE webhook_id = $1 FOR UPDATE NOWAIT`
	var id int64
	require.NoError(t, tx.QueryRow(ctx, lock, "sub_b").Scan(&id))
	done := make(chan error, 1)
	go func() {
		_, err := s.SetEndpointStates(ctx, changes)
		done <- err
	}()
	require.Eventually(t, func() bool {
		waiting := false
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND
			pg_backend_pid() = ANY(pg_blocking_pids(pid)))`).Scan(&waiting)
		return err == nil && waiting
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, tx.QueryRow(ctx, lock, "sub_a").Scan(&id), "the other one is not locked yet")
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, <-done)
}
