package dispatch_test

import (
	"context"
	"errors"
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

// piecewise is a store that leaves events of type wide.event to FanOut, which takes a second for
// each and stores it as a whole.
type piecewise struct {
	*memstore.Store
	fail atomic.Pointer[error]

	mu     sync.Mutex
	at     int // how many are under way
	most   int
	stored []string // organizations of the wide events, in their order
}

func (s *piecewise) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (webhook.Enqueued, error) {
	all := webhook.Enqueued{Events: make([]webhook.Emitted, len(events))}
	for i, e := range events {
		if e.Type == "wide.event" {
			all.Events[i] = webhook.Emitted{EventID: e.ID, Deliveries: 1, Unfinished: true}
			continue
		}
		one, err := s.Store.Enqueue(ctx, now, events[i:i+1], p)
		if err != nil {
			return webhook.Enqueued{}, err
		}
		all.Events[i], all.Tasks = one.Events[0], append(all.Tasks, one.Tasks...)
	}
	return all, nil
}

func (s *piecewise) FanOut(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (finished int, tasks []webhook.Task, err error) {
	s.count(1)
	defer s.count(-1)
	time.Sleep(time.Second)
	if err := s.fail.Load(); err != nil {
		return 0, nil, *err
	}
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	enqueued, err := s.Store.Enqueue(ctx, now, events[:1], p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = append(s.stored, events[0].OrganizationID)
	return 1, enqueued.Tasks, err
}

func (s *piecewise) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at += n
	s.most = max(s.most, s.at)
}

// wideEvents makes events of organizations whose deliveries are left to FanOut.
func wideEvents(organizationIDs ...string) (events []*event.Event) {
	for _, id := range organizationIDs {
		e := newEvent("wide.event")
		e.OrganizationID = id
		events = append(events, e)
	}
	return events
}

func TestEmitWritesAllDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &piecewise{Store: memstore.New()}
		var sent atomic.Int32
		b := benchOn(t, store, dispatch.Config{PollInterval: time.Hour},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				sent.Add(1)
				return accept(ctx, m)
			})
		b.subscribe(t, "*")
		b.run(t)
		start := time.Now()
		events := append(wideEvents("", "org_a", ""), newEvent(event.ObjectCreated))
		emitted, err := b.Emit(t.Context(), events...)
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(start), "Emit returns when all are written")
		for i, e := range emitted {
			assert.Equal(t, webhook.Emitted{EventID: events[i].ID, Deliveries: 1}, e)
		}
		assert.Equal(t, []string{"", "", "org_a"}, store.stored)
		synctest.Wait()
		assert.EqualValues(t, 3, sent.Load(), "what FanOut prefetches is delivered at once")
	})
}

func TestWideEmitsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &piecewise{Store: memstore.New()}
		b := benchOn(t, store, dispatch.Config{}, accept)
		var wg sync.WaitGroup
		emit := func(ctx context.Context, organizationID string) {
			wg.Go(func() {
				emitted, err := b.Emit(ctx, wideEvents(organizationID)...)
				assert.NoError(t, err)
				assert.Equal(t, ctx.Err() != nil, emitted[0].Unfinished)
			})
			synctest.Wait()
		}
		for range 4 {
			emit(t.Context(), "greedy")
		}
		for _, left := range []string{"greedy", "gone"} { // they do not wait to the end
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			emit(ctx, left)
		}
		emit(t.Context(), "modest")
		emit(t.Context(), "late")
		start := time.Now()
		_, err := b.Emit(t.Context(), newEvent(event.ObjectCreated))
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "an event with few deliveries waits for none of them")
		wg.Wait()
		assert.Equal(t, 1, store.most, "they go on one at a time")
		assert.Equal(t, []string{"greedy", "greedy", "modest", "late", "greedy", "greedy"}, store.stored)
	})
}

func TestEmitThatCannotWriteAllDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &piecewise{Store: memstore.New()}
		var log lockedBuffer
		b := benchOn(t, store, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, accept)
		b.subscribe(t, "*")

		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		start := time.Now()
		emitted, err := b.Emit(ctx, wideEvents("", "", "")...)
		require.NoError(t, err, "the events are durable")
		assert.Equal(t, 1500*time.Millisecond, time.Since(start), "Emit does not outlast its context")
		assert.Equal(t, []bool{false, true, true},
			[]bool{emitted[0].Unfinished, emitted[1].Unfinished, emitted[2].Unfinished})
		assert.Empty(t, log.String(), "the caller knows")
		elapse(time.Second)
		assert.Len(t, store.stored, 2, "what had begun is not cut off, and nothing else begins")

		down := errors.New("down")
		store.fail.Store(&down)
		emitted, err = b.Emit(t.Context(), wideEvents("", "")...)
		require.NoError(t, err)
		assert.True(t, emitted[0].Unfinished)
		assert.True(t, emitted[1].Unfinished)
		assert.Contains(t, log.String(), "webhook: deliveries of an event wait for a claim to store them")
		assert.Contains(t, log.String(), "error=down")
	})
}
