package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
)

// A claim whose probe another transaction has taken goes on with the deliveries of others, each with
// its own line.
func TestAProbeThatIsTakenMovesNoLine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	s := open(t, schemaDSN(t))
	now := time.Now().Add(-time.Hour)
	degraded := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(t.Context(), degraded, webhook.Quota{}))
	state, err := s.EndpointState(t.Context(), "",
		webhook.Endpoint{SubscriptionID: degraded.ID, Channel: "webhook"})
	require.NoError(t, err)
	state.Health, state.Since, state.NextProbe = webhook.Degraded, now, now
	require.NoError(t, webhook.SetEndpointState(t.Context(), s, &state, 0))
	l := sqltest.NewLines(t, s, now)
	require.NoError(t, l.Emit("a", 2)) // also for the degraded one

	conn, err := pgx.Connect(t.Context(), s.dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT id FROM webhooks_endpoints WHERE webhook_id = $1 FOR UPDATE`,
		degraded.ID)
	require.NoError(t, err)
	tasks, err := s.Claim(t.Context(), now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 50,
		PerEndpoint: 50})
	require.NoError(t, err)
	require.Len(t, tasks, 1, "the first of the line, and no probe")
	require.True(t, tasks[0].Ordered)
	require.NoError(t, tx.Rollback(t.Context()))

	require.NoError(t, l.Settle(tasks[0], webhook.StatusSucceeded))
	next, err := l.Claim()
	require.NoError(t, err)
	assert.Len(t, next, 1, "it is the turn of the next one in line")
}

// Prune leaves alone what another transaction settles while Prune waits for it.
func TestPruneCancelsNothingThatIsSettledMeanwhile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
	t.Parallel()
	s := open(t, schemaDSN(t))
	sub := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
	now := time.Now()
	_, err := s.Enqueue(t.Context(), now, []webhook.NewEvent{
		{ID: "evt_1", Type: "object.created", Payload: []byte(`{}`)}}, nil)
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), s.dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	// As a Settle does that began before the subscription was deleted.
	_, err = tx.Exec(t.Context(), `UPDATE webhooks_deliveries SET state = 2, settled_at = $1, due_at = NULL`,
		now.UnixMicro())
	require.NoError(t, err)
	require.NoError(t, s.DeleteSubscription(t.Context(), "", sub.ID, 0))

	pruned := make(chan error, 1)
	go func() {
		_, err := s.Prune(t.Context(), now, webhook.PruneRequest{Limit: 100})
		pruned <- err
	}()
	eventually(t, "Prune waits for the row", func() bool {
		return queryAt[int](t, s.dsn, `SELECT count(*) FROM pg_locks WHERE NOT granted
			AND $1::int = ANY (pg_blocking_pids(pid))`, conn.PgConn().PID()) == 1
	})
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-pruned)
	assert.Equal(t, 2, queryAt[int](t, s.dsn, `SELECT state FROM webhooks_deliveries`))
}
