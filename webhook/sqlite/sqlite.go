package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// Config changes how a database is opened. The zero Config works.
type Config struct {
	// TablePrefix begins the names of the tables: see [sqlstore.Config].
	// Defaults to [sqlstore.DefaultTablePrefix].
	TablePrefix string
	// Sealer encrypts the configs of channels in the file: see [sqlstore.Config].
	// Nil stores them in clear.
	Sealer sqlstore.Sealer
	// BusyTimeout is how long a write waits for another process that is
	// writing, before it fails with ErrLocked. Defaults to 10 seconds.
	BusyTimeout time.Duration
	// Readers is how many queries can run at once. Defaults to 4.
	Readers int
}

const (
	defaultBusyTimeout = 10 * time.Second
	defaultReaders     = 4
)

// Store is a [webhook.Store] in a SQLite file.
type Store struct {
	*sqlstore.Store
	writer, reader *sql.DB
	path           string
	// file is what the path was when it was opened, nil before that.
	file os.FileInfo
}

// Open opens the file, which it creates if there is none, and brings its tables
// to the newest schema. The directory must exist.
//
// The error says what is wrong with the path or the file: see ErrLocked,
// ErrNotDatabase, ErrNotWritable, and [sqlstore.NewerSchemaError].
func Open(ctx context.Context, path string, config Config) (*Store, error) {
	if config.BusyTimeout <= 0 {
		config.BusyTimeout = defaultBusyTimeout
	}
	if config.Readers <= 0 {
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
	// First, because the others may have to wait for a lock.
	wait := fmt.Sprintf("busy_timeout(%d)", config.BusyTimeout.Milliseconds())
	// Absolute, because the working directory may change.
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: the path %q: %w", path, err)
	}
	s := &Store{path: absolute}
	if s.writer, err = openDB(location, append([]string{wait, "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-16000)"}, pragmas...)); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = openDB(location, []string{wait, "query_only(1)"}); err != nil {
		return nil, errors.Join(err, s.writer.Close())
	}
	s.reader.SetMaxOpenConns(config.Readers)
	s.reader.SetMaxIdleConns(config.Readers)
	s.Store, err = sqlstore.New(ctx, s.writer, sqlstore.SQLite(), sqlstore.Config{
		TablePrefix: config.TablePrefix, Reader: s.reader, MapError: mapError, Written: s.stillThere, Sealer: config.Sealer,
	})
	if err != nil {
		_, _ = s.reader.Close(), s.writer.Close()
		return nil, fmt.Errorf("sqlite: opening %s: %w", path, err)
	}
	if s.file, err = os.Stat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: opening %s: %w", path, err), s.Close())
	}
	return s, nil
}

// stillThere returns ErrReplaced if the path is not the file that was opened. What
// was written has gone to a file that no other process will find.
func (s *Store) stillThere() error {
	if s.file == nil { // migrating
		return nil
	}
	switch info, err := os.Stat(s.path); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s is gone", ErrReplaced, s.path)
	case err != nil:
		return fmt.Errorf("sqlite: looking for the database: %w", err)
	case !os.SameFile(info, s.file):
		return fmt.Errorf("%w: %s is another file", ErrReplaced, s.path)
	}
	return nil
}

// Close writes the log back into the database file, and closes it.
func (s *Store) Close() error {
	// SQLite does the checkpoint when the last connection is closed.
	return errors.Join(s.Store.Close(), s.reader.Close(), s.writer.Close())
}

func openDB(location *url.URL, pragmas []string) (*sql.DB, error) {
	u := *location
	u.RawQuery = url.Values{"_pragma": pragmas}.Encode()
	return sql.Open("sqlite", u.String())
}

// fileURI writes the path as a URI, so that no character of it is taken for
// something else.
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
