package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"path/filepath"
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

// counted says what a store has read from its database.
type counted struct{ statements, rows, bytes int }

// counter is a connector that keeps the figures of counted.
type counter struct {
	path string
	mu   sync.Mutex
	sum  counted
}

func (c *counter) Driver() driver.Driver { return &driversqlite.Driver{} }

func (c *counter) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.Driver().Open(
		"file:" + c.path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
			"&_pragma=synchronous(OFF)")
	return &countedConn{conn, c}, err
}

func (c *counter) add(n counted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.statements += n.statements
	c.sum.rows += n.rows
	c.sum.bytes += n.bytes
}

// of returns what fn read.
func (c *counter) of(t *testing.T, fn func() error) counted {
	t.Helper()
	c.mu.Lock()
	c.sum = counted{}
	c.mu.Unlock()
	require.NoError(t, fn())
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

type countedConn struct {
	driver.Conn
	counter *counter
}

func (c *countedConn) Prepare(query string) (driver.Stmt, error) {
	s, err := c.Conn.Prepare(query)
	return &countedStmt{s, c.counter}, err
}

type countedStmt struct {
	driver.Stmt
	counter *counter
}

func (s *countedStmt) Exec(args []driver.Value) (driver.Result, error) {
	s.counter.add(counted{statements: 1})
	return s.Stmt.Exec(args) //nolint:staticcheck // what is wrapped has no other method
}

func (s *countedStmt) Query(args []driver.Value) (driver.Rows, error) {
	s.counter.add(counted{statements: 1})
	rows, err := s.Stmt.Query(args) //nolint:staticcheck // what is wrapped has no other method
	return &countedRows{rows, s.counter}, err
}

type countedRows struct {
	driver.Rows
	counter *counter
}

func (r *countedRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err != nil {
		return err
	}
	n := counted{rows: 1}
	for _, v := range dest {
		switch v := v.(type) {
		case string:
			n.bytes += len(v)
		case []byte:
			n.bytes += len(v)
		default:
			n.bytes += 8
		}
	}
	r.counter.add(n)
	return nil
}

func openCounted(t *testing.T, path string) (*sqlstore.Store, *counter) {
	t.Helper()
	c := &counter{path: made(t, path)}
	db := sql.OpenDB(c)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(t.Context(), db, sqlstore.SQLite(), sqlstore.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, c
}

// largeSubscription returns a subscription whose configs take 60 KiB.
func largeSubscription(organizationID string) *webhook.Subscription {
	sub := sqltest.NewSubscription()
	sub.OrganizationID, sub.CreatedAt = organizationID, time.Now()
	sub.Channels[0].Configs = json.RawMessage(`{"text":"` + strings.Repeat("x", 60<<10) + `"}`)
	return sub
}

// TestWhatAChangeCosts counts what emits and claims read after another process
// changed a subscription of an organization that has many.
func TestWhatAChangeCosts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s, read := openCounted(t, path)
	admin, written := openCounted(t, path)
	const webhooks = 300
	var creating []counted
	var last *webhook.Subscription
	for range webhooks {
		last = largeSubscription("large")
		creating = append(creating, written.of(t,
			func() error { return admin.CreateSubscription(ctx, last, webhook.Quota{}) }))
	}
	assert.Equal(t, creating[1], creating[webhooks-1],
		"creating one more costs the same, however many there are")
	victim := sqltest.NewSubscription()
	victim.OrganizationID, victim.EventTypes = "victim", []event.Pattern{"invoice.*"}
	require.NoError(t, admin.CreateSubscription(ctx, victim, webhook.Quota{}))

	n := 0
	emit := func(organizationID, eventType string) func() error {
		return func() error {
			n++
			e := webhook.NewEvent{OrganizationID: organizationID, ID: fmt.Sprint("evt_", n), Type: eventType,
				Payload: []byte(`{}`)}
			_, err := s.Enqueue(ctx, time.Now(), []webhook.NewEvent{e}, nil)
			return err
		}
	}
	change := func() {
		last.Name = fmt.Sprint("change ", n)
		require.NoError(t, admin.UpdateSubscription(ctx, last, webhook.Quota{}))
	}

	cold := read.of(t, emit("victim", "invoice.paid"))
	assert.Less(t, cold.rows, 10, "the first emit reads only the routes of its organization")
	_ = read.of(t, emit("victim", "invoice.paid"))
	still := read.of(t, emit("victim", "invoice.paid"))
	change()
	assert.Equal(t, still, read.of(t, emit("victim", "invoice.paid")),
		"changes of other organizations cost nothing")

	first := read.of(t, emit("large", "object.created"))
	assert.Less(t, first.bytes, 200*webhooks, "the routes do not include the configs")
	_ = read.of(t, emit("large", "object.created"))
	before := read.of(t, emit("large", "object.created"))
	change()
	after := read.of(t, emit("large", "object.created"))
	assert.Equal(t, before.statements+1, after.statements)
	assert.Equal(t, before.rows+1, after.rows, "an emit after one change reads one row more")
	assert.Less(t, after.bytes-before.bytes, 400, "the row does not include the configs")

	claim := func() error {
		now := time.Now()
		_, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 10,
			PerEndpoint: 10})
		return err
	}
	change()
	for range 2 {
		cost := read.of(t, claim)
		assert.LessOrEqual(t, cost.rows, 10+10+10+5,
			"a claim reads the deliveries, their payloads and their subscriptions")
		assert.Less(t, cost.bytes, 5_000)
	}
}

// Changes of states do not make processes read all routes again, however many they were, and a
// process that missed them and what was deleted meanwhile is right nevertheless.
func TestStateChangesDoNotHideOthers(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s, read := openCounted(t, path)
	admin := open(t, path)
	const webhooks, changes = 40, 300
	var subs []*webhook.Subscription
	for range webhooks {
		sub := sqltest.NewSubscription()
		require.NoError(t, admin.CreateSubscription(ctx, sub, webhook.Quota{}))
		subs = append(subs, sub)
	}
	n := 0
	var deliveries int
	emit := func() error {
		n++
		emitted, err := s.Enqueue(ctx, time.Now(), []webhook.NewEvent{
			{ID: fmt.Sprint("evt_", n), Type: "a.b", Payload: []byte(`{}`)}}, nil)
		if err == nil {
			deliveries = emitted.Events[0].Deliveries
		}
		return err
	}
	change := func() {
		state := webhook.EndpointState{Endpoint: webhook.Endpoint{SubscriptionID: subs[0].ID,
			Channel: subs[0].ChannelKeys()[0]}}
		state, err := admin.EndpointState(ctx, "", state.Endpoint)
		require.NoError(t, err)
		for i := range changes {
			state.Health = []webhook.Health{webhook.Degraded, webhook.Healthy}[i%2]
			require.NoError(t, webhook.SetEndpointState(ctx, admin, &state, 0))
		}
	}
	remove := func(i int) {
		require.NoError(t, admin.DeleteSubscription(ctx, "", subs[i].ID, 0))
	}
	require.NoError(t, emit())
	before := read.of(t, emit)
	require.Equal(t, webhooks, deliveries)
	change()
	after := read.of(t, emit)
	assert.LessOrEqual(t, after.rows, before.rows+5, "it reads what has changed")
	require.Equal(t, webhooks, deliveries)

	remove(1)
	change()
	assert.LessOrEqual(t, read.of(t, emit).rows, before.rows+5)
	require.Equal(t, webhooks-1, deliveries)

	remove(2)
	change()
	remove(3) // removes what is left of the second one, which the process has not seen
	change()
	_ = read.of(t, emit)
	assert.Equal(t, webhooks-3, deliveries)
	change()
	assert.LessOrEqual(t, read.of(t, emit).rows, before.rows+5)
	assert.Equal(t, webhooks-3, deliveries)
}

// TestDatabaseWentBack gives a store a database that has lost its last changes, as after a
// failover, and has been changed since.
func TestDatabaseWentBack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s, admin := open(t, path), open(t, path)
	kept, lost := sqltest.NewSubscription(), sqltest.NewSubscription()
	require.NoError(t, admin.CreateSubscription(ctx, kept, webhook.Quota{}))
	require.NoError(t, admin.CreateSubscription(ctx, lost, webhook.Quota{}))
	targets := func(id string) (ids []string) {
		_, err := s.Enqueue(ctx, time.Now(),
			[]webhook.NewEvent{{ID: id, Type: "a.b", Payload: []byte(`{}`)}}, nil)
		require.NoError(t, err)
		all, err := s.Deliveries(ctx, webhook.DeliveryQuery{EventID: id})
		require.NoError(t, err)
		for _, d := range all {
			ids = append(ids, d.SubscriptionID)
		}
		return ids
	}
	require.ElementsMatch(t, []string{kept.ID, lost.ID}, targets("evt_1"))

	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	for _, statement := range []string{
		"DELETE FROM webhooks_routes WHERE version = 2", "UPDATE webhooks_organizations SET version = 1",
		"DELETE FROM webhooks_endpoints WHERE webhook_id = '" + lost.ID + "'",
		"DELETE FROM webhooks_webhooks WHERE id = '" + lost.ID + "'",
	} {
		_, err := db.ExecContext(ctx, statement)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	require.Equal(t, []string{kept.ID}, targets("evt_2"))
	added := sqltest.NewSubscription()
	require.NoError(t, admin.CreateSubscription(ctx, added, webhook.Quota{}))
	require.ElementsMatch(t, []string{kept.ID, added.ID}, targets("evt_3"))
}
