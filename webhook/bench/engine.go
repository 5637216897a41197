package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// engine takes events, keeps them, and delivers each of them to the sink.
type engine interface {
	// emit returns once the event is kept, or a job for each of its deliveries.
	emit(ctx context.Context) error
	// start delivers what is emitted, before it or later, until close.
	start(ctx context.Context) error
	// close ends what is under way and removes all that was kept.
	close() error
}

// engineNames are those that -with takes, and how tables call them.
var engineNames = map[string]string{
	"memstore": "Dispatcher, memstore",
	"sqlite":   "Dispatcher, SQLite",
	"postgres": "Dispatcher, PostgreSQL",
	"river":    "River, PostgreSQL",
	"asynq":    "asynq, Redis",
}

// storeNames are those of the engines that are a Dispatcher on a Store.
var storeNames = []string{"memstore", "sqlite", "postgres"}

// parseEngines reads names that are separated by commas.
func parseEngines(list string) ([]string, error) {
	names := strings.Split(list, ",")
	for _, name := range names {
		if engineNames[name] == "" {
			return nil, fmt.Errorf("-with: there is no %q, but memstore, sqlite, postgres, river, asynq",
				name)
		}
	}
	return names, nil
}

// openEngine opens an empty engine that delivers to the sink.
func openEngine(
	ctx context.Context, o options, s *sink, name string, shape shape,
) (engine, error) {
	switch name {
	case "river":
		return newRiverEngine(ctx, o, s, shape.subscriptions)
	case "asynq":
		return newAsynqEngine(o, s, shape.subscriptions)
	}
	return newDispatcherEngine(ctx, o, s, name, shape)
}

// startEngine opens an engine and starts it.
func startEngine(
	ctx context.Context, o options, s *sink, name string, shape shape,
) (engine, error) {
	e, err := openEngine(ctx, o, s, name, shape)
	if err != nil {
		return nil, err
	}
	if err := e.start(ctx); err != nil {
		_ = e.close()
		return nil, err
	}
	return e, nil
}

// stores returns those of the named engines that are a Dispatcher on a Store.
func (o options) stores() []string {
	return slices.DeleteFunc(slices.Clone(o.engines),
		func(name string) bool { return !slices.Contains(storeNames, name) })
}
