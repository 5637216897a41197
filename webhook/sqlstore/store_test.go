package sqlstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// collidingWriter is the writer of transactions that all fail.
type collidingWriter struct {
	errs []error
	runs int
}

func (w *collidingWriter) do(context.Context, writeKind, func(context.Context, Querier) error) error {
	w.runs++
	return w.errs[min(w.runs, len(w.errs))-1]
}

func (*collidingWriter) close() error { return nil }

// sqlState is an error of PostgreSQL.
type sqlState string

func (e sqlState) Error() string    { return "SQLSTATE " + string(e) }
func (e sqlState) SQLState() string { return string(e) }

// The store itself tries again when the database ended a transaction in favour of another one.
func TestCollisionsAreTriedAgain(t *testing.T) {
	t.Parallel()
	x, err := newExpander(PostgreSQL(), "")
	require.NoError(t, err)
	now := time.Now()
	sub := &webhook.Subscription{ID: "wh_1"}
	for name, call := range map[string]func(ctx context.Context, s *Store) error{
		"CreateSubscription": func(ctx context.Context, s *Store) error {
			return s.CreateSubscription(ctx, sub.Clone(), webhook.Quota{})
		},
		"UpdateSubscription": func(ctx context.Context, s *Store) error {
			return s.UpdateSubscription(ctx, sub.Clone(), webhook.Quota{})
		},
		"DeleteSubscription": func(ctx context.Context, s *Store) error {
			return s.DeleteSubscription(ctx, "", sub.ID, 0)
		},
		"Enqueue": func(ctx context.Context, s *Store) error {
			_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: "evt_1"}}, nil)
			return err
		},
		"Claim": func(ctx context.Context, s *Store) error {
			_, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now, Limit: 1, PerEndpoint: 1})
			return err
		},
		"Start": func(ctx context.Context, s *Store) error {
			_, err := s.Start(ctx, now, []webhook.Lease{{DeliveryID: 1}})
			return err
		},
		"Extend": func(ctx context.Context, s *Store) error {
			_, err := s.Extend(ctx, now, []webhook.Lease{{DeliveryID: 1}})
			return err
		},
		"Settle": func(ctx context.Context, s *Store) error {
			_, err := s.Settle(ctx, now, []webhook.Settlement{{Status: webhook.StatusDead}})
			return err
		},
		"Replay": func(ctx context.Context, s *Store) error { return s.Replay(ctx, now, "", 1) },
		"Cancel": func(ctx context.Context, s *Store) error { return s.Cancel(ctx, now, "", 1) },
		"BeginIdempotent": func(ctx context.Context, s *Store) error {
			_, _, err := s.BeginIdempotent(ctx, webhook.IdempotentRequest{}, now)
			return err
		},
		"EndIdempotent": func(ctx context.Context, s *Store) error {
			return s.EndIdempotent(ctx, webhook.IdempotentRequest{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := errors.New("another error")
			writer := &collidingWriter{errs: []error{sqlState("40P01"), sqlState("40001"), other}}
			require.ErrorIs(t, call(t.Context(), &Store{x: x, writer: writer}), other)
			assert.Equal(t, 3, writer.runs)

			writer = &collidingWriter{errs: []error{sqlState("40P01")}}
			require.ErrorIs(t, call(t.Context(), &Store{x: x, writer: writer}), sqlState("40P01"))
			assert.Equal(t, 5, writer.runs, "the number of runs is bounded")
		})
	}
}
