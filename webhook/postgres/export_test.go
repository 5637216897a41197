package postgres

import (
	"context"
	"time"
)

// SetListenPatience changes how long a connection that listens may be silent.
func (s *Store) SetListenPatience(d time.Duration) { s.listenPatience = d }

// Setting returns a setting of the connections.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.pool.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value)
	return value, err
}
