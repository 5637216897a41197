package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// The statistics of a deleted subscription cannot be queried any more. Pruning must remove them
// from the database.
func TestPruneRemovesFiguresOfDeletedSubscriptions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s, err := sqlite.Open(ctx, made(t, path), sqlite.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	stored := func() (n int) {
		require.NoError(t, db.QueryRowContext(ctx, "SELECT count(*) FROM webhooks_statistics").Scan(&n))
		return n
	}

	gone, stays := sqltest.NewSubscription(), sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, gone, webhook.Quota{}))
	require.NoError(t, s.CreateSubscription(ctx, stays, webhook.Quota{}))
	const hours = 5
	for n := range hours {
		at := now.Add(time.Duration(n) * time.Hour)
		_, err := s.Enqueue(ctx, at, []webhook.NewEvent{{ID: "evt_" + at.String(), Type: "a.b",
			Payload: []byte(`{}`)}}, nil)
		require.NoError(t, err)
		tasks, err := s.Claim(ctx, at, webhook.ClaimRequest{Until: at.Add(time.Minute),
			Limit: 2, PerEndpoint: 2})
		require.NoError(t, err)
		require.Len(t, tasks, 2)
		for _, task := range tasks {
			_, err := s.Settle(ctx, at, []webhook.Settlement{{Lease: task.Lease,
				Status: webhook.StatusDead}})
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2*hours, stored())
	require.NoError(t, s.DeleteSubscription(ctx, "", gone.ID, 0))
	_, err = s.Prune(ctx, now, webhook.PruneRequest{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, hours, stored())
}
