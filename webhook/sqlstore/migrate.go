package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// NewerSchemaError says that a newer version of this package has changed the
// tables in a way that this version does not know.
type NewerSchemaError struct {
	// Stored is the version of the tables, Known the newest this package knows.
	Stored, Known int
}

// Error names both versions.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("sqlstore: the tables have schema version %d, and this version of the "+
		"package knows up to %d: use a newer one", e.Stored, e.Known)
}

// Migration is one step of the schema, for a migration tool to apply.
type Migration struct {
	Version int
	// SQL has one or more statements.
	SQL string
}

// Migrations returns the steps from an empty database to the newest schema, for tables with the
// prefix; "" is the default prefix. If a migration tool applies them, set Config.NoMigrate.
func Migrations(dialect Dialect, tablePrefix string) ([]Migration, error) {
	x, err := newExpander(dialect, tablePrefix)
	if err != nil {
		return nil, err
	}
	return migrationsIn(schemaFiles, x)
}

func migrationsIn(files fs.FS, x expander) ([]Migration, error) {
	var migrations []Migration
	for version := 1; ; version++ {
		file, err := fs.ReadFile(files, path.Join("schema",
			fmt.Sprintf("%s_%04d.sql", x.dialect.name(), version)))
		if err != nil {
			return migrations, nil //nolint:nilerr // there is no further version
		}
		statements := string(file) + fmt.Sprintf("INSERT INTO {p}migrations (version) VALUES (%d);\n",
			version)
		if version == 1 {
			statements = migrationsTable + ";\n" + statements
		}
		migrations = append(migrations, Migration{Version: version, SQL: x.words(statements)})
	}
}

const migrationsTable = `CREATE TABLE IF NOT EXISTS {p}migrations (version INTEGER PRIMARY KEY)`

type schemaStatements struct{ table, version string }

func newSchemaStatements(x expander) schemaStatements {
	return schemaStatements{
		table:   x.sql(migrationsTable),
		version: x.sql(`SELECT coalesce(max(version), 0) FROM {p}migrations`),
	}
}

// migrate brings the tables to the newest version. Any number of processes may call it at the same
// time.
func (s *Store) migrate(ctx context.Context, files fs.FS, apply bool) error {
	migrations, err := migrationsIn(files, s.x)
	if err != nil {
		return err
	}
	known := len(migrations)
	// Usually there is nothing to do, and finding that out takes no lock.
	if stored, err := s.schemaVersion(ctx, s.read); err == nil && stored >= known {
		return checkVersion(stored, known)
	} else if !apply {
		if err != nil {
			return fmt.Errorf("sqlstore: no schema version can be read, and Config.NoMigrate is set: "+
				"apply the statements of Migrations, or open the store once without NoMigrate: %w", err)
		}
		return fmt.Errorf("sqlstore: the tables have schema version %d, version %d is needed, and "+
			"Config.NoMigrate is set: "+
			"apply the statements of Migrations that are missing, or open the store once without NoMigrate",
			stored, known)
	}
	for {
		err := s.migrateOnce(ctx, migrations)
		if !s.x.dialect.tooLate(err) && !s.x.dialect.collided(err) {
			return err
		}
		select { // others use the tables meanwhile
		case <-time.After(migrationPause):
		case <-ctx.Done():
			return err
		}
	}
}

// migrationPause is how long a migration leaves the tables alone after others have kept it from them.
const migrationPause = 2 * time.Second

// migrateOnce brings the tables to the newest version, or changes nothing.
func (s *Store) migrateOnce(ctx context.Context, migrations []Migration) error {
	known := len(migrations)
	return s.writer.do(ctx, ofBackground, func(ctx context.Context, q Querier) error {
		if err := s.x.dialect.lockSchema(ctx, q, s.x.prefix); err != nil {
			return err
		}
		if patience := s.x.dialect.schemaPatienceSQL(); patience != "" {
			if _, err := q.Exec(ctx, patience); err != nil {
				return err
			}
		}
		if _, err := q.Exec(ctx, s.schema.table); err != nil {
			return err
		}
		stored, err := s.schemaVersion(ctx, q)
		if err != nil {
			return err
		}
		if stored > known {
			return checkVersion(stored, known)
		}
		for _, m := range migrations[stored:] {
			for statement := range strings.SplitSeq(m.SQL,
				";\n") { // drivers differ in taking several at once
				if strings.TrimSpace(statement) == "" {
					continue
				}
				if _, err := q.Exec(ctx, statement); err != nil {
					return fmt.Errorf("sqlstore: migrating to schema version %d: %w", m.Version, err)
				}
			}
		}
		return nil
	})
}

func (s *Store) schemaVersion(ctx context.Context, q Querier) (int, error) {
	var version int
	_, err := one(ctx, q, s.schema.version, nil, []any{&version})
	return version, err
}

func checkVersion(stored, known int) error {
	if stored > known {
		return &NewerSchemaError{Stored: stored, Known: known}
	}
	return nil
}
