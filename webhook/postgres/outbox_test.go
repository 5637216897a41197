//go:build unix

package postgres_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// outboxStages are the lines that a process says for each order, in this order.
var outboxStages = []string{"begun", "ordered", "emitted", "committed"}

// writeOutbox writes orders and their events until the process is killed.
func writeOutbox(cfg childConfig) error {
	ctx := context.Background()
	d, _, err := childDispatcher(ctx, cfg)
	if err != nil {
		return err
	}
	begin, err := beginner(ctx, cfg)
	if err != nil {
		return err
	}
	for {
		e := newChildEvent()
		tx, err := begin()
		if err != nil {
			return err
		}
		for i, step := range []func() error{
			func() error { return nil },
			func() error { return tx.insert(e.ID) },
			func() error { return errorOf(d.EmitTx(ctx, tx.tx, e)) },
			tx.commit,
		} {
			if err := step(); err != nil {
				return err
			}
			say(outboxStages[i], e.ID)
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		}
	}
}

// orderTx is a transaction of pgx or database/sql that writes an order.
type orderTx struct {
	tx     webhook.Tx
	insert func(id string) error
	commit func() error
}

// beginner returns a function that begins a transaction.
func beginner(ctx context.Context, cfg childConfig) (func() (orderTx, error), error) {
	const statement = "INSERT INTO orders VALUES ($1)"
	if cfg.SQL {
		db, err := sql.Open("pgx", cfg.DSN)
		return func() (orderTx, error) {
			tx, err := db.BeginTx(ctx, nil)
			return orderTx{postgres.SQLTx(tx),
				func(id string) error { _, err := tx.ExecContext(ctx, statement, id); return err },
				func() error { return tx.Commit() }}, err
		}, err
	}
	conn, err := pgx.Connect(ctx, cfg.DSN)
	return func() (orderTx, error) {
		tx, err := conn.Begin(ctx)
		return orderTx{postgres.Tx(tx), func(id string) error {
			_, err := tx.Exec(ctx, statement, id)
			return err
		}, func() error { return tx.Commit(ctx) }}, err
	}, err
}

// TestOutboxSurvivesKills kills processes before, during and after the commits of transactions that
// write an order and its event.
func TestOutboxSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const writers = 2
	kills := 3 * len(outboxStages) // of each writer
	if outagesAreLong() {
		kills *= 10
	}
	s := newService(t, 30*time.Second, false)
	execAt(t, s.dsn, "CREATE TABLE orders (id text PRIMARY KEY)")
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for n := range kills {
				s.killWriter(i == 0, outboxStages[n%len(outboxStages)])
			}
		})
	}
	group.Wait()
	s.drain()
	sum := s.account()
	assert.Zero(t, sum.duplicates)
	assert.Equal(t, 0, queryAt[int](t, s.dsn, `
		SELECT count(*) FROM orders o FULL JOIN webhooks_events e ON e.event_id = o.id
		WHERE o.id IS NULL OR e.event_id IS NULL`),
		"an order without its event, or an event without its order")
	assert.Equal(t, len(s.endpoint.accepted),
		len(s.hooks)*queryAt[int](t, s.dsn, `SELECT count(*) FROM orders`))
}

// killWriter starts a process and kills it shortly after it has reached a stage.
func (s *service) killWriter(useSQL bool, stage string) {
	c := startChild(s.t, childConfig{Mode: "outbox", DSN: s.dsn, Lease: s.lease, SQL: useSQL},
		func(what, id string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.tried[id] = true
			if what == "committed" {
				s.accepted[id] = true
			}
		})
	for range 1 + rand.IntN(3) {
		c.await(s.t, stage)
	}
	time.Sleep(time.Duration(rand.IntN(1500)) * time.Microsecond)
	c.kill(s.t)
	s.count(&s.kills)
}
