package monitor_test

import (
	"container/heap"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
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

// world is 60 endpoints, each with an event a minute for four hours, and a sender with 8 attempts at
// a time. Three endpoints hang until their timeout, three are slow.
const (
	worldEndpoints = 60
	worldLength    = 4 * time.Hour
	worldSlots     = 8
)

var worldRetries = dispatch.RetrySchedule{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour}

// kindOf returns what kind of endpoint the i-th is.
func kindOf(i int) string {
	switch {
	case i < 3:
		return "hangs"
	case i < 6:
		return "slow"
	}
	return "good"
}

func attemptAt(kind string) error {
	switch kind {
	case "hangs":
		time.Sleep(30 * time.Second)
		return &channel.Error{Action: channel.Retry, Class: channel.ClassTimeout}
	case "slow":
		time.Sleep(2 * time.Second)
	default:
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// delays are from the emit to the end of the first attempt, by kind of endpoint.
type delays struct {
	mu sync.Mutex
	of map[string][]time.Duration
}

func (d *delays) add(kind string, delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of[kind] = append(d.of[kind], delay)
}

func (d *delays) p99(t *testing.T, sender, kind string) time.Duration {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.of[kind]
	require.NotEmpty(t, all)
	slices.Sort(all)
	p50, p99 := all[len(all)/2], all[len(all)*99/100]
	t.Logf("%s, %s: %d first attempts, p50 %v, p99 %v", sender, kind, len(all), p50, p99)
	return p99
}

// eachMinute calls emit for each endpoint once a minute.
func eachMinute(emit func(i int)) {
	for range int(worldLength / time.Minute) {
		for i := range worldEndpoints {
			emit(i)
			time.Sleep(time.Minute / worldEndpoints)
		}
	}
}

// The same world, seen by a Dispatcher and by what one would write first: a queue in the order of
// due times, and workers that take what is due.
func TestFairnessAgainstAPlainQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("hours of virtual time take a second")
	}
	t.Parallel()
	fair, plain := &delays{of: map[string][]time.Duration{}}, &delays{of: map[string][]time.Duration{}}
	synctest.Test(t, func(t *testing.T) { runDispatcher(t, fair) })
	synctest.Test(t, func(t *testing.T) { runPlainQueue(t, plain) })
	for _, kind := range []string{"slow", "hangs"} {
		fair.p99(t, "dispatcher", kind)
		plain.p99(t, "plain queue", kind)
	}
	assert.Less(t, fair.p99(t, "dispatcher", "good"), time.Second)
	assert.Greater(t, plain.p99(t, "plain queue", "good"), 10*time.Second,
		"the world is one in which fairness matters")
}

func runDispatcher(t *testing.T, delays *delays) {
	channels := channel.NewRegistry()
	for _, kind := range []string{"good", "slow", "hangs"} {
		require.NoError(t, channels.Register(kind, channel.Func(func(
			context.Context, *channel.Message,
		) (channel.Result, error) {
			return channel.Result{}, attemptAt(kind)
		})))
	}
	d, err := dispatch.New(memstore.New(), dispatch.Config{
		Channels: channels, Logger: slog.New(slog.DiscardHandler), MaxInFlight: worldSlots,
		Retry: worldRetries, ScheduleJitter: dispatch.NoJitter,
		Hooks: dispatch.Hooks{Attempted: func(r dispatch.Result) {
			if r.Attempt.Number == 1 {
				delays.add(r.Endpoint.Channel, time.Since(r.QueuedAt))
			}
		}},
	})
	require.NoError(t, err)
	for i := range worldEndpoints {
		require.NoError(t, d.CreateSubscription(t.Context(), &webhook.Subscription{
			Name: kindOf(i), OrganizationID: organizationOf(i), EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: kindOf(i), Configs: json.RawMessage(`{}`)}},
		}))
	}
	start(t, d.Run)
	eachMinute(func(i int) {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace, e.OrganizationID = "acme", organizationOf(i)
		_, err := d.Emit(t.Context(), e)
		require.NoError(t, err)
	})
}

func organizationOf(i int) string { return kindOf(i) + string(rune('0'+i)) }

// plainQueue is ordered by due times.
type plainQueue []*plainDelivery

type plainDelivery struct {
	kind       string
	queued, at time.Time
	attempts   int
}

func (q plainQueue) Len() int           { return len(q) }
func (q plainQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q plainQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *plainQueue) Push(x any)        { *q = append(*q, x.(*plainDelivery)) }
func (q *plainQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

func runPlainQueue(t *testing.T, delays *delays) {
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var queue plainQueue
	push := func(d *plainDelivery) {
		mu.Lock()
		defer mu.Unlock()
		heap.Push(&queue, d)
	}
	pop := func() *plainDelivery {
		mu.Lock()
		defer mu.Unlock()
		if len(queue) == 0 || queue[0].at.After(time.Now()) {
			return nil
		}
		return heap.Pop(&queue).(*plainDelivery)
	}
	var workers sync.WaitGroup
	for range worldSlots {
		workers.Go(func() {
			for ctx.Err() == nil {
				d := pop()
				if d == nil {
					time.Sleep(100 * time.Millisecond)
					continue
				}
				err := attemptAt(d.kind)
				if d.attempts == 0 {
					delays.add(d.kind, time.Since(d.queued))
				}
				if err != nil && d.attempts < len(worldRetries) {
					d.at = time.Now().Add(worldRetries[d.attempts])
					d.attempts++
					push(d)
				}
			}
		})
	}
	eachMinute(func(i int) {
		push(&plainDelivery{kind: kindOf(i), queued: time.Now(), at: time.Now()})
	})
	stop()
	workers.Wait()
}
