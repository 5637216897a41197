package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

var errNoDSN = errors.New("-dsn must name a PostgreSQL database")

// store is an open Store and what can be asked of its database.
type store struct {
	webhook.Store
	// size is the number of bytes on disk, when what was removed can be used
	// again. It is nil where nothing is on disk.
	size func(context.Context) (int64, error)
	// written is the number of bytes that were written to the disk since some time. It is nil where
	// nothing is.
	written func(context.Context) (int64, error)
	// again opens the same data as another process does.
	again func(context.Context) (s webhook.Store, closeIt func() error, err error)
	close func() error
}

// openStore opens an empty store.
func openStore(ctx context.Context, o options, name string) (*store, error) {
	switch name {
	case "sqlite":
		return openSQLite(ctx, o)
	case "postgres":
		return openPostgres(ctx, o)
	}
	s := memstore.New()
	nothing := func() error { return nil }
	return &store{
		Store: s, close: nothing,
		again: func(context.Context) (webhook.Store, func() error, error) { return s, nothing, nil },
	}, nil
}

func openSQLite(ctx context.Context, o options) (*store, error) {
	dir, err := os.MkdirTemp(o.dir, "sqlite-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "bench.db")
	opened, err := sqlite.Open(ctx, path, sqlite.Config{})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &store{
		Store:   opened,
		size:    func(context.Context) (int64, error) { return folderSize(dir) },
		written: processWrites,
		again: func(ctx context.Context) (webhook.Store, func() error, error) {
			s, err := sqlite.Open(ctx, path, sqlite.Config{})
			if err != nil {
				return nil, nil, err
			}
			return s, s.Close, nil
		},
		close: func() error { return errors.Join(opened.Close(), os.RemoveAll(dir)) },
	}, nil
}

// processWrites returns what this process has had the kernel write, its log and the database: only
// Linux tells.
func processWrites(context.Context) (int64, error) {
	text, err := os.ReadFile("/proc/self/io")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for line := range strings.Lines(string(text)) {
		if count, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			return strconv.ParseInt(strings.TrimSpace(count), 10, 64)
		}
	}
	return 0, err
}

// walWrites returns how much the server has written to its write-ahead log: the pages of tables that
// it writes later are not in it.
func walWrites(ctx context.Context, dsn string) (n int64, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`).Scan(&n)
	return n, err
}

// folderSize counts the database and its log.
func folderSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

func openPostgres(ctx context.Context, o options) (*store, error) {
	if o.dsn == "" {
		return nil, errNoDSN
	}
	// The tables are of this run alone, and go with it.
	prefix := "bench_" + strings.TrimPrefix(webhook.NewID(), "wh_") + "_"
	opened, err := postgres.Open(ctx, o.dsn, postgres.Config{TablePrefix: prefix})
	if err != nil {
		return nil, err
	}
	return &store{
		Store:   opened,
		size:    func(ctx context.Context) (int64, error) { return vacuumedSize(ctx, o.dsn, prefix) },
		written: func(ctx context.Context) (int64, error) { return walWrites(ctx, o.dsn) },
		again: func(ctx context.Context) (webhook.Store, func() error, error) {
			s, err := postgres.Open(ctx, o.dsn, postgres.Config{TablePrefix: prefix})
			if err != nil {
				return nil, nil, err
			}
			return s, s.Close, nil
		},
		close: func() error { return errors.Join(opened.Close(), dropTables(o.dsn, prefix)) },
	}, nil
}

// vacuumedSize counts the tables whose names begin with the prefix, with all that
// belongs to them, after a VACUUM: autovacuum does one too, but in its own time.
func vacuumedSize(ctx context.Context, dsn, prefix string) (size int64, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, `SELECT relname FROM pg_class
		WHERE relkind = 'r' AND starts_with(relname, $1) AND pg_table_is_visible(oid)`, prefix)
	if err != nil {
		return 0, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, err
	}
	for _, table := range tables {
		if _, err := conn.Exec(ctx, "VACUUM "+pgx.Identifier{table}.Sanitize()); err != nil {
			return 0, err
		}
	}
	err = conn.QueryRow(ctx,
		`SELECT sum(pg_total_relation_size(quote_ident(t)::regclass)) FROM unnest($1::text[]) t`,
		tables).Scan(&size)
	return size, err
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
