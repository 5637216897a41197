package postgres_test

import (
	"strconv"
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
	if testing.Short() {
		t.Skip("takes a part of a second of the server's CPU time")
	}
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
	if testing.Short() {
		t.Skip("takes seconds")
	}
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

// Of an event with many deliveries, no statement reads more than a page, however many have been taken
// before.
func TestWideEventsExpireInPages(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	db, s, seen := explainedStore(t)
	sub := sqltest.NewSubscription()
	sub.Paused = true
	require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
	const deliveries, page = 10_000, 500
	now := time.Now()
	for _, fill := range []string{
		`INSERT INTO webhooks_events (id, created_at, last_id, organization_id, event_id, type, payload, ttl)
			VALUES (1000000, $1, 1010000, '', 'evt_wide', 'object.created', '{}', 1000000)`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, token, state, due_at)
			SELECT 1000000 + i, 1000000, (SELECT max(id) FROM webhooks_endpoints), 1, 0, $1
			FROM generate_series(1, 10000) i`,
	} {
		_, err := db.ExecContext(t.Context(), fill, now.Add(-time.Hour).UnixMicro())
		require.NoError(t, err)
	}
	_, err := db.ExecContext(t.Context(), "ANALYZE webhooks_events, webhooks_deliveries")
	require.NoError(t, err)
	taken := map[webhook.DeliveryID]bool{}
	claim := func(now time.Time, want int) {
		t.Helper()
		seen.take()
		tasks, err := s.ClaimExpired(t.Context(), now, now.Add(time.Minute), page)
		require.NoError(t, err)
		require.Len(t, tasks, want)
		for _, task := range tasks {
			taken[task.DeliveryID] = true
		}
		for _, plan := range seen.take() {
			for _, match := range actualRows.FindAllStringSubmatch(plan, -1) {
				rows, err := strconv.Atoi(match[1])
				require.NoError(t, err)
				loops, err := strconv.Atoi(match[2])
				require.NoError(t, err)
				require.LessOrEqual(t, rows*loops, 2*page, "it reads too many rows:\n%s", plan)
			}
		}
	}
	for range deliveries / page {
		claim(now, page)
	}
	claim(now, 0)
	assert.Len(t, taken, deliveries)
}
