package postgres_test

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// impatient is a store whose calls fail when they take longer than its patience.
type impatient struct {
	*postgres.Store
	patience time.Duration
}

// Enqueue implements [webhook.Queue].
func (s impatient) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.Store.Enqueue(ctx, now, events, prefetch)
}

// Claim implements [webhook.Queue].
func (s impatient) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.Store.Claim(ctx, now, r)
}

// Settle implements [webhook.Queue].
func (s impatient) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.Store.Settle(ctx, now, settlements)
}

// Subscription implements [webhook.SubscriptionStore].
func (s impatient) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.Store.Subscription(ctx, organizationID, id)
}

// outageLog counts what a Dispatcher logs about the outages of its store.
type outageLog struct {
	mu           sync.Mutex
	began, ended map[string]int
	causes       []error
}

// Handle implements [slog.Handler].
func (l *outageLog) Handle(_ context.Context, r slog.Record) error {
	var doing string
	var cause error
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "op":
			doing = a.Value.String()
		case "error":
			cause, _ = a.Value.Any().(error)
		}
		return true
	})
	if doing == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Level == slog.LevelError {
		l.began[doing]++
		l.causes = append(l.causes, cause)
	} else {
		l.ended[doing]++
	}
	return nil
}

func (l *outageLog) allEnded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for doing, n := range l.began {
		// The Dispatcher prunes again only after a minute.
		pruning := doing == "prune deliveries" || doing == "find what has expired"
		if !pruning && l.ended[doing] != n {
			return false
		}
	}
	return true
}

// Enabled implements [slog.Handler].
func (l *outageLog) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements [slog.Handler].
func (l *outageLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler].
func (l *outageLog) WithGroup(string) slog.Handler { return l }
