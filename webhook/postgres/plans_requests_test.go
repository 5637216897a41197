package postgres_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// After a day without requests, all earlier requests have expired. The next request removes some of
// them, and must not read the others.
func TestPlansBesideExpiredRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	db, s, seen := explainedStore(t)
	_, err := db.ExecContext(ctx, `INSERT INTO webhooks_requests
		SELECT sha256(i::text::bytea), '', i, i, 'done' FROM generate_series(1, 30000) i`)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, "ANALYZE webhooks_requests")
	require.NoError(t, err)

	now := time.Now()
	key := sha256.Sum256([]byte("19999")) // one of the expired
	seen.take()
	r := webhook.IdempotentRequest{Key: key[:], Digest: key[:], Began: now,
		Until: now.Add(time.Minute)}
	_, work, err := s.BeginIdempotent(ctx, r, now.Add(-time.Hour))
	require.NoError(t, err)
	require.True(t, work)
	all := strings.Join(seen.take(), "\n")
	require.Contains(t, all, "Index Scan using webhooks_requests_began")
	require.NotContains(t, all, "Seq Scan on webhooks_requests")
	require.NotContains(t, all, "Rows Removed by Filter")
}
