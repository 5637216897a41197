package sqltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// CheckBacklogRounds checks how a store counts a backlog that is too large for one call of
// SampleBacklog: of organization a, b, of which alone more is waiting than a call counts, and c. The
// store is empty and its tables have the default prefix. exec runs a statement.
func CheckBacklogRounds(
	t *testing.T, s webhook.Store, exec func(statement string, args ...any),
) {
	t.Helper()
	ctx := t.Context()
	hour := time.Now().UTC().Truncate(time.Hour)
	endpoint := func(organization string) {
		sub := NewSubscription()
		sub.OrganizationID = organization
		require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	}
	for _, organization := range []string{"a", "b", "b", "c", "idle"} {
		endpoint(organization)
	}
	exec(`INSERT INTO webhooks_events (id, created_at, last_id, organization_id, event_id, type, payload)
		VALUES (2, 0, 999999, 'a', 'evt', 'a.b', '{}')`)
	id := 1_000
	fill := func(organization, which string, n int, due time.Time) {
		exec(fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, token, state, due_at)
			SELECT %d + i, 2, (SELECT %s(id) FROM webhooks_endpoints WHERE organization_id = '%s'),
				1, 0, %d FROM n`, n, id, which, organization, due.UnixMicro()))
		id += n
	}
	fill("a", "max", 60_000, hour)
	fill("b", "min", 105_000, hour.Add(-time.Hour))
	fill("b", "max", 5_000, hour.Add(-2*time.Hour)) // the oldest, beyond what a call counts
	fill("c", "max", 50_000, hour.Add(-time.Minute))

	check := func(at time.Time, rule string, want map[string]webhook.HourlyBacklog) {
		t.Helper()
		require.NoError(t, s.(webhook.BacklogStore).SampleBacklog(ctx, at))
		for _, organization := range []string{"a", "b", "c", "idle", ""} {
			q := webhook.BacklogQuery{OrganizationID: organization,
				AllOrganizations: organization == "", Since: at}
			got, err := s.(webhook.BacklogStore).HourlyBacklog(ctx, q)
			require.NoError(t, err)
			var expected []webhook.HourlyBacklog
			if h, ok := want[organization]; ok {
				h.Hour = at.Truncate(time.Hour)
				expected = append(expected, h)
			}
			require.Equal(t, expected, got, "%s: %q", rule, organization)
		}
	}
	of := func(waiting int64, more bool, age time.Duration) webhook.HourlyBacklog {
		return webhook.HourlyBacklog{Waiting: waiting, More: more, OldestDueAge: age}
	}
	at := hour.Add(time.Minute)
	a := of(60_000, false, time.Minute)
	check(at, "a call leaves the organization at which it stops to the next one",
		map[string]webhook.HourlyBacklog{"a": a, "": of(60_000, true, time.Minute)})
	at = hour.Add(2 * time.Minute)
	b := of(100_000, true, 2*time.Hour+2*time.Minute)
	check(at, "an organization of which more is waiting has a call of its own",
		map[string]webhook.HourlyBacklog{"a": a, "b": b, "": of(160_000, true, b.OldestDueAge)})
	at = hour.Add(3 * time.Minute)
	c := of(50_000, false, 4*time.Minute)
	all := of(210_000, true, b.OldestDueAge)
	check(at, "the round ends",
		map[string]webhook.HourlyBacklog{"a": a, "b": b, "c": c, "idle": {}, "": all})
	at = hour.Add(59 * time.Minute)
	a.OldestDueAge = 59 * time.Minute
	check(at, "the next round begins",
		map[string]webhook.HourlyBacklog{"a": a, "b": b, "c": c, "idle": {}, "": all})

	at = hour.Add(time.Hour)
	b.OldestDueAge = 3 * time.Hour
	check(at, "a round goes on in the next hour, in which nothing is known of the first ones",
		map[string]webhook.HourlyBacklog{"b": b, "": of(160_000, true, b.OldestDueAge)})
	at = hour.Add(time.Hour + time.Minute)
	c.OldestDueAge = time.Hour + 2*time.Minute
	check(at, "nor is it when that round has ended",
		map[string]webhook.HourlyBacklog{"b": b, "c": c, "": of(210_000, true, b.OldestDueAge)})

	for _, after := range []time.Duration{2 * time.Hour, 3 * time.Hour} {
		at = hour.Add(after)
		a.OldestDueAge = after
		check(at, "a round that was left for an hour begins again",
			map[string]webhook.HourlyBacklog{"a": a, "": of(60_000, true, a.OldestDueAge)})
	}
}
