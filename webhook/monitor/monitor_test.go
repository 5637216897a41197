package monitor_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
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
	"github.com/mixpeek/webhooks-go/webhook/webhooktest"
)

const day = 24 * time.Hour

// answers is what the endpoints answer, by channel: "shop" is a customer's, "ops" that of the
// operator.
type answers struct {
	mu   sync.Mutex
	errs map[string]error
	got  map[string][]string // event types
}

func (a *answers) set(name string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.errs == nil {
		a.errs, a.got = map[string]error{}, map[string][]string{}
	}
	a.errs[name] = err
}

func (a *answers) send(name string) channel.Func {
	return func(_ context.Context, m *channel.Message) (channel.Result, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if err := a.errs[name]; err != nil {
			return channel.Result{}, err
		}
		a.got[name] = append(a.got[name], m.EventType)
		return channel.Result{StatusCode: http.StatusOK}, nil
	}
}

func (a *answers) delivered(name string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.got[name]...)
}

// noHeartbeats is a store that lists no processes: four heartbeats a minute would be a quarter of what
// the virtual days of the tests compute, and the monitor does not ask for processes.
type noHeartbeats struct{ *memstore.Store }

func (s noHeartbeats) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Processes = nil
	return c
}

// bench is a process: a Dispatcher and its Monitor.
type bench struct {
	*dispatch.Dispatcher
	monitor *monitor.Monitor
	store   *memstore.Store
}

func newBench(t *testing.T, store *memstore.Store, a *answers, cfg monitor.Config) *bench {
	t.Helper()
	a.set("", nil)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := monitor.New(cfg)
	require.NoError(t, err)
	channels := channel.NewRegistry()
	for _, name := range []string{"shop", "ops"} {
		require.NoError(t, channels.Register(name, a.send(name)))
	}
	d, err := dispatch.New(noHeartbeats{store}, dispatch.Config{
		Channels: channels, Hooks: m.Hooks(), Logger: slog.New(slog.DiscardHandler),
		PollInterval: time.Minute, Lease: 10 * time.Minute, // the tests last for months
	})
	require.NoError(t, err)
	return &bench{d, m, store}
}

// start calls a Run until the returned function is called.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return stop
}

func (b *bench) watch(t *testing.T) (stop func()) {
	t.Helper()
	return start(t, func(ctx context.Context) error { return b.monitor.Run(ctx, b) })
}

// run runs both. The returned function stops both.
func (b *bench) run(t *testing.T) (stop func()) {
	t.Helper()
	stopMonitor := b.watch(t)
	stopDispatcher := start(t, b.Run)
	return func() {
		stopDispatcher()
		stopMonitor()
	}
}

func (b *bench) subscribe(
	t *testing.T, organizationID, name string, types ...event.Pattern,
) *webhook.Subscription {
	t.Helper()
	sub := &webhook.Subscription{
		Name: name, EventTypes: types, OrganizationID: organizationID,
		Channels: []webhook.ChannelConfig{{Channel: name, Configs: json.RawMessage(`{}`)}},
	}
	require.NoError(t, b.CreateSubscription(t.Context(), sub))
	return sub
}

func endpointOf(sub *webhook.Subscription) webhook.Endpoint {
	return webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.Channels[0].Channel}
}

func (b *bench) emit(t *testing.T, organizationID string) {
	t.Helper()
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace, e.OrganizationID = "acme", organizationID
	_, err := b.Emit(t.Context(), e)
	require.NoError(t, err)
}

// emitFor emits an event at each interval, for so long.
func (b *bench) emitFor(t *testing.T, organizationID string, every, long time.Duration) {
	t.Helper()
	for range long / every {
		b.emit(t, organizationID)
		elapse(every)
	}
}

// elapse lets time pass, and what is due then happen.
func elapse(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func status(code int) error { return channel.Classify(code, http.Header{}, time.Now()) }

// operational returns the operational events that are stored, the first one first.
func (b *bench) operational(t *testing.T) (events []*event.Event) {
	t.Helper()
	for _, e := range webhooktest.Emitted(t, b.store) {
		if monitor.IsOperational(e.Type) {
			events = append(events, e)
		}
	}
	return events
}

// told returns the types of the operational events and the minute of each since the start.
func (b *bench) told(t *testing.T, start time.Time) (told []string) {
	t.Helper()
	for _, e := range b.operational(t) {
		told = append(told, fmt.Sprint(e.Type, " ", e.OccurredAt.Sub(start).Truncate(time.Minute)))
	}
	return told
}

// documented fails the test unless all metadata of the event is in the example of its type.
func documented(t *testing.T, e *event.Event) {
	t.Helper()
	info, ok := monitor.Types().Lookup(e.Type)
	require.True(t, ok)
	example, err := event.Decode([]byte(info.Example))
	require.NoError(t, err)
	assert.Equal(t, example.Subject.Type, e.Subject.Type)
	for name := range e.Metadata {
		if e.Type != monitor.WebhookDisabled || name != "changed_by" {
			assert.Contains(t, example.Metadata, name, e.Type)
		}
	}
}

// refused is the answer of an endpoint that does not want an event, so that it is dead at once.
func refused() error {
	return &channel.Error{
		Action: channel.Permanent, Class: channel.ClassStatus, StatusCode: http.StatusBadRequest,
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	catalogue := append(event.Mixpeek(), monitor.Types()...)
	require.NoError(t, catalogue.Validate())
	for _, info := range monitor.Types() {
		assert.True(t, monitor.IsOperational(info.Type), info.Type)
		assert.NotEmpty(t, info.Description)
		assert.NotEmpty(t, info.Example)
	}
	assert.False(t, monitor.IsOperational(event.ObjectCreated))
	monitor.Types()[0].Type = "changed"
	assert.Equal(t, monitor.WebhookDegraded, monitor.Types()[0].Type, "it is a copy")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := monitor.New(monitor.Config{
		Organization: "a\n", Audience: 3, BacklogAge: -1, DisabledAfter: -1, RefusingAfter: -1,
		RefusingEvents: -1, Interval: -1, QueueSize: -1,
	})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{"Organization", "Audience", "BacklogAge", "DisabledAfter",
		"RefusingAfter", "RefusingEvents", "Interval", "QueueSize"}, fields)
}

// An endpoint fails until it is disabled, and a person enables it.
func TestAnEndpointThatFailsForDays(t *testing.T) {
	if testing.Short() {
		t.Skip("days of virtual time take a third of a second")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", status(503))
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		sub := b.subscribe(t, "", "shop", "object.*")
		b.subscribe(t, "", "ops", "webhook.*", "delivery.*")
		start(t, b.Run)
		start(t, func(ctx context.Context) error {
			return b.monitor.Run(ctx, emits{b, func(e *event.Event, duplicate bool) {
				assert.False(t, duplicate, "one process does not burden the store with %s", e.Type)
			}})
		})
		begin := time.Now()
		b.emitFor(t, "", 5*time.Second, 3*time.Minute)
		elapse(6 * day)
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(time.Second)

		all := b.operational(t)
		var got []string
		for _, e := range all {
			documented(t, e)
			assert.Equal(t, sub.ID, e.Subject.ID)
			assert.Equal(t, sub.ID, e.Metadata["webhook_id"])
			assert.Equal(t, "shop", e.Metadata["channel"])
			assert.Equal(t, begin.UTC().Format(time.RFC3339Nano), e.Metadata["failing_since"])
			hours := e.OccurredAt.Sub(begin).Hours()
			got = append(got, fmt.Sprintf("%s %.0f %v", e.Type, hours, e.Metadata["percent"]))
		}
		assert.Equal(t, []string{
			"webhook.degraded 0 <nil>", "webhook.failing 60 50", "webhook.failing 84 70",
			"webhook.failing 108 90", "webhook.disabled 120 <nil>", "webhook.recovered 144 <nil>",
		}, got)
		assert.Equal(t, "degraded", all[0].Metadata["health"])
		assert.Equal(t, "the endpoint answered 503 Service Unavailable", all[0].Metadata["error"])
		assert.Equal(t, json.Number("503"), all[0].Metadata["status_code"])
		assert.Equal(t, "status", all[0].Metadata["error_class"])
		assert.Equal(t, begin.Add(5*day).UTC().Format(time.RFC3339Nano), all[1].Metadata["disabled_at"])
		assert.Equal(t, "ann", all[5].Metadata["changed_by"])
		assert.Equal(t, "healthy", all[5].Metadata["health"])
		look := " To look: webhooks endpoints show " + sub.ID + "."
		for i, says := range []string{
			"Webhook \"shop\" (channel shop) is degraded: the endpoint answered 503 Service Unavailable. It has " +
				"been failing since 1 January 2000, 00:00 UTC. Its deliveries wait without using up attempts, and " +
				"go out once a probe succeeds. After 5 days of failures it is disabled. Tell its owner." + look,
			"Webhook \"shop\" (channel shop) has failed for 50% of the time after which it is disabled: the " +
				"endpoint answered 503 Service Unavailable. It has been failing since 1 January 2000, 00:00 UTC. " +
				"It is disabled at 6 January 2000, 00:00 UTC unless it answers. Tell its owner." + look,
			"has failed for 70%", "has failed for 90%",
			"Webhook \"shop\" (channel shop) is disabled: the endpoint answered 503 Service Unavailable. It has " +
				"been failing since 1 January 2000, 00:00 UTC. Its deliveries wait until a person enables it. Once " +
				"it works: webhooks endpoints enable " + sub.ID + " shop.",
			"Webhook \"shop\" (channel shop) was enabled by ann, after it had been failing since 1 January 2000, " +
				"00:00 UTC. What has waited goes out, slowly at first.",
		} {
			assert.Contains(t, all[i].Metadata["summary"], says)
			assert.Equal(t, "shop", all[i].Metadata["webhook_name"])
		}
		var types []string
		for _, e := range all {
			types = append(types, e.Type)
		}
		assert.Equal(t, types, a.delivered("ops"), "any channel carries them")
	})
}

// What a probe says is not told if the endpoint has recovered, or fails again, before it is told.
func TestAnOldFailureIsNotTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		sub := b.subscribe(t, "", "shop", "*")
		b.run(t)
		b.monitor.Hooks().AttemptEnd(t.Context(), dispatch.AttemptEnd{
			AttemptStart: dispatch.AttemptStart{Endpoint: endpointOf(sub),
				EventType: event.ObjectCreated, FailingSince: time.Now().Add(-3 * day)},
			Attempt: webhook.Attempt{StartedAt: time.Now()}, Err: status(500),
		})
		elapse(time.Hour)
		assert.Empty(t, b.operational(t))
	})
}

func TestAnEndpointRecoversByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", status(500))
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		b.subscribe(t, "", "shop", "*")
		b.run(t)
		b.emitFor(t, "", 5*time.Second, 2*time.Minute)
		a.set("shop", nil)
		elapse(time.Hour)
		all := b.operational(t)
		require.Len(t, all, 2)
		assert.Equal(t, monitor.WebhookRecovered, all[1].Type)
		documented(t, all[1])
		assert.Equal(t, all[0].Metadata["failing_since"], all[1].Metadata["failing_since"])
		assert.NotContains(t, all[1].Metadata, "changed_by")
		assert.NotContains(t, all[1].Metadata, "error")
	})
}

// Refused events are told of once an hour, with their number so far.
func TestDeadDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", refused())
		b := newBench(t, memstore.New(), &a, monitor.Config{RefusingAfter: dispatch.Never})
		sub := b.subscribe(t, "", "shop", "object.*")
		b.run(t)
		begin := time.Now()
		b.emitFor(t, "", time.Second, 5*time.Second)
		elapse(time.Minute)
		b.emitFor(t, "", time.Minute, 2*time.Hour)
		elapse(time.Minute)
		assert.Equal(t, []string{"delivery.dead 0s", "delivery.dead 1h0m0s", "delivery.dead 2h0m0s"},
			b.told(t, begin))
		first := b.operational(t)[0]
		documented(t, first)
		assert.Equal(t, "5 deliveries to webhook \"shop\" (channel shop) were given up, the last one, of type "+
			"object.created: the endpoint answered 400 Bad Request. Once the cause is repaired, send them "+
			"again. How many are dead: webhooks deliveries replay --all --dry-run "+sub.ID+". The same "+
			"without --dry-run sends them.", first.Metadata["summary"])
		assert.Equal(t, json.Number("5"), first.Metadata["dead"])
		assert.Equal(t, sub.ID, first.Metadata["webhook_id"])
		assert.Equal(t, event.ObjectCreated, first.Metadata["event_type"])
		assert.Equal(t, "the endpoint answered 400 Bad Request", first.Metadata["error"])
		id, ok := first.Metadata["delivery_id"].(string)
		require.True(t, ok)
		parsed, err := webhook.ParseDeliveryID(id)
		require.NoError(t, err)
		dead, err := b.Delivery(t.Context(), "", parsed)
		require.NoError(t, err)
		assert.Equal(t, webhook.StatusDead, dead.Status)
	})
}

func TestTheBacklogGrowsAndIsCleared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		b := newBench(t, memstore.New(), &a, monitor.Config{Organization: "operator"})
		b.subscribe(t, "", "shop", "*")
		b.watch(t)
		begin := time.Now()
		b.emit(t, "")
		elapse(4 * time.Minute)
		assert.Empty(t, b.operational(t))
		elapse(136 * time.Minute)
		growing := []string{"backlog.growing 5m0s", "backlog.growing 1h0m0s", "backlog.growing 2h0m0s"}
		assert.Equal(t, growing, b.told(t, begin))
		start(t, b.Run)
		elapse(time.Hour)
		assert.Equal(t, append(growing, "backlog.cleared 2h20m0s"), b.told(t, begin))
		for _, e := range b.operational(t) {
			documented(t, e)
			assert.Equal(t, "operator", e.OrganizationID)
			assert.Equal(t, begin.Add(5*time.Minute).UTC().Format(time.RFC3339Nano), e.Metadata["since"])
		}
		first := b.operational(t)[0].Metadata
		assert.Equal(t, json.Number("1"), first["pending"])
		assert.Equal(t, json.Number("300"), first["oldest_due_age_seconds"])
		assert.Contains(t, first["summary"], "Deliveries are late: the oldest that is due has been waiting "+
			"for 5m0s; 1 are pending, and 0 are in flight.")
		assert.Contains(t, first["summary"], "a rate limit")
		assert.Contains(t, first["summary"], "webhooks deliveries show")
	})
}

// staged is a Dispatcher whose oldest due delivery has the age that the test says.
type staged struct {
	monitor.Dispatcher
	mu  sync.Mutex
	age time.Duration
	err error // of Emit
	// failed are the types of the events that were to be emitted when err was not nil.
	failed []string
}

func (s *staged) set(age time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age, s.err = age, err
}

func (s *staged) Stats(context.Context) (dispatch.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	return dispatch.Stats{At: now, Stored: webhook.Totals{OldestDue: now.Add(-s.age)}}, nil
}

func (s *staged) Emit(ctx context.Context, events ...*event.Event) ([]webhook.Emitted, error) {
	s.mu.Lock()
	err := s.err
	if err != nil {
		s.failed = append(s.failed, events[0].Type)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.Dispatcher.Emit(ctx, events...)
}

// A backlog about as old as the bound does not come and go.
func TestTheBacklogHasHysteresis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		s := &staged{Dispatcher: b}
		start(t, func(ctx context.Context) error { return b.monitor.Run(ctx, s) })
		begin := time.Now()
		elapse(time.Second)
		for range 20 {
			s.set(299*time.Second, nil)
			elapse(time.Minute)
			s.set(300*time.Second, nil)
			elapse(time.Minute)
		}
		assert.Equal(t, []string{"backlog.growing 1m0s"}, b.told(t, begin))
		s.set(149*time.Second, nil)
		elapse(time.Minute)
		assert.Equal(t, []string{"backlog.growing 1m0s", "backlog.cleared 40m0s"}, b.told(t, begin))
	})
}

// Whatever several processes notice is told once.
func TestThreeProcessesTellOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("days of virtual time take half a second")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", refused())
		store := memstore.New()
		var all []*bench
		for i := range 3 {
			b := newBench(t, store, &a, monitor.Config{})
			all = append(all, b)
			elapse(time.Duration(i) * 7 * time.Second)
			b.run(t)
		}
		b := all[0]
		b.subscribe(t, "", "shop", "object.*")
		begin := time.Now().Truncate(time.Hour)
		for range 60 { // each makes some attempts
			for _, each := range all {
				each.emit(t, "")
			}
			elapse(time.Minute)
		}
		assert.Equal(t, []string{"delivery.dead 0s"}, b.told(t, begin)[:1])
		assert.LessOrEqual(t, len(b.operational(t)), 2, "one in each hour")

		a.set("shop", status(500))
		b.emitFor(t, "", 5*time.Second, 3*time.Minute)
		elapse(6 * day)
		var types []string
		for _, e := range b.operational(t) {
			if e.Type != monitor.DeliveryDead {
				types = append(types, e.Type)
			}
		}
		assert.Equal(t, []string{"webhook.degraded", "webhook.failing", "webhook.failing",
			"webhook.failing", "webhook.disabled"}, types)
	})
}

func TestThreeProcessesTellOfTheBacklogOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		store := memstore.New()
		begin := time.Now()
		var all []*staged
		var b *bench
		for range 3 {
			b = newBench(t, store, &a, monitor.Config{})
			s, m := &staged{Dispatcher: b}, b.monitor
			all = append(all, s)
			start(t, func(ctx context.Context) error { return m.Run(ctx, s) })
			elapse(11 * time.Second)
		}
		for _, age := range []time.Duration{time.Hour, 0, time.Hour, 0} {
			for _, s := range all {
				s.set(age, nil)
			}
			elapse(20 * time.Minute)
		}
		elapse(2 * time.Hour)
		// What goes on at the beginning of the second hour is told again in that.
		assert.Equal(t, []string{"backlog.growing 0s", "backlog.cleared 20m0s",
			"backlog.growing 1h0m0s", "backlog.cleared 1h0m0s"}, b.told(t, begin))
	})
}

// A new process tells nothing again, and goes on where the old one was.
func TestARestart(t *testing.T) {
	if testing.Short() {
		t.Skip("days of virtual time take half a second")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", refused())
		store := memstore.New()
		begin := time.Now()
		var b *bench
		restart := func() (stop func()) {
			b = newBench(t, store, &a, monitor.Config{})
			return b.run(t)
		}
		stop := restart()
		b.subscribe(t, "", "shop", "object.*")
		b.emit(t, "")
		elapse(time.Minute)
		stop()
		stop = restart()
		b.emit(t, "")
		elapse(time.Minute)
		assert.Equal(t, []string{"delivery.dead 0s"}, b.told(t, begin))

		a.set("shop", status(500))
		b.emitFor(t, "", 5*time.Second, 3*time.Minute)
		for range 24 * 6 {
			stop()
			stop = restart()
			elapse(time.Hour)
		}
		assert.Equal(t, []string{"delivery.dead 0s", "webhook.degraded 3m0s"}, b.told(t, begin)[:2])
		var rest []string
		for _, e := range b.operational(t)[2:] {
			rest = append(rest, fmt.Sprint(e.Type, e.Metadata["percent"]))
		}
		assert.Equal(t, []string{"webhook.failing50", "webhook.failing70", "webhook.failing90",
			"webhook.disabled<nil>"}, rest)
	})
}

// What was noticed before Run ends is emitted, also if the context of Run has ended.
func TestRunEmitsWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", status(410))
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		b.subscribe(t, "", "shop", "object.*")
		b.emit(t, "")
		require.NoError(t, b.Drain(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, b.monitor.Run(ctx, b))
		require.NoError(t, b.monitor.Run(ctx, b), "it may be run again")
		var types []string
		for _, e := range b.operational(t) {
			types = append(types, e.Type)
		}
		assert.ElementsMatch(t, []string{monitor.WebhookDisabled, monitor.DeliveryDead}, types)
	})
}

func TestRunOnlyOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		b.watch(t)
		elapse(time.Second)
		assert.ErrorIs(t, b.monitor.Run(t.Context(), b), monitor.ErrRunning)
	})
}

// What changes several times in an hour is told once of each kind; and what it is in the end, an
// hour later.
func TestTheLastWordIsTrue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		sub := b.subscribe(t, "", "shop", "object.*")
		b.run(t)
		begin := time.Now()
		for range 3 {
			require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
			elapse(5 * time.Minute)
			require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
			elapse(5 * time.Minute)
		}
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "bob"))
		elapse(5 * time.Minute)
		told := []string{"webhook.disabled 0s", "webhook.recovered 5m0s"}
		assert.Equal(t, told, b.told(t, begin))
		elapse(3 * time.Hour)
		require.Equal(t, append(told, "webhook.disabled 30m0s"), b.told(t, begin))
		last := b.operational(t)[2]
		documented(t, last)
		assert.Equal(t, "bob", last.Metadata["changed_by"])

		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(time.Minute)
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(time.Minute)
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(time.Minute)
		require.NoError(t, b.DeleteSubscription(t.Context(), "", sub.ID, 0))
		elapse(3 * time.Hour)
		assert.Len(t, b.operational(t), 5, "there is no more to say of an endpoint that is deleted")
	})
}

// emits is a Dispatcher that tells of the events that are emitted.
type emits struct {
	monitor.Dispatcher
	emitted func(e *event.Event, duplicate bool)
}

func (d emits) Emit(ctx context.Context, events ...*event.Event) ([]webhook.Emitted, error) {
	emitted, err := d.Dispatcher.Emit(ctx, events...)
	for i := range emitted {
		d.emitted(events[i], emitted[i].Duplicate)
	}
	return emitted, err
}

var brokenDays = flag.Int("broken.days", 6,
	"how many virtual days TestTheyNeverFeedThemselves lasts: more than 5, after which an endpoint is\n"+
		"disabled; 12 show that nothing comes later either, and take 2 seconds of CPU time")

// The only subscription for operational events is itself broken, for days, in each way there is.
func TestTheyNeverFeedThemselves(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of CPU time")
	}
	t.Parallel()
	const customers = 12
	for name, test := range map[string]struct {
		answer func() error
		want   map[string]int
	}{
		"failing": {func() error { return status(500) }, map[string]int{monitor.DeliveryDead: customers,
			monitor.WebhookDegraded: 2, monitor.WebhookDisabled: 2}},
		"refused": {refused, map[string]int{monitor.DeliveryDead: customers}},
		"gone": {func() error { return status(410) }, map[string]int{monitor.DeliveryDead: customers,
			monitor.WebhookDisabled: 2}},
		"flapping": {func() error { // down for 20 minutes, up for 40
			if time.Now().Minute() >= 20 {
				return nil
			}
			return status(500)
		}, map[string]int{monitor.DeliveryDead: customers,
			monitor.WebhookDegraded: 2, monitor.WebhookRecovered: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var a answers
				a.set("shop", refused())
				b := newBench(t, memstore.New(), &a, monitor.Config{Interval: 5 * time.Minute})
				for range customers {
					b.subscribe(t, "", "shop", "object.*")
				}
				b.subscribe(t, "", "ops", "webhook.*", "delivery.*", "backlog.*")
				b.subscribe(t, "", "ops", "webhook.*", "delivery.*", "backlog.*")
				a.set("ops", test.answer())
				byType := map[string]int{} // of what is stored, and may be pruned
				counting := emits{b, func(e *event.Event, duplicate bool) {
					if !duplicate {
						byType[e.Type]++
					}
				}}
				start(t, func(ctx context.Context) error { return b.monitor.Run(ctx, counting) })
				start(t, b.Run)
				b.emit(t, "") // the only event of all days, which each customer refuses
				for range *brokenDays * 24 * 6 {
					a.set("ops", test.answer())
					elapse(10 * time.Minute)
				}
				synctest.Wait()
				assert.Equal(t, test.want, byType)
			})
		})
	}
}

// An endpoint that goes up and down by operational events alone is told of once a day.
func TestOperationalEventsChangeHealthOnceADay(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		var a answers
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		sub := b.subscribe(t, "", "ops", "webhook.*")
		b.run(t)
		hook := b.monitor.Hooks().HealthChanged
		days := 3
		if testing.Short() {
			days = 1
		}
		for range days * 24 * 6 {
			for _, health := range []webhook.Health{webhook.Degraded, webhook.Healthy} {
				hook(t.Context(), dispatch.HealthChange{EventType: monitor.WebhookDegraded,
					After: webhook.EndpointState{Endpoint: endpointOf(sub), Health: health,
						Since: time.Now()}})
				elapse(5 * time.Minute)
			}
		}
		assert.Len(t, b.operational(t), days*2)
	})
}

func TestAudience(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg  monitor.Config
		want []string
	}{
		"operator": {monitor.Config{Organization: "operator"}, []string{"operator"}},
		"customer": {monitor.Config{Organization: "operator", Audience: monitor.Customer},
			[]string{"acme"}},
		"both": {monitor.Config{Organization: "operator", Audience: monitor.OperatorAndCustomer},
			[]string{"acme", "operator"}},
		"one who is both": {monitor.Config{Organization: "acme", Audience: monitor.OperatorAndCustomer},
			[]string{"acme"}},
		"another organization": {monitor.Config{Audience: monitor.Customer,
			Customer: func(id string) (string, bool) { return id + "-parent", true }},
			[]string{"acme-parent"}},
		"none": {monitor.Config{Audience: monitor.Customer,
			Customer: func(string) (string, bool) { return "", false }}, nil},
	} {
		if testing.Short() && name != "both" && name != "another organization" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var a answers
				b := newBench(t, memstore.New(), &a, test.cfg)
				sub := b.subscribe(t, "acme", "shop", "*")
				b.run(t)
				require.NoError(t, b.DisableEndpoint(t.Context(), "acme", endpointOf(sub), "ann"))
				elapse(3 * time.Hour)
				var got []string
				ids := map[string]bool{}
				for _, e := range b.operational(t) {
					got = append(got, e.OrganizationID)
					ids[e.ID] = true
					assert.Equal(t, "acme", e.Metadata["organization_id"])
				}
				assert.ElementsMatch(t, test.want, got)
				assert.Len(t, ids, len(got), "each has an id of its own")
			})
		})
	}
}

// lockedBuffer is a log that is written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAFullQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", refused())
		var log lockedBuffer
		b := newBench(t, memstore.New(), &a, monitor.Config{
			QueueSize: 2, RefusingAfter: dispatch.Never,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		var subs []*webhook.Subscription
		for range 5 {
			subs = append(subs, b.subscribe(t, "", "shop", "object.*"))
		}
		b.emit(t, "") // five deliveries become dead
		require.NoError(t, b.Drain(t.Context()))
		for _, sub := range subs {
			require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		}
		assert.EqualValues(t, 6, b.monitor.Dropped())
		b.watch(t)
		elapse(time.Minute)
		byType := map[string]int{}
		for _, e := range b.operational(t) {
			byType[e.Type]++
		}
		assert.Equal(t, map[string]int{monitor.WebhookDisabled: 2, monitor.DeliveryDead: 2}, byType)
		assert.Equal(t, 1, strings.Count(log.String(), "operational events were dropped"))
		assert.Contains(t, log.String(), "reports=6")
	})
}

// What was told makes room for others.
func TestTheQueueIsUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", refused())
		b := newBench(t, memstore.New(), &a, monitor.Config{QueueSize: 2, RefusingAfter: dispatch.Never})
		b.run(t)
		for i := range 20 {
			organizationID := fmt.Sprint("org_", i)
			b.subscribe(t, organizationID, "shop", "object.*")
			b.emit(t, organizationID)
			b.monitor.Hooks().AttemptEnd(t.Context(), dispatch.AttemptEnd{
				AttemptStart: dispatch.AttemptStart{OrganizationID: organizationID,
					FailingSince: time.Now().Add(-3 * day)},
				Attempt: webhook.Attempt{StartedAt: time.Now()}, Err: status(500),
			})
			elapse(time.Minute)
		}
		assert.Len(t, b.operational(t), 20)
		assert.Zero(t, b.monitor.Dropped())
	})
}

func TestAStoreThatFails(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"unavailable": webhook.Unavailable("down"), "another error": errors.New("broken"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var a answers
				var log lockedBuffer
				b := newBench(t, memstore.New(), &a, monitor.Config{
					Logger: slog.New(slog.NewTextHandler(&log, nil)),
				})
				s := &staged{Dispatcher: b}
				start(t, func(ctx context.Context) error { return b.monitor.Run(ctx, s) })
				sub := b.subscribe(t, "", "shop", "*")
				begin := time.Now()
				s.set(0, failure)
				require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
				elapse(30 * time.Minute)
				assert.Empty(t, b.operational(t))
				assert.Equal(t, 1, strings.Count(log.String(), "cannot be emitted, it is tried again"))
				s.set(0, nil)
				elapse(time.Minute)
				assert.Equal(t, []string{"webhook.disabled 0s"}, b.told(t, begin))

				s.set(0, failure)
				require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
				elapse(62 * time.Minute)
				assert.EqualValues(t, 1, b.monitor.Dropped(), "it was tried for an hour")
				assert.Equal(t, 1, strings.Count(log.String(), "cannot be emitted, it is dropped"))
				s.set(0, nil)
				elapse(time.Hour)
				assert.Len(t, b.operational(t), 1)
			})
		})
	}
}

// An outage does not change the order of what is told.
func TestTheOrderSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		s := &staged{Dispatcher: b}
		s.set(0, webhook.Unavailable("down"))
		stop := start(t, func(ctx context.Context) error { return b.monitor.Run(ctx, s) })
		sub := b.subscribe(t, "", "shop", "*")
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(2 * time.Minute)
		require.NoError(t, b.EnableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(10 * time.Minute)
		assert.Greater(t, len(s.failed), 10)
		assert.NotContains(t, s.failed, monitor.WebhookRecovered)
		s.set(0, nil)
		begin := time.Now().Truncate(time.Hour)
		stop() // which waits for no backoff
		assert.Equal(t, []string{"webhook.disabled 0s", "webhook.recovered 2m0s"}, b.told(t, begin))
	})
}

// An event that was stored although Emit has failed is not told again in the next hour.
func TestAnErrorAfterTheEventWasStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		b := newBench(t, memstore.New(), &a, monitor.Config{})
		d := &uncertain{Dispatcher: b}
		start(t, func(ctx context.Context) error { return b.monitor.Run(ctx, d) })
		sub := b.subscribe(t, "", "shop", "*")
		require.NoError(t, b.DisableEndpoint(t.Context(), "", endpointOf(sub), "ann"))
		elapse(3 * time.Hour)
		assert.Equal(t, 2, d.calls)
		assert.Len(t, b.operational(t), 1)
	})
}

// uncertain is a Dispatcher whose connection breaks after the first commit.
type uncertain struct {
	monitor.Dispatcher
	calls int
}

func (d *uncertain) Emit(
	ctx context.Context, events ...*event.Event,
) ([]webhook.Emitted, error) {
	emitted, err := d.Dispatcher.Emit(ctx, events...)
	if d.calls++; d.calls == 1 {
		return nil, webhook.Unavailable("the connection is broken")
	}
	return emitted, err
}

func TestAPanicIsHarmless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		var log lockedBuffer
		b := newBench(t, memstore.New(), &a, monitor.Config{
			Audience: monitor.Customer, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Customer: func(id string) (string, bool) {
				if id == "bad" {
					panic("a secret")
				}
				return id, true
			},
		})
		b.run(t)
		for _, id := range []string{"bad", "good"} {
			sub := b.subscribe(t, id, "shop", "*")
			require.NoError(t, b.DisableEndpoint(t.Context(), id, endpointOf(sub), "ann"))
			elapse(time.Second)
		}
		all := b.operational(t)
		require.Len(t, all, 1)
		assert.Equal(t, "good", all[0].OrganizationID)
		assert.EqualValues(t, 1, b.monitor.Dropped())
		assert.Contains(t, log.String(), "panicked")
		assert.NotContains(t, log.String(), "a secret")
	})
}

func TestNever(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a answers
		a.set("shop", status(500))
		b := newBench(t, memstore.New(), &a, monitor.Config{
			BacklogAge: dispatch.Never, DisabledAfter: dispatch.Never,
		})
		b.subscribe(t, "", "shop", "*")
		stop := b.run(t)
		b.emitFor(t, "", 5*time.Second, 3*time.Minute)
		elapse(4 * day)
		stop()
		b.watch(t)
		elapse(day)
		var types []string
		for _, e := range b.operational(t) {
			types = append(types, e.Type)
		}
		assert.Equal(t, []string{monitor.WebhookDegraded}, types)
	})
}
