package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// An emitter is the publishing half: a Dispatcher on a SQLite file.
type emitter struct {
	dispatcher *dispatch.Dispatcher
	store      *sqlite.Store
	db         string
	temporary  string // a folder to remove, if any
	attempted  chan struct{}

	stop    context.CancelFunc
	stopped chan error
}

// startEmitter opens the database and starts to deliver.
func startEmitter(ctx context.Context, db string, channels *channel.Registry) (*emitter, error) {
	e := &emitter{db: db, attempted: make(chan struct{}, 1), stopped: make(chan error, 1)}
	if db == "" {
		folder, err := os.MkdirTemp("", "quickstart-")
		if err != nil {
			return nil, err
		}
		e.temporary, e.db = folder, filepath.Join(folder, "webhooks.db")
	}
	if err := e.start(ctx, channels); err != nil {
		return nil, errors.Join(err, e.cleanUp())
	}
	return e, nil
}

func (e *emitter) start(ctx context.Context, channels *channel.Registry) (err error) {
	if e.store, err = sqlite.Open(ctx, e.db, sqlite.Config{}); err != nil {
		return err
	}
	e.dispatcher, err = dispatch.New(e.store, dispatch.Config{
		Channels: channels,
		// The default policy waits seconds after a failure, then minutes, for
		// three days. A story has to be quicker.
		Retry:        dispatch.ExponentialRetry{InitialInterval: 50 * time.Millisecond},
		PollInterval: 20 * time.Millisecond,
		Hooks:        dispatch.Hooks{Attempted: e.onAttempted},
		Logger:       slog.New(slog.DiscardHandler), // the story says it all
	})
	if err != nil {
		return err
	}
	// Run delivers until its context ends. Emit works without it, too.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	go func() { e.stopped <- e.dispatcher.Run(running) }()
	return nil
}

// onAttempted is called after each attempt, when its result is stored.
func (e *emitter) onAttempted(dispatch.Result) {
	select {
	case e.attempted <- struct{}{}:
	default: // settled has not looked since the last one
	}
}

// deliver emits an event and waits until its deliveries have come to an end.
// Services emit and go on: when Emit returns, nothing can be lost any more.
func (e *emitter) deliver(ctx context.Context, ev *event.Event) ([]webhook.Delivery, error) {
	if _, err := e.dispatcher.Emit(ctx, ev); err != nil {
		return nil, err
	}
	return e.settled(ctx, ev.ID)
}

// replay sends an event's deliveries once more.
func (e *emitter) replay(
	ctx context.Context, deliveries []webhook.Delivery,
) ([]webhook.Delivery, error) {
	for _, d := range deliveries {
		if err := e.dispatcher.Replay(ctx, d.OrganizationID, d.ID); err != nil {
			return nil, err
		}
	}
	return e.settled(ctx, deliveries[0].EventID)
}

// settled reads the history of an event's deliveries once they are settled: it looks
// again after each attempt.
func (e *emitter) settled(ctx context.Context, eventID string) ([]webhook.Delivery, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute,
		fmt.Errorf("%s was not delivered within a minute", eventID))
	defer cancel()
	for {
		deliveries, err := e.dispatcher.Deliveries(ctx, webhook.DeliveryQuery{EventID: eventID})
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(deliveries,
			func(d webhook.Delivery) bool { return !d.Status.Settled() }) {
			return deliveries, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-e.attempted:
		}
	}
}

// close lets the attempts under way end, and closes the database.
func (e *emitter) close() error {
	e.stop()
	return errors.Join(<-e.stopped, e.cleanUp())
}

func (e *emitter) cleanUp() error {
	var err error
	if e.store != nil {
		err = e.store.Close()
	}
	if e.temporary != "" {
		err = errors.Join(err, os.RemoveAll(e.temporary))
	}
	return err
}
