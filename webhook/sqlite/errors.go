package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Errors that say what is wrong with the database file. The errors of this package and of the
// Store's methods match them with errors.Is. All but ErrNotDatabase match [webhook.ErrUnavailable]
// too. After ErrIO, ErrCorrupt and ErrReplaced, the call may have stored its data; after the others
// it has stored nothing.
var (
	// ErrFull means that the disk, or the database's size limit, is full. The Store continues when
	// there is room again.
	ErrFull = webhook.Unavailable("sqlite: the disk is full")
	// ErrLocked means that another process held the file longer than
	// Config.BusyTimeout. Trying again later may succeed.
	ErrLocked = webhook.Unavailable("sqlite: the database is locked by another process")
	// ErrNotDatabase means that the file is not a SQLite database.
	ErrNotDatabase = errors.New("sqlite: the file is not a SQLite database")
	// ErrNotWritable means that the file, or the log that SQLite keeps next to it, cannot be opened
	// for writing, usually because of the permissions of the file or its directory.
	ErrNotWritable = webhook.Unavailable(
		"sqlite: the database file or its directory cannot be opened for writing")
	// ErrIO means that the operating system could not read or write the file. If it could not sync what
	// it wrote back from the log, which the error says, all methods of all processes return ErrIO from
	// then on: what was accepted is in the log, and must be in the file before anything else is written.
	// See to the disk, and end each process that has the file open. The first that opens it then, with
	// Open, writes the log back. A sync of a commit that fails usually ends in this too, because the
	// operating system tells each open file of it.
	ErrIO = webhook.Unavailable("sqlite: reading or writing the database file failed")
	// ErrCorrupt means that the file is damaged, or that a part of it cannot be
	// read: SQLite answers SQLITE_CORRUPT to some errors of the disk as well.
	ErrCorrupt = webhook.Unavailable("sqlite: the database is damaged, or its disk cannot be read")
	// ErrReplaced means that the file, or the log that SQLite keeps next to it, or the log's index,
	// was removed, moved or replaced while it was open. Data that SQLite stored now would be lost
	// with the old file. All methods return this error until the file is back in its place, or the
	// path is opened again.
	ErrReplaced = webhook.Unavailable(
		"sqlite: the database file was removed or replaced while it was open")
)

// mapError adds to a driver's error which of the above it is.
func mapError(err error) error {
	var driverError *sqlite.Error
	if !errors.As(err, &driverError) {
		return err
	}
	switch driverError.Code() & 0xff { // the rest says where it happened
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
		sqlite3.SQLITE_PROTOCOL: // another process has been reading a long log for seconds
		return fmt.Errorf("%w: %w", ErrLocked, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrNotDatabase, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: %w", ErrNotWritable, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%w: %w", ErrIO, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// checkPath returns clearer errors for what SQLite only calls "unable to open".
func checkPath(path string) error {
	if path == "" || path == ":memory:" {
		return errors.New("sqlite: a path is required, such as /var/lib/shop/webhooks.db; for a store " +
			"in memory use package memstore")
	}
	directory := filepath.Dir(path)
	switch info, err := os.Stat(directory); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("sqlite: opening %s: the directory %s does not exist: %w", path, directory, err)
	case err != nil:
		return fmt.Errorf("sqlite: opening %s: %w", path, err)
	case !info.IsDir():
		return fmt.Errorf("sqlite: opening %s: %s is not a directory", path, directory)
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it will be created
	case err != nil:
		return fmt.Errorf("sqlite: opening %s: %w", path, err)
	case info.IsDir():
		return fmt.Errorf("sqlite: opening %s: it is a directory", path)
	}
	return nil
}
