package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
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
			return errors.Join(err, os.RemoveAll(dir))
		}, nil
	case "postgres":
		if o.dsn == "" {
			return nil, nil, errors.New("-dsn must name a PostgreSQL database")
		}
		// The tables are of this run alone, and go with it.
		prefix := "bench_" + strings.TrimPrefix(webhook.NewID(), "wh_") + "_"
		store, err := postgres.Open(ctx, o.dsn, postgres.Config{TablePrefix: prefix})
		if err != nil {
			return nil, nil, err
		}
		return store, func() error { return errors.Join(store.Close(), dropTables(o.dsn, prefix)) }, nil
	}
	return nil, nil, fmt.Errorf("no store is called %q: memstore, sqlite, postgres", name)
}

// dropTables removes the tables and sequences whose names begin with the prefix.
func dropTables(dsn, prefix string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `DO $$ DECLARE r record; BEGIN
		FOR r IN SELECT c.relname, c.relkind FROM pg_class c
			WHERE c.relkind IN ('r', 'S') AND starts_with(c.relname, '`+prefix+`') AND pg_table_is_visible(c.oid)
			ORDER BY c.relkind DESC -- tables first: most sequences go with theirs
		LOOP
			EXECUTE format(CASE r.relkind WHEN 'r' THEN 'DROP TABLE IF EXISTS %I CASCADE' ELSE 'DROP SEQUENCE IF EXISTS %I CASCADE' END, r.relname);
		END LOOP;
	END $$`)
	return err
}
