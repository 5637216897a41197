package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// listenPatience is how long a connection that listens may be silent before it
// is asked for a sign of life, and how long it may take to give it: one that
// died without being closed stays silent.
type listenPatience struct{ silence, answer time.Duration }

const defaultListenPatience = 30 * time.Second // of each

// Listen calls wake whenever deliveries were committed, by any process, that
// no caller prefetched: those of [sqlstore.Store.EnqueueTx], and of Enqueue without a
// prefetch. It calls wake once more when it begins to listen, so that nothing is
// missed that was committed before.
//
// It takes one connection and blocks until the context ends, which returns nil,
// or the connection is lost, which returns an error: polling goes on finding
// what is due, and Listen can be called again. It first sends itself a
// notification. Behind a pooler that does not pass it on, it returns an error that
// matches ErrNoNotifications, and a Dispatcher polls only.
func (s *Store) Listen(ctx context.Context, wake func()) error {
	err := s.listen(ctx, wake)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the caller wanted it to end
	}
	return fmt.Errorf("postgres: listening: %w", s.mapError(err))
}

func (s *Store) listen(ctx context.Context, wake func()) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// The connection does not go back: it would go on listening there.
	conn := pooled.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := s.tryNotifying(ctx, conn); err != nil {
		return err
	}
	var channel string
	if err := conn.QueryRow(ctx, s.channel, pgx.QueryExecModeExec).Scan(&channel); err != nil {
		return err
	}
	// The name is "webhooks_" and hexadecimal digits.
	if _, err := conn.Exec(ctx, `LISTEN "`+channel+`"`); err != nil {
		return err
	}
	for {
		wake()
		if err := s.waitForNotification(ctx, conn); err != nil {
			return err
		}
	}
}

// tryNotifying listens on a channel of its own and notifies it on another
// connection, whether that comes through.
func (s *Store) tryNotifying(ctx context.Context, conn *pgx.Conn) error {
	name := pgx.Identifier{"webhooks_try_" + rand.Text()}.Sanitize()
	var listens, notifies uint32 // numbers of the server's processes
	err := conn.QueryRow(ctx, "SELECT pg_backend_pid(); LISTEN "+name, pgx.QueryExecModeSimpleProtocol).Scan(&listens)
	if err != nil {
		return err
	}
	err = s.pool.QueryRow(ctx, "SELECT pg_backend_pid(); NOTIFY "+name, pgx.QueryExecModeSimpleProtocol).Scan(&notifies)
	if err != nil {
		return err
	}
	arrived := errNotOwn
	if notifies != listens {
		trial, cancel := context.WithTimeout(ctx, s.listenPatience.answer)
		_, arrived = conn.WaitForNotification(trial)
		cancel()
	}
	if ctx.Err() != nil || conn.IsClosed() {
		return arrived
	}
	if _, err := conn.Exec(ctx, "UNLISTEN "+name); err != nil {
		return err
	}
	if arrived == nil {
		return nil
	}
	session, err := sessionOf(ctx, conn)
	if err != nil {
		return err
	}
	if session.pooled {
		return fmt.Errorf("%w: %w", ErrNoNotifications, arrived)
	}
	return arrived
}

// errNotOwn tells of two connections, open at the same time, that are one to the
// server.
var errNotOwn = errors.New("another connection is served by the same process of the server")

// waitForNotification returns nil when there is one.
func (s *Store) waitForNotification(ctx context.Context, conn *pgx.Conn) error {
	for {
		quiet, cancel := context.WithTimeout(ctx, s.listenPatience.silence)
		_, err := conn.WaitForNotification(quiet)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		alive, cancel := context.WithTimeout(ctx, s.listenPatience.answer)
		err = conn.Ping(alive)
		cancel()
		if err != nil {
			return err
		}
	}
}
