package postgres_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// If there are many deleted endpoints, and many endpoints of one organization, pruning and lists
// read one page of them at a time.
func TestPlansBesideManyEndpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	db, s, seen := explainedStore(t)
	now := time.Now()
	for _, fill := range []string{
		// A third of the endpoints is deleted. Prune examined a third of those an hour ago, a few of
		// them never, and the others two days ago.
		`INSERT INTO webhooks_endpoints (id, organization_id, webhook_id, channel, state, pruned_at)
			SELECT i, 'a', CASE WHEN i <= 3000 THEN 'wh_same' ELSE 'wh_' || i END, 'x' || i,
				CASE WHEN i % 3 = 0 THEN 2 ELSE 0 END,
				CASE WHEN i % 3 > 0 OR i % 100 = 0 THEN NULL
					WHEN i % 9 = 0 THEN $1::bigint - 3600000000 ELSE $1::bigint - 2 * 86400000000 END
			FROM generate_series(1, 9000) i`,
		`INSERT INTO webhooks_events (id, created_at, last_id, organization_id, event_id, type, payload)
			SELECT i * 100 + 1000000, $1::bigint, i * 100 + 1000001, 'a', 'evt_' || i, 'a.b', '{}'
			FROM generate_series(1, 9000) i`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, settled_at, token,
				state, kept, kept_at)
			SELECT i * 100 + 1000001, i * 100 + 1000000, i, $1::bigint, 1,
				CASE WHEN i % 3 = 1 THEN 3 ELSE 2 END, CASE WHEN i % 3 = 1 THEN 3 END,
				CASE WHEN i % 3 = 1 THEN $1::bigint END
			FROM generate_series(1, 9000) i`,
		`INSERT INTO webhooks_blocks SELECT endpoint_id, id >> 14 FROM webhooks_deliveries
			WHERE $1::bigint > 0`,
		`INSERT INTO webhooks_blocks SELECT i, 3 FROM generate_series(1, 2000) i WHERE $1::bigint > 0`,
	} {
		_, err := db.ExecContext(ctx, fill, now.UnixMicro())
		require.NoError(t, err)
	}
	_, err := db.ExecContext(ctx,
		"ANALYZE webhooks_endpoints, webhooks_blocks, webhooks_events, webhooks_deliveries")
	require.NoError(t, err)

	list := func(q webhook.DeliveryQuery) func(*testing.T) {
		return func(t *testing.T) {
			q.OrganizationID = "a"
			found, err := s.Deliveries(ctx, q)
			require.NoError(t, err)
			assert.Len(t, found, 100)
		}
	}
	for _, step := range []struct {
		name  string
		bound int
		run   func(*testing.T)
	}{
		{"Dead", 1_100, list(webhook.DeliveryQuery{Status: webhook.StatusDead})},
		{"Dead of one", 1_100, list(webhook.DeliveryQuery{Status: webhook.StatusDead,
			SubscriptionID: "wh_same"})},
		// The database sorts all ranges of all endpoints.
		{"Newest", 12_000, list(webhook.DeliveryQuery{})},
		{"Newest of one", 12_000, list(webhook.DeliveryQuery{SubscriptionID: "wh_same"})},
		{"Prune", 1_100, func(t *testing.T) {
			for n := 100; n == 100; {
				var err error
				n, err = s.Prune(ctx, now, webhook.PruneRequest{SucceededBefore: now.Add(-time.Hour),
					Limit: 100})
				require.NoError(t, err)
			}
		}},
	} {
		seen.take()
		step.run(t)
		all := seen.take()
		require.NotEmpty(t, all)
		for _, plan := range all {
			assert.NotRegexp(t, `Seq Scan on \w*(endpoints|blocks|deliveries|events)\b`, plan, step.name)
			for _, match := range actualRows.FindAllStringSubmatch(plan, -1) {
				rows, err := strconv.Atoi(match[1])
				require.NoError(t, err)
				loops, err := strconv.Atoi(match[2])
				require.NoError(t, err)
				assert.LessOrEqual(t, rows*loops, step.bound, "%s reads too many rows:\n%s", step.name,
					plan)
			}
		}
	}
	var blocks, deleted int
	require.NoError(t, db.QueryRowContext(ctx,
		"SELECT count(*) FROM webhooks_blocks WHERE block = 3").Scan(&blocks))
	assert.Zero(t, blocks)
	row := db.QueryRowContext(ctx, `SELECT count(*) FROM webhooks_endpoints
		WHERE state = 2 AND (pruned_at IS NULL OR pruned_at < $1)`, now.Add(-24*time.Hour).UnixMicro())
	require.NoError(t, row.Scan(&deleted))
	assert.Zero(t, deleted, "Prune has examined all of them")

	// A claim looks up each endpoint in a hash table of those to skip. It does not compare it with
	// each of them.
	_, err = db.ExecContext(ctx, `UPDATE webhooks_deliveries
		SET state = 0, due_at = settled_at, settled_at = NULL, kept = NULL WHERE endpoint_id % 3 = 1`)
	require.NoError(t, err)
	r := webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 10, PerEndpoint: 10}
	for i := 4; i < 3000; i += 3 {
		r.Skip = append(r.Skip, webhook.Endpoint{SubscriptionID: "wh_same",
			Channel: "x" + strconv.Itoa(i)})
	}
	seen.take()
	_, err = s.Claim(ctx, now, r)
	require.NoError(t, err)
	walked := 0
	for _, plan := range seen.take() {
		if strings.Contains(plan, "walk.endpoint_id NOT IN") {
			walked++
			assert.Contains(t, plan, "hashed SubPlan")
		}
	}
	assert.Positive(t, walked)
}
