package dispatch_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// takes is a channel that answers after a while.
func takes(d time.Duration, calls *atomic.Int64) channel.Func {
	return func(ctx context.Context, m *channel.Message) (channel.Result, error) {
		calls.Add(1)
		select {
		case <-time.After(d):
			return accept(ctx, m)
		case <-ctx.Done():
			return channel.Result{}, ctx.Err()
		}
	}
}

func (b *testBench) count(t *testing.T, status webhook.Status) int {
	t.Helper()
	return len(b.deliveries(t, webhook.DeliveryQuery{Status: status, Limit: 10_000}))
}

func TestDrainDeliversWithoutRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		b := newBench(t, dispatch.Config{}, takes(10*time.Second, &calls))
		b.subscribe(t, "*")
		const events = 1000 // more than one claim brings
		for range events {
			b.emit(t, event.ObjectCreated)
		}
		for range 2 { // the second has nothing to do
			require.NoError(t, b.Drain(t.Context()))
			assert.Equal(t, events, b.count(t, webhook.StatusSucceeded))
		}
		assert.EqualValues(t, events, calls.Load())
		b.run(t)() // can be called afterwards
	})
}

func TestDrainWaitsForRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		b := newBench(t, dispatch.Config{}, takes(10*time.Second, &calls))
		b.subscribe(t, "*")
		stop := b.run(t)
		b.emit(t, event.ObjectCreated)
		start := time.Now()
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(start), "as soon as the result is stored")
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(start), "at once if there is nothing to do")
		b.emit(t, event.ObjectCreated)
		stop()
	})
}

func TestRunGoesOnAfterADrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		b := newBench(t, dispatch.Config{}, takes(10*time.Second, &calls))
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		var drained sync.WaitGroup
		drained.Go(func() { assert.NoError(t, b.Drain(t.Context())) })
		synctest.Wait()
		b.run(t) // is called late, as by a goroutine that was just started
		drained.Wait()
		b.emit(t, event.ObjectCreated)
		elapse(11 * time.Second)
		assert.Equal(t, 2, b.count(t, webhook.StatusSucceeded))

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, b.Run(ended), dispatch.ErrRunning)
	})
}

func TestRunEndsWhileADrainWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		b := newBench(t, dispatch.Config{}, takes(10*time.Second, &calls))
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		var drained sync.WaitGroup
		drained.Go(func() { assert.NoError(t, b.Drain(t.Context())) })
		synctest.Wait()
		b.run(t)()
		drained.Wait()
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}

func TestDrainDoesTheWorkOfARunThatEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		b := newBench(t, dispatch.Config{MaxInFlight: 1}, takes(time.Second, &calls))
		b.subscribe(t, "*")
		stop := b.run(t)
		for range 10 {
			b.emit(t, event.ObjectCreated)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { assert.NoError(t, b.Drain(t.Context())) })
		}
		elapse(1500 * time.Millisecond)
		stop()
		all.Wait()
		assert.Equal(t, 10, b.count(t, webhook.StatusSucceeded))
		assert.EqualValues(t, 10, calls.Load())
	})
}

func TestDrainLeavesWhatIsNotDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events = 100
		b := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{0, time.Hour}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{}, &channel.Error{Action: channel.Permanent}
			})
		sub := b.subscribe(t, event.ObjectCreated)
		paused := b.subscribe(t, event.ObjectDeleted)
		paused.Paused = true
		require.NoError(t, b.UpdateSubscription(t.Context(), paused))
		b.emit(t, event.ObjectCreated)
		b.emit(t, event.ObjectDeleted)
		start := time.Now()
		require.NoError(t, b.Drain(t.Context()))
		assert.Zero(t, time.Since(start))
		list := b.deliveries(t, webhook.DeliveryQuery{SubscriptionID: sub.ID})
		require.Len(t, list, 1)
		assert.Equal(t, webhook.StatusDead, list[0].Status)
		list = b.deliveries(t, webhook.DeliveryQuery{SubscriptionID: paused.ID})
		require.Len(t, list, 1)
		assert.Empty(t, list[0].Attempts)

		elsewhere := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{0, time.Hour}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{}, errors.New("no connection")
			})
		elsewhere.subscribe(t, "*")
		for range events {
			elsewhere.emit(t, event.ObjectCreated)
		}
		start = time.Now()
		require.NoError(t, elsewhere.Drain(t.Context()))
		assert.Less(t, time.Since(start), time.Second, "the endpoint is left alone")
		assert.Equal(t, events, elsewhere.count(t, webhook.StatusPending))
	})
}

func TestDrainMakesRetriesThatAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{Retry: dispatch.RetrySchedule{0, 0, time.Hour}},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{}, errors.New("no connection")
			})
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		require.NoError(t, b.Drain(t.Context()))
		d := b.only(t)
		assert.Equal(t, webhook.StatusPending, d.Status)
		assert.Len(t, d.Attempts, 3)
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		b := newBench(t, dispatch.Config{
			DrainTimeout: 10 * time.Second, AttemptTimeout: time.Hour, MaxAttemptTimeout: time.Hour,
		}, takes(time.Hour, &calls))
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		drain := func() time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			require.ErrorIs(t, b.Drain(ctx), context.DeadlineExceeded)
			return time.Since(start)
		}
		assert.Equal(t, 70*time.Second, drain(), "on its own, Drain ends as Run does")
		assert.Equal(t, webhook.StatusPending, b.only(t).Status)

		stop := b.run(t)
		synctest.Wait()
		assert.Equal(t, time.Minute, drain(), "Run goes on")
		assert.Equal(t, webhook.StatusInFlight, b.only(t).Status)
		stop()

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, b.Drain(ended), context.Canceled)
	})
}

func TestDrainWaitsForHooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		cfg := dispatch.Config{Channels: channel.NewRegistry()}
		require.NoError(t, cfg.Channels.Register("webhook", channel.Func(accept)))
		cfg.Hooks.Attempted = func(dispatch.Result) {
			time.Sleep(time.Minute)
			told.Add(1)
		}
		d, err := dispatch.New(memstore.New(), cfg)
		require.NoError(t, err)
		b := &testBench{Dispatcher: d}
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		b.emit(t, event.ObjectCreated)
		require.NoError(t, b.Drain(t.Context()))
		assert.EqualValues(t, 2, told.Load())
	})
}

func TestDrainFailsOnlyWithItsContextWhileTheStoreFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{}, accept)
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		store.down.Store(true)
		time.AfterFunc(time.Minute, func() { store.down.Store(false) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, b.Drain(ctx), context.DeadlineExceeded)
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}

// startingStore is a store in which an event arrives just after Run has begun.
type startingStore struct {
	webhook.Store
	run func()
}

func (s *startingStore) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (webhook.Enqueued, error) {
	s.run()
	synctest.Wait() // it has claimed, and found nothing
	return s.Store.Enqueue(ctx, now, events, p)
}

func TestAnEmitDuringTheStartOfRunIsDeliveredAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &startingStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{}, accept)
		b.subscribe(t, "*")
		store.run = func() { b.run(t) }
		start := time.Now()
		b.emit(t, event.ObjectCreated)
		synctest.Wait()
		assert.Zero(t, time.Since(start))
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}

// TestDrainGoesByTheStoresClock has a process whose clock is ahead of its store's, and that only
// publishes and replays: what it makes due is due at once.
func TestDrainGoesByTheStoresClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := memstore.New()
		newProcess := func(sent *atomic.Int32) *testBench {
			store := &clockedStore{Store: memory}
			store.ahead.Store(int64(-time.Second))
			return benchOn(t, store, dispatch.Config{},
				func(context.Context, *channel.Message) (channel.Result, error) {
					sent.Add(1)
					return channel.Result{StatusCode: 200}, nil
				})
		}
		var first, second atomic.Int32
		b := newProcess(&first)
		b.subscribe(t, "*")
		tx := memory.Begin()
		require.NoError(t, errorOf(b.EmitTx(t.Context(), tx, newEvent(event.ObjectCreated))))
		require.NoError(t, tx.Commit())
		require.NoError(t, b.Drain(t.Context()))
		require.EqualValues(t, 1, first.Load())

		again := newProcess(&second)
		require.NoError(t, again.Replay(t.Context(), "", b.only(t).ID))
		require.NoError(t, again.Drain(t.Context()))
		require.EqualValues(t, 1, second.Load())
	})
}
