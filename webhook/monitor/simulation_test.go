package monitor_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
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
	"github.com/mixpeek/webhooks-go/webhook/monitor"
)

// simulation is what happens at many endpoints in a week, as hooks see it.
type simulation struct {
	mu        sync.Mutex
	delays    map[string][]time.Duration // from the emit to the first attempt's end, by channel
	finished  map[string]map[webhook.Status]int
	changes   map[string]int // "channel health"
	told      map[string]int // "channel type"
	delivered map[string]int // operational events that have reached the operator, by type
}

func (s *simulation) hooks() dispatch.Hooks {
	return dispatch.Hooks{
		Attempted: func(r dispatch.Result) {
			s.mu.Lock()
			defer s.mu.Unlock()
			name := r.Endpoint.Channel
			if r.Attempt.Number == 1 {
				s.delays[name] = append(s.delays[name],
					r.Attempt.StartedAt.Add(r.Attempt.Duration).Sub(r.QueuedAt))
			}
			if r.Status != webhook.StatusPending {
				if s.finished[name] == nil {
					s.finished[name] = map[webhook.Status]int{}
				}
				s.finished[name][r.Status]++
			}
		},
		HealthChanged: func(_ context.Context, c dispatch.HealthChange) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changes[c.After.Channel+" "+string(c.After.Health)]++
		},
	}
}

// channels are an endpoint of each kind, and that of the operator.
func (s *simulation) channels(t *testing.T) *channel.Registry {
	t.Helper()
	channels := channel.NewRegistry()
	ok := channel.Result{StatusCode: 200}
	for name, send := range map[string]channel.Func{
		"good": func(context.Context, *channel.Message) (channel.Result, error) {
			time.Sleep(20 * time.Millisecond)
			return ok, nil
		},
		"dead": func(context.Context, *channel.Message) (channel.Result, error) {
			return channel.Result{}, status(503)
		},
		"slow": func(context.Context, *channel.Message) (channel.Result, error) {
			time.Sleep(10 * time.Second)
			return ok, nil
		},
		"refusing": func(_ context.Context, m *channel.Message) (channel.Result, error) {
			if m.EventType == event.ObjectUpdated {
				return channel.Result{}, refused()
			}
			return ok, nil
		},
		"operator": func(_ context.Context, m *channel.Message) (channel.Result, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.delivered[m.EventType]++
			return ok, nil
		},
	} {
		require.NoError(t, channels.Register(name, send))
	}
	return channels
}

var weekEndpoints = flag.Int("week.endpoints", 20,
	"how many endpoints TestAWeekOfManyEndpoints has, at least one of each kind: 20 take a second of\n"+
		"CPU time, and 1000 take 15")

// A week with many endpoints, of which 5% are dead, 5% slow, and 2% refuse one type of event. Each
// gets an event an hour, and every sixth event is of the type that some refuse.
func TestAWeekOfManyEndpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const hours = 7 * 24
	n := *weekEndpoints
	dead, slow, refusing := max(n/20, 1), max(n/20, 1), max(n/50, 1)
	good := n - dead - slow - refusing
	poll := 5 * time.Second
	if n < 50 {
		poll = 20 * time.Second // a week of polls would be most of what a few endpoints take
	}
	kinds := []struct {
		name      string
		endpoints int
	}{{"good", good}, {"dead", dead}, {"slow", slow}, {"refusing", refusing}}
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{
			delays: map[string][]time.Duration{}, finished: map[string]map[webhook.Status]int{},
			changes: map[string]int{}, told: map[string]int{}, delivered: map[string]int{},
		}
		discard := slog.New(slog.DiscardHandler)
		m, err := monitor.New(monitor.Config{Organization: "operator", Logger: discard,
			Interval: time.Minute})
		require.NoError(t, err)
		d, err := dispatch.New(memstore.New(), dispatch.Config{
			Channels: s.channels(t), Logger: discard, Hooks: dispatch.JoinHooks(m.Hooks(), s.hooks()),
			PollInterval: poll, Lease: time.Minute,
		})
		require.NoError(t, err)
		subscribe := func(organizationID, name string, types ...event.Pattern) {
			require.NoError(t, d.CreateSubscription(t.Context(), &webhook.Subscription{
				Name: name, OrganizationID: organizationID, EventTypes: types,
				Channels: []webhook.ChannelConfig{{Channel: name, Configs: json.RawMessage(`{}`)}},
			}))
		}
		subscribe("operator", "operator", "webhook.*", "delivery.*", "backlog.*")
		var organizations []string
		for _, kind := range kinds {
			for i := range kind.endpoints {
				organizations = append(organizations, fmt.Sprintf("%s-%d", kind.name, i))
				subscribe(organizations[len(organizations)-1], kind.name, "object.*")
			}
		}
		start(t, d.Run)
		start(t, func(ctx context.Context) error {
			return m.Run(ctx, emits{d, func(e *event.Event, duplicate bool) {
				if !duplicate {
					name, _ := e.Metadata["channel"].(string)
					s.told[name+" "+e.Type]++
				}
			}})
		})
		for hour := range hours {
			for i, organizationID := range organizations {
				e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
				if (hour+i)%6 == 0 {
					e.Type = event.ObjectUpdated
				}
				e.Namespace, e.OrganizationID = "acme", organizationID
				_, err := d.Emit(t.Context(), e)
				require.NoError(t, err)
				time.Sleep(time.Hour / time.Duration(len(organizations)))
			}
		}
		elapse(time.Minute)

		stats, err := d.Stats(t.Context())
		require.NoError(t, err)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, kind := range kinds {
			delays := s.delays[kind.name]
			slices.Sort(delays)
			t.Logf("%s: %d endpoints, first attempts: p50 %v, p99 %v, finished: %v", kind.name,
				kind.endpoints, delays[len(delays)/2], delays[len(delays)*99/100], s.finished[kind.name])
		}
		t.Log("changes:", s.changes, "told:", s.told, "delivered:", s.delivered)

		finished := func(name string, status webhook.Status) int { return s.finished[name][status] }
		assert.Equal(t, good*hours, finished("good", webhook.StatusSucceeded))
		assert.Equal(t, slow*hours, finished("slow", webhook.StatusSucceeded))
		assert.Equal(t, refusing*hours/6, finished("refusing", webhook.StatusDead))
		assert.Equal(t, refusing*hours-refusing*hours/6, finished("refusing", webhook.StatusSucceeded))
		givenUp := finished("dead", webhook.StatusDead)
		assert.EqualValues(t, dead*hours-givenUp, stats.Stored.Unfinished(), "nothing is lost")
		delays := s.delays["good"]
		assert.Less(t, delays[len(delays)*99/100], time.Second, "the others do not slow them down")

		assert.Equal(t, map[string]int{"dead degraded": dead, "dead disabled": dead}, s.changes,
			"slow and refusing endpoints are healthy")
		assert.Equal(t, dead, s.told["dead webhook.degraded"])
		assert.Equal(t, 3*dead, s.told["dead webhook.failing"])
		assert.Equal(t, dead, s.told["dead webhook.disabled"])
		assert.Equal(t, refusing*hours/6, s.told["refusing delivery.dead"])
		sum, delivered := 0, 0
		for name, n := range s.told {
			sum += n
			assert.Contains(t, []string{"dead webhook.degraded", "dead webhook.failing",
				"dead webhook.disabled", "dead delivery.dead", "refusing delivery.dead"}, name)
		}
		for _, n := range s.delivered {
			delivered += n
		}
		assert.Equal(t, sum, delivered, "the operator has got all")
		assert.Zero(t, m.Dropped())
	})
}
