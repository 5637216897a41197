package dispatch_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func (s *failingStore) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	if s.down.Load() {
		return webhook.Totals{}, errStoreDown
	}
	return s.Store.Totals(ctx, now, q)
}

func (s *failingStore) Ping(ctx context.Context) error {
	if s.down.Load() {
		return errStoreDown
	}
	return s.Store.Ping(ctx)
}

func TestStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &failingStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{MaxInFlightPerEndpoint: 2}, func(
			ctx context.Context, m *channel.Message,
		) (channel.Result, error) {
			<-release
			return accept(ctx, m)
		})
		sub := b.subscribe(t, "*")
		stats := func() dispatch.Stats {
			t.Helper()
			s, err := b.Stats(t.Context())
			require.NoError(t, err)
			assert.True(t, time.Now().Equal(s.At))
			return s
		}
		first := stats()
		assert.Equal(t, dispatch.Stats{At: first.At, Processes: &dispatch.ProcessCounts{},
			Process: dispatch.ProcessStats{ID: first.Process.ID, Name: first.Process.Name}}, first,
			"a process that does nothing")
		began := time.Now()
		b.emit(t, event.ObjectCreated)
		elapse(10 * time.Second)
		s := stats()
		assert.EqualValues(t, 1, s.Stored.Pending)
		assert.Equal(t, 10*time.Second, s.OldestDueAge())
		assert.Zero(t, s.OldestLeasedAge())

		stop := b.run(t)
		synctest.Wait()
		for range 4 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(5 * time.Second)
		s = stats()
		assert.EqualValues(t, 5, s.Stored.InFlight+s.Stored.Pending)
		p := s.Process
		assert.True(t, p.Running)
		assert.Equal(t, 2, p.InFlight)
		assert.GreaterOrEqual(t, p.Workers, 2)
		assert.EqualValues(t, p.Leased, s.Stored.InFlight)
		assert.Equal(t, p.Leased, p.InFlight+p.Queued)
		assert.Equal(t, p.Queued > 0, p.QueuedBytes > 0)
		assert.True(t, began.Equal(p.OldestLeased))
		assert.Equal(t, 15*time.Second, s.OldestLeasedAge())
		assert.WithinDuration(t, time.Now(), p.LastClaim, time.Second)

		totals, err := b.Totals(t.Context(), webhook.TotalsQuery{OrganizationID: sub.OrganizationID})
		require.NoError(t, err)
		assert.Equal(t, s.Stored, totals)
		totals, err = b.Totals(t.Context(), webhook.TotalsQuery{OrganizationID: "org\x00"})
		require.NoError(t, err)
		assert.Equal(t, webhook.Totals{}, totals)

		store.down.Store(true)
		failed, err := b.Stats(t.Context())
		require.ErrorIs(t, err, errStoreDown)
		assert.Equal(t, 2, failed.Process.InFlight, "the process is known without the store")
		store.down.Store(false)
		close(release)
		elapse(time.Minute)
		stop()
		s = stats()
		assert.Equal(t, webhook.Totals{}, s.Stored)
		assert.False(t, s.Process.Running)
		assert.Zero(t, s.Process.Workers+s.Process.InFlight+s.Process.Leased+s.Process.Queued)
	})
}

func TestStatsOfTrippedBreakers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := true
		b := newBench(t, dispatch.Config{PollInterval: slowPoll, Retry: dispatch.RetrySchedule{24 * time.Hour}},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				if down {
					return channel.Result{}, status(503)
				}
				return accept(ctx, m)
			})
		subs := []*webhook.Subscription{b.subscribe(t, "*"), b.subscribe(t, "*")}
		b.run(t)
		open := func() int {
			t.Helper()
			s, err := b.Stats(t.Context())
			require.NoError(t, err)
			return s.Process.TrippedBreakers
		}
		fail := func() {
			for range breaker.FailureThreshold {
				b.emit(t, event.ObjectCreated)
				elapse(2 * time.Second)
			}
		}
		fail()
		assert.Equal(t, 2, open())
		subs[0].Name = "changed"
		require.NoError(t, b.UpdateSubscription(t.Context(), subs[0]))
		assert.Equal(t, 1, open(), "a change makes the process forget it")
		down = false
		b.emit(t, event.ObjectCreated)
		elapse(2 * time.Minute)
		assert.Zero(t, open(), "an answer makes it healthy")
		down = true
		fail()
		elapse(30 * time.Minute)
		require.NoError(t, b.DeleteSubscription(t.Context(), "", subs[0].ID, 0))
		require.NoError(t, b.DeleteSubscription(t.Context(), "", subs[1].ID, 0))
		assert.Zero(t, open())
	})
}
