package promhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/promhook"
)

// bench is a Dispatcher whose hooks are those of metrics.
type bench struct {
	*dispatch.Dispatcher
	registry *prometheus.Registry
	metrics  *promhook.Metrics
}

func newBench(
	t *testing.T, store webhook.Store, cfg promhook.Config, retry dispatch.RetryPolicy,
	channels map[string]channel.Func,
) *bench {
	t.Helper()
	b := &bench{registry: prometheus.NewPedanticRegistry()}
	var err error
	b.metrics, err = promhook.New(b.registry, cfg)
	require.NoError(t, err)
	registry := channel.NewRegistry()
	for name, send := range channels {
		require.NoError(t, registry.Register(name, send))
	}
	b.Dispatcher, err = dispatch.New(store, dispatch.Config{
		Hooks: b.metrics.Hooks(), Channels: registry, Retry: retry,
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	b.metrics.Watch(b.Dispatcher)
	return b
}

func (b *bench) subscribe(t *testing.T, organizationID string, channels ...string) {
	t.Helper()
	sub := &webhook.Subscription{
		OrganizationID: organizationID, Name: "test", EventTypes: []event.Pattern{"*"},
	}
	for _, name := range channels {
		sub.Channels = append(sub.Channels,
			webhook.ChannelConfig{Channel: name, Configs: []byte(`{}`)})
	}
	require.NoError(t, b.CreateSubscription(t.Context(), sub))
}

func (b *bench) emit(t *testing.T, organizationID, eventType string) *event.Event {
	t.Helper()
	e := event.New(eventType, event.Subject{Type: "object", ID: "obj_1"})
	e.OrganizationID, e.Namespace = organizationID, "acme"
	_, err := b.Emit(t.Context(), e)
	require.NoError(t, err)
	return e
}

// series returns the values that a scrape has, by name and labels. Of histograms it has the counts.
func (b *bench) series(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	found := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := family.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.GetHistogram() != nil:
				found[key] = float64(m.GetHistogram().GetSampleCount())
			case m.GetCounter() != nil:
				found[key] = m.GetCounter().GetValue()
			default:
				found[key] = m.GetGauge().GetValue()
			}
		}
	}
	return found
}

func accept(context.Context, *channel.Message) (channel.Result, error) {
	return channel.Result{StatusCode: 204}, nil
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	b := newBench(t, memstore.New(), promhook.Config{CacheFor: time.Millisecond},
		dispatch.RetrySchedule{0}, map[string]channel.Func{
			"webhook": func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				switch {
				case m.EventType == "object.deleted":
					return channel.Result{}, channel.Classify(503, nil, time.Now())
				case m.EventType == "object.updated" && tries.Add(1) == 1:
					return channel.Result{}, &channel.Error{Class: channel.ClassTimeout}
				case m.EventType == "object.created":
					return channel.Result{}, &channel.Error{Class: "out_of_coffee"}
				}
				return accept(ctx, m)
			},
		})
	b.subscribe(t, "org_1", "webhook", "webhook")
	b.subscribe(t, "org_2", "webhook")
	for _, eventType := range []string{"object.updated", "object.deleted", "object.created"} {
		b.emit(t, "org_2", eventType)
	}
	again := b.emit(t, "org_1", "object.updated")
	_, err := b.Emit(t.Context(), again)
	require.NoError(t, err)
	_, err = b.Emit(t.Context(), &event.Event{})
	require.Error(t, err)
	require.NoError(t, b.Drain(t.Context()))

	got := b.series(t)
	for key, want := range map[string]float64{
		"webhooks_events_emitted_total{event_type=object.updated,result=stored}":         2,
		"webhooks_events_emitted_total{event_type=object.updated,result=duplicate}":      1,
		"webhooks_events_emitted_total{event_type=object.deleted,result=stored}":         1,
		"webhooks_emit_duration_seconds{}":                                               6,
		"webhooks_attempts_total{channel=webhook,result=succeeded,status_class=2xx}":     3,
		"webhooks_attempts_total{channel=webhook,result=status,status_class=5xx}":        2,
		"webhooks_attempts_total{channel=webhook,result=timeout,status_class=none}":      1,
		"webhooks_attempts_total{channel=webhook,result=_other,status_class=none}":       2,
		"webhooks_attempt_duration_seconds{channel=webhook}":                             8,
		"webhooks_first_attempt_delay_seconds{}":                                         5,
		"webhooks_attempt_lag_seconds{rate_limited=false}":                               8,
		"webhooks_attempt_lag_seconds{rate_limited=true}":                                0,
		"webhooks_deliveries_finished_total{event_type=object.updated,status=succeeded}": 3,
		"webhooks_deliveries_finished_total{event_type=object.deleted,status=dead}":      1,
		"webhooks_deliveries_finished_total{event_type=object.created,status=dead}":      1,
		"webhooks_deliveries_finished_total{event_type=object.created,status=succeeded}": 0,
		"webhooks_deliveries_finished_total{event_type=_other,status=dead}":              0,
		"webhooks_delivery_duration_seconds{status=succeeded}":                           3,
		"webhooks_delivery_duration_seconds{status=dead}":                                2,
		"webhooks_store_errors_total{op=emit}":                                           0,
		"webhooks_store_errors_total{op=claim}":                                          0,
		"webhooks_late_results_total{}":                                                  0,
		"webhooks_leases_lost_total{}":                                                   0,
		"webhooks_health_changes_total{to=degraded}":                                     0,
		"webhooks_deliveries{state=pending}":                                             0,
		"webhooks_deliveries{state=in_flight}":                                           0,
		"webhooks_deliveries{state=paused}":                                              0,
		"webhooks_deliveries{state=dead}":                                                2,
		"webhooks_deliveries_incomplete{kind=dead}":                                      0,
		"webhooks_oldest_delivery_age_seconds{state=pending}":                            0,
		"webhooks_endpoints{health=disabled}":                                            0,
		"webhooks_store_up{}":                                                            1,
		"webhooks_running{}":                                                             0,
		"webhooks_attempts_in_flight{}":                                                  0,
	} {
		value, ok := got[key]
		assert.True(t, ok, "no series %s", key)
		assert.InDelta(t, want, value, 0, key)
	}
	assert.Positive(t, got["webhooks_claim_duration_seconds{}"])
	assert.Positive(t, got["webhooks_claim_deliveries{}"])
	assert.Positive(t, got["webhooks_settle_duration_seconds{}"])
	assert.Positive(t, got["webhooks_settle_deliveries{}"])
	assert.InDelta(t, time.Now().Unix(), got["webhooks_last_claim_timestamp_seconds{}"], 60)
}

// Each series has a bound, whatever customers do: 10,000 endpoints, 1,000 event types and 100
// channels, in 1,000 organizations.
func TestSeriesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 endpoints take a second")
	}
	t.Parallel()
	const organizations, types, channels = 1000, 1000, 100
	registered := make(map[string]channel.Func)
	for i := range channels {
		registered[fmt.Sprint("channel_", i)] = accept
	}
	b := newBench(t, memstore.New(), promhook.Config{}, nil, registered)
	for i := range organizations {
		for n := range 10 {
			b.subscribe(t, fmt.Sprint("org_", i), fmt.Sprint("channel_", (10*i+n)%channels))
		}
	}
	for i := range types {
		b.emit(t, fmt.Sprint("org_", i%organizations), fmt.Sprintf("thing%d.created", i))
	}
	require.NoError(t, b.Drain(t.Context()))
	got := b.series(t)
	var sum float64
	byName := make(map[string]int)
	for key, value := range got {
		name, labels, _ := strings.Cut(key, "{")
		byName[name]++
		if name == "webhooks_attempts_total" {
			sum += value
		}
		assert.NotRegexp(t, `wh_|evt_|dlv_|org_`, labels, "no label has an id")
	}
	assert.InDelta(t, 10_000, sum, 0, "and nothing is left out")
	assert.Equal(t, 51, byName["webhooks_events_emitted_total"], "50 types, and _other")
	assert.Equal(t, 102, byName["webhooks_deliveries_finished_total"], "and either status")
	assert.Equal(t, 51, byName["webhooks_attempts_total"], "50 channels, and _other")
	assert.Equal(t, 51, byName["webhooks_attempt_duration_seconds"])
	assert.Less(t, len(got), 310, "all series, a histogram counted once")
	assert.InDelta(t, 950,
		got["webhooks_events_emitted_total{event_type=_other,result=stored}"], 0)
	samples := strings.Count(b.scrape(t, ""), "\nwebhooks_")
	assert.Less(t, samples, 1300, "all that a scrape has, the buckets of histograms included")
	t.Logf("%d series, %d samples", len(got), samples)
}

// scrape returns what a Prometheus reads.
func (b *bench) scrape(t *testing.T, accept string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
	body, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	return string(body)
}

func TestNamesAndHelp(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), promhook.Config{}, nil,
		map[string]channel.Func{"webhook": accept})
	b.subscribe(t, "", "webhook")
	b.emit(t, "", "object.created")
	require.NoError(t, b.Drain(t.Context()))
	problems, err := testutil.GatherAndLint(b.registry)
	require.NoError(t, err)
	assert.Empty(t, problems)

	documented, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	families, err := b.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		name := strings.TrimPrefix(family.GetName(), "webhooks_")
		assert.Regexp(t, `\b`+regexp.QuoteMeta(name)+`\b`, string(documented),
			"the documentation names each metric")
		assert.Regexp(t, `^[A-Z].*\.$`, family.GetHelp(), "help is a sentence")
	}

	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no promtool, which CI=true requires: install Debian's package prometheus")
		}
		t.Skip("promtool is not installed: it does not check the metrics")
	}
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = bytes.NewBufferString(b.scrape(t, ""))
	output, err := check.CombinedOutput()
	require.NoError(t, err, string(output))
	assert.Empty(t, string(output))
}

// An attempt that waited for the rate limit of its endpoint is told apart from one that waited for a
// process.
func TestLagOfRateLimitedEndpoints(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), promhook.Config{}, nil, map[string]channel.Func{"webhook": accept})
	b.subscribe(t, "", "webhook")
	require.NoError(t, b.CreateSubscription(t.Context(), &webhook.Subscription{
		Name: "limited", EventTypes: []event.Pattern{"object.created"},
		Channels:  []webhook.ChannelConfig{{Channel: "webhook", Configs: []byte(`{}`)}},
		RateLimit: &webhook.RateLimit{PerSecond: 1000}}))
	b.emit(t, "", "object.created")
	b.emit(t, "", "object.updated")
	require.NoError(t, b.Drain(t.Context()))
	got := b.series(t)
	assert.InDelta(t, 1, got["webhooks_attempt_lag_seconds{rate_limited=true}"], 0)
	assert.InDelta(t, 2, got["webhooks_attempt_lag_seconds{rate_limited=false}"], 0)
}

func TestExemplars(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), promhook.Config{
		TraceID: func(context.Context) string { return "0af7651916cd43dd8448eb211c80319c" },
	}, nil, map[string]channel.Func{"webhook": accept})
	b.subscribe(t, "", "webhook")
	b.emit(t, "", "object.created")
	require.NoError(t, b.Drain(t.Context()))
	text := b.scrape(t, "application/openmetrics-text; version=1.0.0")
	const exemplar = `# {trace_id="0af7651916cd43dd8448eb211c80319c"}`
	for _, name := range []string{
		"webhooks_attempts_total", "webhooks_attempt_duration_seconds", "webhooks_attempt_lag_seconds",
		"webhooks_first_attempt_delay_seconds", "webhooks_emit_duration_seconds",
		"webhooks_claim_duration_seconds", "webhooks_settle_duration_seconds",
	} {
		assert.Regexp(t, "(?m)^"+name+".* "+regexp.QuoteMeta(exemplar), text, name)
	}

	without := newBench(t, memstore.New(), promhook.Config{}, nil,
		map[string]channel.Func{"webhook": accept})
	without.subscribe(t, "", "webhook")
	without.emit(t, "", "object.created")
	require.NoError(t, without.Drain(t.Context()))
	assert.NotContains(t, without.scrape(t, "application/openmetrics-text; version=1.0.0"), "trace_id")
}

// watched is a Dispatcher that counts how often it is asked.
type watched struct {
	asked  atomic.Int64
	failed atomic.Bool
	counts bool // the store keeps which processes there are
}

func (w *watched) Stats(context.Context) (dispatch.Stats, error) {
	w.asked.Add(1)
	s := dispatch.Stats{
		At:     time.Unix(1000, 0),
		Stored: webhook.Totals{Pending: 7, OldestDue: time.Unix(900, 0), MoreDead: true},
	}
	s.Process.Workers = 3
	if w.counts {
		s.Processes = &dispatch.ProcessCounts{Alive: 2, Lost: 1}
	}
	if w.failed.Load() {
		return s, errors.New("the store is down")
	}
	return s, nil
}

func TestGauges(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	metrics, err := promhook.New(registry, promhook.Config{CacheFor: time.Hour})
	require.NoError(t, err)
	b := &bench{registry: registry}
	assert.NotContains(t, b.series(t), "webhooks_store_up{}", "nobody is watched yet")
	metrics.Watch(&watched{})
	assert.NotContains(t, b.series(t), "webhooks_processes{state=alive}", "a store that does not keep them")
	w := &watched{counts: true}
	metrics.Watch(w)
	for range 10 {
		got := b.series(t)
		assert.InDelta(t, 7, got["webhooks_deliveries{state=pending}"], 0)
		assert.InDelta(t, 100, got["webhooks_oldest_delivery_age_seconds{state=pending}"], 0)
		assert.InDelta(t, 1, got["webhooks_deliveries_incomplete{kind=dead}"], 0)
		assert.InDelta(t, 2, got["webhooks_processes{state=alive}"], 0)
		assert.InDelta(t, 1, got["webhooks_processes{state=lost}"], 0)
		assert.InDelta(t, 0, got["webhooks_deliveries_incomplete{kind=unfinished}"], 0)
	}
	assert.EqualValues(t, 1, w.asked.Load(), "for an hour the figures are those of the first time")

	w.failed.Store(true)
	metrics.Watch(w)
	got := b.series(t)
	assert.InDelta(t, 0, got["webhooks_store_up{}"], 0)
	assert.InDelta(t, 1, got["webhooks_store_errors_total{op=stats}"], 0)
	assert.InDelta(t, 3, got["webhooks_workers{}"], 0, "the process is known without the store")
	assert.NotContains(t, got, "webhooks_deliveries{state=pending}")
}

func TestErrorsOfTheStore(t *testing.T) {
	t.Parallel()
	b := newBench(t, brokenStore{memstore.New()}, promhook.Config{}, nil, nil)
	e := event.New("object.created", event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace = "acme"
	_, err := b.Emit(t.Context(), e)
	require.Error(t, err)
	assert.InDelta(t, 1, b.series(t)["webhooks_store_errors_total{op=emit}"], 0)
}

// What a caller has cancelled says nothing about the store; what took longer than it had does.
func TestCancelledCallsAreNoErrorsOfTheStore(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := promhook.New(registry, promhook.Config{})
	require.NoError(t, err)
	b, hooks := &bench{registry: registry}, metrics.Hooks()
	ctx := t.Context()
	for i, err := range []error{
		context.Canceled, fmt.Errorf("webhook: emit: %w", context.Canceled), context.DeadlineExceeded,
	} {
		hooks.EmitEnd(ctx, dispatch.EmitEnd{Err: err})
		hooks.ClaimEnd(ctx, dispatch.ClaimEnd{Err: err})
		hooks.SettleEnd(ctx, dispatch.SettleEnd{Err: err})
		hooks.PruneEnd(ctx, dispatch.PruneEnd{Err: err})
		got := b.series(t)
		for _, op := range []string{"emit", "claim", "settle", "prune"} {
			assert.InDelta(t, i/2, got["webhooks_store_errors_total{op="+op+"}"], 0, "%s: %v", op, err)
		}
	}
}

// A caller that gives up an emit after a while is often the first to notice that the store takes
// nothing.
func TestCallersThatGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		metrics, err := promhook.New(registry, promhook.Config{})
		require.NoError(t, err)
		b, hooks := &bench{registry: registry}, metrics.Hooks()
		for _, c := range []struct {
			after  time.Duration
			failed float64
		}{{time.Second, 0}, {1001 * time.Millisecond, 1}} {
			ctx := hooks.EmitStart(t.Context(), dispatch.EmitStart{})
			time.Sleep(c.after)
			hooks.EmitEnd(ctx, dispatch.EmitEnd{Err: fmt.Errorf("webhook: emit: %w", context.Canceled)})
			assert.InDelta(t, c.failed, b.series(t)["webhooks_store_errors_total{op=emit}"], 0, "%s", c.after)
		}
	})
}

type brokenStore struct{ webhook.Store }

func (brokenStore) Enqueue(
	context.Context, time.Time, []webhook.NewEvent, *webhook.Prefetch,
) (webhook.Enqueued, error) {
	return webhook.Enqueued{}, webhook.ErrUnavailable
}

func TestNew(t *testing.T) {
	t.Parallel()
	_, err := promhook.New(nil, promhook.Config{})
	require.Error(t, err)
	registry := prometheus.NewRegistry()
	_, err = promhook.New(registry, promhook.Config{
		Namespace: "no-dash", MaxChannels: -1, MaxEventTypes: -1, CacheFor: -1, Timeout: -1,
	})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{"Namespace", "MaxChannels", "MaxEventTypes", "CacheFor", "Timeout"},
		fields)

	_, err = promhook.New(registry, promhook.Config{})
	require.NoError(t, err)
	_, err = promhook.New(registry, promhook.Config{})
	var taken prometheus.AlreadyRegisteredError
	require.ErrorAs(t, err, &taken)
	_, err = promhook.New(registry, promhook.Config{Namespace: "shop_webhooks"})
	require.NoError(t, err, "other names")
	other := prometheus.NewRegistry()
	for _, name := range []string{"a", "b"} {
		_, err = promhook.New(
			prometheus.WrapRegistererWith(prometheus.Labels{"dispatcher": name}, other), promhook.Config{})
		require.NoError(t, err, "other labels")
	}
}
