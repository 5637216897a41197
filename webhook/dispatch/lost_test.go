package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// mortalStore is a store as one process has it: once that is dead, nothing that
// it does arrives any more.
type mortalStore struct {
	webhook.Store
	dead atomic.Bool
}

var errDead = errors.New("the process is dead")

func (s *mortalStore) alive() error {
	if s.dead.Load() {
		return errDead
	}
	return nil
}

func (s *mortalStore) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	return s.Store.Claim(ctx, now, r)
}

func (s *mortalStore) Start(
	ctx context.Context, now time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	return s.Store.Start(ctx, now, leases)
}

func (s *mortalStore) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	return s.Store.Extend(ctx, until, leases)
}

func (s *mortalStore) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	return s.Store.Settle(ctx, now, settlements)
}

// mortals are processes on one store. When an attempt is made of an event of a
// fatal type, its process dies, and what it was doing comes to nothing.
type mortals struct {
	store  webhook.Store
	cfg    dispatch.Config
	fatal  string
	took   time.Duration // by any other attempt
	mu     sync.Mutex
	deaths int
	begun  map[string]int // attempts, by event
}

// assertEnds waits for a process that could not store its last results, or had none.
func assertEnds(t *testing.T, ended <-chan error) {
	t.Helper()
	if err := <-ended; err != nil {
		assert.ErrorIs(t, err, errDead)
	}
}

// run lets one process after the other live, until one of them does not die
// within the time.
func (m *mortals) run(t *testing.T, within time.Duration) {
	t.Helper()
	for {
		died := make(chan struct{})
		process := &mortalStore{Store: m.store}
		send := func(ctx context.Context, msg *channel.Message) (channel.Result, error) {
			m.mu.Lock()
			m.begun[msg.EventID]++
			m.mu.Unlock()
			if strings.HasPrefix(msg.EventType, m.fatal) {
				if !process.dead.Swap(true) {
					close(died)
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(m.took):
			}
			return channel.Result{StatusCode: 200}, ctx.Err()
		}
		b := benchOn(t, process, m.cfg, send)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		select {
		case <-died:
			m.deaths++
			cancel()
			assertEnds(t, ended)
		case <-time.After(within):
			cancel()
			require.NoError(t, <-ended)
			return
		}
	}
}

func TestAnEventThatStopsEveryProcessDies(t *testing.T) {
	if testing.Short() {
		t.Skip("has 1200 deliveries in two dozen processes")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &mortals{store: memstore.New(), fatal: "poison.", took: 200 * time.Millisecond,
			begun: make(map[string]int)}
		b := benchOn(t, m.store, m.cfg, accept)
		for range 4 {
			b.subscribe(t, "*")
		}
		const innocents = 300
		for i := range innocents {
			if i == innocents/2 {
				b.emit(t, "poison.made")
			}
			b.emit(t, event.ObjectCreated)
		}
		m.run(t, 20*time.Minute)

		dead := b.deliveries(t, webhook.DeliveryQuery{Status: webhook.StatusDead})
		require.Len(t, dead, 4, "the event dies for each of its endpoints")
		for _, d := range dead {
			assert.Equal(t, "poison.made", d.EventType)
			lost := 0
			for _, a := range d.Attempts {
				require.Equal(t, string(dispatch.ClassLost), a.Class)
				require.Contains(t, a.Error, "the process stopped")
				require.False(t, a.StartedAt.Before(d.CreatedAt))
				require.False(t, a.Succeeded())
				lost++
			}
			assert.GreaterOrEqual(t, lost, 4)
			assert.LessOrEqual(t, lost, 5)
		}
		for _, d := range b.deliveries(t,
			webhook.DeliveryQuery{EventType: event.ObjectCreated, Limit: 4 * innocents}) {
			require.Equal(t, webhook.StatusSucceeded, d.Status,
				"what was in memory beside it does not die: %d", d.ID)
			require.LessOrEqual(t, len(d.Attempts), 3,
				"and is hardly held back: it is attempted alone after it was lost twice")
		}
		assert.LessOrEqual(t, m.deaths, 4*6)
	})
}

func TestAKilledProcessCostsNoAttempt(t *testing.T) {
	if testing.Short() {
		t.Skip("has 400 deliveries in a dozen processes")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		b := benchOn(t, store, dispatch.Config{PollInterval: slowPoll}, accept)
		b.subscribe(t, "*")
		const events = 400
		for range events {
			b.emit(t, event.ObjectCreated)
		}
		hang := func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
			<-ctx.Done()
			return channel.Result{}, ctx.Err()
		}
		for range 10 { // killed again and again before anything is done
			process := &mortalStore{Store: store}
			ctx, cancel := context.WithCancel(context.Background())
			killed := benchOn(t, process, dispatch.Config{MaxLostAttempts: 100}, hang)
			ended := make(chan error, 1)
			go func() { ended <- killed.Run(ctx) }()
			time.Sleep(2 * time.Second)
			process.dead.Store(true)
			cancel()
			assertEnds(t, ended)
			time.Sleep(time.Minute)
		}
		waiting := 0
		for _, d := range b.deliveries(t, webhook.DeliveryQuery{Limit: events}) {
			require.NotEqual(t, webhook.StatusDead, d.Status)
			if len(d.Attempts) == 0 {
				waiting++
			}
		}
		assert.Greater(t, waiting, events/2, "what was only in memory lost no attempt")
		b.run(t)
		time.Sleep(3 * time.Hour)
		for _, d := range b.deliveries(t, webhook.DeliveryQuery{Limit: events}) {
			require.Equal(t, webhook.StatusSucceeded, d.Status)
		}
	})
}

func TestMaxLostAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &mortals{
			store: memstore.New(), fatal: "object.", begun: make(map[string]int),
			cfg: dispatch.Config{PollInterval: slowPoll, MaxLostAttempts: 2,
				Logger: slog.New(slog.DiscardHandler)},
		}
		b := benchOn(t, m.store, m.cfg, accept)
		b.subscribe(t, "*")
		e := b.emit(t, event.ObjectCreated)
		m.run(t, time.Hour)
		assert.Equal(t, webhook.StatusDead, b.only(t).Status)
		assert.Len(t, b.only(t).Attempts, 2)
		assert.Equal(t, 3, m.begun[e.ID], "the first of them is not known to have begun")

		_, err := dispatch.New(m.store, dispatch.Config{MaxLostAttempts: -1})
		require.ErrorContains(t, err, "MaxLostAttempts")
	})
}

// oneAtATime is a channel that can make one attempt at a time.
type oneAtATime struct{ channel.Func }

func (oneAtATime) Capabilities() channel.Capabilities {
	return channel.Capabilities{Host: "mail.example.com", MaxInFlight: 1}
}

// What waits for a place of its channel is not lost with the attempt that has it.
func TestWaitingForAPlaceIsNoAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		process := func(s webhook.Store) *dispatch.Dispatcher {
			registry := channel.NewRegistry()
			require.NoError(t, registry.Register("webhook",
				channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) {
					return oneAtATime{func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
						<-ctx.Done()
						return channel.Result{}, ctx.Err()
					}}, nil
				})))
			d, err := dispatch.New(s, dispatch.Config{Channels: registry,
				Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			return d
		}
		b := &testBench{Dispatcher: process(store)}
		b.subscribe(t, "*")
		for range 20 {
			b.emit(t, event.ObjectCreated)
		}
		const kills = 3
		for range kills {
			mortal := &mortalStore{Store: store}
			ctx, cancel := context.WithCancel(context.Background())
			d, ended := process(mortal), make(chan error, 1)
			go func() { ended <- d.Run(ctx) }()
			time.Sleep(3 * time.Second)
			mortal.dead.Store(true)
			cancel()
			assertEnds(t, ended)
			time.Sleep(time.Minute)
		}
		// The last process only reads what was lost.
		tasks, err := store.Claim(t.Context(), time.Now(),
			webhook.ClaimRequest{Until: time.Now().Add(time.Minute), Limit: 100, PerEndpoint: 100})
		require.NoError(t, err)
		require.Len(t, tasks, 20)
		lost := 0
		for _, task := range tasks {
			if task.Lost > 1 {
				lost++
			}
		}
		assert.LessOrEqual(t, lost, kills-1,
			"one attempt was under way at each kill but the first, which nothing is known of")
		assert.Positive(t, lost)
	})
}

// slowStart is a store whose note that an attempt does not begin after all, if the Dispatcher
// writes one, takes its time.
type slowStart struct{ webhook.Store }

func (s slowStart) Start(
	ctx context.Context, now time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	if now.IsZero() {
		time.Sleep(2 * time.Second)
	}
	return s.Store.Start(ctx, now, leases)
}

// Two deliveries that have lost a lease wait for one place of their channel. What the worker does
// that found no place must not erase what the next one notes of the same delivery.
func TestTheNoteOfAnAttemptStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		b := benchOn(t, store, dispatch.Config{}, accept)
		b.subscribe(t, "*")
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		claim := func() []webhook.Task {
			tasks, err := store.Claim(t.Context(), time.Now(), webhook.ClaimRequest{
				Until: time.Now().Add(time.Second), Limit: 10, PerOrganization: 10, PerEndpoint: 10})
			require.NoError(t, err)
			require.Len(t, tasks, 2)
			return tasks
		}
		claim() // by a process that dies at once
		time.Sleep(2 * time.Second)

		begun := make(map[string]time.Time)
		var mu sync.Mutex
		registry := channel.NewRegistry()
		require.NoError(t, registry.Register("webhook",
			channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) {
				return oneAtATime{func(ctx context.Context, m *channel.Message) (channel.Result, error) {
					mu.Lock()
					begun[m.DeliveryID] = time.Now()
					first := len(begun) == 1
					mu.Unlock()
					if first {
						time.Sleep(time.Second)
						return channel.Result{}, status(500)
					}
					<-ctx.Done()
					return channel.Result{}, ctx.Err()
				}}, nil
			})))
		mortal := &mortalStore{Store: slowStart{store}}
		d, err := dispatch.New(mortal, dispatch.Config{Channels: registry,
			Retry: dispatch.RetrySchedule{time.Hour}, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		elapse(10 * time.Second)
		require.Len(t, begun, 2, "the second has its place when the first has failed")
		mortal.dead.Store(true)
		cancel()
		assertEnds(t, ended)
		time.Sleep(2 * time.Hour)
		noted := 0
		for _, task := range claim() {
			if at, ok := begun[task.DeliveryID.String()]; ok && at.Equal(task.LostAt) {
				noted++
			}
		}
		assert.Equal(t, 1, noted, "that of the second, which had no result")
	})
}

// What was lost twice is attempted alone. Organizations take turns there, so that one whose endpoints
// hang does not hold up what another has lost.
func TestOrganizationsTakeTurnsWithAttemptsAlone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		cfg := dispatch.Config{AttemptTimeout: 10 * time.Second, MaxInFlight: 128,
			Retry: dispatch.RetrySchedule{0, time.Hour}, Logger: slog.New(slog.DiscardHandler)}
		b := benchOn(t, store, cfg, func(ctx context.Context, m *channel.Message) (channel.Result, error) {
			if m.EventType == event.ObjectCreated {
				<-ctx.Done()
				return channel.Result{}, ctx.Err()
			}
			return channel.Result{StatusCode: 200}, nil
		})
		emit := func(organization, eventType string) {
			e := event.New(eventType, event.Subject{Type: "object", ID: "obj_1"})
			e.Namespace, e.OrganizationID = "acme", organization
			_, err := b.Emit(t.Context(), e)
			require.NoError(t, err)
		}
		for organization, endpoints := range map[string]int{"noisy": 60, "victim": 1} {
			for range endpoints {
				require.NoError(t, b.CreateSubscription(t.Context(), &webhook.Subscription{Name: "a",
					OrganizationID: organization, EventTypes: []event.Pattern{"*"},
					Channels: []webhook.ChannelConfig{{Channel: "webhook", Configs: []byte(`{}`)}}}))
			}
		}
		emit("noisy", event.ObjectCreated)
		for range 5 {
			emit("victim", event.ObjectUpdated)
		}
		for range 2 { // processes that die with what they have begun
			time.Sleep(2 * time.Second)
			tasks, err := store.Claim(t.Context(), time.Now(), webhook.ClaimRequest{
				Until: time.Now().Add(time.Second), Limit: 512, PerOrganization: 512, PerEndpoint: 512})
			require.NoError(t, err)
			require.Len(t, tasks, 65)
			var leases []webhook.Lease
			for _, task := range tasks {
				leases = append(leases, task.Lease)
			}
			_, err = store.Start(t.Context(), time.Now(), leases)
			require.NoError(t, err)
		}
		time.Sleep(2 * time.Second)
		b.run(t)
		time.Sleep(2 * time.Minute)
		assert.Len(t, b.deliveries(t, webhook.DeliveryQuery{OrganizationID: "victim",
			Status: webhook.StatusSucceeded}), 5)
	})
}

// slowNote is a store that takes a second to note that attempts begin.
type slowNote struct{ webhook.Store }

func (s slowNote) Start(
	ctx context.Context, now time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	time.Sleep(time.Second)
	return s.Store.Start(ctx, now, leases)
}

// An attempt of a delivery that has lost a lease begins with a note in the store. The time which that
// takes is not part of the attempt, and not taken from it either if it waits to render.
func TestDurationLeavesOutOnlyWhatIsInIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate, err := template.NewGate(1)
		require.NoError(t, err)
		store := memstore.New()
		b := benchOn(t, slowNote{store}, dispatch.Config{Renders: gate},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				if err := template.Pass(ctx, func(context.Context) error { return nil }); err != nil {
					return channel.Result{}, err
				}
				time.Sleep(2 * time.Second)
				return accept(ctx, m)
			})
		b.subscribe(t, "*")
		b.emit(t, event.ObjectCreated)
		tasks, err := store.Claim(t.Context(), time.Now(), webhook.ClaimRequest{
			Until: time.Now().Add(time.Second), Limit: 1, PerOrganization: 1, PerEndpoint: 1})
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		elapse(2 * time.Second) // that process has lost it
		var held sync.WaitGroup
		held.Go(func() {
			assert.NoError(t, template.Pass(gate.Context(t.Context()), func(context.Context) error {
				time.Sleep(10 * time.Second)
				return nil
			}))
		})
		elapse(time.Second)
		b.run(t)
		held.Wait()
		elapse(time.Minute)
		d := b.only(t)
		require.Len(t, d.Attempts, 1)
		assert.Equal(t, 2*time.Second, d.Attempts[0].Duration)
	})
}
