package sqlite

import (
	"context"
	"errors"
	"os"
)

// MapError is what the errors of transactions of the caller are mapped by, too.
var MapError = mapError

// OpenWith opens a file with further pragmas for the connections that write.
func OpenWith(ctx context.Context, path string, pragmas ...string) (*Store, error) {
	return open(ctx, path, Config{BusyTimeout: defaultBusyTimeout, Readers: defaultReaders},
		pragmas...)
}

// Checkpoint does one now, as the Store does beside its commits.
func (s *Store) Checkpoint() error { return s.checkpoint("PASSIVE") }

// Restart does one now, as the last step of what the Store does when the log is long.
func (s *Store) Restart() error { return s.checkpoint("RESTART") }

func (s *Store) checkpoint(kind string) error {
	_, _, err := s.checkpoints.do(kind)
	return err
}

// GaveUp reports whether the Store writes no more.
func (s *Store) GaveUp() bool { return s.checkpoints.failed() != nil }

// CloseAll closes what Close leaves open.
func (s *Store) CloseAll() error { return errors.Join(s.closeAnchor(), s.closeHandles()) }

// OnRewrite has fn told of what is written to logs that earlier processes have left, and without
// data of the sync behind it.
func OnRewrite(fn func(path string, data []byte, at int64)) { rewrote.Store(&fn) }

// Written returns how many bytes of a log are in use.
func Written(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	return written(f)
}

// WaitForLock is how the Store waits for another process that writes.
var WaitForLock = waitForLock

// Restarting reports whether a transaction of the Store begins, or whether none may, so that the log
// can be started again.
func (s *Store) Restarting() bool { return len(s.checkpoints.gate) > 0 }
