package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// openStore opens an empty store by its name on the command line.
func openStore(ctx context.Context, o options, name string) (webhook.Store, func() error, error) {
	switch name {
	case "memstore":
		return memstore.New(), func() error { return nil }, nil
	case "sqlite":
		dir, err := os.MkdirTemp(o.dir, "sqlite-")
		if err != nil {
			return nil, nil, err
		}
		store, err := sqlite.Open(ctx, filepath.Join(dir, "bench.db"), sqlite.Config{})
		if err != nil {
			return nil, nil, err
		}
		return store, func() error {
			err := store.Close()
			return firstError(err, os.RemoveAll(dir))
		}, nil
	}
	return nil, nil, fmt.Errorf("no store is called %q: memstore, sqlite", name)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
