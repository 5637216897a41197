package sqlite

import "context"

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
