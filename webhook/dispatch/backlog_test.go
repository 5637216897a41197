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

func slowAccept(d time.Duration, n *atomic.Int32, last *atomic.Int64) channel.Func {
	return func(context.Context, *channel.Message) (channel.Result, error) {
		time.Sleep(d)
		n.Add(1)
		last.Store(time.Now().UnixNano())
		return channel.Result{StatusCode: 200}, nil
	}
}

func TestABacklogOfOneEndpointIsNotDrainedByPolling(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		var last atomic.Int64
		b := newBench(t, dispatch.Config{}, slowAccept(time.Millisecond, &n, &last))
		b.subscribe(t, "*")
		for range 1000 {
			b.emit(t, event.ObjectCreated)
		}
		start := time.Now()
		b.run(t)
		time.Sleep(time.Minute)
		took := time.Unix(0, last.Load()).Sub(start)
		assert.EqualValues(t, 1000, n.Load())
		assert.Less(t, took, 500*time.Millisecond,
			"1000 deliveries of 1 ms, 16 at a time, take 63 ms at best")
	})
}

func TestABacklogOfManyEndpointsIsNotDrainedByPolling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, inFlight := range []int{512, 4} {
		synctest.Test(t, func(t *testing.T) {
			var n atomic.Int32
			var last atomic.Int64
			b := newBench(t, dispatch.Config{MaxInFlight: inFlight},
				slowAccept(10*time.Millisecond, &n, &last))
			for range 2000 {
				b.subscribe(t, "*")
			}
			events := 1
			if inFlight == 512 {
				events = 10
			}
			for range events {
				b.emit(t, event.ObjectCreated)
			}
			start := time.Now()
			b.run(t)
			time.Sleep(time.Minute)
			took := time.Unix(0, last.Load()).Sub(start)
			ideal := time.Duration(events*2000/inFlight) * 10 * time.Millisecond
			assert.EqualValues(t, events*2000, n.Load())
			assert.Less(t, took, 2*ideal, "MaxInFlight %d", inFlight)
		})
	}
}

func TestSlowEndpointsLeaveRoomForOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		arrived := map[string]time.Time{}
		b := newBench(t, dispatch.Config{},
			func(_ context.Context, m *channel.Message) (channel.Result, error) {
				if m.EventType == "fast.one" {
					mu.Lock()
					arrived[m.EventID] = time.Now()
					mu.Unlock()
					return channel.Result{}, nil
				}
				time.Sleep(9 * time.Second)
				return channel.Result{}, nil
			})
		for range 64 {
			b.subscribe(t, "slow.one")
		}
		b.subscribe(t, "fast.one")
		b.run(t)
		for range 300 {
			b.emit(t, "slow.one")
		}
		time.Sleep(5 * time.Second)
		sent := map[string]time.Time{}
		for range 60 {
			e := b.emit(t, "fast.one")
			sent[e.ID] = time.Now()
			time.Sleep(time.Second)
		}
		elapse(2 * time.Hour)
		var worst, sum time.Duration
		for id, at := range sent {
			d := arrived[id].Sub(at)
			worst = max(worst, d)
			sum += d
		}
		assert.Less(t, worst, time.Second, "mean %v", sum/60)
	})
}

func TestAnEndpointThatRecoversGetsItsFullCapAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ok atomic.Bool
		var n, most, cur atomic.Int32
		b := newBench(t, dispatch.Config{PollInterval: time.Minute},
			func(context.Context, *channel.Message) (channel.Result, error) {
				if !ok.Load() {
					return channel.Result{}, errors.New("down")
				}
				c := cur.Add(1)
				for m := most.Load(); c > m && !most.CompareAndSwap(m, c); m = most.Load() {
				}
				time.Sleep(100 * time.Millisecond)
				cur.Add(-1)
				n.Add(1)
				return channel.Result{}, nil
			})
		b.subscribe(t, "*")
		b.run(t)
		for range 100 {
			b.emit(t, event.ObjectCreated)
		}
		time.Sleep(30 * time.Second)
		ok.Store(true)
		for range 100 {
			time.Sleep(5 * time.Second)
			if n.Load() > 0 {
				break
			}
		}
		time.Sleep(5 * time.Second) // each answer earns it one more
		assert.EqualValues(t, 16, most.Load(),
			"as many at once as the cap allows, without waiting for a poll")
	})
}

// heldEnqueue is a store in which emits wait before they are stored.
type heldEnqueue struct {
	webhook.Store
	held chan struct{} // closed to let them go on; nil holds none
}

func (s *heldEnqueue) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (webhook.Enqueued, error) {
	if s.held != nil {
		<-s.held
	}
	return s.Store.Enqueue(ctx, now, events, p)
}

// An emit began before Run and is stored when Run has claimed what was there: the claim that it
// asks for leaves its endpoint out, which has its share of memory.
func TestWhatIsStoredWhileRunBeginsNeedsNoPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &heldEnqueue{Store: memstore.New()}
		var calls atomic.Int64
		b := benchOn(t, store, dispatch.Config{PollInterval: time.Hour}, takes(10*time.Second, &calls))
		b.subscribe(t, "*")
		for range 3 { // two are attempted, and one waits
			b.emit(t, event.ObjectCreated)
		}
		store.held = make(chan struct{})
		var emitted sync.WaitGroup
		emitted.Go(func() { b.emit(t, event.ObjectCreated) })
		synctest.Wait()
		b.run(t)
		synctest.Wait()
		require.EqualValues(t, 2, calls.Load())
		close(store.held)
		emitted.Wait()
		elapse(21 * time.Second)
		assert.Equal(t, 4, b.count(t, webhook.StatusSucceeded))
	})
}
