package otelhook_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/receiver"
	receiverhook "github.com/mixpeek/webhooks-go/receiver/otelhook"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/otelhook"
)

// tracing is a tracer whose spans a test reads when they have ended.
type tracing struct {
	*sdktrace.TracerProvider
	exporter *tracetest.InMemoryExporter
}

func newTracing(options ...sdktrace.TracerProviderOption) *tracing {
	exporter := tracetest.NewInMemoryExporter()
	options = append(options, sdktrace.WithSyncer(exporter))
	return &tracing{sdktrace.NewTracerProvider(options...), exporter}
}

// named returns the spans of the name, in the order in which they ended.
func (tr *tracing) named(name string) (spans tracetest.SpanStubs) {
	for _, span := range tr.exporter.GetSpans() {
		if span.Name == name {
			spans = append(spans, span)
		}
	}
	return spans
}

func (tr *tracing) only(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	spans := tr.named(name)
	require.Len(t, spans, 1, name)
	return spans[0]
}

// attributes are those of a span, by name.
func attributes(span tracetest.SpanStub) map[string]any {
	all := make(map[string]any, len(span.Attributes))
	for _, a := range span.Attributes {
		all[string(a.Key)] = a.Value.AsInterface()
	}
	return all
}

// requireLink requires that a span has one link, to the other one.
func requireLink(t *testing.T, span, to tracetest.SpanStub) {
	t.Helper()
	require.Len(t, span.Links, 1)
	assert.Equal(t, to.SpanContext.TraceID(), span.Links[0].SpanContext.TraceID())
	assert.Equal(t, to.SpanContext.SpanID(), span.Links[0].SpanContext.SpanID())
}

const secret = "correct-horse-battery-staple"

func newDispatcher(t *testing.T, store webhook.Store, cfg dispatch.Config) *dispatch.Dispatcher {
	t.Helper()
	if cfg.Channels == nil {
		var err error
		cfg.Channels, err = standard.New(standard.Config{
			HTTP: channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true},
		})
		require.NoError(t, err)
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Retry = dispatch.RetrySchedule{0}
	d, err := dispatch.New(store, cfg)
	require.NoError(t, err)
	return d
}

func subscribe(
	t *testing.T, d *dispatch.Dispatcher, c webhook.ChannelConfig,
) *webhook.Subscription {
	t.Helper()
	sub := &webhook.Subscription{
		Name: "test", EventTypes: []event.Pattern{"*"}, OrganizationID: "org_1",
		Channels: []webhook.ChannelConfig{c},
	}
	require.NoError(t, d.CreateSubscription(t.Context(), sub))
	return sub
}

func newEvent() *event.Event {
	e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"})
	e.OrganizationID = "org_1"
	return e
}

func emit(ctx context.Context, t *testing.T, d *dispatch.Dispatcher, events ...*event.Event) {
	t.Helper()
	_, err := d.Emit(ctx, events...)
	require.NoError(t, err)
}

// handled is a receiver, whose handler fails the first time, on a server.
type handled struct {
	url string

	mu   sync.Mutex
	wire []http.Header
	// What the handler found in its context.
	spans  []trace.SpanContext
	traces [][2]tracecontext.Context // of the context, and of the Delivery
}

func receive(t *testing.T, provider trace.TracerProvider) *handled {
	t.Helper()
	h := &handled{}
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: secret}}, AllowHTTP: true,
		Logger: slog.New(slog.DiscardHandler),
		Hooks:  receiverhook.Hooks(provider, receiverhook.Config{}),
	})
	require.NoError(t, err)
	handler := rcv.Handler(receiver.HandlerFunc(func(ctx context.Context, _ *event.Event) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.spans = append(h.spans, trace.SpanContextFromContext(ctx))
		h.traces = append(h.traces, [2]tracecontext.Context{
			tracecontext.From(ctx), receiver.DeliveryFrom(ctx).Trace,
		})
		if len(h.spans) == 1 {
			return errors.New("no such table: s3cr3t")
		}
		return nil
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.wire = append(h.wire, r.Header.Clone())
		h.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func traceparent(sc trace.SpanContext) string {
	return fmt.Sprintf("00-%s-%s-%s", sc.TraceID(), sc.SpanID(), sc.TraceFlags())
}

// One event, whose first attempt fails: each span by its name, kind, links and attributes, and what
// the request and the handler have of it.
func TestFromEmitToHandler(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	h := receive(t, tr)
	d := newDispatcher(t, memstore.New(),
		dispatch.Config{Hooks: otelhook.Hooks(tr, otelhook.Config{})})
	sub := subscribe(t, d, webhook.Via(httpendpoint.Config{
		URL: h.url, Headers: map[string]string{receiver.DefaultSecretHeader: secret},
	}))
	ctx, checkout := tr.Tracer("shop").Start(t.Context(), "checkout")
	member, err := baggage.NewMember("user", "alice")
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	e := newEvent()
	emit(baggage.ContextWithBaggage(ctx, bag), t, d, e)
	checkout.End()
	ctx, job := tr.Tracer("shop").Start(t.Context(), "job")
	require.NoError(t, d.Drain(ctx))
	job.End()

	emitted := tr.only(t, "emit")
	assert.Equal(t, trace.SpanKindProducer, emitted.SpanKind)
	assert.Equal(t, checkout.SpanContext().SpanID(), emitted.Parent.SpanID())
	assert.Equal(t, checkout.SpanContext().TraceID(), emitted.SpanContext.TraceID())
	assert.Equal(t, "github.com/mixpeek/webhooks-go/webhook/otelhook",
		emitted.InstrumentationScope.Name)
	assert.Equal(t, map[string]any{
		"webhook.event_id": e.ID, "webhook.event_type": "invoice.paid",
		"webhook.delivery_count": int64(1),
	}, attributes(emitted))

	list, err := d.Deliveries(t.Context(), webhook.DeliveryQuery{OrganizationID: "org_1"})
	require.NoError(t, err)
	require.Len(t, list, 1)
	host, port, _ := strings.Cut(strings.TrimPrefix(h.url, "http://"), ":")
	attempts := tr.named("POST")
	require.Len(t, attempts, 2)
	for i, attempt := range attempts {
		assert.Equal(t, trace.SpanKindClient, attempt.SpanKind)
		assert.False(t, attempt.Parent.IsValid(), "it begins a trace, in the job's context too")
		assert.NotEqual(t, job.SpanContext().TraceID(), attempt.SpanContext.TraceID())
		assert.NotEqual(t, emitted.SpanContext.TraceID(), attempt.SpanContext.TraceID())
		requireLink(t, attempt, emitted)
		want := map[string]any{
			"webhook.event_id": e.ID, "webhook.event_type": "invoice.paid",
			"webhook.delivery_id": list[0].ID.String(), "webhook.id": sub.ID,
			"webhook.channel": "webhook", "webhook.attempt": int64(i + 1),
			"http.request.method": "POST", "server.address": host,
			"http.response.status_code": int64(503), "error.type": "status",
		}
		status := codes.Error
		if i > 0 {
			want["http.request.resend_count"] = int64(1)
			want["http.response.status_code"] = int64(200)
			delete(want, "error.type")
			status = codes.Unset
		}
		got := attributes(attempt)
		assert.Equal(t, port, fmt.Sprint(got["server.port"]))
		delete(got, "server.port")
		assert.Equal(t, want, got)
		assert.Equal(t, sdktrace.Status{Code: status}, attempt.Status)
	}
	assert.NotEqual(t, attempts[0].SpanContext.TraceID(), attempts[1].SpanContext.TraceID())

	processed := tr.named("process")
	require.Len(t, processed, 2)
	require.Len(t, h.wire, 2)
	for i, process := range processed {
		assert.Equal(t, trace.SpanKindConsumer, process.SpanKind)
		assert.False(t, process.Parent.IsValid())
		requireLink(t, process, attempts[i])
		want := map[string]any{
			"webhook.event_id": e.ID, "webhook.event_type": "invoice.paid", "webhook.outcome": "handled",
		}
		if i == 0 {
			want["webhook.outcome"], want["error.type"] = "failed", "failed"
		}
		assert.Equal(t, want, attributes(process))
		assert.Equal(t, []string{traceparent(attempts[i].SpanContext)}, h.wire[i]["Traceparent"],
			"the request has the span of its attempt")
		assert.NotContains(t, h.wire[i], "Baggage", "which is for your own services")
		assert.Equal(t, process.SpanContext.SpanID(), h.spans[i].SpanID(), "the handler is in the span")
		assert.Equal(t, traceparent(process.SpanContext), h.traces[i][0].Parent)
		assert.Equal(t, traceparent(attempts[i].SpanContext), h.traces[i][1].Parent)
	}
}

// The link is there when another Dispatcher, as in another process, makes the attempt.
func TestAnotherDispatcherDelivers(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	h := receive(t, tr)
	store := memstore.New()
	cfg := dispatch.Config{Hooks: otelhook.Hooks(tr, otelhook.Config{})}
	emitter, deliverer := newDispatcher(t, store, cfg), newDispatcher(t, store, cfg)
	subscribe(t, emitter, webhook.Via(httpendpoint.Config{
		URL: h.url, Headers: map[string]string{receiver.DefaultSecretHeader: secret},
	}))
	emit(t.Context(), t, emitter, newEvent())
	require.NoError(t, deliverer.Drain(t.Context()))
	require.Len(t, tr.named("POST"), 2)
	for _, attempt := range tr.named("POST") {
		requireLink(t, attempt, tr.only(t, "emit"))
	}
}

// The span of an attempt says whether its request went out on a kept connection.
func TestConnected(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	h := receive(t, tr)
	channels, err := standard.New(standard.Config{HTTP: channelkit.HTTPConfig{
		AllowHTTP: true, AllowPrivate: true, Connected: otelhook.Connected}})
	require.NoError(t, err)
	d := newDispatcher(t, memstore.New(),
		dispatch.Config{Channels: channels, Hooks: otelhook.Hooks(tr, otelhook.Config{})})
	subscribe(t, d, webhook.Via(httpendpoint.Config{
		URL: h.url, Headers: map[string]string{receiver.DefaultSecretHeader: secret},
	}))
	emit(t.Context(), t, d, newEvent())
	require.NoError(t, d.Drain(t.Context()))
	attempts := tr.named("POST")
	require.Len(t, attempts, 2)
	for i, attempt := range attempts {
		assert.Equal(t, i > 0, attributes(attempt)["webhook.connection_reused"])
	}
	otelhook.Connected(t.Context(), true) // a request of no attempt has no span
}

func TestMessaging(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	h := receive(t, tr)
	d := newDispatcher(t, memstore.New(), dispatch.Config{
		Hooks: otelhook.Hooks(tr, otelhook.Config{Messaging: true, OrganizationID: true}),
	})
	subscribe(t, d, webhook.Via(httpendpoint.Config{
		URL: h.url, Headers: map[string]string{receiver.DefaultSecretHeader: secret}, Method: "PUT",
	}))
	e, other := newEvent(), newEvent()
	other.Type = "invoice.refunded"
	emit(t.Context(), t, d, e)
	emit(t.Context(), t, d, e)
	emit(t.Context(), t, d, newEvent(), newEvent())
	emit(t.Context(), t, d, newEvent(), other)
	require.NoError(t, d.Drain(t.Context()))

	operation := map[string]any{
		"messaging.system": "webhook", "messaging.operation.name": "send",
		"messaging.operation.type": "send",
	}
	with := func(more map[string]any) map[string]any {
		for name, value := range operation {
			more[name] = value
		}
		return more
	}
	sent := tr.named("send invoice.paid")
	require.Len(t, sent, 3)
	assert.Equal(t, with(map[string]any{
		"messaging.destination.name": "invoice.paid", "messaging.message.id": e.ID,
		"webhook.event_id": e.ID, "webhook.event_type": "invoice.paid",
		"webhook.delivery_count": int64(1),
	}), attributes(sent[0]))
	assert.Equal(t, true, attributes(sent[1])["webhook.duplicate"])
	assert.Equal(t, with(map[string]any{
		"messaging.destination.name": "invoice.paid", "messaging.batch.message_count": int64(2),
		"webhook.event_count": int64(2), "webhook.event_type": "invoice.paid",
		"webhook.delivery_count": int64(2),
	}), attributes(sent[2]))
	assert.Equal(t, with(map[string]any{
		"messaging.batch.message_count": int64(2), "webhook.event_count": int64(2),
		"webhook.delivery_count": int64(2),
	}), attributes(tr.only(t, "send")))
	attempts := tr.named("PUT")
	require.NotEmpty(t, attempts)
	for _, attempt := range attempts {
		got := attributes(attempt)
		assert.Equal(t, "webhook", got["messaging.system"])
		assert.Equal(t, got["webhook.event_id"], got["messaging.message.id"])
		assert.Equal(t, got["webhook.event_type"], got["messaging.destination.name"])
		assert.Equal(t, "org_1", got["webhook.organization_id"])
		assert.Equal(t, "PUT", got["http.request.method"])
	}
}

// Whatever a subscriber configures and an event contains, no span has it.
func TestSpansHaveNothingPrivate(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	h := receive(t, tr)
	d := newDispatcher(t, memstore.New(), dispatch.Config{
		Hooks: otelhook.Hooks(tr, otelhook.Config{Messaging: true, OrganizationID: true}),
	})
	const private = "s3cr3t"
	subscribe(t, d, webhook.Via(httpendpoint.Config{
		URL: h.url + "/" + private + "-path?token=" + private + "-query",
		Headers: map[string]string{
			receiver.DefaultSecretHeader: secret, "X-Token": private + "-header",
			"X-" + private: "name",
		},
		PayloadTemplate: []byte(`{"event_id":"{{ event_id }}","event_type":"invoice.paid",` +
			`"metadata":{"x":"` + private + `-template {{ metadata.card }}"}}`),
	}))
	subscribe(t, d, webhook.Via(httpendpoint.Config{ // fails
		URL:     "http://127.0.0.1:1/" + private + "?" + private,
		Headers: map[string]string{"Authorization": "Bearer " + private},
	}))
	e := newEvent()
	e.Subject.ID, e.Metadata = private+"-subject", map[string]any{"card": private + "-metadata"}
	ctx := tracecontext.With(t.Context(), tracecontext.Context{
		Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Baggage: "user=" + private,
	})
	emit(ctx, t, d, e)
	wrong := newEvent()
	wrong.Type, wrong.ID = private+" type", private+" id"
	_, err := d.Emit(ctx, wrong)
	require.Error(t, err)
	require.NoError(t, d.Drain(t.Context()))

	spans := tr.exporter.GetSpans()
	require.Len(t, tr.named("POST"), 4)
	require.Len(t, tr.named("process"), 2)
	for _, span := range spans {
		text := []string{span.Name, span.Status.Description, fmt.Sprint(attributes(span)),
			fmt.Sprint(span.Events)}
		for _, link := range span.Links {
			text = append(text, fmt.Sprint(link.Attributes))
		}
		assert.NotContains(t, strings.Join(text, " "), private)
		assert.NotContains(t, strings.Join(text, " "), secret)
	}
	failed := tr.only(t, "send")
	assert.Equal(t, codes.Error, failed.Status.Code)
	assert.Equal(t, "invalid", attributes(failed)["error.type"])
	assert.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", failed.SpanContext.TraceID().String(),
		"an emit without a span in its context goes on with the trace there")
}

// failingStore cannot store events.
type failingStore struct{ webhook.Store }

func (failingStore) Enqueue(
	context.Context, time.Time, []webhook.NewEvent, *webhook.Prefetch,
) (webhook.Enqueued, error) {
	return webhook.Enqueued{}, fmt.Errorf("%w: password s3cr3t", webhook.ErrUnavailable)
}

func TestEmitFails(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	d := newDispatcher(t, failingStore{memstore.New()},
		dispatch.Config{Hooks: otelhook.Hooks(tr, otelhook.Config{})})
	_, err := d.Emit(t.Context(), newEvent())
	require.ErrorIs(t, err, webhook.ErrUnavailable)
	span := tr.only(t, "emit")
	assert.Equal(t, sdktrace.Status{Code: codes.Error}, span.Status)
	assert.Equal(t, map[string]any{
		"webhook.event_type": "invoice.paid", "error.type": "unavailable",
	}, attributes(span))
	assert.Empty(t, span.Events)
}

// A channel that makes no HTTP request, and an attempt that is cancelled.
func TestOtherChannels(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	var users []string
	var wait bool
	began := make(chan struct{})
	channels := channel.NewRegistry()
	require.NoError(t, channels.Register("inproc", channel.Func(
		func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
			users = append(users, baggage.FromContext(ctx).Member("user").Value())
			if wait {
				close(began)
				<-ctx.Done()
				return channel.Result{}, channel.ContextError(ctx)
			}
			return channel.Result{StatusCode: 250}, nil
		})))
	d := newDispatcher(t, memstore.New(), dispatch.Config{
		Hooks: otelhook.Hooks(tr, otelhook.Config{}), Channels: channels,
		DrainTimeout: time.Millisecond,
	})
	subscribe(t, d, webhook.ChannelConfig{Channel: "inproc", Configs: []byte(`{}`)})
	ctx := tracecontext.With(t.Context(), tracecontext.Context{Baggage: "user=alice"})
	emit(ctx, t, d, newEvent())
	require.NoError(t, d.Drain(t.Context()))
	delivered := tr.only(t, "deliver")
	requireLink(t, delivered, tr.only(t, "emit"))
	for name := range attributes(delivered) {
		assert.True(t, strings.HasPrefix(name, "webhook."), name)
	}

	wait = true
	emit(ctx, t, d, newEvent())
	run, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(run) }()
	<-began
	stop()
	require.NoError(t, <-done)
	require.Len(t, tr.named("deliver"), 2)
	cancelled := tr.named("deliver")[1]
	assert.Equal(t, true, attributes(cancelled)["webhook.requeued"])
	assert.Equal(t, codes.Unset, cancelled.Status.Code)
	assert.Equal(t, []string{"alice", "alice"}, users)
}

// What is not sampled is not recorded, and says so to those who come after.
func TestNotSampled(t *testing.T) {
	t.Parallel()
	tr := newTracing(sdktrace.WithSampler(sdktrace.NeverSample()))
	h := receive(t, tr)
	d := newDispatcher(t, memstore.New(),
		dispatch.Config{Hooks: otelhook.Hooks(tr, otelhook.Config{})})
	subscribe(t, d, webhook.Via(httpendpoint.Config{
		URL: h.url, Headers: map[string]string{receiver.DefaultSecretHeader: secret},
	}))
	emit(t.Context(), t, d, newEvent())
	require.NoError(t, d.Drain(t.Context()))
	assert.Empty(t, tr.exporter.GetSpans())
	require.Len(t, h.wire, 2)
	assert.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`, h.wire[0].Get("traceparent"))
}

func TestWithoutAProvider(t *testing.T) {
	t.Parallel()
	assert.True(t, reflect.ValueOf(otelhook.Hooks(nil, otelhook.Config{})).IsZero())
	assert.True(t, reflect.ValueOf(receiverhook.Hooks(nil, receiverhook.Config{})).IsZero())
}

// An End hook without its Start, as after one that panicked, ends no span of another.
func TestEndWithoutStart(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	hooks := otelhook.Hooks(tr, otelhook.Config{})
	ctx, span := tr.Tracer("shop").Start(t.Context(), "checkout")
	hooks.EmitEnd(ctx, dispatch.EmitEnd{})
	hooks.AttemptEnd(ctx, dispatch.AttemptEnd{})
	assert.Empty(t, tr.exporter.GetSpans())
	span.SetAttributes(attribute.Bool("still", true))
	span.End()
	assert.Equal(t, map[string]any{"still": true}, attributes(tr.only(t, "checkout")))
}
