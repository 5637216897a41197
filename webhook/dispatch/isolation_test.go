package dispatch_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"slices"
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

// site is an endpoint that answers as its behaviour says. It is the config of the
// channel, too.
type site struct {
	Kind     string `json:"kind"`
	HostName string `json:"host"`
	Timed    int    `json:"timeout"` // in seconds
	calls    atomic.Int64
	world    *world
}

func (s *site) Capabilities() channel.Capabilities {
	return channel.Capabilities{Host: s.HostName, Timeout: time.Duration(s.Timed) * time.Second}
}

// Send answers. What a silent one does to a request is the timeout's matter.
func (s *site) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Capabilities().Timeout)
	defer cancel()
	s.world.hanging.Add(1)
	defer s.world.hanging.Add(-1)
	n := s.calls.Add(1)
	burns := time.Duration(0)
	if s.Kind == "burns" {
		burns = 250 * time.Millisecond // a large part of what the limits of a template allow
	}
	if err := template.Pass(ctx,
		func(context.Context) error { time.Sleep(burns); return nil }); err != nil {
		return channel.Result{}, channel.ContextError(ctx)
	}
	switch {
	case s.Kind == "burns":
	case s.Kind == "victim":
		time.Sleep(20 * time.Millisecond)
		s.world.arrive(m.EventID)
	case s.Kind == "under" || (s.Kind == "turns" || strings.HasPrefix(s.Kind, "large")) &&
		!s.world.turned.Load():
		time.Sleep(290 * time.Millisecond)
	case s.Kind == "refuses":
		return channel.Result{}, status(500)
	case s.Kind == "alternates" && n%2 == 0:
		time.Sleep(time.Millisecond)
	case s.Kind == "drips":
		for ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond) // and another byte of the answer
		}
		return channel.Result{}, channel.ContextError(ctx)
	default: // silent, alternating, turned
		<-ctx.Done()
		return channel.Result{}, channel.ContextError(ctx)
	}
	return channel.Result{StatusCode: 200}, nil
}

// world is a dispatcher with a victim whose events go to one endpoint.
type world struct {
	*dispatch.Dispatcher
	hanging atomic.Int64
	turned  atomic.Bool

	mu      sync.Mutex
	sent    map[string]time.Time
	arrived map[string]time.Time
}

func newWorld(t *testing.T, cfg dispatch.Config) *world {
	t.Helper()
	var err error
	if cfg.Renders == nil {
		cfg.Renders, err = template.NewGate(2) // however many cores there are
		require.NoError(t, err)
	}
	w := &world{sent: make(map[string]time.Time), arrived: make(map[string]time.Time)}
	if cfg.Channels == nil {
		cfg.Channels = channel.NewRegistry()
		require.NoError(t, cfg.Channels.Register("webhook",
			channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
				s := &site{world: w}
				return s, json.Unmarshal(config, s)
			})))
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	w.Dispatcher, err = dispatch.New(memstore.New(), cfg)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})
	return w
}

func (w *world) arrive(eventID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived[eventID] = time.Now()
}

// subscribe makes a subscription of as many channels.
func (w *world) subscribe(t *testing.T, organization string, channels int, s *site) {
	t.Helper()
	hook := &webhook.Subscription{Name: "w", OrganizationID: organization,
		EventTypes: []event.Pattern{event.Pattern(s.Kind + ".sent")}}
	for range channels {
		hook.Channels = append(hook.Channels, via("webhook", s))
	}
	require.NoError(t, w.CreateSubscription(t.Context(), hook))
}

func (w *world) emit(t *testing.T, organization, kind string) *event.Event {
	t.Helper()
	e := newEvent(kind + ".sent")
	e.OrganizationID = organization
	if strings.HasPrefix(kind, "large") {
		e.Metadata = map[string]any{"blob": strings.Repeat("x", 200_000)}
	}
	require.NoError(t, errorOf(w.Emit(t.Context(), e)))
	return e
}

// victim emits 100 events a second for as long, and returns how many of them
// arrived within that, and the 99th percentile of how long those took.
func (w *world) victim(
	t *testing.T, organization string, seconds int,
) (share float64, p99 time.Duration) {
	t.Helper()
	var ids []string
	for range seconds * 100 {
		e := w.emit(t, organization, "victim")
		ids = append(ids, e.ID)
		w.mu.Lock()
		w.sent[e.ID] = time.Now()
		w.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	var took []time.Duration
	for _, id := range ids {
		if at, ok := w.arrived[id]; ok {
			took = append(took, at.Sub(w.sent[id]))
		}
	}
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return float64(len(took)) / float64(len(ids)), took[len(took)*99/100]
}

// isolationSeconds covers attempts that run into a timeout of 10 s, and what follows; more than 30
// covers a timeout of 30 s too.
var isolationSeconds = flag.Int("isolation.seconds", 15,
	"how many virtual seconds the victim of TestIsolation emits beside each attack")

// Whatever others do, a victim keeps 95% of its rate, and twice its p99 at most.
func TestIsolation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	silent := func(host string, timeout int) *site {
		return &site{Kind: "silent", HostName: host,
			Timed: timeout}
	}
	attacks := []struct {
		name   string
		victim string // its organization
		begin  func(t *testing.T, w *world)
		after  func(t *testing.T, w *world) // what goes on, once a second
	}{
		{"11 subscriptions of 50 channels hang for 5 minutes", "victim", func(t *testing.T, w *world) {
			for range 11 {
				w.subscribe(t, "attacker", 50, silent("a.example", 300))
			}
			for range 50 {
				w.emit(t, "attacker", "silent")
			}
		}, nil},
		{"2000 endpoints hang for 10 s, 50 events", "victim", func(t *testing.T, w *world) {
			for i := range 2000 {
				w.subscribe(t, "attacker", 1, silent(fmt.Sprint("a", i, ".example"), 10))
			}
			for range 50 {
				w.emit(t, "attacker", "silent")
			}
		}, nil},
		{"a host that 400 organizations use hangs", "victim", func(t *testing.T, w *world) {
			for i := range 400 {
				w.subscribe(t, fmt.Sprint("org", i), 2,
					&site{Kind: "turns", HostName: "hooks.example", Timed: 10})
			}
			for range 3 {
				for i := range 400 {
					w.emit(t, fmt.Sprint("org", i), "turns")
				}
				time.Sleep(time.Second)
			}
			w.turned.Store(true)
		}, func(t *testing.T, w *world) {
			for i := range 400 {
				w.emit(t, fmt.Sprint("org", i), "turns")
			}
		}},
		{"the hosts of 400 organizations hang", "victim", func(t *testing.T, w *world) {
			for i := range 400 {
				w.subscribe(t, fmt.Sprint("org", i), 1,
					&site{Kind: "turns", HostName: fmt.Sprint(i, ".example"), Timed: 30})
			}
			for range 3 {
				for i := range 400 {
					w.emit(t, fmt.Sprint("org", i), "turns")
				}
				time.Sleep(time.Second)
			}
			w.turned.Store(true)
		}, func(t *testing.T, w *world) {
			for i := range 400 {
				w.emit(t, fmt.Sprint("org", i), "turns")
			}
		}},
		{"550 silent endpoints in the victim's organization", "one", func(t *testing.T, w *world) {
			for i := range 550 {
				w.subscribe(t, "one", 1, silent(fmt.Sprint("a", i, ".example"), 30))
			}
			for range 20 {
				w.emit(t, "one", "silent")
			}
		}, func(t *testing.T, w *world) { w.emit(t, "one", "silent") }},
		{"550 endpoints of the victim's organization fall silent", "one", func(t *testing.T, w *world) {
			for i := range 550 {
				w.subscribe(t, "one", 1, &site{Kind: "turns", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 30})
			}
			for range 3 {
				w.emit(t, "one", "turns")
				time.Sleep(time.Second)
			}
			w.turned.Store(true)
		}, func(t *testing.T, w *world) { w.emit(t, "one", "turns") }},
		{"2000 endpoints that answered fall silent", "victim", func(t *testing.T, w *world) {
			for i := range 2000 {
				w.subscribe(t, "attacker", 1, &site{Kind: "turns", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 300})
			}
			for range 3 {
				w.emit(t, "attacker", "turns")
				time.Sleep(2 * time.Second)
			}
			w.turned.Store(true)
		}, func(t *testing.T, w *world) { w.emit(t, "attacker", "turns") }},
		{"the templates of 100 endpoints burn CPU", "victim", func(t *testing.T, w *world) {
			for i := range 100 {
				w.subscribe(t, "attacker", 1, &site{Kind: "burns", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 10})
			}
		}, func(t *testing.T, w *world) { w.emit(t, "attacker", "burns") }},
		{"the templates of 100 organizations burn CPU", "victim", func(t *testing.T, w *world) {
			for i := range 100 {
				w.subscribe(t, fmt.Sprint("org", i), 1,
					&site{Kind: "burns", HostName: fmt.Sprint(i, ".example"), Timed: 10})
			}
		}, func(t *testing.T, w *world) {
			for i := range 100 {
				w.emit(t, fmt.Sprint("org", i), "burns")
			}
		}},
		{"500 endpoints drip", "victim", func(t *testing.T, w *world) {
			for i := range 10 {
				w.subscribe(t, "attacker", 50, &site{Kind: "drips",
					HostName: fmt.Sprint("a", i, ".example"), Timed: 60})
			}
			for range 20 {
				w.emit(t, "attacker", "drips")
			}
		}, func(t *testing.T, w *world) { w.emit(t, "attacker", "drips") }},
		{"events of 200 KB, more than there is memory for", "victim", func(t *testing.T, w *world) {
			for i := range 4 {
				kind := fmt.Sprint("large", i) // events of its own, which take memory of their own
				w.subscribe(t, "attacker", 1, &site{Kind: kind, HostName: kind + ".example", Timed: 30})
			}
			for i := range 3 * 4 {
				w.emit(t, "attacker", fmt.Sprint("large", i%4))
				time.Sleep(300 * time.Millisecond)
			}
			for i := range 120 * 4 { // what answers in time may have much in memory
				w.emit(t, "attacker", fmt.Sprint("large", i%4))
			}
		}, nil},
		{"events of 200 KB of 20 organizations", "victim", func(t *testing.T, w *world) {
			for i := range 20 {
				w.subscribe(t, fmt.Sprint("org", i), 5,
					&site{Kind: "large", HostName: fmt.Sprint("a", i, ".example"), Timed: 30})
			}
			for i := range 400 {
				if i == 60 {
					time.Sleep(time.Second)
					w.turned.Store(true)
				}
				w.emit(t, fmt.Sprint("org", i%20), "large")
			}
		}, func(t *testing.T, w *world) {
			for i := range 4 {
				w.emit(t, fmt.Sprint("org", i), "large")
			}
		}},
		{"subscriptions with a backlog change all the time", "victim", func(t *testing.T, w *world) {
			for i := range 20 {
				w.subscribe(t, "attacker", 5, silent(fmt.Sprint("a", i, ".example"), 60))
			}
			for range 50 {
				w.emit(t, "attacker", "silent")
			}
		}, func(t *testing.T, w *world) {
			for range 5 {
				subs, err := w.Subscriptions(t.Context(), webhook.SubscriptionQuery{OrganizationID: "attacker"})
				require.NoError(t, err)
				for _, sub := range subs {
					sub.Paused = !sub.Paused
					require.NoError(t, w.UpdateSubscription(t.Context(), sub))
				}
			}
		}},
		{"500 events a second for endpoints that answer", "victim", func(t *testing.T, w *world) {
			for i := range 4 {
				w.subscribe(t, "attacker", 1, &site{Kind: "under", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 10})
			}
		}, func(t *testing.T, w *world) {
			for range 500 {
				w.emit(t, "attacker", "under")
			}
		}},
		{"500 deliveries are replayed once a second", "victim", func(t *testing.T, w *world) {
			for i := range 5 {
				w.subscribe(t, "attacker", 1, &site{Kind: "under", HostName: fmt.Sprint("a", i, ".example"),
					Timed: 10})
			}
			for range 100 {
				w.emit(t, "attacker", "under")
			}
			time.Sleep(30 * time.Second)
		}, func(t *testing.T, w *world) {
			settled, err := w.Deliveries(t.Context(), webhook.DeliveryQuery{OrganizationID: "attacker",
				Status: webhook.StatusSucceeded, Limit: 500, WithoutAttempts: true})
			require.NoError(t, err)
			require.NotEmpty(t, settled)
			for i := range settled {
				require.NoError(t, w.Replay(t.Context(), "attacker", settled[i].ID))
			}
		}},
		{"tests of 50 silent channels, by 40 organizations", "victim", func(t *testing.T, w *world) {
			for i := range 40 {
				w.subscribe(t, fmt.Sprint("org", i), 50, silent(fmt.Sprint("a", i, ".example"), 60))
			}
		}, func(t *testing.T, w *world) {
			for i := range 40 {
				subs, err := w.Subscriptions(t.Context(),
					webhook.SubscriptionQuery{OrganizationID: fmt.Sprint("org", i)})
				require.NoError(t, err)
				go func() { // the limits refuse most of them
					_, _ = w.SendTest(t.Context(), subs[0], newEvent("silent.sent"))
				}()
			}
			synctest.Wait()
			assert.Positive(t, w.hanging.Load())
		}},
		{"all at once", "victim", func(t *testing.T, w *world) {
			for _, kind := range []string{"silent", "under", "refuses", "alternates"} {
				for i := range 6 {
					w.subscribe(t, "attacker", 50, &site{Kind: kind,
						HostName: fmt.Sprint(kind, i, ".example"), Timed: 60})
				}
			}
		}, func(t *testing.T, w *world) {
			for _, kind := range []string{"silent", "under", "refuses", "alternates"} {
				for range 5 {
					w.emit(t, "attacker", kind)
				}
			}
		}},
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, dispatch.Config{})
				w.subscribe(t, a.victim, 1, &site{Kind: "victim", HostName: "shop.example", Timed: 10})
				alone, p99 := w.victim(t, a.victim, 2)
				require.InDelta(t, 1, alone, 0, "alone, all that it emits arrives")
				require.Equal(t, 20*time.Millisecond, p99)

				a.begin(t, w)
				worst, slowest := 1.0, time.Duration(0)
				for range *isolationSeconds {
					if a.after != nil {
						a.after(t, w)
					}
					share, took := w.victim(t, a.victim, 1)
					worst, slowest = min(worst, share), max(slowest, took)
				}
				assert.GreaterOrEqual(t, worst, 0.95, "of the victim's rate, in every second")
				assert.LessOrEqual(t, slowest, 2*p99)
				assert.LessOrEqual(t, w.hanging.Load(), int64(2048), "as many as Config.MaxInFlight says")
			})
		})
	}
}

// A hook that takes its time does not keep results from being stored.
func TestASlowHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var called atomic.Int64
		w := newWorld(t, dispatch.Config{Hooks: dispatch.Hooks{Attempted: func(dispatch.Result) {
			time.Sleep(10 * time.Second)
			called.Add(1)
		}}, DrainTimeout: time.Hour})
		w.subscribe(t, "victim", 1, &site{Kind: "victim", HostName: "shop.example", Timed: 10})
		for range 100 {
			w.emit(t, "victim", "victim")
		}
		elapse(2 * time.Second)
		deliveries, err := w.Deliveries(t.Context(),
			webhook.DeliveryQuery{OrganizationID: "victim", Status: webhook.StatusSucceeded})
		require.NoError(t, err)
		assert.Len(t, deliveries, 100, "stored, though the hook has not even heard of the second")
		elapse(20 * time.Minute)
		assert.EqualValues(t, 100, called.Load(), "each is told")
	})
}
