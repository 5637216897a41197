package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// writeBack makes durable what an earlier process has left in the log. The transaction in which
// a sync failed has failed, too, but its pages may be complete in the log. Then the next process that
// opens the file reads it as committed, and appends to it. No later sync writes those pages: Linux
// takes them for written, although the sync failed. So if the power failed, the log would end before
// them, and lose all that was accepted since. This writes them once more, so that the sync at its end
// has something to sync.
//
// What is durable already keeps what it holds, since the same is written there again.
//
// It holds the write lock, with which nothing else changes the log. If it does not get the lock, it
// returns ErrLocked: that another process has done this cannot be known.
func (s *Store) writeBack(ctx context.Context, path string) error {
	switch info, err := os.Stat(path + "-wal"); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrIO, err)
	case info.Size() == 0:
		return nil
	}
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // back to the handle
	if err := waitForLock(ctx, s.patience, func() error {
		_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		return err
	}); err != nil {
		return mapError(err)
	}
	err = rewrite(ctx, path+"-wal")
	_, ending := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return errors.Join(err, ending)
}

// unsyncedMark is the name of a file that says that the sync of a checkpoint has failed, so that what
// it copied may be on no disk: see giveUp. The mark need not survive a loss of power, because SQLite
// starts from the log then.
func unsyncedMark(path string) string { return path + "-unsynced" }

// unmarked returns ErrIO if the file has the mark.
func unmarked(path string) error {
	switch _, err := os.Lstat(unsyncedMark(path)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fileError(err)
	}
	return fmt.Errorf("%w: a sync has failed, as %s says: end each process that has the file open, and "+
		"open it with Open", ErrIO, unsyncedMark(path))
}

// copyAgain copies all of the log into a file that has the mark, and removes the mark. It needs the
// file for itself: then SQLite makes a new index of the log, in which nothing counts as copied.
func copyAgain(ctx context.Context, path string, patience time.Duration) error {
	var marked error
	err := waitForLock(ctx, patience, func() error {
		if marked = unmarked(path); marked == nil {
			return nil // or another process has done it meanwhile
		}
		return copyAlone(ctx, path)
	})
	if errors.Is(err, ErrLocked) {
		return marked
	}
	return err
}

// copyAlone returns ErrLocked if another process has the file open. It waits for nothing: SQLite would
// keep its shared lock while it waits for the exclusive one, and two processes would wait for each
// other.
func copyAlone(ctx context.Context, path string) (err error) {
	location, err := fileURI(path)
	if err != nil {
		return err
	}
	db, err := openDB(location, "deferred", []string{busyTimeout(0), "checkpoint_fullfsync(1)",
		"locking_mode(EXCLUSIVE)", "wal_autocheckpoint(0)"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return mapError(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var tables, busy, log, copied int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return mapError(err)
	}
	// The log may end in pages that a failed sync has left on no disk: see writeBack.
	if err := rewrite(ctx, path+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = conn.QueryRowContext(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint(TRUNCATE)").
		Scan(&busy, &log, &copied)
	switch {
	case err != nil:
		return mapError(err)
	case busy != 0 || log != copied:
		return ErrLocked
	}
	if err := os.Remove(unsyncedMark(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError(err)
	}
	return nil
}

// rewrite writes to a log what it holds, and syncs it.
func rewrite(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fileError(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	part := make([]byte, 1<<20)
	size, err := written(f)
	for at := int64(0); err == nil && at < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := int(min(size-at, int64(len(part))))
		if n, err = f.ReadAt(part[:n], at); n == 0 {
			break // it is as long as that, so there is an error
		}
		if _, err = f.WriteAt(part[:n], at); err == nil {
			if wrote := rewrote.Load(); wrote != nil {
				(*wrote)(path, part[:n], at)
			}
		}
		at += int64(n)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fileError(err)
	}
	if wrote := rewrote.Load(); wrote != nil {
		(*wrote)(path, nil, 0)
	}
	return nil
}

// fileError adds to an error of the operating system which error of this package it is.
func fileError(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", ErrNotWritable, err)
	}
	return fmt.Errorf("%w: %w", ErrIO, err)
}

// The sizes of the header of a log and of that of a frame, and where both have the salt, of 8 bytes
// (the format: https://www.sqlite.org/fileformat2.html#walformat).
const (
	logHeader, frameHeader = 32, 24
	logSalt, frameSalt     = 16, 8
	logPageSize            = 8
)

// written returns how many bytes of a log have been written since SQLite last started it again: the
// frames with the salt of its header. SQLite no longer reads those behind them.
func written(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil || info.Size() <= logHeader {
		return 0, err
	}
	var header [logHeader]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return 0, err
	}
	page := int64(binary.BigEndian.Uint32(header[logPageSize:]))
	if page < 512 || page > 65536 {
		return 0, nil // it is no header, and SQLite reads nothing of it
	}
	salt := header[logSalt : logSalt+8]
	var part [frameHeader]byte
	at := int64(logHeader)
	for frame := frameHeader + page; at+frame <= info.Size(); at += frame {
		if _, err := f.ReadAt(part[:], at); err != nil {
			return 0, err
		}
		if !bytes.Equal(part[frameSalt:frameSalt+8], salt) {
			break
		}
	}
	return at, nil
}

// rewrote is told of each write of rewrite, and without data of the sync, by tests that record what
// happens to a disk.
var rewrote atomic.Pointer[func(path string, data []byte, at int64)]
