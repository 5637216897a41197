package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// bench is two processes that share a store, and work that counts its runs.
type bench struct {
	a, b  *idempotency.Group
	calls int
	try   idempotency.Try
	err   error // of the work
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store := memstore.New()
	return &bench{a: newGroup(t, store, idempotency.Config{}),
		b: newGroup(t, store, idempotency.Config{})}
}

func newGroup(t *testing.T, store idempotency.Store, cfg idempotency.Config) *idempotency.Group {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	g, err := idempotency.New(store, cfg)
	require.NoError(t, err)
	return g
}

// request is one of the organization "org" with the key "k".
func request(content string) idempotency.Request {
	return idempotency.Request{OrganizationID: "org", Key: "k", Content: []byte(content)}
}

func (o *bench) work(_ context.Context, try idempotency.Try) ([]byte, error) {
	o.calls++
	o.try = try
	return []byte("done"), o.err
}

func TestDoRunsOnceInAllProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newBench(t)
		for _, d := range []*idempotency.Group{o.a, o.b, o.a} {
			answer, err := d.Do(t.Context(), request("content"), o.work)
			require.NoError(t, err)
			assert.Equal(t, "done", string(answer))
		}
		assert.Equal(t, 1, o.calls)
		_, err := o.b.Do(t.Context(), request("other content"), o.work)
		require.ErrorIs(t, err, idempotency.ErrKeyReused)
		for _, another := range [][2]string{{"org", "k2"}, {"", "k"}, {"or", "gk"}} {
			r := request("content")
			r.OrganizationID, r.Key = another[0], another[1]
			_, err := o.b.Do(t.Context(), r, o.work)
			require.NoError(t, err)
		}
		assert.Equal(t, 4, o.calls)

		time.Sleep(idempotency.Kept + time.Microsecond)
		_, err = o.b.Do(t.Context(), request("content"), o.work)
		require.NoError(t, err)
		assert.Equal(t, 5, o.calls, "after a day it is another request")
		assert.False(t, o.try.Again)
	})
}

// What may have been begun is taken over only once its time is over, and with
// the knowledge of when that was.
func TestDoAfterAnUnknownEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newBench(t)
		o.err = errors.New("the store broke")
		began := time.Now()
		_, err := o.a.Do(t.Context(), request(""), o.work)
		require.ErrorIs(t, err, o.err)
		assert.False(t, o.try.Again)

		o.err = nil
		time.Sleep(30*time.Second - time.Microsecond)
		_, err = o.b.Do(t.Context(), request(""), o.work)
		require.ErrorIs(t, err, idempotency.ErrInProgress)
		time.Sleep(time.Microsecond)
		o.err = webhook.ErrWrongStatus
		_, err = o.b.Do(t.Context(), request(""), o.work)
		require.ErrorIs(t, err, webhook.ErrWrongStatus)
		assert.True(t, began.Equal(o.try.Began) && o.try.Again)
		time.Sleep(30 * time.Second)
		o.err = nil
		_, err = o.b.Do(t.Context(), request(""), o.work)
		require.NoError(t, err)
		assert.True(t, began.Equal(o.try.Began) && o.try.Again,
			"the first try is not forgotten by a later one that does nothing")
		assert.Equal(t, 3, o.calls)
	})
}

func TestDoForgetsWhatWasNotDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newBench(t)
		for _, o.err = range []error{webhook.ErrWrongStatus, webhook.ErrNotFound, nil} {
			_, err := o.b.Do(t.Context(), request(""), o.work)
			require.ErrorIs(t, err, o.err)
			assert.False(t, o.try.Again)
		}
		assert.Equal(t, 3, o.calls)
	})
}

// A caller that gives up does not stop the work, so that a repetition finds the
// answer.
func TestDoOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := o.a.Do(ctx, request(""),
			func(ctx context.Context, try idempotency.Try) ([]byte, error) {
				cancel()
				_, err := o.b.Do(t.Context(), request(""), o.work)
				assert.ErrorIs(t, err, idempotency.ErrInProgress)
				require.NoError(t, ctx.Err())
				deadline, _ := ctx.Deadline()
				assert.Equal(t, idempotency.WorkTime, time.Until(deadline))
				return o.work(ctx, try)
			})
		require.NoError(t, err)
		_, err = o.b.Do(t.Context(), request(""), o.work)
		require.NoError(t, err)
		assert.Equal(t, 1, o.calls)
	})
}

// A try ends before another may begin, also if the store took long to note it.
func TestDoEndsBeforeAnotherTryBegins(t *testing.T) {
	t.Parallel()
	for _, took := range []time.Duration{0, 10 * time.Second, idempotency.WorkTime + time.Second} {
		t.Run(took.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New()
				slow := newGroup(t, &slowStore{store, took}, idempotency.Config{})
				other := newGroup(t, store, idempotency.Config{})
				began := time.Now()
				var ended time.Duration
				first := make(chan error, 1)
				go func() {
					_, err := slow.Do(t.Context(), request(""), func(ctx context.Context, _ idempotency.Try) ([]byte, error) {
						<-ctx.Done()
						ended = time.Since(began)
						return nil, ctx.Err()
					})
					first <- err
				}()
				time.Sleep(30 * time.Second)
				synctest.Wait()
				_, err := other.Do(t.Context(), request(""), func(context.Context, idempotency.Try) ([]byte, error) {
					return []byte("done"), nil
				})
				require.NoError(t, err)
				require.ErrorIs(t, <-first, context.DeadlineExceeded)
				if took < idempotency.WorkTime {
					assert.Equal(t, idempotency.WorkTime, ended)
				} else {
					assert.Zero(t, ended, "there was no time left for work")
				}
			})
		})
	}
}

// slowStore answers late that it has noted a request.
type slowStore struct {
	webhook.Store
	took time.Duration
}

func (s *slowStore) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Idempotency = &slowBegin{c.Idempotency, s.took}
	return c
}

type slowBegin struct {
	webhook.IdempotencyStore
	took time.Duration
}

func (s *slowBegin) BeginIdempotent(
	ctx context.Context, r webhook.IdempotentRequest, after time.Time,
) (webhook.IdempotentRequest, bool, error) {
	stored, mine, err := s.IdempotencyStore.BeginIdempotent(ctx, r, after)
	time.Sleep(s.took)
	return stored, mine, err
}

func TestDoBoundsAnswers(t *testing.T) {
	t.Parallel()
	b := newGroup(t, memstore.New(), idempotency.Config{})
	for _, size := range []int{0, idempotency.MaxAnswer + 1} {
		_, err := b.Do(t.Context(), request(strconv.Itoa(size)),
			func(context.Context, idempotency.Try) ([]byte, error) {
				return bytes.Repeat([]byte("x"), size), nil
			})
		require.Error(t, err)
	}
}

// forgetful is a Store without capabilities.
type forgetful struct{ webhook.Store }

func (forgetful) Capabilities() webhook.Capabilities { return webhook.Capabilities{} }

func TestDoNeedsAStoreThatRemembers(t *testing.T) {
	t.Parallel()
	o := &bench{}
	_, err := newGroup(t, forgetful{memstore.New()}, idempotency.Config{}).
		Do(t.Context(), request(""), o.work)
	require.ErrorIs(t, err, idempotency.ErrUnsupported)
	assert.Zero(t, o.calls)

	wrapped := struct{ webhook.Store }{memstore.New()}
	_, err = newGroup(t, wrapped, idempotency.Config{}).Do(t.Context(), request(""), o.work)
	require.NoError(t, err, "a wrapped store keeps its capabilities")
}

// Processes whose own clocks differ agree on when a try is over: they ask the store.
func TestDoUsesTheClockOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &ahead{Store: memstore.New(), by: time.Hour}
		o := &bench{a: newGroup(t, store, idempotency.Config{})}
		_, err := o.a.Do(t.Context(), request(""), o.work)
		require.NoError(t, err)
		assert.Equal(t, time.Hour, time.Until(o.try.Began))

		store.err = webhook.ErrUnavailable
		_, err = o.a.Do(t.Context(), request(""), o.work)
		require.ErrorIs(t, err, webhook.ErrUnavailable)
	})
}

// ahead is a store whose clock is ahead of this process's.
type ahead struct {
	webhook.Store
	by  time.Duration
	err error
}

func (s *ahead) Now(context.Context) (time.Time, error) { return time.Now().Add(s.by), s.err }

func TestDoIsBoundedForEachOrganization(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &bench{}
		g := newGroup(t, memstore.New(), idempotency.Config{PerMinute: 2})
		for range 20 { // ten minutes' worth, and repetitions count
			_, err := g.Do(t.Context(), request(""), o.work)
			require.NoError(t, err)
		}
		_, err := g.Do(t.Context(), request(""), o.work)
		var limit *webhook.LimitError
		require.ErrorAs(t, err, &limit)
		assert.Equal(t, 2, limit.Max)
		assert.Equal(t, 30*time.Second, limit.RetryAfter)
		_, err = g.Do(t.Context(), idempotency.Request{OrganizationID: "other"}, o.work)
		require.NoError(t, err)
		time.Sleep(limit.RetryAfter)
		_, err = g.Do(t.Context(), request(""), o.work)
		require.NoError(t, err)

		unlimited := newGroup(t, memstore.New(), idempotency.Config{PerMinute: idempotency.NoLimit})
		for range 2000 {
			_, err := unlimited.Do(t.Context(), request(""), o.work)
			require.NoError(t, err)
		}
	})
}

func TestNewRefusesAWrongConfiguration(t *testing.T) {
	t.Parallel()
	_, err := idempotency.New(nil, idempotency.Config{})
	require.Error(t, err)
	_, err = idempotency.New(memstore.New(), idempotency.Config{PerMinute: -1})
	require.ErrorContains(t, err, "PerMinute")
	_, err = newGroup(t, memstore.New(), idempotency.Config{}).Do(t.Context(), request(""), nil)
	require.Error(t, err)
}
