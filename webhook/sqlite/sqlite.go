package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
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
	// writer is for the Store's writes, and callers for transactions of the caller: see DB. All three are
	// the caller's handle after New.
	writer, callers, reader *sql.DB
	ownHandles              bool
	path                    string        // of the file, as SQLite knows it
	patience                time.Duration // Config.BusyTimeout
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

// open opens the file with further pragmas for the connections that write.
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
	names := []string{absolute} // SQLite goes by where a link leads, but by the link's name on Windows
	if resolved, err := filepath.EvalSymlinks(absolute); err == nil && resolved != absolute {
		names = append(names, resolved)
	}
	for _, name := range names {
		if err := copyAgain(ctx, name, config.BusyTimeout); err != nil {
			return nil, fmt.Errorf("sqlite: opening %s: %w", path, err)
		}
	}
	// First, because the others may have to wait for a lock.
	wait := busyTimeout(config.BusyTimeout)
	// On macOS a sync leaves the data in the drive's own cache without these. Elsewhere they have no
	// effect. The connection that does the checkpoints is one of the readers.
	const fullSync, fullCheckpoint = "fullfsync(1)", "checkpoint_fullfsync(1)"
	const commitCheckpoints = "wal_autocheckpoint(0)" // none: see checkpointer
	writing := append([]string{wait, "journal_mode(WAL)", "synchronous(FULL)", fullSync, fullCheckpoint,
		"cache_size(-16000)", fmt.Sprintf("journal_size_limit(%d)", logLimit)}, pragmas...)
	// It follows the other pragmas, which wait: the driver runs busy_timeout first, and the others in
	// the order of their names. See waitForLock.
	const noWait = commitCheckpoints + "; PRAGMA busy_timeout(0)"
	s := &Store{ownHandles: true, patience: config.BusyTimeout}
	if s.writer, err = openDB(location, "immediate", append(slices.Clone(writing), noWait)); err == nil {
		s.callers, err = s.openCallers(dsn(location, "immediate", append(writing, commitCheckpoints)))
	}
	if err == nil {
		s.reader, err = openDB(location, "deferred", []string{wait, "query_only(1)", fullCheckpoint})
	}
	if err != nil {
		return nil, errors.Join(err, s.closeHandles())
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
		_ = s.closeHandles()
		return nil, fmt.Errorf("sqlite: opening %s: %w", path, err)
	}
	return s, nil
}

// mainFile asks for the path of the database file.
const mainFile = "SELECT file FROM pragma_database_list WHERE name = 'main'"

// start brings the tables to the newest schema, and keeps the file open. It may have other names.
func (s *Store) start(ctx context.Context, path string, config Config, names ...string) error {
	s.path = path
	err := unmarked(path)
	if err == nil {
		err = s.writeBack(ctx, path)
	}
	if err != nil {
		return err
	}
	s.Store, err = sqlstore.New(ctx, s.writer, sqlstore.SQLite(), sqlstore.Config{
		TablePrefix: config.TablePrefix, Reader: s.reader, MapError: mapError, Guard: s.guard,
		Begin: s.begin, Sealer: config.Sealer,
	})
	if err != nil {
		return err
	}
	if err := s.hold(ctx, append(names, path), path+"-wal", path+"-shm"); err != nil {
		return errors.Join(err, s.Store.Close())
	}
	if !s.ownHandles {
		return nil
	}
	s.checkpoints, err = startCheckpointer(ctx, s.anchor, s.patience, s.check,
		func() error { return os.WriteFile(unsyncedMark(path), nil, 0o600) })
	if err != nil {
		return errors.Join(err, s.anchor.Close(), s.Store.Close())
	}
	return nil
}

// begin calls fn, which begins a transaction of the Store that writes.
func (s *Store) begin(ctx context.Context, fn func() error) error {
	begun := time.Now() // the wait for a turn counts, too
	return s.checkpoints.begin(ctx, func() error {
		return waitForLock(ctx, s.patience-time.Since(begun), fn)
	})
}

// waitForLock calls fn, which takes the write lock, until no other transaction holds it. SQLite's own
// waiting looks every 100 milliseconds in the end. With that, one of several processes that write
// without a pause gets no turn for seconds, and it does not hear that the context has ended.
func waitForLock(ctx context.Context, patience time.Duration, fn func() error) error {
	const shortest, longest = 100 * time.Microsecond, 2 * time.Millisecond
	begun := time.Now()
	for wait := shortest; ; wait = min(2*wait, longest) {
		err := fn()
		if err == nil || !errors.Is(mapError(err), ErrLocked) || time.Since(begun) >= patience {
			return err
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)): // so that processes do not look in step
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// check returns an error while the open files are not those of the database any more, or while the
// database file has the mark of a failed sync, perhaps of another process.
func (s *Store) check() error { return cmp.Or(s.identity.check(), unmarked(s.path)) }

// guard runs before each query, and before and after each transaction.
func (s *Store) guard() error {
	if err := cmp.Or(s.checkpoints.failed(), s.check()); err != nil {
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

// Close writes the log back into the database file, and closes it. The handle that New was given
// stays open. If another log is in the place of the one that is open, Close leaves both alone, and
// returns ErrReplaced: SQLite would write old pages over newer ones, and remove the other log. After
// an ErrIO that ended all writing, Close leaves the log to the next process, and returns that error.
// In both cases the files stay open until the process ends. If the last checkpoint fails, the log
// stays, and Close returns no error.
func (s *Store) Close() error {
	s.checkpoints.close()
	err := s.Store.Close()
	if !s.ownHandles {
		return errors.Join(err, s.closeAnchor())
	}
	if left := cmp.Or(s.checkpoints.failed(), unmarked(s.path), s.identity.otherLog()); left != nil {
		return errors.Join(err, left)
	}
	// SQLite does the checkpoint when the last connection is closed.
	return errors.Join(err, s.closeAnchor(), s.closeHandles())
}

func (s *Store) closeAnchor() error {
	err := s.anchor.Close()
	if errors.Is(err, sql.ErrConnDone) {
		return nil // Close was called before
	}
	return err
}

// closeHandles closes those that were opened.
func (s *Store) closeHandles() error {
	var err error
	for _, db := range []*sql.DB{s.reader, s.callers, s.writer} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// busyTimeout is the pragma with which SQLite waits for a lock.
func busyTimeout(d time.Duration) string { return fmt.Sprintf("busy_timeout(%d)", d.Milliseconds()) }

// openDB returns a handle whose transactions begin with the kind of lock.
func openDB(location *url.URL, lock string, pragmas []string) (*sql.DB, error) {
	return sql.Open("sqlite", dsn(location, lock, pragmas))
}

func dsn(location *url.URL, lock string, pragmas []string) string {
	u := *location
	u.RawQuery = url.Values{"_pragma": pragmas, "_txlock": {lock}}.Encode()
	return u.String()
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
