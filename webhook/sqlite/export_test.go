package sqlite

import (
	"context"
	"os"
)

// MapError is what the errors of transactions of the caller are mapped by, too.
var MapError = mapError

// OpenWith opens a file with further pragmas for the connection that writes.
func OpenWith(ctx context.Context, path string, pragmas ...string) (*Store, error) {
	return open(ctx, path, Config{BusyTimeout: defaultBusyTimeout, Readers: defaultReaders},
		pragmas...)
}

// Checkpoint does one now, as the Store does beside its commits.
func (s *Store) Checkpoint() error {
	_, _, err := s.checkpoints.do(context.Background(), "PASSIVE")
	return err
}

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
	return written(f, make([]byte, 1<<10))
}
