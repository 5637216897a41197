package sqltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// CheckOldestDue checks which endpoints Totals looks at for the oldest delivery that is due, when more
// is waiting than it counts: the first 1,000, and those whose deliveries it has counted. The store is
// empty and its tables have the default prefix. exec runs a statement.
func CheckOldestDue(t *testing.T, s webhook.Store, exec func(statement string)) {
	t.Helper()
	require.NoError(t, s.CreateSubscription(t.Context(), NewSubscription(), webhook.Quota{}))
	now := time.Now().UTC().Truncate(time.Microsecond)
	const endpoints, limit = 2_500, 2_000
	fillConsole(exec, now, endpoints,
		`INSERT INTO webhooks_endpoints (id, organization_id, webhook_id, channel, state)
			SELECT (SELECT max(id) FROM webhooks_endpoints) + i, '', 'wh_' || i, 'webhook', 0 FROM n`,
		`INSERT INTO webhooks_events (id, created_at, last_id, organization_id, event_id, type, payload)
			SELECT 2, {now}, 999999, '', 'evt', 'a.b', '{}' FROM n WHERE i = 1`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, token, state, due_at)
			SELECT 2 + i, 2, (SELECT min(id) FROM webhooks_endpoints WHERE webhook_id = 'wh_1') - 1 + i, 1, 0,
				{now} FROM n`)
	for i, nth := range []int{1, 999, 1_999} { // each is older than those before it
		oldest := now.Add(-time.Duration(i+1) * time.Minute)
		exec(fmt.Sprintf(`UPDATE webhooks_deliveries SET due_at = %d WHERE id = %d`, oldest.UnixMicro(),
			2+nth))
		totals, err := s.Totals(t.Context(), now, webhook.TotalsQuery{AllOrganizations: true, Limit: limit})
		require.NoError(t, err)
		require.True(t, totals.MoreUnfinished)
		require.Equal(t, oldest, totals.OldestDue, "the %dth endpoint", nth)
	}
}
