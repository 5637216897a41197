package postgres

import (
	"context"
	"time"
)

// SetListenPatience changes how long a connection that listens may be silent, and
// how long it may then take to answer.
func (s *Store) SetListenPatience(silence, answer time.Duration) {
	s.listenPatience = listenPatience{silence, answer}
}

// Setting returns a setting of the store's transactions.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT current_setting($1)", name).Scan(&value)
	return value, err
}
