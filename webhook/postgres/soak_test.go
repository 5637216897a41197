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

var soaked = flag.Int("soak.deliveries", 20_000,
	"deliveries of TestClaimsBesideAnOpenTransaction")

// TestClaimsBesideAnOpenTransaction delivers while a transaction elsewhere stays open, so that
// PostgreSQL cannot remove any dead entry. What a claim reads must not grow with the
// deliveries that came and went meanwhile. For more of them:
//
//	go test ./webhook/postgres -run TestClaimsBesideAnOpenTransaction -v -soak.deliveries 1000000
func TestClaimsBesideAnOpenTransaction(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	db, s, seen := explainedStore(t)
	_, err := db.ExecContext(ctx, "SET auto_explain.log_buffers = on")
	require.NoError(t, err)
	sub := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))

	holder, err := pgx.Connect(ctx, schemaDSN(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, holder.Close(context.Background())) }()
	_, err = holder.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
	require.NoError(t, err)

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

// claim measures claims that find nothing.
func (l *soak) claim() (c claimed) {
	l.t.Helper()
	ctx := l.t.Context()
	took := make([]time.Duration, 200)
	for i := range took {
		l.seen.take()
		began := time.Now()
		tasks, err := l.s.Claim(ctx, l.now, webhook.ClaimRequest{Until: l.now.Add(time.Minute),
			Limit: 64, PerEndpoint: 64})
		took[i] = time.Since(began)
		require.NoError(l.t, err)
		require.Empty(l.t, tasks)
		c.pages = 0
		for _, plan := range l.seen.take() {
			if top := buffers.FindStringSubmatch(plan); top != nil {
				for _, n := range top[1:] {
					read, _ := strconv.Atoi(n)
					c.pages += read
				}
			}
		}
	}
	slices.Sort(took)
	c.p50, c.p99 = took[len(took)/2], took[len(took)*99/100]
	row := l.db.QueryRowContext(ctx, `SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables
		WHERE schemaname = current_schema()`)
	require.NoError(l.t, row.Scan(&c.dead))
	require.NotContains(l.t, strings.Join(l.seen.take(), "\n"), "Seq Scan on webhooks_deliveries")
	return c
}
