package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/mixpeek/webhooks-go/webhook"
)

// riverEngine is one River job for each delivery.
type riverEngine struct {
	deliveries int // of each event
	pool       *pgxpool.Pool
	schema     string
	client     *river.Client[pgx.Tx]
	poster     poster
	started    bool
}

// deliverArgs are the job's arguments: the event.
type deliverArgs struct {
	Event json.RawMessage `json:"event"`
}

func (deliverArgs) Kind() string { return "deliver" }

type deliverWorker struct {
	river.WorkerDefaults[deliverArgs]
	poster poster
}

func (w *deliverWorker) Work(ctx context.Context, job *river.Job[deliverArgs]) error {
	return w.poster.post(ctx, job.Args.Event)
}

// newRiverEngine configures River for throughput.
//
// The defaults fetch every 100 ms at most, which bounds any queue to ten times
// MaxWorkers a second; the shortest cooldown that it takes is 1 ms. New jobs are
// announced by NOTIFY, so the poll interval is only for what that misses.
//
// What a worker holds counts as fetched: with as many workers as there are
// requests in flight, a fetch brings only as many jobs as ended since the last
// one. More workers, which wait for a connection of the client, let each fetch
// bring more, as the Dispatcher's queue does, with the same number of requests
// in flight.
//
// More connections than pgxpool's default of 4 let PostgreSQL commit more
// inserts at once. Completions are stored in batches, which is River's default.
// Inserts are not, but for those of one event: InsertMany needs the events in
// one place, and callers that emit one each, at the same time, do not have them
// there.
func newRiverEngine(
	ctx context.Context, o options, s *sink, deliveries int,
) (*riverEngine, error) {
	if o.dsn == "" {
		return nil, errNoDSN
	}
	config, err := pgxpool.ParseConfig(o.dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = riverConns
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	e := &riverEngine{
		deliveries: deliveries,
		pool:       pool,
		schema:     "bench_" + strings.TrimPrefix(webhook.NewID(), "wh_"),
		poster:     newPoster(s, o.inFlight),
	}
	if err := e.migrate(ctx); err != nil {
		return nil, errors.Join(err, e.close())
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &deliverWorker{poster: e.poster})
	e.client, err = river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema:            e.schema,
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkersPerRequest * o.inFlight}},
		Workers:           workers,
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: 100 * time.Millisecond,
		Logger:            slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

const (
	riverConns             = 16
	riverWorkersPerRequest = 4
)

// migrate makes the tables, which are of this run alone.
func (e *riverEngine) migrate(ctx context.Context) error {
	if _, err := e.pool.Exec(ctx, "CREATE SCHEMA "+e.schema); err != nil {
		return err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(e.pool), &rivermigrate.Config{
		Schema: e.schema, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

func (e *riverEngine) emit(ctx context.Context) error {
	payload, err := newEvent().MarshalJSON()
	if err != nil {
		return err
	}
	args := deliverArgs{Event: payload}
	if e.deliveries == 1 {
		_, err = e.client.Insert(ctx, args, nil)
		return err
	}
	jobs := make([]river.InsertManyParams, e.deliveries)
	for i := range jobs {
		jobs[i].Args = args
	}
	_, err = e.client.InsertManyFast(ctx, jobs)
	return err
}

func (e *riverEngine) start(ctx context.Context) error {
	if err := e.client.Start(ctx); err != nil {
		return err
	}
	e.started = true
	return nil
}

func (e *riverEngine) close() error {
	ctx := context.Background()
	var err error
	if e.started {
		err = e.client.Stop(ctx)
	}
	e.poster.close()
	_, dropped := e.pool.Exec(ctx, "DROP SCHEMA IF EXISTS "+e.schema+" CASCADE")
	e.pool.Close()
	return errors.Join(err, dropped)
}
