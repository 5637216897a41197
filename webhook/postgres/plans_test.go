package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// plans collects the plans of statements, which auto_explain sends as notices.
type plans struct {
	mu  sync.Mutex
	all []string
}

func (p *plans) notice(_ *pgconn.PgConn, n *pgconn.Notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, n.Message)
}

// take returns the plans since the last call.
func (p *plans) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.all
	p.all = nil
	return taken
}

var (
	actualRows = regexp.MustCompile(`rows=(\d+) loops=(\d+)\)`)
	fullScan   = regexp.MustCompile(`Seq Scan on \w*(deliveries|events|statistics|routes)\b`)
)

func TestPlans(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	testPlans(t, 60_000)
}

// testLinePlans has a line in which thousands wait, beside all that the database has.
func testLinePlans(t *testing.T, s *sqlstore.Store, seen *plans, now time.Time) {
	t.Helper()
	l := sqltest.NewLines(t, s, now.Add(-time.Hour)) // before all others
	l.Use()
	require.NoError(t, l.Emit("slow", 3000))
	var tasks []webhook.Task
	for range 4 {
		claimed, err := l.Claim()
		require.NoError(t, err)
		tasks = append(tasks, claimed...)
	}
	require.Len(t, tasks, 2, "one of each subject")
	for _, step := range []planned{
		{"Enqueue in a line", 200, func() error { return l.Emit("slow", 3) }},
		{"Claim that sorts a line", 400, func() error { _, err := l.Claim(); return err }},
		{"Settle in a line", 200, func() error { return l.Settle(tasks[1], webhook.StatusSucceeded) }},
		{"Claim of the next one", 400, func() error {
			claimed, err := l.Claim()
			assert.Len(t, claimed, 1)
			tasks = append(tasks, claimed...)
			return err
		}},
		{"Dead in a line", 200, func() error { return l.Settle(tasks[2], webhook.StatusDead) }},
		{"Skip", 200, func() error {
			return s.Skip(t.Context(), now, "", tasks[2].DeliveryID)
		}},
	} {
		step.check(t, seen)
	}
}

// testPlans runs statements on a database with so many deliveries, a third of which are pending,
// and reads in the plans how many rows each statement touched. The connections do not have the
// settings of Open.
func testPlans(t *testing.T, deliveries int) {
	t.Helper()
	ctx := t.Context()
	config, err := pgx.ParseConfig(schemaDSN(t))
	require.NoError(t, err)
	var seen plans
	config.OnNotice = seen.notice
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(
		ctx context.Context, conn *pgx.Conn,
	) error {
		_, err := conn.Exec(ctx,
			"LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = "+
				"on; SET client_min_messages = log")
		return err
	}))
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(ctx, db, sqlstore.PostgreSQL(), sqlstore.Config{})
	require.NoError(t, err)
	sub := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	now := time.Now()
	for _, fill := range []string{
		`INSERT INTO webhooks_events (id, created_at, last_id, organization_id, event_id, type, payload)
			SELECT i * 2, $1::bigint, i * 2 + 1, '', 'filler_' || i, 'a.b', '{}'
				FROM generate_series(1, {n}) i`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, settled_at, due_at, token, state)
			SELECT i * 2 + 1, i * 2, (SELECT max(id) FROM webhooks_endpoints),
				CASE WHEN i <= {n} * 2 / 3 THEN $1::bigint END,
				CASE WHEN i > {n} * 2 / 3 THEN $1::bigint END, 1,
				CASE WHEN i <= {n} * 2 / 3 THEN 2 ELSE 0 END FROM generate_series(1, {n}) i`,
		// 722 hours of up to 400 endpoints, two of them older than what is kept.
		`INSERT INTO webhooks_statistics SELECT e, $1::bigint / 3600000000 - h, e % 16, 1, 1, 1, 1, 1, 1,
			1, 1
			FROM generate_series(1, least(400, {n} / 250)) e, generate_series(1, 722) h`,
		`INSERT INTO webhooks_blocks SELECT (SELECT max(id) FROM webhooks_endpoints), b
			FROM generate_series(0, ({n} * 2 + 1) >> 14) b WHERE $1::bigint > 0`,
		// Subscriptions of the same organization that match no event.
		`INSERT INTO webhooks_routes SELECT '', 'wh_' || i, 1000 + i, 1, 1, 0, 0, '["nothing.*"]',
			'[{"id":' || 1000 + i || ',"channel":"webhook"}]'
			FROM generate_series(1, 2000) i WHERE $1::bigint > 0`,
		`UPDATE webhooks_organizations SET version = 3000 WHERE $1::bigint > 0`,
		`SELECT setval('webhooks_ids', {n} * 2 + 65) WHERE $1::bigint > 0`,
	} {
		_, err := db.ExecContext(ctx, strings.ReplaceAll(fill, "{n}", strconv.Itoa(deliveries)),
			now.UnixMicro())
		require.NoError(t, err)
	}
	_, err = db.ExecContext(ctx,
		"ANALYZE webhooks_events, webhooks_deliveries, webhooks_statistics, webhooks_routes, "+
			"webhooks_organizations")
	require.NoError(t, err)

	_, err = s.Enqueue(ctx, now, newEvents("first"), nil) // reads all routes
	require.NoError(t, err)

	var tasks []webhook.Task
	attempt := &webhook.Attempt{StartedAt: now}
	for _, step := range []planned{
		{"Enqueue", 200, func() error {
			_, err := s.Enqueue(ctx, now, newEvents("a", "b", "c", "a"), nil)
			return err
		}},
		{"Claim", 200, func() (err error) {
			tasks, err = s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
				Limit: 20, PerEndpoint: 20})
			return err
		}},
		{"Repair", 200, func() error {
			at := now.Add(time.Hour)
			_, err := s.Repair(ctx, now, webhook.RepairRequest{Until: at, LeasesAfter: at, FreshAfter: at,
				RetriesAfter: at, Limit: 100})
			return err
		}},
		{"Start", 200, func() error {
			_, err := s.Start(ctx, now, []webhook.Lease{tasks[0].Lease, tasks[1].Lease})
			return err
		}},
		{"Extend", 200, func() error {
			_, err := s.Extend(ctx, now.Add(time.Hour), []webhook.Lease{tasks[0].Lease, tasks[1].Lease})
			return err
		}},
		{"Settle", 200, func() error {
			_, err := s.Settle(ctx, now, []webhook.Settlement{
				{Lease: tasks[0].Lease, Status: webhook.StatusSucceeded, Attempt: attempt},
				{Lease: tasks[1].Lease, Status: webhook.StatusDead, Attempt: attempt},
				{Lease: tasks[2].Lease, Status: webhook.StatusPending, DueAt: now, Attempt: attempt},
			})
			return err
		}},
		{"Delivery", 20, func() error { _, err := s.Delivery(ctx, "", tasks[0].DeliveryID); return err }},
		{"Event", 20, func() error {
			_, err := s.Deliveries(ctx, webhook.DeliveryQuery{EventID: "a"})
			return err
		}},
		{"Dead", 20, func() error {
			_, err := s.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusDead})
			return err
		}},
		{"Pending", 300, func() error {
			found, err := s.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusPending})
			assert.Len(t, found, webhook.DefaultPageSize)
			return err
		}},
		{"Newest", 40_000, func() error {
			_, err := s.Deliveries(ctx, webhook.DeliveryQuery{})
			return err
		}},
		{"Tail", 200, func() error {
			page, err := s.Tail(ctx, webhook.TailQuery{After: webhook.Position(deliveries), Limit: 50})
			assert.Len(t, page.Records, 50)
			return err
		}},
		{"Tail of several channels since a time", 400, func() error {
			_, err := s.Tail(ctx, webhook.TailQuery{SubscriptionID: sub.ID, Since: now.Add(-time.Hour),
				After: webhook.Position(deliveries), Limit: 50, EventTypes: []event.Pattern{"a.*"}})
			return err
		}},
		{"TailNews", 200, func() error {
			end, err := s.TailEnd(ctx)
			if err == nil {
				_, err = s.TailNews(ctx, end.Position-400)
			}
			return err
		}},
		{"Replay", 20, func() error { return s.Replay(ctx, now, "", tasks[0].DeliveryID) }},
		{"Prune", 2_000, func() error {
			_, err := s.Prune(ctx, now, webhook.PruneRequest{SucceededBefore: now.Add(time.Second),
				Limit: 100})
			return err
		}},
	} {
		step.check(t, &seen)
	}
	// A third of the deliveries are pending. Of the totals, only the first ones are counted.
	for _, q := range []webhook.TotalsQuery{{Limit: 1000}, {AllOrganizations: true, Limit: 1000}} {
		planned{"Totals", 1_000, func() error {
			totals, err := s.Totals(ctx, now, q)
			assert.True(t, totals.MoreUnfinished)
			assert.Equal(t, now.Truncate(time.Microsecond).UTC(), totals.OldestDue)
			return err
		}}.check(t, &seen)
	}
	// Each call counts again, up to 100,000. All that wait here are fewer, so that PostgreSQL reads the
	// whole table unless it has the settings of Open.
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, "SET enable_seqscan = off")
	require.NoError(t, err)
	for i := range 7 {
		planned{"SampleBacklog", min(deliveries/2, 100_000), func() error {
			return s.SampleBacklog(ctx, now.Add(time.Duration(i)*time.Minute))
		}}.check(t, &seen)
	}
	_, err = db.ExecContext(ctx, "RESET enable_seqscan")
	require.NoError(t, err)
	db.SetMaxOpenConns(0)
	planned{"HourlyBacklog", 10, func() error {
		hours, err := s.HourlyBacklog(ctx, webhook.BacklogQuery{Since: now})
		assert.NotEmpty(t, hours)
		return err
	}}.check(t, &seen)
	testLinePlans(t, s, &seen, now)
	for id := range 2 {
		sub.Name = fmt.Sprint("changed ", id)
		require.NoError(t, s.UpdateSubscription(ctx, sub, webhook.Quota{}))
	}
	planned{"Enqueue after two changes", 50, func() error {
		_, err := s.Enqueue(ctx, now, newEvents("d"), nil)
		return err
	}}.check(t, &seen)

	// A hundred deliveries are pending. Counting them must not read the others.
	_, err = db.ExecContext(ctx,
		"UPDATE webhooks_deliveries SET state = 2, due_at = NULL WHERE state < 2 AND id % $1 > 1",
		deliveries/300*2)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, "VACUUM ANALYZE webhooks_deliveries")
	require.NoError(t, err)
	planned{"Statistics", 200, func() error {
		_, err := s.Statistics(ctx, webhook.StatisticsQuery{SubscriptionID: sub.ID,
			Since: now.Add(-24 * time.Hour)})
		return err
	}}.check(t, &seen)
}

// planned is a call whose statements may touch at most bound rows at each step of their plans.
type planned struct {
	name  string
	bound int
	run   func() error
}

func (p planned) check(t *testing.T, seen *plans) {
	t.Helper()
	seen.take()
	for range 7 { // after five runs PostgreSQL may use a generic plan
		require.NoError(t, p.run(), p.name)
		if p.name != "Claim" && p.name != "Pending" && p.name != "Prune" && p.name != "Statistics" &&
			p.name != "Totals" {
			break
		}
	}
	all := seen.take()
	require.NotEmpty(t, all, p.name)
	for _, plan := range all {
		assert.NotRegexp(t, fullScan, plan, p.name)
		for _, match := range actualRows.FindAllStringSubmatch(plan, -1) {
			rows, err := strconv.Atoi(match[1])
			require.NoError(t, err)
			loops, err := strconv.Atoi(match[2])
			require.NoError(t, err)
			assert.LessOrEqual(t, rows*loops, p.bound, "%s reads too many rows:\n%s", p.name,
				strings.TrimSpace(plan))
		}
	}
}

// explainedStore returns a store whose statements have the same plans as those of a store that Open
// returns. The last result collects the plans.
func explainedStore(t *testing.T) (*sql.DB, *sqlstore.Store, *plans) {
	t.Helper()
	config, err := pgx.ParseConfig(schemaDSN(t))
	require.NoError(t, err)
	seen := new(plans)
	config.OnNotice = seen.notice
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(
		ctx context.Context, conn *pgx.Conn,
	) error {
		_, err := conn.Exec(ctx, "SET enable_seqscan = off; SET jit = off; "+ // as Open does
			"SET plan_cache_mode = force_generic_plan; LOAD 'auto_explain'; "+
			"SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; "+
			"SET client_min_messages = log")
		return err
	}))
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(t.Context(), db, sqlstore.PostgreSQL(), sqlstore.Config{})
	require.NoError(t, err)
	return db, s, seen
}
