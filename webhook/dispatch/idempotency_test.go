package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// idempotencyBench is two processes that share a store, and work that counts.
type idempotencyBench struct {
	a, b  *testBench
	calls int
	try   dispatch.Try
	err   error // of the work
}

func newIdempotencyBench(t *testing.T) *idempotencyBench {
	t.Helper()
	store := memstore.New()
	return &idempotencyBench{a: benchOn(t, store, dispatch.Config{}, accept), b: benchOn(t, store, dispatch.Config{}, accept)}
}

func (o *idempotencyBench) work(_ context.Context, try dispatch.Try) ([]byte, error) {
	o.calls++
	o.try = try
	return []byte("done"), o.err
}

func TestIdempotentInAnyProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newIdempotencyBench(t)
		for _, d := range []*testBench{o.a, o.b, o.a} {
			answer, err := d.Idempotent(t.Context(), "org", "k", []byte("content"), o.work)
			require.NoError(t, err)
			assert.Equal(t, "done", string(answer))
		}
		assert.Equal(t, 1, o.calls)
		_, err := o.b.Idempotent(t.Context(), "org", "k", []byte("other content"), o.work)
		require.ErrorIs(t, err, dispatch.ErrKeyReused)
		for _, another := range [][2]string{{"org", "k2"}, {"", "k"}, {"or", "gk"}} {
			_, err := o.b.Idempotent(t.Context(), another[0], another[1], []byte("content"), o.work)
			require.NoError(t, err)
		}
		assert.Equal(t, 4, o.calls)

		time.Sleep(24*time.Hour + time.Microsecond)
		_, err = o.b.Idempotent(t.Context(), "org", "k", []byte("content"), o.work)
		require.NoError(t, err)
		assert.Equal(t, 5, o.calls, "after a day it is another request")
		assert.False(t, o.try.Again)
	})
}

// What may have been begun is taken over only once its time is over, and with
// the knowledge of when that was.
func TestIdempotentAfterAnUnknownEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newIdempotencyBench(t)
		o.err = errors.New("the store broke")
		began := time.Now()
		_, err := o.a.Idempotent(t.Context(), "org", "k", nil, o.work)
		require.ErrorIs(t, err, o.err)
		assert.False(t, o.try.Again)

		o.err = nil
		time.Sleep(30*time.Second - time.Microsecond)
		_, err = o.b.Idempotent(t.Context(), "org", "k", nil, o.work)
		require.ErrorIs(t, err, dispatch.ErrInProgress)
		time.Sleep(time.Microsecond)
		o.err = webhook.ErrWrongStatus
		_, err = o.b.Idempotent(t.Context(), "org", "k", nil, o.work)
		require.ErrorIs(t, err, webhook.ErrWrongStatus)
		assert.True(t, began.Equal(o.try.Began) && o.try.Again)
		time.Sleep(30 * time.Second)
		o.err = nil
		_, err = o.b.Idempotent(t.Context(), "org", "k", nil, o.work)
		require.NoError(t, err)
		assert.True(t, began.Equal(o.try.Began) && o.try.Again, "the first try is not forgotten by a later one that does nothing")
		assert.Equal(t, 3, o.calls)
	})
}

func TestIdempotentForgetsWhatWasNotDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newIdempotencyBench(t)
		for _, o.err = range []error{webhook.ErrWrongStatus, webhook.ErrNotFound, nil} {
			_, err := o.b.Idempotent(t.Context(), "org", "k", nil, o.work)
			require.ErrorIs(t, err, o.err)
			assert.False(t, o.try.Again)
		}
		assert.Equal(t, 3, o.calls)
	})
}

// A caller that gives up does not stop the work, so that a repetition finds the
// answer.
func TestIdempotentOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newIdempotencyBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := o.a.Idempotent(ctx, "org", "k", nil, func(ctx context.Context, try dispatch.Try) ([]byte, error) {
			cancel()
			_, err := o.b.Idempotent(t.Context(), "org", "k", nil, o.work)
			assert.ErrorIs(t, err, dispatch.ErrInProgress)
			require.NoError(t, ctx.Err())
			deadline, _ := ctx.Deadline()
			assert.Equal(t, 25*time.Second, time.Until(deadline))
			return o.work(ctx, try)
		})
		require.NoError(t, err)
		_, err = o.b.Idempotent(t.Context(), "org", "k", nil, o.work)
		require.NoError(t, err)
		assert.Equal(t, 1, o.calls)
	})
}

func TestIdempotentBoundsAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t, dispatch.Config{}, accept)
	for _, size := range []int{0, 4<<10 + 1} {
		_, err := b.Idempotent(t.Context(), "org", "k", []byte{byte(size)}, func(context.Context, dispatch.Try) ([]byte, error) {
			return bytes.Repeat([]byte("x"), size), nil
		})
		require.Error(t, err)
	}
}

// forgetfulStore is a Store without capabilities.
type forgetfulStore struct{ webhook.Store }

func (forgetfulStore) Capabilities() webhook.Capabilities { return webhook.Capabilities{} }

func TestIdempotentNeedsAStoreThatRemembers(t *testing.T) {
	t.Parallel()
	d, err := dispatch.New(forgetfulStore{memstore.New()}, dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	_, err = d.Idempotent(t.Context(), "org", "k", nil, nil)
	require.ErrorIs(t, err, dispatch.ErrNoIdempotency)
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	require.ErrorIs(t, errorOf(d.EmitTx(t.Context(), memstore.New().Begin(), e)), dispatch.ErrNoTx)

	wrapped, err := dispatch.New(struct{ webhook.Store }{memstore.New()}, dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	_, err = wrapped.Idempotent(t.Context(), "org", "k", nil, func(context.Context, dispatch.Try) ([]byte, error) { return []byte("done"), nil })
	require.NoError(t, err, "a wrapped store keeps its capabilities")
}

// A replay of which it is not known where it ended can be made again without replaying
// what the first one has.
func TestReplayAllLeavesAloneWhatWasSettledSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, func(context.Context, *channel.Message) (channel.Result, error) {
			return channel.Result{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassRejected}
		})
		b.run(t)
		b.subscribe(t, "object.*")
		for range 3 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Second)
		tried := time.Now()
		dead := webhook.DeliveryQuery{Status: webhook.StatusDead}
		for _, want := range []int{3, 0} {
			progress, err := b.ReplayAll(t.Context(), dead, dispatch.ReplayOptions{PerSecond: 1000, SettledBefore: tried})
			require.NoError(t, err)
			assert.Equal(t, want, progress.Replayed)
			elapse(time.Second)
			require.Len(t, b.deliveries(t, dead), 3, "they have died again")
		}
	})
}
