package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// subscribeChannels creates a subscription of the organization with so many channels.
func subscribeChannels(t *testing.T, s webhook.Store, organizationID string, channels int) {
	t.Helper()
	sub := sqltest.NewSubscription()
	sub.OrganizationID = organizationID
	for i := range channels - 1 {
		sub.Channels = append(sub.Channels, sub.Channels[0])
		sub.Channels[i+1].Channel = fmt.Sprint("channel", i)
	}
	require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
}

// rowsOf returns how many rows a table has.
func rowsOf(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// TestTransactionsAreShort counts what one transaction stores of events that share a commit.
func TestTransactionsAreShort(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	db := handle(t, "file:"+s.path+allPragmas)
	widths := []int{400, 3, 100, 140}
	var events []webhook.NewEvent
	for i, width := range widths {
		subscribeChannels(t, s, fmt.Sprint("org_", i), width)
		events = append(events, webhook.NewEvent{OrganizationID: fmt.Sprint("org_", i),
			ID: fmt.Sprint("evt_", i), Type: "a.b", Payload: []byte(`{}`)})
	}
	now := time.Now()
	prefetch := &webhook.Prefetch{Until: now.Add(time.Minute),
		Take: func(string, webhook.Endpoint) bool { return true }}
	enqueued, err := s.Enqueue(ctx, now, events, prefetch)
	require.NoError(t, err)
	var left []webhook.NewEvent
	for i, e := range enqueued.Events {
		assert.Equal(t, widths[i], e.Deliveries)
		assert.Equal(t, widths[i] > 100, e.Unfinished,
			"the events with the fewest deliveries are stored first: %d", widths[i])
		if e.Unfinished {
			left = append(left, events[i])
		}
	}
	const first, most = 128, 32
	stored := rowsOf(t, db, "webhooks_deliveries")
	assert.LessOrEqual(t, stored, first+4)
	tasks := len(enqueued.Tasks)
	for len(left) > 0 {
		finished, more, err := s.FanOut(ctx, now, left, prefetch)
		require.NoError(t, err)
		left, tasks = left[finished:], tasks+len(more)
		before := stored
		stored = rowsOf(t, db, "webhooks_deliveries")
		assert.LessOrEqual(t, stored-before, most, "a piece has a bound")
		assert.Greater(t, stored, before)
	}
	assert.Equal(t, 643, stored)
	assert.Equal(t, 643, tasks)
	assert.Zero(t, rowsOf(t, db, "webhooks_fanouts"), "what is stored leaves nothing behind")
}

// TestWideEmit emits events for 300 endpoints while the Dispatcher runs.
func TestWideEmit(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	var sent atomic.Int64
	channels := channel.NewRegistry()
	deliver := channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
		sent.Add(1)
		return channel.Result{}, nil
	})
	require.NoError(t, channels.Register("webhook", deliver))
	for i := range 49 {
		require.NoError(t, channels.Register(fmt.Sprint("channel", i), deliver))
	}
	d, err := dispatch.New(s, dispatch.Config{Channels: channels})
	require.NoError(t, err)
	for range 6 {
		subscribeChannels(t, s, "", 50)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	emitted, err := d.Emit(ctx, event.New("a.b", event.Subject{Type: "a", ID: "1"}),
		event.New("a.b", event.Subject{Type: "a", ID: "2"}))
	require.NoError(t, err)
	for _, e := range emitted {
		assert.Equal(t, webhook.Emitted{EventID: e.EventID, Deliveries: 300}, e)
		all, err := d.Deliveries(ctx, webhook.DeliveryQuery{EventID: e.EventID, Limit: 1000,
			WithoutAttempts: true})
		require.NoError(t, err)
		assert.Len(t, all, 300, "the history is complete when Emit returns")
	}
	require.NoError(t, d.Drain(ctx))
	assert.EqualValues(t, 600, sent.Load())
	stop()
	require.NoError(t, <-ended)
}

// TestUpgrade opens tables of the first version of the schema.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	migrations, err := sqlstore.Migrations(sqlstore.SQLite(), "")
	require.NoError(t, err)
	_, err = handle(t, "file:"+path+allPragmas).ExecContext(ctx, migrations[0].SQL)
	require.NoError(t, err)
	s, err := sqlite.Open(ctx, path, sqlite.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	subscribeChannels(t, s, "", 200)
	enqueued, err := s.Enqueue(ctx, time.Now(), []webhook.NewEvent{{ID: "evt_1", Type: "a.b"}}, nil)
	require.NoError(t, err)
	assert.True(t, enqueued.Events[0].Unfinished)
}

// TestBlocksOfWhatIsNotStored prunes the only deliveries in a range of ids, before FanOut stores
// others there.
func TestBlocksOfWhatIsNotStored(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	subscribeChannels(t, s, "", 200)
	now := time.Now()
	events := []webhook.NewEvent{{ID: "evt_1", Type: "a.b"}, {ID: "evt_2", Type: "a.b"}}
	prefetch := &webhook.Prefetch{Until: now.Add(time.Minute),
		Take: func(string, webhook.Endpoint) bool { return true }}
	before := []webhook.NewEvent{{ID: "evt_0", Type: "a.b"}}
	enqueued, err := s.Enqueue(ctx, now, before, prefetch)
	require.NoError(t, err)
	tasks := enqueued.Tasks
	for finished := 0; finished == 0; {
		var more []webhook.Task
		finished, more, err = s.FanOut(ctx, now, before, prefetch)
		require.NoError(t, err)
		tasks = append(tasks, more...)
	}
	enqueued, err = s.Enqueue(ctx, now, events[:1], prefetch)
	require.NoError(t, err)
	tasks = append(tasks, enqueued.Tasks...)
	require.Len(t, tasks, 200+128)
	for _, task := range tasks {
		refused, err := s.Settle(ctx, now, []webhook.Settlement{{Lease: task.Lease,
			Status: webhook.StatusDead, Attempt: &webhook.Attempt{StartedAt: now, Class: "status"}}})
		require.NoError(t, err)
		require.Empty(t, refused)
	}
	_, err = handle(t, "file:"+s.path+allPragmas).ExecContext(ctx,
		"UPDATE webhooks_meta SET next_id = 100000")
	require.NoError(t, err)
	require.NoError(t, errorOf(s.Enqueue(ctx, now, events[1:], nil)))
	later := now.Add(time.Second)
	removed, err := s.Prune(ctx, later, webhook.PruneRequest{SucceededBefore: later, DeadBefore: later,
		Limit: 1000})
	require.NoError(t, err)
	require.Equal(t, len(tasks)+1, removed)
	for finished := 0; finished == 0; {
		finished, _, err = s.FanOut(ctx, later, events, nil)
		require.NoError(t, err)
		require.LessOrEqual(t, finished, 1)
	}
	all, err := s.Deliveries(ctx, webhook.DeliveryQuery{Limit: 1000})
	require.NoError(t, err)
	assert.Len(t, all, 72+128, "deliveries that are stored late are listed")
}

func TestClaimsSharePayloads(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	sqltest.CheckSharedPayloads(t, open(t, filepath.Join(t.TempDir(), "webhooks.db")))
}

// TestTailsBesideAWideEvent has an event of another organization whose deliveries are left in very
// many rows.
func TestTailsBesideAWideEvent(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	db := handle(t, "file:"+s.path+allPragmas)
	subscribeChannels(t, s, "org_a", 1)
	_, err := db.ExecContext(ctx, `INSERT INTO webhooks_events
			(id, organization_id, event_id, type, created_at, last_id, payload)
			SELECT next_id, 'org_b', 'evt_wide', 'a.b', 1, next_id + 5000, '{}' FROM webhooks_meta;
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
			INSERT INTO webhooks_fanouts (first_id, last_id, event_id, until, endpoints)
			SELECT next_id + i, next_id + i, next_id, ?, '' FROM n CROSS JOIN webhooks_meta;
		UPDATE webhooks_meta SET next_id = next_id + 5001`, time.Now().Add(time.Hour).UnixMicro())
	require.NoError(t, err)
	_, err = s.Enqueue(ctx, time.Now(), []webhook.NewEvent{
		{OrganizationID: "org_a", ID: "evt_1", Type: "a.b", Payload: []byte(`{}`)}}, nil)
	require.NoError(t, err)
	page, err := s.Tail(ctx, webhook.TailQuery{OrganizationID: "org_a"})
	require.NoError(t, err)
	assert.Len(t, page.Records, 1, "the rows of others hold back nothing")
	page, err = s.Tail(ctx, webhook.TailQuery{OrganizationID: "org_b"})
	require.NoError(t, err)
	assert.False(t, page.HeldSince.IsZero(), "its own do")
}

// TestClaimsBesideAbandonedEvents counts what a claim stores of wide events of others, with which their
// callers have not gone on, before it claims.
func TestClaimsBesideAbandonedEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	db := handle(t, "file:"+s.path+allPragmas)
	subscribeChannels(t, s, "org_wide", 2000)
	subscribeChannels(t, s, "org_narrow", 1)
	now := time.Now()
	enqueue := func(organizationID string, n int) {
		events := make([]webhook.NewEvent, n)
		for i := range events {
			events[i] = webhook.NewEvent{OrganizationID: organizationID, ID: fmt.Sprint("evt_", i),
				Type: "a.b", Payload: []byte(`{}`)}
		}
		_, err := s.Enqueue(ctx, now, events, nil)
		require.NoError(t, err)
	}
	enqueue("org_wide", 1)
	enqueue("org_narrow", 300)
	before := rowsOf(t, db, "webhooks_fanouts")
	require.Greater(t, before, 50)
	later := now.Add(webhook.FanOutLease)
	claim := func(limit int) int {
		tasks, err := s.Claim(ctx, later, webhook.ClaimRequest{Until: later.Add(time.Hour), Limit: limit,
			PerEndpoint: limit})
		require.NoError(t, err)
		return len(tasks)
	}
	assert.Equal(t, 100, claim(100))
	assert.Equal(t, before-3, rowsOf(t, db, "webhooks_fanouts"), "the claim found enough without the others")
	claimed := 100 + claim(5000)
	assert.Equal(t, before-3-32, rowsOf(t, db, "webhooks_fanouts"), "it did not")
	for n := claim(5000); n > 0; n = claim(5000) {
		claimed += n
	}
	assert.Equal(t, 2300, claimed)
}
