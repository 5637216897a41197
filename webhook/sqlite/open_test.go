package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

func TestOpenPaths(t *testing.T) {
	t.Parallel()
	names := []string{
		"que?ry.db", "per%20cent.db", "plain.db", "no extension", "frag#ment.db", "per%cent.db",
		"amp&_pragma=x.db",
		"quo'te.db", `dou"ble.db`, "büro 日本.db", "file:x.db", "semi;colon.db", "plus+.db", ".hidden",
	}
	if testing.Short() {
		names = names[:1]
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "dir?#%41&")
			require.NoError(t, os.Mkdir(dir, 0o755))
			path := filepath.Join(dir, name)
			s, err := sqlite.Open(t.Context(), path, sqlite.Config{})
			require.NoError(t, err)
			require.NoError(t, s.CreateSubscription(t.Context(), sqltest.NewSubscription(), webhook.Quota{}))
			require.NoError(t, s.Close())

			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 1,
				"closing writes the log back, and leaves one file under the name that was asked for")
			require.Equal(t, name, entries[0].Name())
		})
	}
}

func TestOpenRelativePath(t *testing.T) {
	if testing.Short() {
		t.Skip("each file that is opened takes a few hundredths of a second of CPU time")
	}
	t.Chdir(t.TempDir())
	s, err := sqlite.Open(t.Context(), "webhooks.db", sqlite.Config{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.FileExists(t, "webhooks.db")
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("This is no database.\n"), 100), 0o600))
	for _, tt := range []struct {
		name, path, text string
		is               error
	}{
		{"no path", "", "a path is required", nil},
		{"memory", ":memory:", "memstore", nil},
		{"missing directory", filepath.Join(dir, "missing", "x.db"), "missing does not exist",
			fs.ErrNotExist},
		{"directory", dir, "it is a directory", nil},
		{"file as directory", filepath.Join(file, "x.db"), "text", nil},
		{"not a database", file, file, sqlite.ErrNotDatabase},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := sqlite.Open(t.Context(), tt.path, sqlite.Config{})
			require.ErrorContains(t, err, tt.text)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
		})
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Config{BusyTimeout: time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	other, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	other.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)

	_, err = s.Enqueue(t.Context(), time.Now(),
		[]webhook.NewEvent{{ID: "evt_1", Type: "a.b", Payload: []byte(`{}`)}}, nil)
	require.ErrorIs(t, err, sqlite.ErrLocked)
	_, err = s.Deliveries(t.Context(), webhook.DeliveryQuery{})
	require.NoError(t, err, "queries do not wait for a writer")

	_, err = other.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	_, err = s.Enqueue(t.Context(), time.Now(),
		[]webhook.NewEvent{{ID: "evt_1", Type: "a.b", Payload: []byte(`{}`)}}, nil)
	require.NoError(t, err, "the store must work again once the lock is released")
}

func TestFull(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	s, err := sqlite.OpenWith(ctx, filepath.Join(t.TempDir(), "webhooks.db"), "max_page_count(200)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))

	now := time.Now()
	stored := 0
	put := func() error {
		id := fmt.Sprintf("evt_%d", stored)
		_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: id, Type: "a.b",
			Payload: bytes.Repeat([]byte("x"), 10_000)}}, nil)
		return err
	}
	for err = put(); err == nil; err = put() {
		stored++
		require.Less(t, stored, 1_000)
	}
	require.ErrorIs(t, err, sqlite.ErrFull)
	all, err := s.Deliveries(ctx, webhook.DeliveryQuery{Limit: 1_000})
	require.NoError(t, err)
	require.Len(t, all, stored, "only the events that were accepted may be stored")

	for _, d := range all {
		require.NoError(t, s.Cancel(ctx, now, "", d.ID))
	}
	n, err := s.Prune(ctx, now, webhook.PruneRequest{SucceededBefore: now.Add(time.Second),
		Limit: 10_000})
	require.NoError(t, err)
	require.Equal(t, 2*stored, n)
	require.NoError(t, put(), "the store must work again once there is room")
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	require.NoError(t, open(t, path).Close())
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "INSERT INTO webhooks_migrations (version) VALUES (99)")
	require.NoError(t, err)
	require.NoError(t, db.Close())

	_, err = sqlite.Open(t.Context(), path, sqlite.Config{})
	var newer *sqlstore.NewerSchemaError
	require.ErrorAs(t, err, &newer)
	require.Equal(t, 99, newer.Stored)
	require.Less(t, newer.Known, 99)
}

func TestTablePrefix(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "shop.db")
	var stores []*sqlite.Store
	for _, prefix := range []string{"", "a_", "b_"} {
		s, err := sqlite.Open(ctx, path, sqlite.Config{TablePrefix: prefix})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
		stores = append(stores, s)
	}
	for _, s := range stores {
		all, err := s.Subscriptions(ctx, webhook.SubscriptionQuery{})
		require.NoError(t, err)
		require.Len(t, all, 1, "stores with different prefixes share nothing")
	}
	for _, bad := range []string{"1a", "A", "a-b", "a b", `a"`, "a;drop table x", "ä",
		"abcdefghijklmnopqrstuvwxyz0123456"} {
		_, err := sqlite.Open(ctx, path, sqlite.Config{TablePrefix: bad})
		require.ErrorContains(t, err, "a table prefix is", bad)
	}
}

func TestOpenAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	var group sync.WaitGroup
	failures := make(chan error, 16)
	for range cap(failures) {
		group.Go(func() {
			s, err := sqlite.Open(context.Background(), path, sqlite.Config{BusyTimeout: time.Minute})
			if err == nil {
				err = errors.Join(s.CreateSubscription(context.Background(), sqltest.NewSubscription(),
					webhook.Quota{}), s.Close())
			}
			failures <- err
		})
	}
	group.Wait()
	for range cap(failures) {
		assert.NoError(t, <-failures, "one store migrates, and the others wait for it")
	}
}

func TestMigrateByHand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "shop.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	_, err = sqlstore.New(ctx, db, sqlstore.SQLite(), sqlstore.Config{NoMigrate: true})
	require.ErrorContains(t, err,
		"apply the statements of Migrations, or open the store once without NoMigrate",
		"without tables and without migrating there is no store")

	migrations, err := sqlstore.Migrations(sqlstore.SQLite(), "shop_")
	require.NoError(t, err)
	for i, m := range migrations {
		require.Equal(t, i+1, m.Version)
		_, err := db.ExecContext(ctx, m.SQL)
		require.NoError(t, err)
	}
	s, err := sqlstore.New(ctx, db, sqlstore.SQLite(),
		sqlstore.Config{NoMigrate: true, TablePrefix: "shop_"})
	require.NoError(t, err)
	require.NoError(t, s.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	require.NoError(t, s.Close())
}
