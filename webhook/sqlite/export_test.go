package sqlite

import "context"

// OpenWith opens a file with further pragmas for the connection that writes.
func OpenWith(ctx context.Context, path string, pragmas ...string) (*Store, error) {
	return open(ctx, path, Config{BusyTimeout: defaultBusyTimeout, Readers: defaultReaders},
		pragmas...)
}
