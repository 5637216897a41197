package dispatch_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func TestRunSaysWhatItRequeued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // written to by one goroutine at a time
		var calls atomic.Int64
		b := newBench(t, dispatch.Config{
			DrainTimeout: time.Second,
			Logger:       slog.New(slog.NewTextHandler(&log, nil)),
		}, takes(10*time.Second, &calls))
		b.subscribe(t, "*")
		stop := b.run(t)
		synctest.Wait() // so that Run takes what is emitted
		for range 5 {
			b.emit(t, event.ObjectCreated)
		}
		synctest.Wait()
		assert.EqualValues(t, 2, calls.Load(), "the others wait in memory")
		stop()
		assert.Contains(t, log.String(), `level=INFO msg="webhook: stopped" requeued=5 leased=0`)
		assert.Equal(t, 5, b.count(t, webhook.StatusPending))

		stop = b.run(t)
		elapse(time.Minute)
		log.Reset()
		stop()
		assert.Contains(t, log.String(), `msg="webhook: stopped" requeued=0 leased=0`)
		assert.Equal(t, 5, b.count(t, webhook.StatusSucceeded))
	})
}

func TestRunSaysWhatItLeftToItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var calls atomic.Int64
		store := &failingStore{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))},
			takes(10*time.Second, &calls))
		b.subscribe(t, "*")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		for range 5 {
			b.emit(t, event.ObjectCreated)
		}
		synctest.Wait()
		store.down.Store(true)
		cancel()
		err := <-ended
		var unfinished *dispatch.UnfinishedError
		require.ErrorAs(t, err, &unfinished)
		assert.Equal(t, dispatch.UnfinishedError{Leased: 5, Err: errStoreDown}, *unfinished)
		require.ErrorIs(t, err, errStoreDown)
		assert.EqualError(t, err,
			"webhook: results of 5 deliveries were not stored, they will be made again: "+
				errStoreDown.Error())
		assert.Contains(t, log.String(), `level=WARN msg="webhook: stopped" requeued=0 leased=5`)
		store.down.Store(false)
		require.NoError(t, b.Drain(t.Context()), "the deliveries are leased")
		assert.Equal(t, 5, b.count(t, webhook.StatusInFlight))
		elapse(time.Minute)
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, 5, b.count(t, webhook.StatusSucceeded))
	})
}
