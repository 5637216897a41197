package postgres_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// After a day without requests, all of those before it have expired. The next
// one removes some, and must not read the others for that.
func TestPlansBesideExpiredRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	config, err := pgx.ParseConfig(schemaDSN(t))
	require.NoError(t, err)
	var seen plans
	config.OnNotice = seen.notice
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(
		ctx context.Context, conn *pgx.Conn,
	) error {
		_, err := conn.Exec(ctx,
			"SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; "+ // as Open does
				"LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = "+
				"on; SET client_min_messages = log")
		return err
	}))
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(ctx, db, sqlstore.PostgreSQL(), sqlstore.Config{})
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, `INSERT INTO webhooks_requests
		SELECT sha256(i::text::bytea), '', i, i, 'done' FROM generate_series(1, 100000) i`)
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
