package postgres_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// asked is a store that notes how long it took at most to say its time. By half of that a process is
// wrong about it.
type asked struct {
	*stored
	mu      *sync.Mutex
	slowest *time.Duration
}

// Now implements [webhook.Store].
func (s asked) Now(ctx context.Context) (time.Time, error) {
	begun := time.Now()
	at, err := s.stored.Now(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.slowest = max(*s.slowest, time.Since(begun))
	return at, err
}

// Two processes on one database keep to the limit of an endpoint together.
func TestProcessesShareARateLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dsn := schemaDSN(t)
	limit := webhook.RateLimit{PerSecond: 50, Burst: 10}
	const events = 60 // a second's, and the burst
	var mu sync.Mutex
	var times []time.Time
	var slowest time.Duration // in saying the time
	made := make(map[int]int) // by process
	var stopped sync.WaitGroup
	processes := make([]*dispatch.Dispatcher, 2)
	for i := range processes {
		channels := channel.NewRegistry()
		require.NoError(t, channels.Register("webhook",
			channel.Func(func(context.Context, *channel.Message) (channel.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				times = append(times, time.Now())
				made[i]++
				return channel.Result{}, nil
			})))
		d, err := dispatch.New(asked{open(t, dsn), &mu, &slowest}, dispatch.Config{Channels: channels})
		require.NoError(t, err)
		processes[i] = d
	}
	require.NoError(t, processes[0].CreateSubscription(ctx, &webhook.Subscription{
		Name: "all", EventTypes: []event.Pattern{"*"}, RateLimit: &limit,
		Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: json.RawMessage(`{}`)}},
	}))
	for _, d := range processes {
		stopped.Go(func() { assert.NoError(t, d.Run(ctx)) })
	}
	began := time.Now()
	var emits sync.WaitGroup
	for _, d := range processes {
		emits.Go(func() {
			for range events / 2 {
				e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
				e.Namespace = "acme"
				assert.NoError(t, errorOf(d.Emit(ctx, e)))
			}
		})
	}
	emits.Wait()
	eventually(t, "all is delivered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(times) >= events
	})
	cancel()
	stopped.Wait()
	assert.Len(t, times, events)
	assert.Len(t, made, 2, "both have delivered: %v", made)
	slices.SortFunc(times, time.Time.Compare)
	for i, at := range times {
		// What comes after the burst has to wait for its permit, however late the others were.
		after := time.Duration(float64(i+1-limit.Burst) / limit.PerSecond * float64(time.Second))
		clocks := 50*time.Millisecond + slowest // by which their ideas of the database's clock may differ
		assert.GreaterOrEqual(t, at.Sub(began)+clocks, after, "attempt %d", i+1)
	}
}
