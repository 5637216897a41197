package postgres

import "time"

// SetListenQuiet changes how long a connection that listens may be silent.
func (s *Store) SetListenQuiet(d time.Duration) { s.listenQuiet = d }
