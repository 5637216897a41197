package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	driversqlite "modernc.org/sqlite"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// meter is a connector that counts statements, the rows that they return or change, and the bytes
// of their parameters.
type meter struct {
	path string

	mu         sync.Mutex
	statements int // that were run
	rows       int // of all
	mostRows   int // of one statement
	mostBytes  int // of the parameters of one statement
}

func (m *meter) Driver() driver.Driver { return &driversqlite.Driver{} }

func (m *meter) Connect(context.Context) (driver.Conn, error) {
	conn, err := m.Driver().Open("file:" + m.path)
	return &meteredConn{conn, m}, err
}

func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.statements, m.rows, m.mostRows, m.mostBytes = 0, 0, 0, 0
}

func (m *meter) began(args []driver.Value) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.statements++
	bytes := 0
	for _, arg := range args {
		if text, ok := arg.(string); ok {
			bytes += len(text)
		}
	}
	m.mostBytes = max(m.mostBytes, bytes)
}

func (m *meter) ended(rows int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows += rows
	m.mostRows = max(m.mostRows, rows)
}

type meteredConn struct {
	driver.Conn
	meter *meter
}

func (c *meteredConn) Prepare(query string) (driver.Stmt, error) {
	stmt, err := c.Conn.Prepare(query)
	return &meteredStmt{stmt, c.meter}, err
}

type meteredStmt struct {
	driver.Stmt
	meter *meter
}

func (s *meteredStmt) Exec(args []driver.Value) (driver.Result, error) {
	s.meter.began(args)
	result, err := s.Stmt.Exec(args) //nolint:staticcheck // what database/sql calls here
	if err == nil {
		n, _ := result.RowsAffected()
		s.meter.ended(int(n))
	}
	return result, err
}

func (s *meteredStmt) Query(args []driver.Value) (driver.Rows, error) {
	s.meter.began(args)
	rows, err := s.Stmt.Query(args) //nolint:staticcheck // what database/sql calls here
	return &meteredRows{rows, s.meter, 0}, err
}

type meteredRows struct {
	driver.Rows
	meter *meter
	n     int
}

func (r *meteredRows) Next(into []driver.Value) error {
	err := r.Rows.Next(into)
	if err == nil {
		r.n++
	}
	return err
}

func (r *meteredRows) Close() error {
	r.meter.ended(r.n)
	return r.Rows.Close()
}

// metered opens a store whose statements are counted, and a second handle on the same file whose
// statements are not.
func metered(t *testing.T, config sqlstore.Config) (*sqlstore.Store, *sql.DB, *meter) {
	t.Helper()
	m := &meter{path: made(t, filepath.Join(t.TempDir(), "webhooks.db"))}
	db := sql.OpenDB(m)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(t.Context(), db, sqlstore.SQLite(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	plain, err := sql.Open("sqlite", "file:"+m.path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	m.reset()
	return s, plain, m
}

// fill runs statements in which {n} stands for the numbers from 1.
func fill(t *testing.T, db *sql.DB, n int, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), fmt.Sprintf(
			"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n)+s)
		require.NoError(t, err, s)
	}
}

func count(t *testing.T, db *sql.DB, from string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM webhooks_"+from).Scan(&n))
	return n
}

// Customers can delete as many subscriptions as they like. Pruning goes through them in
// pages, once, and once more a day later.
func TestPruneOfManyDeletedEndpointsIsBounded(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	s, db, m := metered(t, sqlstore.Config{})
	const endpoints = 5000
	fill(t, db, endpoints,
		`INSERT INTO webhooks_endpoints (id, organization_id, webhook_id, channel, state)
			SELECT i, 'a', 'wh_' || i, 'x', 2 FROM n`,
		`INSERT INTO webhooks_blocks SELECT i, 0 FROM n`,
		`INSERT INTO webhooks_statistics (endpoint_id, hour, shard, succeeded, failed, dead, cancelled,
				duration, last_success, last_failure, last_failed) SELECT i, 1000000, 0, 1, 1, 1, 1, 1, 1, 1, 1 FROM n`,
		`INSERT INTO webhooks_events (id, organization_id, event_id, type, created_at, last_id, payload)
			SELECT 10000 + 2 * i, 'a', 'evt_' || i, 'a.b', 1, 10001 + 2 * i, x'' FROM n`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, state, due_at, token)
			SELECT 10001 + 2 * i, 10000 + 2 * i, i, 0, 1, 0 FROM n`,
		`UPDATE webhooks_meta SET next_id = 100000`,
	)
	prune := func(at time.Time, r webhook.PruneRequest) {
		t.Helper()
		m.reset()
		r.Limit = 100
		for {
			n, err := s.Prune(ctx, at, r)
			require.NoError(t, err)
			if n < r.Limit {
				break
			}
		}
		assert.LessOrEqual(t, m.mostRows, 500, "rows that one statement returns or changes")
		assert.LessOrEqual(t, m.mostBytes, 8<<10, "bytes of the parameters of one statement")
	}
	prune(now, webhook.PruneRequest{})
	assert.Equal(t, endpoints, count(t, db, "deliveries WHERE state = 4"))
	assert.Zero(t, count(t, db, "statistics"))
	assert.Equal(t, endpoints, count(t, db, "endpoints"))

	prune(now.Add(time.Hour), webhook.PruneRequest{})
	assert.Less(t, m.rows, 100, "a second run reads only a few rows")

	prune(now.Add(time.Hour), webhook.PruneRequest{SucceededBefore: now.Add(time.Hour)})
	assert.Zero(t, count(t, db, "deliveries"))
	assert.Zero(t, count(t, db, "blocks"))
	assert.Equal(t, endpoints, count(t, db, "endpoints"), "an open transaction may have stored more")

	prune(now.Add(25*time.Hour), webhook.PruneRequest{})
	assert.Zero(t, count(t, db, "endpoints"))
}

// An organization has any number of endpoints, including deleted ones. Lists of its
// deliveries read them in pages.
func TestListsOfManyEndpointsAreBounded(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	ctx := t.Context()
	s, db, m := metered(t, sqlstore.Config{})
	const endpoints, perBlock = 5000, 1 << 14
	fill(t, db, endpoints,
		`INSERT INTO webhooks_endpoints (id, organization_id, webhook_id, channel, state)
			SELECT i, 'a', CASE WHEN i > 1500 THEN 'wh_' || i ELSE 'wh_same' END, 'x' || i, i % 3 FROM n`,
		// They go to the endpoints in any order, in 200 blocks.
		`INSERT INTO webhooks_events (id, organization_id, event_id, type, created_at, last_id, payload)
			SELECT i * 700, 'a', 'evt_' || i, 'a.b', 1, i * 700 + 2, x'' FROM n`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, state, due_at, token)
			SELECT i * 700 + 1, i * 700, (i * 7919) % 5000 + 1, 3, NULL, 0 FROM n`,
		`UPDATE webhooks_deliveries SET settled_at = 1, kept = 3, kept_at = 1`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, state, due_at, token)
			SELECT i * 700 + 2, i * 700, (i * 31) % 5000 + 1, 0, 1, 0 FROM n`,
		fmt.Sprintf(`INSERT INTO webhooks_blocks
			SELECT DISTINCT endpoint_id, id / %d FROM webhooks_deliveries`, perBlock),
	)
	ids := func(condition string) (all []webhook.DeliveryID) {
		rows, err := db.QueryContext(ctx, `SELECT d.id FROM webhooks_deliveries d
			JOIN webhooks_endpoints p ON p.id = d.endpoint_id WHERE `+condition+` ORDER BY d.id DESC`)
		require.NoError(t, err)
		defer func() { require.NoError(t, rows.Close()) }()
		for rows.Next() {
			var id webhook.DeliveryID
			require.NoError(t, rows.Scan((*int64)(&id)))
			all = append(all, id)
		}
		require.NoError(t, rows.Err())
		return all
	}
	const dead = webhook.StatusDead
	type query = webhook.DeliveryQuery
	for name, tt := range map[string]struct {
		query     query
		condition string
	}{
		"all":       {query{}, "true"},
		"dead":      {query{Status: dead}, "d.state = 3"},
		"pending":   {query{Status: webhook.StatusPending}, "d.state = 0 AND p.state = 0"},
		"cancelled": {query{Status: webhook.StatusCancelled}, "d.state = 0 AND p.state = 2"},
		"of one":    {query{SubscriptionID: "wh_same"}, "p.webhook_id = 'wh_same'"},
		"dead of one": {query{SubscriptionID: "wh_same", Status: dead},
			"p.webhook_id = 'wh_same' AND d.state = 3"},
		"of a small one": {query{SubscriptionID: "wh_4000"}, "p.webhook_id = 'wh_4000'"},
		"before":         {query{Before: 100_000}, "d.id < 100000"},
		"dead, before":   {query{Status: dead, Before: 100_000}, "d.state = 3 AND d.id < 100000"},
		"of another":     {query{OrganizationID: "b"}, "false"},
	} {
		t.Run(name, func(t *testing.T) {
			want, q := ids(tt.condition), tt.query
			if q.OrganizationID == "" {
				q.OrganizationID = "a"
			}
			q.Limit = 1000
			m.reset()
			var got []webhook.DeliveryID
			for {
				page, err := s.Deliveries(ctx, q)
				require.NoError(t, err)
				for _, d := range page {
					got = append(got, d.ID)
				}
				if len(page) < q.Limit {
					break
				}
				q.Before = page[len(page)-1].ID
			}
			require.Equal(t, want, got)
			assert.LessOrEqual(t, m.mostRows, 1000, "rows that one statement returns")
			// A list of what is pending names a page of endpoints for each of three indexes.
			assert.LessOrEqual(t, m.mostBytes, 16<<10, "bytes of the parameters of one statement")
		})
	}
}

// Any number of endpoints can fail, and any number of organizations can have their full share in
// memory. A claim has to skip all of them, but its statements name only some. It must return no
// delivery of the endpoints to skip, and a few claims together must return all other deliveries.
func TestClaimThatSkipsManyIsBounded(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	s, db, m := metered(t, sqlstore.Config{})
	const organizations, endpoints = 600, 11_000
	// Each of the organizations has one endpoint; the one after them has many.
	id := fmt.Sprintf(`(CASE WHEN i <= %[1]d THEN i << 24 | 1 ELSE %[1]d + 1 << 24 | i - %[1]d END)`,
		organizations)
	organization := fmt.Sprintf(`('org_' || min(i, %d))`, organizations+1)
	fill(t, db, organizations+1,
		`INSERT INTO webhooks_organizations (organization_id, version, number) SELECT 'org_' || i, 1, i
			FROM n`)
	fill(t, db, organizations+endpoints,
		`INSERT INTO webhooks_endpoints (id, organization_id, webhook_id, channel, state)
			SELECT `+id+`, `+organization+`, 'wh_' || i, 'x', 0 FROM n`,
		`INSERT INTO webhooks_routes (organization_id, webhook_id, version, created_at, revision, paused,
				deleted, event_types, endpoints)
			SELECT `+organization+`, 'wh_' || i, i, 1, 1, 0, 0, '[]', '[]' FROM n`,
		`INSERT INTO webhooks_events (id, organization_id, event_id, type, created_at, last_id, payload)
			SELECT i * 2, `+organization+`, 'evt_' || i, 'a.b', 1, i * 2 + 1, x'' FROM n`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, state, due_at, token)
			SELECT i * 2 + 1, i * 2, `+id+`, 0, 1, 0 FROM n`,
	)
	const wanted = 10 // of each kind, the last ones
	r := webhook.ClaimRequest{Until: now.Add(time.Hour), Limit: 50, PerEndpoint: 5}
	for i := range organizations - wanted {
		r.SkipOrganizations = append(r.SkipOrganizations, fmt.Sprint("org_", i+1))
	}
	for i := range endpoints - wanted {
		r.Skip = append(r.Skip, webhook.Endpoint{SubscriptionID: fmt.Sprint("wh_", organizations+i+1),
			Channel: "x"})
	}
	claimed, claims, most, bytes := map[string]bool{}, 0, 0, 0
	for ; len(claimed) < 2*wanted; claims++ {
		require.Less(t, claims, 100)
		m.reset()
		tasks, err := s.Claim(ctx, now, r)
		require.NoError(t, err)
		for _, task := range tasks {
			var i int
			_, err := fmt.Sscanf(task.Endpoint.SubscriptionID, "wh_%d", &i)
			require.NoError(t, err)
			ofOrganizations := i > organizations-wanted && i <= organizations
			require.True(t, ofOrganizations || i > organizations+endpoints-wanted, "%d is to be skipped", i)
			claimed[task.Endpoint.SubscriptionID] = true
		}
		most, bytes = max(most, m.statements), max(bytes, m.mostBytes)
	}
	t.Logf("%d claims of %d statements and %d bytes", claims, most, bytes)
	assert.LessOrEqual(t, most, 500, "statements of a claim")
	assert.LessOrEqual(t, bytes, 130_000, "bytes of the parameters of a statement")
}

// A channel that was removed and added again is a new endpoint. A claim skips it like the old one.
func TestClaimSkipsWhatWasMadeAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	s, _, m := metered(t, sqlstore.Config{})
	sub := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	skip := webhook.ClaimRequest{
		Until: now.Add(time.Hour), Limit: 10, PerEndpoint: 10,
		Skip: []webhook.Endpoint{{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]}},
	}
	claim := func(r webhook.ClaimRequest) []webhook.Task {
		t.Helper()
		tasks, err := s.Claim(ctx, now, r)
		require.NoError(t, err)
		return tasks
	}
	require.Empty(t, claim(skip))
	channels := sub.Channels
	for _, c := range [][]webhook.ChannelConfig{{{Channel: "other", Configs: []byte(`{}`)}},
		channels} {
		sub.Channels = c
		require.NoError(t, s.UpdateSubscription(ctx, sub, webhook.Quota{}))
	}
	_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: "evt_1", Type: "a.b",
		Payload: []byte(`{}`)}}, nil)
	require.NoError(t, err)
	other := sqltest.NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, other, webhook.Quota{}))
	_, err = s.Enqueue(ctx, now, []webhook.NewEvent{{ID: "evt_2", Type: "a.b", Payload: []byte(`{}`)}},
		nil)
	require.NoError(t, err)

	tasks := claim(skip)
	require.Len(t, tasks, 1)
	require.Equal(t, other.ID, tasks[0].Endpoint.SubscriptionID)
	m.reset()
	require.Empty(t, claim(skip))
	asked := m.statements
	skip.Skip = nil
	require.Len(t, claim(skip), 2)
	m.reset()
	require.Empty(t, claim(skip))
	require.Equal(t, m.statements, asked, "the store remembers what it has looked up")
}
