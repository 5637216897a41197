package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	driversqlite "modernc.org/sqlite"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// recorder is a connector that notes every statement that is prepared.
type recorder struct {
	path       string
	mu         sync.Mutex
	statements map[string]bool
}

func (r *recorder) Driver() driver.Driver { return &driversqlite.Driver{} }

func (r *recorder) Connect(context.Context) (driver.Conn, error) {
	conn, err := r.Driver().Open("file:" + r.path)
	return &recordedConn{Conn: conn, recorder: r}, err
}

// recordedConn has only the methods of driver.Conn, so that database/sql prepares every statement.
type recordedConn struct {
	driver.Conn
	recorder *recorder
}

func (c *recordedConn) Prepare(query string) (driver.Stmt, error) {
	c.recorder.mu.Lock()
	c.recorder.statements[query] = true
	c.recorder.mu.Unlock()
	return c.Conn.Prepare(query)
}

// useEverything calls every method of a store, so that it uses all statements.
func useEverything(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	sub := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	_, err := s.Subscription(ctx, "", sub.ID)
	require.NoError(t, err)
	paused := false
	for _, eventType := range []string{"", "a.b"} {
		q := webhook.SubscriptionQuery{EventType: eventType, Paused: &paused, After: sub.Cursor(),
			Limit: 10, Offset: 1}
		_, err = s.Subscriptions(ctx, q)
		require.NoError(t, err)
		_, err = s.CountSubscriptions(ctx, q)
		require.NoError(t, err)
	}
	sub.Name = "Changed"
	require.NoError(t, s.UpdateSubscription(ctx, sub, webhook.Quota{}))
	events := make([]webhook.NewEvent, 21) // chunks of every size
	for i := range events {
		events[i] = webhook.NewEvent{ID: fmt.Sprint("evt_", i), Type: "a.b", Payload: []byte(`{}`)}
	}
	for range 2 { // the second time the events are stored already
		_, err = s.Enqueue(ctx, now, events, nil)
		require.NoError(t, err)
	}
	taken := 0
	for i := range events {
		events[i].ID = fmt.Sprint("evt_prefetched_", i)
	}
	stored, err := s.Enqueue(ctx, now, events, &webhook.Prefetch{Until: now.Add(time.Minute),
		Take: func(string, webhook.Endpoint) bool { taken++; return taken <= 2 }})
	require.NoError(t, err)
	for _, task := range stored.Tasks { // the second call removes the lease
		_, err = s.Settle(ctx, now, []webhook.Settlement{{Lease: task.Lease,
			Status: webhook.StatusSucceeded, Attempt: &webhook.Attempt{StartedAt: now}}})
		require.NoError(t, err)
	}
	_, err = s.Settle(ctx, now, []webhook.Settlement{{Lease: webhook.Lease{DeliveryID: 12345},
		Status: webhook.StatusDead}})
	require.NoError(t, err)
	tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{
		Until: now.Add(time.Minute), Limit: 10, PerEndpoint: 10,
		Skip:            []webhook.Endpoint{{SubscriptionID: sub.ID, Channel: "x"}},
		PerOrganization: 10, SkipOrganizations: []string{"elsewhere"},
	})
	require.NoError(t, err)
	_, err = s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 1,
		PerEndpoint: 1})
	require.NoError(t, err)
	leases := []webhook.Lease{tasks[0].Lease, {DeliveryID: 12345, Token: 1}}
	_, err = s.Extend(ctx, now.Add(time.Hour), leases)
	require.NoError(t, err)
	_, err = s.Start(ctx, now, leases)
	require.NoError(t, err)
	_, err = s.Now(ctx)
	require.NoError(t, err)
	for _, at := range []time.Time{now.Add(time.Hour),
		now.Add(-time.Hour)} { // that removes nothing, and everything
		_, err = s.Repair(ctx, now, webhook.RepairRequest{Until: now.Add(time.Hour), LeasesAfter: at,
			FreshAfter: at, RetriesAfter: at, ProbesAfter: at, Limit: 10})
		require.NoError(t, err)
	}
	useStates(t, s, sub, now)
	attempt := &webhook.Attempt{StartedAt: now}
	_, err = s.Settle(ctx, now, []webhook.Settlement{
		{Lease: tasks[0].Lease, Status: webhook.StatusSucceeded, Attempt: attempt},
		{Lease: tasks[1].Lease, Status: webhook.StatusDead, Attempt: attempt},
		{Lease: tasks[2].Lease, Status: webhook.StatusPending, DueAt: now, Attempt: attempt},
		{Lease: leases[1], Status: webhook.StatusDead},
	})
	require.NoError(t, err)
	for _, status := range []webhook.Status{"", webhook.StatusPending, webhook.StatusInFlight,
		webhook.StatusPaused,
		webhook.StatusSucceeded, webhook.StatusDead, webhook.StatusCancelled} {
		for _, q := range []webhook.DeliveryQuery{
			{}, {EventID: "evt_1"}, {SubscriptionID: sub.ID},
			{EventType: "a.b", Since: now.Add(-time.Hour), Until: now.Add(time.Hour), Before: 1000},
		} {
			q.Status = status
			_, err := s.Deliveries(ctx, q)
			require.NoError(t, err)
		}
	}
	_, err = s.Delivery(ctx, "", tasks[0].DeliveryID)
	require.NoError(t, err)
	_, err = s.EventPayload(ctx, "", "evt_1")
	require.NoError(t, err)
	_, err = s.Statistics(ctx, webhook.StatisticsQuery{SubscriptionID: sub.ID, Since: now})
	require.NoError(t, err)
	_, err = s.HourlyStatistics(ctx, webhook.HourlyQuery{Since: now})
	require.NoError(t, err)
	for _, q := range []webhook.TotalsQuery{{AllOrganizations: true}, {Limit: 1}} {
		_, err = s.Totals(ctx, now, q)
		require.NoError(t, err)
	}
	for _, at := range []time.Time{now.AddDate(-1, 0, 0), now} { // one hour is old enough to be pruned
		require.NoError(t, s.SampleBacklog(ctx, at))
	}
	for _, q := range []webhook.BacklogQuery{{AllOrganizations: true}, {Since: now}} {
		_, err = s.HourlyBacklog(ctx, q)
		require.NoError(t, err)
	}
	useTail(t, s, sub)
	useAPIKeys(t, s)
	for _, at := range []time.Time{now.Add(-2 * webhook.ProcessKept), now} { // one is old enough to be pruned
		require.NoError(t, s.PutProcess(ctx, at, webhook.Process{ID: at.String()}))
	}
	require.NoError(t, s.RemoveProcess(ctx, now.String()))
	_, err = s.Processes(ctx, webhook.MaxProcesses)
	require.NoError(t, err)
	r := webhook.IdempotentRequest{Key: []byte("key"), Digest: []byte("digest"), Began: now,
		Until: now.Add(time.Minute)}
	for range 2 { // the second time the request is in progress
		_, _, err = s.BeginIdempotent(ctx, r, now.Add(-time.Hour))
		require.NoError(t, err)
	}
	for _, r.Answer = range [][]byte{[]byte("answer"), nil} {
		require.NoError(t, s.EndIdempotent(ctx, r))
	}
	require.NoError(t, s.Replay(ctx, now, "", tasks[0].DeliveryID))
	require.NoError(t, s.Cancel(ctx, now, "", tasks[0].DeliveryID))
	require.NoError(t, s.DeleteSubscription(ctx, "", sub.ID, 0))
	_, err = s.Prune(ctx, now, webhook.PruneRequest{SucceededBefore: now.Add(time.Hour),
		DeadBefore: now.Add(time.Hour), Limit: 100})
	require.NoError(t, err)
}

// useTail reads what was emitted to a subscription with one channel, and to the organization.
func useTail(t *testing.T, s *sqlstore.Store, sub *webhook.Subscription) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	second := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, second, webhook.Quota{}))
	for _, q := range []webhook.TailQuery{
		{}, {SubscriptionID: sub.ID}, {Deliveries: true},
		{EventTypes: []event.Pattern{"a.*", "b.c"}, Since: now.Add(-time.Hour)},
	} {
		page, err := s.Tail(ctx, q)
		require.NoError(t, err)
		require.NotEmpty(t, page.Records)
	}
	_, err := s.TailNews(ctx, 0)
	require.NoError(t, err)
	for p := range webhook.Position(2) {
		_, err = s.SetPosition(ctx, now, "", sub.ID, webhook.NamedPosition{Name: "cache", Position: p})
		require.NoError(t, err)
	}
	_, err = s.Positions(ctx, "", sub.ID)
	require.NoError(t, err)
	require.NoError(t, s.DeletePosition(ctx, "", sub.ID, "cache"))
	require.NoError(t, s.DeleteSubscription(ctx, "", second.ID, 0))
}

// useAPIKeys creates, uses and revokes an API key, and makes room for another one.
func useAPIKeys(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	for n := range byte(2) {
		key := webhook.APIKey{ID: fmt.Sprint("key_", n), CreatedAt: now}
		require.NoError(t, s.CreateAPIKey(ctx, key, webhook.APIKeyHash{n}, 1))
		_, err := s.APIKey(ctx, webhook.APIKeyHash{n})
		require.NoError(t, err)
		require.NoError(t, s.UseAPIKey(ctx, webhook.APIKeyHash{n}, now))
		_, err = s.RevokeAPIKey(ctx, now, "", key.ID, "ann")
		require.NoError(t, err)
	}
	_, err := s.APIKeys(ctx, webhook.APIKeyQuery{})
	require.NoError(t, err)
}

// useStates makes an endpoint degraded, probes it, and enables it again.
func useStates(t *testing.T, s *sqlstore.Store, sub *webhook.Subscription, now time.Time) {
	t.Helper()
	ctx := t.Context()
	e := webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}
	for _, health := range []webhook.Health{webhook.Degraded, webhook.Disabled, webhook.Healthy} {
		state, err := s.EndpointState(ctx, "", e)
		require.NoError(t, err)
		state.Health = health
		require.NoError(t, webhook.SetEndpointState(ctx, s, &state, 0))
		for _, id := range []string{"", sub.ID} {
			_, err = s.EndpointStates(ctx, webhook.EndpointQuery{SubscriptionID: id})
			require.NoError(t, err)
		}
		_, err = s.EndpointStates(ctx, webhook.EndpointQuery{AllOrganizations: true})
		require.NoError(t, err)
		if health == webhook.Degraded {
			tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 10,
				PerEndpoint: 10})
			require.NoError(t, err)
			require.Len(t, tasks, 1)
			require.NotNil(t, tasks[0].Probe)
		}
	}
}

// useParking lets deliveries wait for an endpoint that is disabled, and enables it again.
func useParking(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	sub := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	e := webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}
	setHealth(t, s, e, webhook.Disabled, time.Time{})
	_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: "evt_parked", Type: "a.b",
		Payload: []byte(`{}`)}}, nil)
	require.NoError(t, err)
	claim := func() []webhook.Task {
		now = now.Add(2 * time.Second)
		tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 10,
			PerEndpoint: 10, Skip: nil})
		require.NoError(t, err)
		return tasks
	}
	claim()
	setHealth(t, s, e, webhook.Degraded, now)
	require.NotEmpty(t, claim())
	setHealth(t, s, e, webhook.Healthy, time.Time{})
	claim()
}

func setHealth(
	t *testing.T, s *sqlstore.Store, e webhook.Endpoint, h webhook.Health, probe time.Time,
) {
	t.Helper()
	state, err := s.EndpointState(t.Context(), "", e)
	require.NoError(t, err)
	state.Health, state.NextProbe = h, probe
	require.NoError(t, webhook.SetEndpointState(t.Context(), s, &state, 0))
}

// settleElsewhere settles deliveries that another process has claimed.
func settleElsewhere(t *testing.T, s, other *sqlstore.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: "evt_elsewhere", Type: "a.b",
		Payload: []byte(`{}`)}}, nil)
	require.NoError(t, err)
	tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
		Limit: 1, PerEndpoint: 1})
	require.NoError(t, err)
	refused, err := other.Settle(ctx, now,
		[]webhook.Settlement{{Lease: tasks[0].Lease, Status: webhook.StatusSucceeded}})
	require.NoError(t, err)
	require.Empty(t, refused)
}

var explained = regexp.MustCompile(`(?i)^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\b`)

// TestPlans explains every statement that a store uses. Each one must use an index to find rows in
// the large tables, so that its cost does not depend on how much is stored.
func TestPlans(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	r := &recorder{path: filepath.Join(t.TempDir(), "webhooks.db"), statements: make(map[string]bool)}
	db := sql.OpenDB(r)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(ctx, db, sqlstore.SQLite(), sqlstore.Config{TablePrefix: "p_"})
	require.NoError(t, err)
	clear(r.statements) // migrations run once, and may read whole tables
	useEverything(t, s)
	other, err := sqlstore.New(ctx, db, sqlstore.SQLite(), sqlstore.Config{TablePrefix: "p_"})
	require.NoError(t, err)
	settleElsewhere(t, s, other)
	useParking(t, other)
	sqltest.NewLines(t, other, time.Now()).Use()
	require.NoError(t, other.Close())
	require.NoError(t, s.Close())

	plans := make(map[string]string)
	for statement := range r.statements {
		if explained.MatchString(statement) {
			plans[statement] = plan(t, db, statement)
		}
	}
	require.Greater(t, len(plans), 40)
	for statement, plan := range plans {
		assert.Equal(t, strings.Count(statement, "LIMIT ?"), strings.Count(statement, "LIMIT ? + 0"),
			"a limit that is a parameter alone has SQLite plan the statement for each value:\n%s", statement)
		for line := range strings.Lines(plan) {
			scanned := strings.Contains(line, "SCAN") && !strings.Contains(line, "USING")
			for _, table := range []string{"p_events", "p_deliveries", "p_statistics", "p_requests", "p_api_keys",
				"p_webhooks", "p_routes", "p_organizations", "p_endpoints", "p_blocks",
				"p_backlogs", " d\n", " p\n", " b\n",
				" e\n", " s\n"} {
				assert.False(t, scanned && strings.Contains(line, table), "a whole table is read:\n%s\n%s",
					statement, plan)
			}
		}
	}
	expect := func(statement, using string) {
		t.Helper()
		found := false
		for s, plan := range plans {
			if strings.Contains(strings.Join(strings.Fields(s), " "), statement) {
				found = true
				assert.Contains(t, plan, using, "%s\n%s", s, plan)
				assert.NotContains(t, plan, "AUTOMATIC", "no index may be built for one statement:\n%s\n%s", s,
					plan)
			}
		}
		assert.True(t, found, "no statement has %q", statement)
	}
	expect("paused <= ? AND (created_at, id) > (?, ?)",
		"p_webhooks_listed (organization_id=? AND (created_at,id)>(?,?))")
	expect("SELECT count(*) FROM p_webhooks",
		"SEARCH p_webhooks USING COVERING INDEX p_webhooks_listed (organization_id=?)")
	expect("WITH RECURSIVE walk",
		"SEARCH p_deliveries USING COVERING INDEX p_deliveries_queue (endpoint_id=? AND <expr>=? AND due_at<?)")
	expect("WITH RECURSIVE walk", "SEARCH p_deliveries USING INDEX p_deliveries_walk (endpoint_id>?)")
	expect("WITH RECURSIVE unparked",
		"SEARCH p_deliveries USING INDEX p_deliveries_walk (endpoint_id>?)")
	expect("d.parked = 0 AND d.endpoint_id IN", "p_deliveries_walk (endpoint_id=?)")
	expect("d.parked = 1 AND d.endpoint_id = ?", "p_deliveries_parked (endpoint_id=?)")
	expect("FROM p_endpoints d WHERE d.wake_at <= ?", "p_endpoints_wake (wake_at<?)")
	expect("coalesce(max(version), 0) FROM p_routes", "p_routes_deleted (organization_id=? AND version<?)")
	expect("WITH RECURSIVE walk", "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)")
	expect("WITH RECURSIVE walk", "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)")
	expect("UPDATE p_deliveries AS d SET", "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)")
	expect("SELECT id, endpoint_id, attempts FROM p_deliveries",
		"SEARCH p_deliveries USING INTEGER PRIMARY KEY (rowid=?)")
	expect("state = 1, due_at = ?, parked = 0",
		"SEARCH p_deliveries USING INTEGER PRIMARY KEY (rowid=?)")
	expect("d.due_at IS NOT NULL AND d.parked = 0 AND d.id > ?",
		"SEARCH d USING INDEX p_deliveries_walk (endpoint_id=? AND rowid>? AND rowid<?)")
	expect("d.due_at IS NOT NULL AND d.parked = 1 AND d.id > ?",
		"SEARCH d USING INDEX p_deliveries_parked (endpoint_id=? AND rowid>? AND rowid<?)")
	expect("d.kept = 3 AND d.id > ?",
		"SEARCH d USING INDEX p_deliveries_dead (endpoint_id=? AND rowid>? AND rowid<?)")
	expect("WHERE d.id >= ? AND d.id < ? AND d.endpoint_id IN",
		"SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
	expect("WHERE d.id > ? AND d.id <= ?", "SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
	expect("SELECT DISTINCT endpoint_id FROM p_deliveries",
		"SEARCH p_deliveries USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
	expect("ORDER BY x.id DESC LIMIT 1", "SEARCH x USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
	expect("ORDER BY x.id DESC LIMIT 1", "SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
	expect("FROM p_positions WHERE", "SEARCH p_positions USING PRIMARY KEY (organization_id=?")
	for _, kept := range []string{"2", "3"} {
		expect("WHERE kept = "+kept+" AND kept >= 2", "p_deliveries_kept (kept=? AND kept_at<?)")
	}
	expect("DELETE FROM p_events WHERE id >= ?",
		"SEARCH p_events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
	expect("(until, first_id, token) > (?, ?, ?)", "SEARCH d USING PRIMARY KEY (")
	expect("FROM p_leases WHERE (until, first_id, token) IN",
		"SEARCH p_leases USING PRIMARY KEY (until=? AND first_id=? AND token=?)")
	expect("FROM p_leases l CROSS JOIN", "SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
	expect("s.hour >= ? WHERE p.organization_id = ? AND p.webhook_id = ?",
		"SEARCH p USING INDEX p_endpoints_owner (organization_id=? AND webhook_id=?)")
	expect("s.endpoint_id = p.id AND s.hour >= ?",
		"SEARCH s USING PRIMARY KEY (endpoint_id=? AND hour>?)")
	expect("d.endpoint_id = p.id AND d.due_at IS NOT NULL",
		"SEARCH d USING INDEX p_deliveries_queue (endpoint_id=?)")
	expect("GROUP BY p.webhook_id, s.hour",
		"SEARCH p USING INDEX p_endpoints_owner (organization_id=? AND webhook_id>? AND webhook_id<?)")
	expect("GROUP BY p.webhook_id, s.hour",
		"SEARCH s USING PRIMARY KEY (endpoint_id=? AND hour>?)")
	expect("SELECT DISTINCT webhook_id",
		"SEARCH p_endpoints USING INDEX p_endpoints_owner (organization_id=? AND webhook_id>?)")
	expect("FROM p_statistics WHERE endpoint_id IN",
		"SEARCH p_statistics USING PRIMARY KEY (endpoint_id=?)")
	expect("FROM p_statistics WHERE hour < ?", "USING COVERING INDEX p_statistics_hour (hour<?)")
	for _, part := range []string{"endpoint_id IN", "hour < ?"} {
		expect("FROM p_statistics WHERE "+part,
			"SEARCH p_statistics USING PRIMARY KEY (endpoint_id=? AND hour=? AND shard=?)")
	}
	expect("DELETE FROM p_requests WHERE id IN", "SEARCH p_requests USING PRIMARY KEY (id=?)")
	expect("DELETE FROM p_requests WHERE id IN",
		"SEARCH d USING COVERING INDEX p_requests_began (began_at<?)")
	for _, statement := range []string{"UPDATE p_requests SET until", "UPDATE p_requests SET answer",
		"FROM p_requests WHERE id = ?"} {
		expect(statement, "SEARCH p_requests USING PRIMARY KEY (id=?)")
	}
	for _, statement := range []string{"FROM p_api_keys WHERE hash = ?",
		"UPDATE p_api_keys SET last_used_at"} {
		expect(statement, "SEARCH p_api_keys USING PRIMARY KEY (hash=?)")
	}
	expect("FROM p_api_keys WHERE id = ?", "SEARCH p_api_keys USING INDEX p_api_keys_id (id=?)")
	expect("UPDATE p_api_keys SET revoked_at", "SEARCH p_api_keys USING INDEX p_api_keys_id (id=?)")
	expect("SELECT count(*) FROM p_api_keys", "COVERING INDEX p_api_keys_listed (organization_id=?)")
	expect("FROM p_api_keys WHERE organization_id = ? AND (created_at, id) >",
		"p_api_keys_listed (organization_id=? AND (created_at,id)>(?,?))")
	expect("DELETE FROM p_api_keys", "p_api_keys_listed (organization_id=?)")
	expect("DELETE FROM p_api_keys", "p_api_keys_id (id=?)")
	expect("ORDER BY d.endpoint_id LIMIT ? + 0) q",
		"SEARCH d USING INDEX p_deliveries_queue (endpoint_id>? AND endpoint_id<?)")
	expect("ORDER BY d.endpoint_id LIMIT ? + 0) q", "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)")
	expect("FROM p_backlogs WHERE organization = ?", "USING PRIMARY KEY (organization=? AND hour>?)")
	expect("DELETE FROM p_backlogs", "USING COVERING INDEX p_backlogs_hour (hour<?)")
	expect("(organization_id, webhook_id, channel) > (?, ?, ?)", "USING INDEX p_endpoints_unhealthy")
	expect("count(CASE WHEN health = 1", "USING INDEX p_endpoints_unhealthy")
	expect("WHERE d.kept = 3 AND d.endpoint_id > ?",
		"SEARCH d USING COVERING INDEX p_deliveries_dead (endpoint_id>? AND endpoint_id<?)")
	expect("WITH RECURSIVE visited (endpoint_id, n)",
		"SEARCH p_deliveries USING INDEX p_deliveries_walk (endpoint_id>?)")
	expect("WITH RECURSIVE visited (endpoint_id, n)",
		"SEARCH p_deliveries USING COVERING INDEX p_deliveries_queue (endpoint_id=? AND <expr>=? AND "+
			"due_at>?)")
	expect("WITH RECURSIVE visited (endpoint_id, n)", "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)")
	expect("WITH RECURSIVE waiting",
		"SEARCH d USING INDEX p_deliveries_queue (endpoint_id=? AND <expr>=? AND due_at>?)")
	expect("WITH RECURSIVE waiting",
		"SEARCH p_deliveries USING COVERING INDEX p_deliveries_queue (endpoint_id>?)")
	expect("UPDATE p_deliveries AS d SET due_at = CASE", "USING INTEGER PRIMARY KEY (rowid=?)")
	expect("FROM p_routes WHERE organization_id = ? AND version > ?",
		"SEARCH p_routes USING INDEX p_routes_version (organization_id=? AND version>?)")
	expect("DELETE FROM p_routes", "p_routes_deleted (organization_id=? AND version<?)")
	expect("UPDATE p_routes SET",
		"SEARCH p_routes USING INDEX sqlite_autoindex_p_routes_1 (organization_id=? AND webhook_id=?)")
	expect("FROM p_organizations WHERE organization_id IN",
		"SEARCH p_organizations USING PRIMARY KEY (organization_id=?)")
	expect("p_routes r ON",
		"SEARCH r USING INDEX sqlite_autoindex_p_routes_1 (organization_id=? AND webhook_id=?)")
	expect("p_routes r ON", "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)")
	expect("p_endpoints p ON p.webhook_id = v.webhook_id",
		"SEARCH p USING INDEX p_endpoints_live (webhook_id=? AND channel=?)")
	expect("state = 2 AND pruned_at IS NULL", "p_endpoints_deleted (pruned_at=?)")
	expect("state = 2 AND pruned_at < ? ORDER", "p_endpoints_deleted (pruned_at<?)")
	expect("DELETE FROM p_endpoints", "SEARCH p_endpoints USING INTEGER PRIMARY KEY (rowid=?)")
	expect("UPDATE p_endpoints SET pruned_at",
		"SEARCH p_endpoints USING INTEGER PRIMARY KEY (rowid=?)")
	expect("DELETE FROM p_blocks", "p_blocks_block (block<?)")
	expect("DELETE FROM p_blocks", "p_blocks_block (block=? AND endpoint_id=?)")
	expect("(webhook_id, id) > (?, ?)", "p_endpoints_owner (organization_id=? AND ")
	expect("webhook_id = ? AND id > ?",
		"p_endpoints_owner (organization_id=? AND webhook_id=? AND rowid>?)")
	expect("attempts = 1, history = v.attempt", "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)")
	expect("d.line = v.line AND d.turn = 2", "p_deliveries_line (endpoint_id=? AND line=? AND turn=?)")
	expect("SELECT min(d.id)",
		"USING COVERING INDEX p_deliveries_line (endpoint_id=? AND line=? AND turn=?)")
	expect("d.turn > 0 AND d.id > v.id",
		"p_deliveries_line (endpoint_id=? AND line=? AND turn=? AND id>?)")
	expect("WHERE d.turn = 1 AND d.due_at IS NULL AND", "p_deliveries_waiting (endpoint_id")
	expect("SELECT max(f.id)",
		"USING COVERING INDEX p_deliveries_line (endpoint_id=? AND line=? AND turn=?)")
	expect("WHERE last_id = id AND created_at < ?", "p_events_idle (created_at<?)")
}

// plan returns the query plan of SQLite, one step on each line.
func plan(t *testing.T, db *sql.DB, statement string) string {
	t.Helper()
	args := make([]any, strings.Count(statement, "?"))
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement, args...)
	require.NoError(t, err, statement)
	defer func() { require.NoError(t, rows.Close()) }()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
		plan.WriteString(detail + "\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}
