package sqlstore

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tables stands for a database whose tables have a version, and notes what is run.
type tables struct {
	version int
	ran     []string
}

func (t *tables) do(ctx context.Context, _ writeKind, fn func(context.Context, Querier) error) error {
	return fn(ctx, t)
}

func (*tables) close() error { return nil }

func (t *tables) Exec(_ context.Context, query string, _ ...any) (int64, error) {
	t.ran = append(t.ran, query)
	return 0, nil
}

func (t *tables) Query(context.Context, string, ...any) (Rows, error) {
	return &versionRow{version: t.version}, nil
}

// versionRow is the answer to the query for the version.
type versionRow struct {
	version int
	read    bool
}

func (r *versionRow) Next() bool {
	next := !r.read
	r.read = true
	return next
}

func (r *versionRow) Scan(dest ...any) error {
	*dest[0].(*int) = r.version
	return nil
}

func (*versionRow) Err() error   { return nil }
func (*versionRow) Close() error { return nil }

// TestMigrateSteps migrates tables of each version to a second one.
func TestMigrateSteps(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"schema/sqlite_0001.sql": {Data: []byte("CREATE TABLE {p}a (id INTEGER);\n")},
		"schema/sqlite_0002.sql": {Data: []byte("-- More.\nALTER TABLE {p}a ADD b TEXT;\n\n" +
			"DROP TABLE {p}c;\n")},
		"schema/postgres_0003.sql": {Data: []byte("DROP TABLE {p}a;\n")},
	}
	x, err := newExpander(SQLite(), "p_")
	require.NoError(t, err)
	const meta = `CREATE TABLE IF NOT EXISTS p_migrations (version INTEGER PRIMARY KEY)`
	first := []string{meta, "CREATE TABLE p_a (id INTEGER)",
		"INSERT INTO p_migrations (version) VALUES (1)"}
	second := []string{"-- More.\nALTER TABLE p_a ADD b TEXT", "\nDROP TABLE p_c",
		"INSERT INTO p_migrations (version) VALUES (2)"}
	for _, tt := range []struct {
		version int
		ran     []string
	}{
		{0, append(append([]string{meta}, first...), second...)},
		{1, append([]string{meta}, second...)},
		{2, nil},
	} {
		db := &tables{version: tt.version}
		s := &Store{x: x, read: db, writer: db, schema: newSchemaStatements(x)}
		require.NoError(t, s.migrate(t.Context(), files, true))
		assert.Equal(t, tt.ran, db.ran, "tables of version %d", tt.version)

		db.ran = nil
		if err := s.migrate(t.Context(), files, false); tt.version < 2 {
			require.ErrorContains(t, err, "version 2 is needed, and Config.NoMigrate is set")
		} else {
			require.NoError(t, err)
		}
		assert.Empty(t, db.ran, "without migrating, nothing is changed")
	}
	db := &tables{version: 3}
	s := &Store{x: x, read: db, writer: db, schema: newSchemaStatements(x)}
	var newer *NewerSchemaError
	require.ErrorAs(t, s.migrate(t.Context(), files, true), &newer)
	assert.Equal(t, NewerSchemaError{Stored: 3, Known: 2}, *newer)
}
