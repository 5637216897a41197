package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

// relay is a channel to a mail server: it can make so many attempts at a time,
// and an attempt waits for its turn if it is begun nevertheless.
type relay struct {
	most        int
	lasts       time.Duration
	connections chan struct{}

	mu      sync.Mutex
	now     int // attempts that were begun and have not ended
	highest int
	taken   map[string]int // by delivery
}

func (*relay) Schema() channel.Schema { return channel.Schema{} }

// Open returns the relay, or a channel without a limit, which accepts everything
// at once, if the configuration says "free".
func (r *relay) Open(raw json.RawMessage) (channel.Channel, error) {
	var c struct{ Free bool }
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if c.Free {
		return channel.Func(func(context.Context, *channel.Message) (channel.Result,
			error) {
			return channel.Result{}, nil
		}), nil
	}
	return limitedRelay{r}, nil
}

// mostAtATime returns how many attempts were under way at once, at most.
func (r *relay) mostAtATime() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.highest
}

// attempts returns how many attempts were made of each delivery.
func (r *relay) attempts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.taken)
}

type limitedRelay struct{ *relay }

// Capabilities have a Timeout that is longer than anything here.
func (r limitedRelay) Capabilities() channel.Capabilities {
	return channel.Capabilities{Host: "mail.example.com", MaxInFlight: r.most, Timeout: time.Hour}
}

func (r *relay) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	r.mu.Lock()
	r.now++
	r.highest = max(r.highest, r.now)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	select {
	case r.connections <- struct{}{}:
		defer func() { <-r.connections }()
	case <-ctx.Done():
		return channel.Result{}, channel.ContextError(ctx)
	}
	select {
	case <-ctx.Done():
		return channel.Result{}, channel.ContextError(ctx)
	case <-time.After(r.lasts):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken == nil {
		r.taken = make(map[string]int)
	}
	r.taken[m.DeliveryID]++
	return channel.Result{}, nil
}

// relayed starts a dispatcher with subscriptions that use the relay, and emits events.
func relayed(
	t *testing.T, r *relay, subscriptions, events int, cfg dispatch.Config,
) (d *dispatch.Dispatcher, outcomes func() []dispatch.Result, stop func()) {
	r.connections = make(chan struct{}, r.most)
	cfg.Channels = channel.NewRegistry()
	require.NoError(t, cfg.Channels.Register("mail", r))
	var mu sync.Mutex
	var all []dispatch.Result
	cfg.Hooks.Attempted = func(o dispatch.Result) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, o)
	}
	d, err := dispatch.New(memstore.New(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	for i := range subscriptions {
		require.NoError(t, d.CreateSubscription(ctx, &webhook.Subscription{
			Name: fmt.Sprint("mail ", i), EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{{Channel: "mail", Configs: json.RawMessage(`{}`)}},
		}))
	}
	for i := range events {
		e := event.New("object.created", event.Subject{Type: "object", ID: strconv.Itoa(i)})
		e.Namespace = "acme"
		require.NoError(t, errorOf(d.Emit(ctx, e)))
	}
	outcomes = func() []dispatch.Result {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clip(all) // which nothing changes, and what is appended goes elsewhere
	}
	return d, outcomes, func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// 600 mails of half a second through four connections: 600 attempts of half a
// second, and each recipient once. Waiting for a connection is no attempt.
func TestLimitOfAHost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		r := &relay{most: 4, lasts: 500 * time.Millisecond}
		began := time.Now()
		_, outcomes, stop := relayed(t, r, 12, 50, dispatch.Config{})
		for len(outcomes()) < 600 && time.Since(began) < 10*time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		stop()
		assert.Len(t, outcomes(), 600)
		for _, o := range outcomes() {
			assert.Equal(t, webhook.StatusSucceeded, o.Status)
			assert.Equal(t, 500*time.Millisecond, o.Attempt.Duration)
		}
		assert.Len(t, r.attempts(), 600)
		for id, n := range r.attempts() {
			assert.Equal(t, 1, n, id)
		}
		assert.Equal(t, 4, r.mostAtATime())
		// 150 rounds of half a second. A connection may be idle now and then,
		// while the store is asked for more.
		assert.Less(t, time.Since(began), 90*time.Second)
	})
}

// Organizations take turns on a host that limits its attempts, however many endpoints and events
// each has.
func TestOrganizationsTakeTurnsOnALimitedHost(t *testing.T) {
	if testing.Short() {
		t.Skip("has 2000 deliveries")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &relay{most: 4, lasts: 500 * time.Millisecond}
		d, outcomes, stop := relayed(t, r, 0, 0, dispatch.Config{})
		defer stop()
		const endpoints, mails = 200, 40
		subscribe := func(organization string) {
			require.NoError(t, d.CreateSubscription(t.Context(), &webhook.Subscription{
				OrganizationID: organization, Name: "mail", EventTypes: []event.Pattern{"*"},
				Channels: []webhook.ChannelConfig{via("mail", struct{}{})},
			}))
		}
		emit := func(organization string, n int) {
			for range n {
				e := newEvent("object.created")
				e.OrganizationID = organization
				require.NoError(t, errorOf(d.Emit(t.Context(), e)))
			}
		}
		for range endpoints {
			subscribe("crowd")
		}
		subscribe("victim")
		emit("crowd", 10)
		elapse(10 * time.Second)
		before := len(outcomes())
		emit("victim", mails)

		// The crowd's 2000 mails keep the connections busy for 250 s.
		elapse(30 * time.Second)
		made, done, last := 0, 0, 0
		for _, o := range outcomes()[before:] {
			made++
			if o.OrganizationID == "victim" {
				done, last = done+1, made
			}
		}
		require.Equal(t, mails, done, "of the victim's mails, among %d", made)
		assert.LessOrEqual(t, last, 5*mails/2, "attempts in all until its last")
		assert.GreaterOrEqual(t, made, 200, "the connections were not left idle")
		assert.Equal(t, 4, r.mostAtATime())
	})
}

// What waits takes no slot from others.
func TestLimitLeavesSlotsToOthers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		r := &relay{most: 2, lasts: 5 * time.Second}
		d, outcomes, stop := relayed(t, r, 10, 5, dispatch.Config{MaxInFlight: 64})
		defer stop()
		time.Sleep(time.Second)
		other := &webhook.Subscription{
			Name: "free", EventTypes: []event.Pattern{"thing.*"},
			Channels: []webhook.ChannelConfig{via("mail", map[string]any{"free": true})},
		}
		require.NoError(t, d.CreateSubscription(t.Context(), other))
		for range 10 {
			e := event.New("thing.done", event.Subject{Type: "thing", ID: "x"})
			e.Namespace = "acme"
			require.NoError(t, errorOf(d.Emit(t.Context(), e)))
		}
		time.Sleep(20 * time.Second)
		delivered := 0
		for _, o := range outcomes() {
			if o.Endpoint.SubscriptionID == other.ID {
				delivered++
			}
		}
		assert.Equal(t, 10, delivered)
		assert.Less(t, len(outcomes()), 50, "the mails wait still")
	})
}

// An attempt that takes very long, as its channel allows, is one attempt, with its
// lease extended: a mail that is cut off before the server has answered is sent
// twice.
func TestLimitedAttemptIsNotCut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		r := &relay{most: 4, lasts: 50 * time.Minute}
		_, outcomes, stop := relayed(t, r, 1, 1, dispatch.Config{PollInterval: slowPoll, AttemptTimeout: time.Second})
		time.Sleep(time.Hour)
		stop()
		require.Len(t, outcomes(), 1)
		assert.Equal(t, 50*time.Minute, outcomes()[0].Attempt.Duration)
		assert.Len(t, r.attempts(), 1)
	})
}

// What waits when the process stops is not attempted, and another process, or the
// next start, makes it.
func TestLimitWhenStopped(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		r := &relay{most: 2, lasts: 10 * time.Second}
		d, outcomes, stop := relayed(t, r, 3, 10, dispatch.Config{DrainTimeout: 15 * time.Second})
		time.Sleep(5 * time.Second)
		stop()
		assert.Len(t, outcomes(), 2)
		assert.Len(t, r.attempts(), 2)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		cancel()
		require.NoError(t, <-ended)
		assert.Len(t, outcomes(), 30)
		for id, n := range r.attempts() {
			assert.Equal(t, 1, n, id)
		}
		assert.Equal(t, 2, r.mostAtATime())
	})
}
