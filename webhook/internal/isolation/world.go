package isolation

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Site is an endpoint that answers as its behaviour says. It is the config of the
// channel, too.
type Site struct {
	Kind     string `json:"kind"`
	HostName string `json:"host"`
	Timed    int    `json:"timeout"` // in seconds
	calls    atomic.Int64
	world    *World
}

// Capabilities implements [channel.Channel].
func (s *Site) Capabilities() channel.Capabilities {
	return channel.Capabilities{Host: s.HostName, Timeout: time.Duration(s.Timed) * time.Second}
}

// Send answers. What a silent one does to a request is the timeout's matter.
func (s *Site) Send(ctx context.Context, m *channel.Message) (channel.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Capabilities().Timeout)
	defer cancel()
	s.world.Hanging.Add(1)
	defer s.world.Hanging.Add(-1)
	n := s.calls.Add(1)
	burns := time.Duration(0)
	switch s.Kind {
	case "burns":
		burns = 250 * time.Millisecond // a large part of what the limits of a template allow
	case "brief": // no two the same, as in a real process
		burns = 8*time.Millisecond + time.Duration(rand.IntN(1_900_000))
	}
	if err := template.Pass(ctx,
		func(context.Context) error { time.Sleep(burns); return nil }); err != nil {
		return channel.Result{}, channel.ContextError(ctx)
	}
	switch {
	case s.Kind == "burns", s.Kind == "brief":
	case s.Kind == "victim":
		time.Sleep(20 * time.Millisecond)
		s.world.arrive(m.EventID)
	case s.Kind == "under" || (s.Kind == "turns" || strings.HasPrefix(s.Kind, "large")) &&
		!s.world.turned.Load():
		time.Sleep(290 * time.Millisecond)
	case s.Kind == "fails":
		return channel.Result{}, channel.Classify(500, http.Header{}, time.Now())
	case s.Kind == "refuses": // in time, so that nothing is wrong with the endpoint
		time.Sleep(3 * time.Second)
		return channel.Result{}, channel.Classify(422, http.Header{}, time.Now())
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

// World is a dispatcher with a victim whose events go to one endpoint.
type World struct {
	*dispatch.Dispatcher
	// Hanging is how many attempts are in flight.
	Hanging atomic.Int64
	turned  atomic.Bool

	mu      sync.Mutex
	sent    map[string]time.Time
	arrived map[string]time.Time
}

// New runs a Dispatcher until the end of the test. Unless cfg has Channels, there is the channel
// "webhook", of Sites.
func New(t *testing.T, store webhook.Store, cfg dispatch.Config) *World {
	t.Helper()
	var err error
	if cfg.Renders == nil {
		cfg.Renders, err = template.NewGate(2) // however many cores there are
		require.NoError(t, err)
	}
	w := &World{sent: make(map[string]time.Time), arrived: make(map[string]time.Time)}
	if cfg.Channels == nil {
		cfg.Channels = channel.NewRegistry()
		require.NoError(t, cfg.Channels.Register("webhook",
			channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
				return w.Open(config)
			})))
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	w.Dispatcher, err = dispatch.New(store, cfg)
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

// Open opens a Site, for a channel that is one.
func (w *World) Open(config json.RawMessage) (*Site, error) {
	s := &Site{world: w}
	return s, json.Unmarshal(config, s)
}

func (w *World) arrive(eventID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived[eventID] = time.Now()
}

// Subscribe makes a subscription of as many channels.
func (w *World) Subscribe(t *testing.T, organization string, channels int, s *Site) {
	t.Helper()
	hook := &webhook.Subscription{Name: "w", OrganizationID: organization,
		EventTypes: []event.Pattern{event.Pattern(s.Kind + ".sent")}}
	config, err := json.Marshal(s)
	require.NoError(t, err)
	for range channels {
		hook.Channels = append(hook.Channels, webhook.ChannelConfig{Channel: "webhook", Configs: config})
	}
	require.NoError(t, w.CreateSubscription(t.Context(), hook))
}

// EmitKind emits an event to the subscriptions of sites of that kind.
func (w *World) EmitKind(t *testing.T, organization, kind string) *event.Event {
	t.Helper()
	e := newEvent(kind + ".sent")
	e.OrganizationID = organization
	if strings.HasPrefix(kind, "large") {
		e.Metadata = map[string]any{"blob": strings.Repeat("x", 200_000)}
	}
	_, err := w.Emit(t.Context(), e)
	require.NoError(t, err)
	return e
}

// victim emits 100 events a second for as long, and returns how many of them
// arrived within that, and the 99th percentile of how long those took.
func (w *World) victim(
	t *testing.T, organization string, seconds int,
) (share float64, p99 time.Duration) {
	t.Helper()
	var ids []string
	for range seconds * 100 {
		began := time.Now()
		e := w.EmitKind(t, organization, "victim")
		ids = append(ids, e.ID)
		w.mu.Lock()
		w.sent[e.ID] = began
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

func newEvent(eventType string) *event.Event {
	e := event.New(eventType, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace = "acme"
	return e
}
