package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// trouble says how long to wait while a store keeps failing, and logs once that
// it began and once that it is over. What fails again and again is logged no
// more often than once a quietTime.
type outage struct {
	logger  *slog.Logger
	doing   string
	backoff *backoff.ExponentialBackOff

	since  time.Time // when it began; zero if all is well
	logged bool      // that it began
	last   time.Time // when a beginning was logged
}

const quietTime = time.Minute

func newOutage(logger *slog.Logger, doing string) *outage {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 50 * time.Millisecond
	b.MaxInterval = 5 * time.Second
	b.MaxElapsedTime = 0 // for ever
	b.Reset()
	return &outage{logger: logger, doing: doing, backoff: b}
}

// failed notes an error and returns how long to wait before the next try.
func (t *outage) failed(ctx context.Context, err error) time.Duration {
	at := time.Now()
	if !t.ongoing() {
		t.since = at
	}
	if !t.logged && (t.last.IsZero() || at.Sub(t.last) >= quietTime) {
		t.logged, t.last = true, at
		t.logger.ErrorContext(ctx, "webhook: the store fails, trying on", "to", t.doing, "error", err)
	}
	return t.backoff.NextBackOff()
}

// over notes a success.
func (t *outage) over(ctx context.Context) {
	if !t.ongoing() {
		return
	}
	if t.logged {
		t.logger.InfoContext(ctx, "webhook: the store works again", "to", t.doing, "after", time.Since(t.since))
	}
	t.since, t.logged = time.Time{}, false
	t.backoff.Reset()
}

func (t *outage) ongoing() bool { return !t.since.IsZero() }

// A throttle lets one message of a kind pass each quietTime. It is safe for
// concurrent use.
type throttle struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// allow reports whether to log now, and how many messages it has held back since
// the last one.
func (t *throttle) allow(at time.Time) (skipped int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.last.IsZero() && at.Sub(t.last) < quietTime {
		t.skipped++
		return 0, false
	}
	skipped, t.skipped, t.last = t.skipped, 0, at
	return skipped, true
}
