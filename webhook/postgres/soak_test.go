package postgres_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

var soaked = flag.Int("soak.deliveries", 5_000,
	"deliveries of the tests of claims")

// TestClaimsOfManyDeliveries claims a few deliveries of many, and of many endpoints. What a claim
// reads must not grow with them: the flag soak.deliveries says how many there are.
func TestClaimsOfManyDeliveries(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	// Of one endpoint, and of one endpoint for each delivery that is claimed.
	for _, endpoints := range [][2]int{{1, 1}, {300, min(*soaked/2, 10_000)}} {
		few, many := claimOf(t, 1_000, endpoints[0]), claimOf(t, *soaked, endpoints[1])
		assert.LessOrEqual(t, many.pages, 2*few.pages,
			"what a claim reads of %d deliveries to %d endpoints", *soaked, endpoints[1])
	}
}

// claimOf measures claims in a store of which a third of the deliveries are settled, a third are due
// and a third wait for a retry, for so many endpoints in turn.
func claimOf(t *testing.T, deliveries, endpoints int) claimed {
	t.Helper()
	ctx := t.Context()
	db, s, seen := explainedStore(t)
	db.SetMaxOpenConns(1) // which has the setting
	_, err := db.ExecContext(ctx, "SET auto_explain.log_buffers = on")
	require.NoError(t, err)
	now := time.Now()
	for _, fill := range []string{
		`INSERT INTO webhooks_organizations (organization_id, version, number) VALUES ('a', 1, 1)`,
		`INSERT INTO webhooks_endpoints (id, organization_id, webhook_id, channel, state)
			SELECT (1 << 24) + i, 'a', 'wh_' || i, 'webhook', 0 FROM generate_series(0, {endpoints} - 1) i`,
		`INSERT INTO webhooks_routes SELECT 'a', 'wh_' || i, i, 1, 1, 0, 0, '[]', '[]'
			FROM generate_series(0, {endpoints} - 1) i`,
		`INSERT INTO webhooks_events (id, created_at, last_id, organization_id, event_id, type, payload)
			SELECT i * 2, {now}, i * 2 + 1, 'a', 'evt_' || i, 'a.b', '{}'
			FROM generate_series(1, {deliveries}) i`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, settled_at, due_at, token, state,
				attempts_since_queued)
			SELECT i * 2 + 1, i * 2, (1 << 24) + i / 3 % {endpoints},
				CASE WHEN i % 3 = 0 THEN {now} END,
				CASE WHEN i % 3 = 1 THEN {now} WHEN i % 3 = 2 THEN {now} + 3600000000 END, 1,
				CASE WHEN i % 3 = 0 THEN 2 ELSE 0 END, CASE WHEN i % 3 = 2 THEN 1 ELSE 0 END
			FROM generate_series(1, {deliveries}) i`,
		"VACUUM ANALYZE webhooks_deliveries, webhooks_events, webhooks_endpoints, webhooks_routes",
	} {
		_, err := db.ExecContext(ctx, strings.NewReplacer("{now}", strconv.FormatInt(now.UnixMicro(), 10),
			"{deliveries}", strconv.Itoa(deliveries), "{endpoints}", strconv.Itoa(endpoints)).Replace(fill))
		require.NoError(t, err)
	}
	l := &soak{t: t, db: db, s: s, seen: seen, now: now.Add(time.Second)}
	var c claimed
	took := make([]time.Duration, 5)
	for i := range took {
		var pages int
		took[i], pages = l.claimOnce(64)
		if i == 0 || pages < c.pages { // the first ones fill the caches of the connection
			c.pages = pages
		}
	}
	slices.Sort(took)
	c.p50, c.p99 = took[len(took)/2], took[len(took)-1]
	t.Logf("%8d deliveries to %5d endpoints: %s", deliveries, endpoints, c)
	return c
}

// holdTransaction begins a transaction because of which PostgreSQL keeps all dead rows and entries from
// now on, until the connection is closed at the end of the test or the transaction is ended.
func holdTransaction(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	holder, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, holder.Close(context.Background())) })
	_, err = holder.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
	require.NoError(t, err)
	return holder
}

// TestClaimsBesideAnOpenTransaction delivers while a transaction elsewhere stays open, so that
// PostgreSQL cannot remove any dead entry. What a claim reads must not grow with the
// deliveries that came and went meanwhile. For more of them:
//
//	go test ./webhook/postgres -run TestClaims -v -soak.deliveries 1000000
func TestClaimsBesideAnOpenTransaction(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	db, s, seen := explainedStore(t)
	db.SetMaxOpenConns(1) // which has the settings
	_, err := db.ExecContext(ctx, "SET auto_explain.log_buffers = on")
	require.NoError(t, err)
	sub := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))

	holdTransaction(t, schemaDSN(t))

	soak := &soak{t: t, db: db, s: s, seen: seen, now: time.Now()}
	soak.deliver(64 * 5)
	before := soak.claim()
	t.Logf("%8d deliveries: %s", soak.delivered, before)
	for soak.delivered < *soaked {
		soak.deliver(*soaked / 4)
		after := soak.claim()
		t.Logf("%8d deliveries: %s", soak.delivered, after)
		assert.LessOrEqual(t, after.pages, 2*before.pages,
			"what a claim reads must not grow while a transaction stays open")
	}
}

type soak struct {
	t         *testing.T
	db        *sql.DB
	s         *sqlstore.Store
	seen      *plans
	now       time.Time
	delivered int
}

// deliver stores deliveries, hands them to this process and settles them.
func (l *soak) deliver(n int) {
	l.t.Helper()
	ctx := l.t.Context()
	_, err := l.db.ExecContext(ctx, "SET auto_explain.log_min_duration = -1")
	require.NoError(l.t, err)
	for range (n + 63) / 64 {
		l.now = l.now.Add(100 * time.Millisecond)
		ids := make([]string, 64)
		for i := range ids {
			ids[i] = fmt.Sprint("evt_", l.delivered+i)
		}
		stored, err := l.s.Enqueue(ctx, l.now, newEvents(ids...), &webhook.Prefetch{
			Until: l.now.Add(30 * time.Second),
			Take:  func(string, webhook.Endpoint) bool { return true },
		})
		require.NoError(l.t, err)
		settlements := make([]webhook.Settlement, len(stored.Tasks))
		for i, task := range stored.Tasks {
			settlements[i] = webhook.Settlement{Lease: task.Lease, Status: webhook.StatusSucceeded,
				Attempt: &webhook.Attempt{StartedAt: l.now, StatusCode: 200, Response: "ok"}}
		}
		refused, err := l.s.Settle(ctx, l.now, settlements)
		require.NoError(l.t, err)
		require.Empty(l.t, refused)
		l.delivered += len(settlements)
	}
	_, err = l.db.ExecContext(ctx, "SET auto_explain.log_min_duration = 0")
	require.NoError(l.t, err)
}

// claimed is what claims cost.
type claimed struct {
	pages    int // that the statements of one claim read
	p50, p99 time.Duration
	dead     int
}

func (c claimed) String() string {
	return fmt.Sprintf("a claim reads %d pages, p50 %s, p99 %s; %d dead entries", c.pages, c.p50,
		c.p99, c.dead)
}

var buffers = regexp.MustCompile(`(?m)^\s*Buffers: shared hit=(\d+)(?: read=(\d+))?`)

// claimOnce claims, and returns how long it took and how many pages it read. It must find so many.
func (l *soak) claimOnce(want int) (took time.Duration, pages int) {
	l.t.Helper()
	l.seen.take()
	began := time.Now()
	tasks, err := l.s.Claim(l.t.Context(), l.now, webhook.ClaimRequest{
		Until: l.now.Add(time.Minute), Limit: 64, PerEndpoint: 64})
	took = time.Since(began)
	require.NoError(l.t, err)
	require.Len(l.t, tasks, want)
	for _, plan := range l.seen.take() {
		if top := buffers.FindStringSubmatch(plan); top != nil {
			for _, n := range top[1:] {
				read, _ := strconv.Atoi(n)
				pages += read
			}
		}
	}
	return took, pages
}

// claim measures claims that find nothing.
func (l *soak) claim() (c claimed) {
	l.t.Helper()
	ctx := l.t.Context()
	took := make([]time.Duration, 200)
	for i := range took {
		took[i], c.pages = l.claimOnce(0)
	}
	slices.Sort(took)
	c.p50, c.p99 = took[len(took)/2], took[len(took)*99/100]
	row := l.db.QueryRowContext(ctx, `SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables
		WHERE schemaname = current_schema()`)
	require.NoError(l.t, row.Scan(&c.dead))
	return c
}
