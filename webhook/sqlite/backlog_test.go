package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

func TestBacklogRounds(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	db, err := sql.Open("sqlite", "file:"+made(t, filepath.Join(t.TempDir(), "webhooks.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(t.Context(), db, sqlstore.SQLite(), sqlstore.Config{})
	require.NoError(t, err)
	sqltest.CheckBacklogRounds(t, s, func(statement string, args ...any) {
		_, err := db.ExecContext(t.Context(), statement, args...)
		require.NoError(t, err)
	})
}

func TestOldestDueOfManyEndpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	db, err := sql.Open("sqlite", "file:"+made(t, filepath.Join(t.TempDir(), "webhooks.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(t.Context(), db, sqlstore.SQLite(), sqlstore.Config{})
	require.NoError(t, err)
	sqltest.CheckOldestDue(t, s, func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	})
}
