package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// Config configures a Store. The zero value works; a negative number is an error. Unlike
// postgres.Config it has no NoMigrate: Open and New always bring the tables to the newest schema.
type Config struct {
	// TablePrefix begins the names of the tables: see [sqlstore.Config].
	// Defaults to [sqlstore.DefaultTablePrefix].
	TablePrefix string
	// Sealer encrypts the configs of channels in the file: see [sqlstore.Config].
	// Nil stores them in clear.
	Sealer sqlstore.Sealer
	// BusyTimeout is how long a write waits for another process that is
	// writing, before it fails with ErrLocked. Defaults to 10 seconds.
	// For New it must be 0, and so must Readers: both are settings of the caller's handle.
	BusyTimeout time.Duration
	// Readers is how many queries can run at once. Defaults to 4.
	Readers int
}

const (
	defaultBusyTimeout = 10 * time.Second
	defaultReaders     = 4
)

// Store is a [webhook.Store] in a SQLite file. Make one with [Open] or [New].
type Store struct {
	*sqlstore.Store
	writer, reader *sql.DB // both are the caller's handle after New
	ownHandles     bool
	// anchor is a connection that stays open, and with it the log: SQLite removes
	// the log with the last connection.
	anchor   *sql.Conn
	identity identity
	// checkpoints uses the anchor. Nil after New: the caller's handle has its own settings.
	checkpoints *checkpointer
}

// Open opens the file, which it creates if there is none, and brings its tables
// to the newest schema. The directory must exist.
//
// The error says what is wrong with the path or the file: see ErrLocked, ErrFull, ErrIO,
// ErrNotDatabase, ErrNotWritable, and [sqlstore.NewerSchemaError].
func Open(ctx context.Context, path string, config Config) (*Store, error) {
	if config.BusyTimeout < 0 || config.Readers < 0 {
		return nil, errors.New("sqlite: Config.BusyTimeout and Config.Readers must be positive, " +
			"or 0 for the default")
	}
	if config.BusyTimeout == 0 {
		config.BusyTimeout = defaultBusyTimeout
	}
	if config.Readers == 0 {
		config.Readers = defaultReaders
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	return open(ctx, path, config)
}

// open opens the file with further pragmas for the connection that writes.
func open(ctx context.Context, path string, config Config, pragmas ...string) (*Store, error) {
	location, err := fileURI(path)
	if err != nil {
		return nil, err
	}
	// Absolute, because the working directory may change.
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: the path %q: %w", path, err)
	}
	// First, because the others may have to wait for a lock.
	wait := fmt.Sprintf("busy_timeout(%d)", config.BusyTimeout.Milliseconds())
	// On macOS a sync leaves the data in the drive's own cache without these. Elsewhere they have no
	// effect. The connection that does the checkpoints is one of the readers.
	const fullSync, fullCheckpoint = "fullfsync(1)", "checkpoint_fullfsync(1)"
	s := &Store{ownHandles: true}
	if s.writer, err = openDB(location, "immediate",
		append([]string{wait, "journal_mode(WAL)", "synchronous(FULL)", fullSync, fullCheckpoint,
			"cache_size(-16000)",
			fmt.Sprintf("wal_autocheckpoint(%d)", commitCheckpointPages),
			fmt.Sprintf("journal_size_limit(%d)", logLimit)}, pragmas...)); err != nil {
		return nil, err
	}
	if s.reader, err = openDB(location, "deferred", []string{wait, "query_only(1)", fullCheckpoint}); err != nil {
		return nil, errors.Join(err, s.writer.Close())
	}
	s.reader.SetMaxOpenConns(config.Readers + 1) // and the anchor
	s.reader.SetMaxIdleConns(config.Readers)
	var file string // as SQLite knows it: absolute, and where a symbolic link leads
	if err = s.writer.QueryRowContext(ctx, mainFile).Scan(&file); err != nil {
		err = mapError(err)
	} else {
		err = s.start(ctx, file, config, absolute)
	}
	if err != nil {
		_, _ = s.reader.Close(), s.writer.Close()
		return nil, fmt.Errorf("sqlite: opening %s: %w", path, err)
	}
	return s, nil
}

// mainFile asks for the path of the database file.
const mainFile = "SELECT file FROM pragma_database_list WHERE name = 'main'"

// start brings the tables to the newest schema, and keeps the file open. It may have other names.
func (s *Store) start(ctx context.Context, path string, config Config, names ...string) error {
	err := writeBack(ctx, s.writer, path)
	if err != nil {
		return err
	}
	s.Store, err = sqlstore.New(ctx, s.writer, sqlstore.SQLite(), sqlstore.Config{
		TablePrefix: config.TablePrefix, Reader: s.reader, MapError: mapError, Guard: s.guard,
		Sealer: config.Sealer,
	})
	if err != nil {
		return err
	}
	if err := s.hold(ctx, append(names, path), path+"-wal", path+"-shm"); err != nil {
		return errors.Join(err, s.Store.Close())
	}
	if s.ownHandles {
		s.checkpoints = startCheckpointer(s.anchor, s.identity.check)
	}
	return nil
}

// guard runs before each query, and before and after each transaction.
func (s *Store) guard() error {
	if err := s.identity.check(); err != nil {
		return err
	}
	s.checkpoints.committed()
	return nil
}

// hold opens the anchor, and remembers which files are open: the database by its names, its log, and
// the index of its log.
func (s *Store) hold(ctx context.Context, names []string, log, index string) error {
	var err error
	if s.anchor, err = s.reader.Conn(ctx); err != nil {
		return err
	}
	var tables int // a query, because SQLite opens its files with the first one
	if err := s.anchor.QueryRowContext(ctx,
		"SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return errors.Join(err, s.anchor.Close())
	}
	if err := s.identity.remember(names, log, index); err != nil {
		return errors.Join(err, s.anchor.Close())
	}
	return nil
}

// DB returns a handle for the caller's own transactions: see [Tx]. For a Store of New it is the
// caller's handle. For a Store of Open it is a handle of the Store, whose transactions take the
// write lock when they begin and whose commits are durable; do not close it, because [Store.Close]
// does.
//
// While such a transaction is open, the Store's writes wait. So keep it short, and publish in it
// with EmitTx: a call of Emit in between waits for the transaction, and fails with ErrLocked after
// Config.BusyTimeout.
func (s *Store) DB() *sql.DB { return s.writer }

// Close writes the log back into the database file, and closes it. The handle that New was given
// stays open. If another log is in the place of the one that is open, Close leaves both alone, and
// returns ErrReplaced: SQLite would write old pages over newer ones, and remove the other log. Then
// the files stay open until the process ends.
func (s *Store) Close() error {
	s.checkpoints.close()
	anchor := s.anchor.Close()
	if errors.Is(anchor, sql.ErrConnDone) { // Close was called before
		anchor = nil
	}
	err := errors.Join(s.Store.Close(), anchor)
	if replaced := s.identity.otherLog(); s.ownHandles && replaced != nil {
		return errors.Join(err, replaced)
	}
	if s.ownHandles {
		// SQLite does the checkpoint when the last connection is closed.
		err = errors.Join(err, s.reader.Close(), s.writer.Close())
	}
	return err
}

// openDB returns a handle whose transactions begin with the kind of lock.
func openDB(location *url.URL, lock string, pragmas []string) (*sql.DB, error) {
	u := *location
	u.RawQuery = url.Values{"_pragma": pragmas, "_txlock": {lock}}.Encode()
	return sql.Open("sqlite", u.String())
}

// fileURI returns the path as a URI, so that no character has a special meaning.
func fileURI(path string) (*url.URL, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: the path %q: %w", path, err)
	}
	slashed := filepath.ToSlash(absolute)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // file:///C:/webhooks.db
	}
	return &url.URL{Scheme: "file", Path: slashed}, nil
}
