package webhook

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// trouble says how long to wait while a store keeps failing, and logs once that
// it began and once that it is over.
type trouble struct {
	logger  *slog.Logger
	doing   string
	since   time.Time
	backoff *backoff.ExponentialBackOff
}

func newTrouble(logger *slog.Logger, doing string) *trouble {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 50 * time.Millisecond
	b.MaxInterval = 5 * time.Second
	b.MaxElapsedTime = 0 // for ever
	b.Reset()
	return &trouble{logger: logger, doing: doing, backoff: b}
}

// failed notes an error and returns how long to wait before the next try.
func (t *trouble) failed(ctx context.Context, err error) time.Duration {
	if !t.ongoing() {
		t.since = time.Now()
		t.logger.ErrorContext(ctx, "webhook: the store fails, trying on", "to", t.doing, "error", err)
	}
	return t.backoff.NextBackOff()
}

// over notes a success.
func (t *trouble) over(ctx context.Context) {
	if t.ongoing() {
		t.logger.InfoContext(ctx, "webhook: the store works again", "to", t.doing, "after", t.lasted())
		t.since = time.Time{}
		t.backoff.Reset()
	}
}

func (t *trouble) ongoing() bool { return !t.since.IsZero() }

// lasted is how long the trouble has been going on.
func (t *trouble) lasted() time.Duration {
	if !t.ongoing() {
		return 0
	}
	return time.Since(t.since)
}
