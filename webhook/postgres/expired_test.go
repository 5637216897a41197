package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// What another transaction has locked while a process looks for what has expired is looked at again,
// and does not count as finished.
func TestLockedDeliveriesExpireLater(t *testing.T) {
	t.Parallel()
	dsn := schemaDSN(t)
	s, err := postgres.Open(t.Context(), dsn, postgres.Config{MaxConns: 3})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	sub := sqltest.NewSubscription()
	sub.Paused = true
	require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
	now := time.Now()
	_, err = s.Enqueue(t.Context(), now, []webhook.NewEvent{
		{ID: "evt_1", Type: "object.created", Payload: []byte(`{}`), TTL: time.Minute}}, nil)
	require.NoError(t, err)

	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	locked, err := tx.Exec(t.Context(), `SELECT id FROM webhooks_deliveries FOR UPDATE`)
	require.NoError(t, err)
	require.EqualValues(t, 1, locked.RowsAffected())
	late := now.Add(time.Minute)
	tasks, err := s.ClaimExpired(t.Context(), late, late.Add(time.Minute), 10)
	require.NoError(t, err)
	assert.Empty(t, tasks, "it is locked")
	require.NoError(t, tx.Rollback(t.Context()))

	late = late.Add(webhook.ExpiredWithin)
	tasks, err = s.ClaimExpired(t.Context(), late, late.Add(time.Minute), 10)
	require.NoError(t, err)
	require.Len(t, tasks, 1, "it is locked no more")
	assert.Equal(t, "evt_1", tasks[0].EventID)
}

// A call ends after a bounded number of transactions, however much has expired.
func TestClaimExpiredIsBounded(t *testing.T) {
	t.Parallel()
	dsn := schemaDSN(t)
	s, err := postgres.Open(t.Context(), dsn, postgres.Config{MaxConns: 3})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	const events, perCall = 25_000, 20_000
	now := time.Now()
	_, err = conn.Exec(t.Context(), `INSERT INTO webhooks_events (id, created_at, last_id, organization_id,
			event_id, type, payload, ttl)
		SELECT i, $1, i, '', 'evt_' || i, 'object.created', '{}', 1000000 FROM generate_series(1, $2::int) i`,
		now.Add(-time.Hour).UnixMicro(), events)
	require.NoError(t, err)
	for _, want := range []int{events - perCall, 0} {
		tasks, err := s.ClaimExpired(t.Context(), now, now.Add(time.Minute), 10)
		require.NoError(t, err)
		assert.Empty(t, tasks)
		var left int
		require.NoError(t, conn.QueryRow(t.Context(),
			`SELECT count(*) FROM webhooks_events WHERE expire_at IS NULL`).Scan(&left))
		assert.Equal(t, want, left)
	}
}
