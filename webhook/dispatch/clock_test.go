package dispatch_test

import (
	"bytes"
	"context"
	"log/slog"
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

// clockedStore is a store whose clock is ahead of that of the processes, and
// which notes how far the times that it is given are from its clock.
type clockedStore struct {
	webhook.Store
	ahead atomic.Int64
	asked atomic.Int64
	mu    sync.Mutex
	worst time.Duration
}

func (s *clockedStore) clock() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func (s *clockedStore) Now(context.Context) (time.Time, error) {
	s.asked.Add(1)
	return s.clock(), nil
}

func (s *clockedStore) given(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worst = max(s.worst, at.Sub(s.clock()).Abs())
}

func (s *clockedStore) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	s.given(now)
	return s.Store.Enqueue(ctx, now, events, prefetch)
}

func (s *clockedStore) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	s.given(now)
	s.given(r.Until.Add(-30 * time.Second))
	return s.Store.Claim(ctx, now, r)
}

func (s *clockedStore) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	s.given(until.Add(-30 * time.Second))
	return s.Store.Extend(ctx, until, leases)
}

func (s *clockedStore) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	s.given(now)
	for _, v := range settlements {
		if v.Attempt != nil {
			s.given(v.Attempt.StartedAt.Add(v.Attempt.Duration))
		}
	}
	return s.Store.Settle(ctx, now, settlements)
}

// Processes whose clocks differ agree on leases and due times, because they go
// by the store's.
func TestTheStoresClockDecides(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	for _, ahead := range []time.Duration{0, 35 * time.Second, -35 * time.Second, time.Hour} {
		if testing.Short() && ahead != time.Hour {
			continue
		}
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &clockedStore{Store: memstore.New()}
				store.ahead.Store(int64(ahead))
				var logged bytes.Buffer
				failures := 0
				b := benchOn(t, store, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))},
					func(context.Context, *channel.Message) (channel.Result, error) {
						time.Sleep(40 * time.Second)
						if failures++; failures == 1 {
							return channel.Result{}, status(503)
						}
						return channel.Result{StatusCode: 200}, nil
					})
				b.subscribe(t, "*")
				stop := b.run(t)
				b.emit(t, event.ObjectCreated)
				time.Sleep(10 * time.Minute)
				d := b.only(t)
				assert.Equal(t, webhook.StatusSucceeded, d.Status)
				assert.Len(t, d.Attempts, 2)
				stop()
				assert.Less(t, store.worst, 10*time.Millisecond, "a time was not the store's")
				assert.Less(t, store.asked.Load(), int64(15), "the store is asked about once a minute")
				warned := bytes.Contains(logged.Bytes(), []byte("the clock of this process differs"))
				assert.Equal(t, ahead != 0, warned, logged.String())
			})
		})
	}
}

// silentClock is a store that does not tell the time at first.
type silentClock struct {
	*clockedStore
	failures atomic.Int64
}

func (s *silentClock) Now(ctx context.Context) (time.Time, error) {
	if s.failures.Add(-1) >= 0 {
		return time.Time{}, webhook.ErrUnavailable
	}
	return s.clockedStore.Now(ctx)
}

// A process whose clock is wrong claims nothing, and prunes and prefetches nothing, before it knows
// the store's.
func TestNothingIsClaimedBeforeTheTimeIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &silentClock{clockedStore: &clockedStore{Store: memstore.New()}}
		store.ahead.Store(int64(-time.Hour))
		b := benchOn(t, store, dispatch.Config{}, accept)
		b.subscribe(t, "*")
		store.failures.Store(2)
		stop := b.run(t)
		elapse(time.Minute)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		stop()
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
		assert.Less(t, store.worst, 10*time.Millisecond, "a time was not the store's")
	})
}

// patientClock is a store that tells the time unless its caller has gone.
type patientClock struct{ webhook.Store }

func (s patientClock) Now(ctx context.Context) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	return s.Store.Now(ctx)
}

// That a caller has gone says nothing of the store: others ask it for the time at once.
func TestACallerThatHasGoneLeavesTheClockAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		b := benchOn(t, patientClock{memstore.New()},
			dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, accept)
		b.subscribe(t, "*")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = b.Totals(gone, webhook.TotalsQuery{})
		late, cancelLate := context.WithDeadline(t.Context(), time.Now())
		defer cancelLate()
		_, _ = b.Totals(late, webhook.TotalsQuery{})
		b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Millisecond)
		assert.Equal(t, webhook.StatusSucceeded, b.only(t).Status)
		assert.NotContains(t, log.String(), "level=ERROR")
	})
}

// What was accepted while the store's clock was ahead does not wait for it.
func TestAfterAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &clockedStore{Store: memstore.New()}
		store.ahead.Store(int64(time.Hour))
		mortal := &mortalStore{Store: store}
		hang := func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
			<-ctx.Done()
			return channel.Result{}, ctx.Err()
		}
		first := benchOn(t, mortal, dispatch.Config{}, hang)
		first.subscribe(t, "*")
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { _ = first.Run(ctx); close(ended) }()
		const each = 300
		for range each {
			first.emit(t, event.ObjectCreated)
		}
		time.Sleep(10 * time.Second)
		mortal.dead.Store(true) // with leases that end in an hour
		cancel()
		<-ended
		waiting := benchOn(t, store, dispatch.Config{}, accept)
		for range each {
			waiting.emit(t, event.ObjectUpdated)
		}

		store.ahead.Store(0)
		second := benchOn(t, store, dispatch.Config{}, accept)
		second.run(t)
		time.Sleep(3 * time.Minute)
		done := second.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusSucceeded,
			Limit: 10 * each})
		assert.Equal(t, 2*each, len(done)) //nolint:testifylint // a list of them says nothing
	})
}

// A process that holds leases when the store's clock is set back keeps them.
func TestLeasesOutliveAClockThatIsSetBack(t *testing.T) {
	if testing.Short() {
		t.Skip("lets two processes poll for half an hour")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &clockedStore{Store: memstore.New()}
		store.ahead.Store(int64(time.Hour))
		var attempts atomic.Int64
		long := func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
			attempts.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Minute):
			}
			return channel.Result{StatusCode: 200}, ctx.Err()
		}
		cfg := dispatch.Config{AttemptTimeout: time.Hour, MaxAttemptTimeout: time.Hour}
		a, b := benchOn(t, store, cfg, long), benchOn(t, store, cfg, long)
		a.subscribe(t, "*")
		a.run(t)
		b.run(t)
		a.emit(t, event.ObjectCreated)
		time.Sleep(10 * time.Second)
		store.ahead.Store(0)
		time.Sleep(30 * time.Minute)
		require.Equal(t, webhook.StatusSucceeded, a.only(t).Status)
		assert.EqualValues(t, 1, attempts.Load(), "nothing is delivered twice")
	})
}
