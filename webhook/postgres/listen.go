package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// listenPatience is how long a listening connection may be silent before it is pinged, and how long
// the answer may take. A connection that died without being closed stays silent.
type listenPatience struct{ silence, answer time.Duration }

const defaultListenPatience = 30 * time.Second // of each

// Listen calls wake whenever any process commits deliveries that no caller prefetched: those of
// [sqlstore.Store.EnqueueTx], and of Enqueue without a prefetch. It also calls wake once when it
// begins to listen, so that deliveries that were committed before are not missed.
//
// Listen takes one connection out of the pool for good, and blocks. First it sends a notification
// to itself: if a pooler does not deliver it, Listen returns an error that matches
// ErrNoNotifications. It returns nil when ctx ends, and an error when the connection is lost, which
// it notices after at most 60 seconds of silence; it can then be called again. Meanwhile a
// Dispatcher finds due deliveries by polling.
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
	// The connection does not go back to the pool, where it would still listen.
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
	for payload := ""; ; {
		s.Notified(payload)
		wake()
		if payload, err = s.waitForNotification(ctx, conn); err != nil {
			return err
		}
	}
}

// tryNotifying listens on a channel of its own, notifies it on another connection, and returns an
// error if the notification does not arrive.
func (s *Store) tryNotifying(ctx context.Context, conn *pgx.Conn) error {
	name := pgx.Identifier{"webhooks_try_" + rand.Text()}.Sanitize()
	var listens, notifies uint32 // numbers of the server's processes
	err := conn.QueryRow(ctx, "SELECT pg_backend_pid(); LISTEN "+name,
		pgx.QueryExecModeSimpleProtocol).Scan(&listens)
	if err != nil {
		return err
	}
	err = s.pool.QueryRow(ctx, "SELECT pg_backend_pid(); NOTIFY "+name,
		pgx.QueryExecModeSimpleProtocol).Scan(&notifies)
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

// errNotOwn says that two connections that are open at the same time are one connection to the
// server.
var errNotOwn = errors.New("another connection is served by the same process of the server")

// waitForNotification returns the payload of the next one.
func (s *Store) waitForNotification(
	ctx context.Context, conn *pgx.Conn,
) (payload string, err error) {
	for {
		quiet, cancel := context.WithTimeout(ctx, s.listenPatience.silence)
		n, err := conn.WaitForNotification(quiet)
		cancel()
		if err == nil {
			return n.Payload, nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return "", err
		}
		alive, cancel := context.WithTimeout(ctx, s.listenPatience.answer)
		err = conn.Ping(alive)
		cancel()
		if err != nil {
			return "", err
		}
	}
}
