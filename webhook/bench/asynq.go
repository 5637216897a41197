package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/mixpeek/webhooks-go/webhook"
)

// asynqEngine is one asynq task for each delivery.
type asynqEngine struct {
	deliveries int // of each event
	queue      string
	redis      asynq.RedisClientOpt
	client     *asynq.Client
	server     *asynq.Server
	poster     poster
	started    bool
}

const asynqTask = "deliver"

// newAsynqEngine configures asynq for throughput.
//
// An asynq server that finds its queue empty sleeps for a second by default;
// here it asks again after 1 ms, so that it is never behind when there is work.
// Each worker and each caller has a connection when it needs one. Tasks are not
// retained, so that a finished one costs no more than its removal. It is one
// server, as a process usually has; four that share the workers between them
// deliver about a fifth more, because each asks Redis for one task at a time.
//
// What Redis does not sync to its disk is lost when it dies: without
// appendonly, all of it; with appendfsync everysec, the last second. Only
// appendfsync always promises what the other engines do.
func newAsynqEngine(o options, s *sink, deliveries int) (*asynqEngine, error) {
	parsed, err := asynq.ParseRedisURI(o.redis)
	if err != nil {
		return nil, fmt.Errorf("-redis must name a Redis: %w", err)
	}
	opt, ok := parsed.(asynq.RedisClientOpt)
	if !ok {
		return nil, errors.New("-redis must name one Redis, with a redis:// URL")
	}
	opt.PoolSize = 4 * o.inFlight
	// The queue is of this run alone.
	queue := "bench-" + strings.TrimPrefix(webhook.NewID(), "wh_")
	return &asynqEngine{
		deliveries: deliveries,
		queue:      queue,
		redis:      opt,
		client:     asynq.NewClient(opt),
		server: asynq.NewServer(opt, asynq.Config{
			Concurrency:       o.inFlight,
			Queues:            map[string]int{queue: 1},
			TaskCheckInterval: time.Millisecond,
			LogLevel:          asynq.FatalLevel,
		}),
		poster: newPoster(s, o.inFlight),
	}, nil
}

func (e *asynqEngine) emit(ctx context.Context) error {
	payload, err := newEvent().MarshalJSON()
	if err != nil {
		return err
	}
	for range e.deliveries { // asynq stores one task at a time
		_, err = e.client.EnqueueContext(ctx, asynq.NewTask(asynqTask, payload), asynq.Queue(e.queue))
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *asynqEngine) start(context.Context) error {
	deliver := func(ctx context.Context,
		t *asynq.Task) error {
		return e.poster.post(ctx, t.Payload())
	}
	if err := e.server.Start(asynq.HandlerFunc(deliver)); err != nil {
		return err
	}
	e.started = true
	return nil
}

func (e *asynqEngine) close() error {
	if e.started {
		e.server.Shutdown()
	}
	e.poster.close()
	return errors.Join(e.client.Close(), e.remove())
}

// remove deletes the queue and its statistics.
func (e *asynqEngine) remove() error {
	ctx := context.Background()
	inspector := asynq.NewInspector(e.redis)
	err := inspector.DeleteQueue(e.queue, true)
	if errors.Is(err, asynq.ErrQueueNotFound) { // nothing was emitted
		err = nil
	}
	err = errors.Join(err, inspector.Close())

	client := redis.NewClient(&redis.Options{
		Addr: e.redis.Addr, Username: e.redis.Username, Password: e.redis.Password, DB: e.redis.DB,
		TLSConfig: e.redis.TLSConfig,
	})
	defer func() { _ = client.Close() }()
	keys := client.Scan(ctx, 0, "asynq:{"+e.queue+"}:*", 0).Iterator()
	for keys.Next(ctx) {
		err = errors.Join(err, client.Del(ctx, keys.Val()).Err())
	}
	return errors.Join(err, keys.Err())
}
