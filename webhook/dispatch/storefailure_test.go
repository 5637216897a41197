package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

var errStoreDown = errors.New("the store is down")

// failingStore is a store that can be taken down.
type failingStore struct {
	webhook.Store
	down      atomic.Bool
	lieOnEmit atomic.Bool // store the emit and report a failure
}

func (s *failingStore) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	if s.down.Load() {
		return webhook.Enqueued{}, errStoreDown
	}
	enqueued, err := s.Store.Enqueue(ctx, now, events, prefetch)
	if s.lieOnEmit.Load() {
		return webhook.Enqueued{}, errStoreDown
	}
	return enqueued, err
}

func (s *failingStore) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	if s.down.Load() {
		return nil, errStoreDown
	}
	return s.Store.Claim(ctx, now, r)
}

func (s *failingStore) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	if s.down.Load() {
		return nil, errStoreDown
	}
	return s.Store.Settle(ctx, now, settlements)
}

func (s *failingStore) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	if s.down.Load() {
		return nil, errStoreDown
	}
	return s.Store.Extend(ctx, until, leases)
}

func TestResultsOutliveAStoreThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{Store: memstore.New()}
		var log bytes.Buffer
		var sent atomic.Int32
		b := benchOn(t, store, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))},
			func(context.Context, *channel.Message) (channel.Result, error) {
				sent.Add(1)
				store.down.Store(true)
				return channel.Result{StatusCode: 200}, nil
			})
		b.subscribe(t, "*")
		stop := b.run(t)
		b.emit(t, event.ObjectCreated)
		time.Sleep(20 * time.Second)
		require.ErrorIs(t, errorOf(b.Emit(t.Context(), newEvent(event.ObjectCreated))), errStoreDown,
			"the caller must know")

		store.down.Store(false)
		time.Sleep(10 * time.Second)
		assert.EqualValues(t, 1, sent.Load(), "the result was kept and stored in the end")
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
		stop()
		assert.Equal(t, 1, strings.Count(log.String(),
			`msg="webhook: the store fails" op="store results"`), log.String())
		assert.Equal(t, 1, strings.Count(log.String(),
			`msg="webhook: the store fails" op="claim deliveries"`))
		assert.Equal(t, 1, strings.Count(log.String(),
			`msg="webhook: the store works again" op="store results"`))
	})
}

func TestStopWithAStoreThatStaysDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{Store: memstore.New()}
		var taken atomic.Bool
		b := benchOn(t, store, dispatch.Config{DrainTimeout: 3 * time.Second},
			func(context.Context, *channel.Message) (channel.Result, error) {
				store.down.Store(!taken.Swap(true))
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Second)
		start := time.Now()
		cancel()
		require.ErrorIs(t, <-ended, errStoreDown)
		assert.Less(t, time.Since(start), 10*time.Second)

		store.down.Store(false)
		b.run(t)
		time.Sleep(time.Minute)
		d := b.only(t)
		assert.Equal(t, webhook.StatusSucceeded, d.Status, "made again when the lease was over")
	})
}

// slowClaim is a store whose claims take a second and, as those of a database,
// are made even if the caller leaves before it hears of it.
type slowClaim struct{ webhook.Store }

func (s slowClaim) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	tasks, err := s.Store.Claim(ctx, now, r)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second):
		return tasks, err
	}
}

func TestStopDuringAClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := benchOn(t, slowClaim{memstore.New()}, dispatch.Config{}, accept)
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		stop := b.run(t)
		synctest.Wait()
		assert.Equal(t, webhook.StatusInFlight, b.only(t).Status)
		stop()
		assert.Equal(t, webhook.StatusPending, b.only(t).Status,
			"what was claimed is given back, and waits for no lease")
	})
}

func TestEmitAgainAfterAnErrorThatWasNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{Store: memstore.New()}
		var sent atomic.Int32
		b := benchOn(t, store, dispatch.Config{},
			func(context.Context, *channel.Message) (channel.Result, error) {
				sent.Add(1)
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		synctest.Wait()
		e := newEvent(event.ObjectCreated)
		store.lieOnEmit.Store(true)
		require.ErrorIs(t, errorOf(b.Emit(t.Context(), e)), errStoreDown)
		store.lieOnEmit.Store(false)
		require.NoError(t, errorOf(b.Emit(t.Context(), e)))
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, sent.Load())
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}

func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		// A process with a clock an hour ahead takes over at once, and its
		// retries are due an hour late for the others: late, and not lost.
		b := newBench(t, dispatch.Config{PollInterval: slowPoll}, accept)
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		ahead := time.Now().UTC().Add(time.Hour)
		tasks, err := b.store.Claim(t.Context(), ahead,
			webhook.ClaimRequest{Until: ahead.Add(30 * time.Second), Limit: 1, PerEndpoint: 1})
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		_, err = b.store.Settle(t.Context(), ahead, []webhook.Settlement{{
			Lease: tasks[0].Lease, Status: webhook.StatusPending, DueAt: ahead.Add(5 * time.Second),
			Attempt: &webhook.Attempt{StartedAt: ahead, Class: "status", StatusCode: 500},
		}})
		require.NoError(t, err)
		b.run(t)
		time.Sleep(59 * time.Minute)
		assert.Equal(t, webhook.StatusPending, b.only(t).Status)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}

func TestPruneKeepsWhatRetentionSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{
			PollInterval: 10 * time.Second,
			Retry:        dispatch.ExponentialRetry{MaxAttempts: 1},
			Retention:    dispatch.Retention{Succeeded: time.Hour, Dead: 3 * time.Hour},
		}, func(_ context.Context, m *channel.Message) (channel.Result, error) {
			if m.EventType == event.ObjectDeleted {
				return channel.Result{}, status(500)
			}
			return channel.Result{}, nil
		})
		b.subscribe(t, "*")
		b.run(t)
		for range 10 {
			b.emit(t, event.ObjectCreated)
			b.emit(t, event.ObjectDeleted)
		}
		time.Sleep(55 * time.Minute)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{}), 20)
		time.Sleep(10 * time.Minute)
		left := b.deliveries(t, webhook.DeliveryQuery{})
		assert.Len(t, left, 10)
		assert.Equal(t, webhook.StatusDead, left[0].Status)
		time.Sleep(3 * time.Hour)
		assert.Empty(t, b.deliveries(t, webhook.DeliveryQuery{}))
	})
}

// Pruning keeps up with what can be stored: it rests no longer than it works, and looks often
// enough where little is kept.
func TestPruneKeepsUp(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &pruningStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{Retention: dispatch.Retention{Succeeded: time.Second}},
			func(context.Context, *channel.Message) (channel.Result, error) { return channel.Result{}, nil })
		b.run(t)
		store.old.Store(1_000_000)
		time.Sleep(6 * time.Second) // 1000 batches of 2 ms, and as long to rest
		assert.Zero(t, store.old.Load(), "a million old deliveries are removed in seconds")
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		time.Sleep(1200 * time.Millisecond)
		assert.Empty(t, b.deliveries(t, webhook.DeliveryQuery{}), "removed soon after it was old enough")
	})
}

// pruningStore has old deliveries that take time to remove.
type pruningStore struct {
	webhook.Store
	old atomic.Int64
}

func (s *pruningStore) Prune(
	ctx context.Context, now time.Time, req webhook.PruneRequest,
) (int, error) {
	if s.old.Load() == 0 {
		return s.Store.Prune(ctx, now, req)
	}
	time.Sleep(2 * time.Millisecond)
	s.old.Add(-int64(req.Limit))
	return req.Limit, nil
}

func TestPruneKeepsForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		b := benchOn(t, store, dispatch.Config{
			Retry:     dispatch.ExponentialRetry{MaxAttempts: 1},
			Retention: dispatch.Retention{Succeeded: dispatch.Forever, Dead: dispatch.Forever},
		}, func(_ context.Context, m *channel.Message) (channel.Result, error) {
			if m.EventType == event.ObjectDeleted {
				return channel.Result{}, status(500)
			}
			return channel.Result{}, nil
		})
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		b.emit(t, event.ObjectDeleted)
		require.NoError(t, b.Drain(t.Context()))
		time.Sleep(10 * 365 * 24 * time.Hour)
		stop := b.run(t)
		time.Sleep(time.Minute) // pruned once
		stop()
		assert.Equal(t, 1, b.count(t, webhook.StatusSucceeded))
		assert.Equal(t, 1, b.count(t, webhook.StatusDead))
	})
}

// hearingStore is a store that hears of emits when the test says so.
type hearingStore struct {
	webhook.Store
	heard chan error // nil wakes, an error ends the listening
}

func (s *hearingStore) Capabilities() webhook.Capabilities {
	return webhook.Capabilities{Notifications: s}
}

func (s *hearingStore) Listen(ctx context.Context, wake func()) error {
	wake()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.heard:
			if err != nil {
				return err
			}
			wake()
		}
	}
}

func TestListeningFindsWhatOthersEmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &hearingStore{Store: memstore.New(), heard: make(chan error)}
		var log bytes.Buffer
		b := benchOn(t, store, dispatch.Config{PollInterval: time.Hour,
			Logger: slog.New(slog.NewTextHandler(&log, nil))}, accept)
		b.subscribe(t, "*")
		emitter := benchOn(t, store.Store, dispatch.Config{}, accept)
		stop := b.run(t)
		elapse(5 * time.Second) // it has begun to listen, and has looked again

		emitter.emit(t, event.ObjectCreated)
		elapse(time.Second)
		assert.Equal(t, webhook.StatusPending, b.only(t).Status,
			"nothing was heard, and the poll is far away")
		store.heard <- nil
		elapse(time.Second)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)

		store.heard <- errStoreDown
		emitter.emit(t, event.ObjectUpdated)
		elapse(time.Second)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusSucceeded}), 2,
			"listening again wakes too")
		stop()
		assert.Equal(t, 1, strings.Count(log.String(), `op="listen for deliveries" error`))
		assert.Equal(t, 1, strings.Count(log.String(), `works again" op="listen for deliveries"`))
	})
}

// TestAnEmitterWhoseClockIsAhead has a notification that comes before the delivery is due by the
// clock of the process that hears it.
func TestAnEmitterWhoseClockIsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &hearingStore{Store: memstore.New(), heard: make(chan error)}
		b := benchOn(t, store, dispatch.Config{PollInterval: time.Hour}, accept)
		b.subscribe(t, "*")
		ahead := &clockedStore{Store: store.Store}
		ahead.ahead.Store(int64(300 * time.Millisecond))
		emitter := benchOn(t, ahead, dispatch.Config{}, accept)
		b.run(t)
		elapse(5 * time.Second)
		emitter.emit(t, event.ObjectCreated)
		store.heard <- nil
		elapse(time.Second)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
	})
}

// TestListeningThatCannotWork has a store whose pooler passes nothing on.
func TestListeningThatCannotWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &hearingStore{Store: memstore.New(), heard: make(chan error)}
		var log bytes.Buffer
		b := benchOn(t, store, dispatch.Config{PollInterval: time.Minute,
			Logger: slog.New(slog.NewTextHandler(&log, nil))}, accept)
		b.subscribe(t, "*")
		emitter := benchOn(t, store.Store, dispatch.Config{}, accept)
		stop := b.run(t)
		store.heard <- fmt.Errorf("a pooler: %w", errors.ErrUnsupported)
		elapse(time.Hour)
		select {
		case store.heard <- nil:
			t.Error("it listens again")
		default:
		}

		emitter.emit(t, event.ObjectCreated)
		elapse(time.Minute)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status, "polling goes on")
		stop()
		assert.Equal(t, 1, strings.Count(log.String(), "cannot listen"))
		assert.Contains(t, log.String(), "poll_interval=1m0s")
		assert.NotContains(t, log.String(), "level=ERROR")
	})
}

// errorOf is the error of a call that returns something else too.
func errorOf[T any](_ T, err error) error { return err }

// hangOnce is a channel whose first two attempts take 10 s.
func hangOnce(calls *atomic.Int64) channel.Func {
	return func(ctx context.Context, m *channel.Message) (channel.Result, error) {
		if calls.Add(1) <= 2 {
			time.Sleep(10 * time.Second)
		}
		return accept(ctx, m)
	}
}

// A change of a subscription takes its deliveries out of memory. Those that the store does not take
// back then are still this process's: Drain waits for them.
func TestDrainWaitsForWhatAnUpdateCouldNotRequeue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		store := &failingStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{Lease: time.Hour}, hangOnce(&calls))
		sub := b.subscribe(t, "*")
		b.run(t)
		synctest.Wait() // so that Run takes what is emitted
		for range 5 {
			b.emit(t, event.ObjectCreated)
		}
		synctest.Wait()
		require.EqualValues(t, 2, calls.Load(), "the others wait in memory")
		store.down.Store(true)
		sub.Name = "changed"
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		elapse(time.Second)
		store.down.Store(false)
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, 5, b.count(t, webhook.StatusSucceeded))
		assert.EqualValues(t, 5, calls.Load())
	})
}

func TestRunCountsWhatAnUpdateCouldNotRequeue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		store := &failingStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{}, hangOnce(&calls))
		sub := b.subscribe(t, "*")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		for range 5 {
			b.emit(t, event.ObjectCreated)
		}
		synctest.Wait()
		store.down.Store(true)
		require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		cancel()
		var unfinished *dispatch.UnfinishedError
		require.ErrorAs(t, <-ended, &unfinished)
		assert.Equal(t, dispatch.UnfinishedError{Leased: 5, Err: errStoreDown}, *unfinished)
	})
}
