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

type hungStore struct {
	webhook.Store
	hang atomic.Bool
}

func (s *hungStore) Subscription(ctx context.Context, o, id string) (*webhook.Subscription, error) {
	if s.hang.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Subscription(ctx, o, id)
}

type hungSettle struct {
	webhook.Store
	mode atomic.Int32
}

func (s *hungSettle) Settle(
	ctx context.Context, now time.Time, v []webhook.Settlement,
) ([]webhook.Lease, error) {
	if s.mode.Load() == 1 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Settle(ctx, now, v)
}

func TestAnOutageLongerThanTheLeaseDuplicatesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{Store: memstore.New()}
		var sent sync.Map
		var total, dup atomic.Int32
		b := benchOn(t, store, dispatch.Config{},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				store.down.Store(true)
				total.Add(1)
				if _, again := sent.LoadOrStore(m.DeliveryID, true); again {
					dup.Add(1)
				}
				time.Sleep(time.Second)
				return channel.Result{StatusCode: 200}, nil
			})
		for range 20 {
			b.subscribe(t, "*")
		}
		b.run(t)
		e := newEvent(event.ObjectCreated)
		require.NoError(t, errorOf(b.Emit(t.Context(), e)))
		synctest.Wait()
		time.Sleep(60 * time.Second)
		store.down.Store(false)
		time.Sleep(time.Minute)
		store.down.Store(false)
		time.Sleep(5 * time.Minute)
		assert.EqualValues(t, 20, total.Load())
		assert.Zero(t, dup.Load())
	})
}

func TestADrainGivesTheStoreTimeToRecover(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{},
			func(context.Context, *channel.Message) (channel.Result, error) {
				store.down.Store(true)
				return channel.Result{StatusCode: 200}, nil
			})
		b.subscribe(t, "*")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		b.emit(t, event.ObjectCreated)
		time.Sleep(20 * time.Second)
		cancel()
		go func() { time.Sleep(8 * time.Second); store.down.Store(false) }()
		assert.NoError(t, <-ended)
		time.Sleep(10 * time.Second)
	})
}

func TestAReadThatHangsIsGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &hungStore{Store: memstore.New()}
		var n atomic.Int32
		var last atomic.Int64
		b := benchOn(t, store, dispatch.Config{PollInterval: slowPoll}, slowAccept(0, &n, &last))
		b.subscribe(t, "*")
		b.run(t)
		store.hang.Store(true)
		b.emit(t, event.ObjectCreated)
		time.Sleep(time.Second)
		store.hang.Store(false)
		time.Sleep(24 * time.Hour)
		assert.EqualValues(t, 1, n.Load(), "a day after the store recovered")
	})
}

func TestAStopOnAStoreThatHangs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &hungSettle{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{DrainTimeout: time.Second, MaxInFlight: 512},
			func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
				<-ctx.Done()
				return channel.Result{}, ctx.Err()
			})
		for range 40 {
			b.subscribe(t, "*")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		for range 100 {
			b.emit(t, event.ObjectCreated)
		}
		time.Sleep(time.Second)
		store.mode.Store(1)
		start := time.Now()
		cancel()
		assert.Error(t, <-ended)
		assert.Less(t, time.Since(start), 10*time.Second)
	})
}

func TestThePanicValueIsNotLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := newBench(t, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))},
			func(context.Context, *channel.Message) (channel.Result, error) {
				panic("token=s3cr3t")
			})
		b.subscribe(t, "*")
		stop := b.run(t)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		stop()
		assert.NotContains(t, log.String(), "s3cr3t")
	})
}
