// Package outage is for work that is tried until it succeeds: how long to wait while it keeps
// failing, and how to log that once.
//
// # What is where
//
//   - [Log] logs that some work fails, and that it succeeds again.
//   - [Throttle] bounds the log lines of a kind.
//   - [KeyedThrottle] bounds them so that those about one key do not crowd out those about others,
//     and tells what it [Held] back.
package outage

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// A Log logs once that some work began to fail, and once that it succeeds again. An outage that
// ends and begins again within a minute is not logged again. It is not safe for concurrent use.
type Log struct {
	logger  *slog.Logger
	op      string
	backoff *backoff.ExponentialBackOff

	startedAt       time.Time // when the outage began; zero if there is none
	startLogged     bool      // its beginning was logged
	lastStartLogged time.Time // when the beginning of an outage was last logged
}

// minBetweenLogs is how long no further beginning of an outage is logged.
const minBetweenLogs = time.Minute

// NewLog returns a Log of an operation, which the messages name as the attribute op.
func NewLog(logger *slog.Logger, op string) *Log {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 50 * time.Millisecond
	b.MaxInterval = 5 * time.Second
	b.MaxElapsedTime = 0 // never give up
	b.Reset()
	return &Log{logger: logger, op: op, backoff: b}
}

// Failed notes an error and returns how long to wait before the next try.
func (l *Log) Failed(ctx context.Context, err error) time.Duration {
	at := time.Now()
	if !l.Ongoing() {
		l.startedAt = at
	}
	if !l.startLogged && (l.lastStartLogged.IsZero() || at.Sub(l.lastStartLogged) >= minBetweenLogs) {
		l.startLogged, l.lastStartLogged = true, at
		l.logger.ErrorContext(ctx, "webhook: the store fails", "op", l.op, "error", err)
	}
	return l.backoff.NextBackOff()
}

// Over notes a success.
func (l *Log) Over(ctx context.Context) {
	if !l.Ongoing() {
		return
	}
	if l.startLogged {
		l.logger.InfoContext(ctx, "webhook: the store works again", "op", l.op, "outage",
			time.Since(l.startedAt).Round(time.Millisecond).String()) // JSON would have nanoseconds
	}
	l.startedAt, l.startLogged = time.Time{}, false
	l.backoff.Reset()
}

// Ongoing reports whether the last call was of Failed.
func (l *Log) Ongoing() bool { return !l.startedAt.IsZero() }

// A Throttle lets one message of a kind pass each minute. It is safe for concurrent use.
type Throttle struct {
	mu         sync.Mutex
	lastPassed time.Time
	skipped    int
}

// Allow reports whether to log now, and how many messages it has held back since
// the last one.
func (t *Throttle) Allow(at time.Time) (skipped int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.lastPassed.IsZero() && at.Sub(t.lastPassed) < time.Minute {
		t.skipped++
		return 0, false
	}
	skipped, t.skipped, t.lastPassed = t.skipped, 0, at
	return skipped, true
}
