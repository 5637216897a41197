package otelhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/otelhook"
)

const (
	secret  = "correct-horse-battery-staple"
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

// tracing is a tracer whose spans a test reads when they have ended.
type tracing struct {
	*sdktrace.TracerProvider
	exporter *tracetest.InMemoryExporter
}

func newTracing() *tracing {
	exporter := tracetest.NewInMemoryExporter()
	return &tracing{sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)), exporter}
}

// last returns the span that has ended last.
func (tr *tracing) last(t *testing.T) tracetest.SpanStub {
	t.Helper()
	spans := tr.exporter.GetSpans()
	require.NotEmpty(t, spans)
	return spans[len(spans)-1]
}

func attributes(span tracetest.SpanStub) map[string]any {
	all := make(map[string]any, len(span.Attributes))
	for _, a := range span.Attributes {
		all[string(a.Key)] = a.Value.AsInterface()
	}
	return all
}

func (tr *tracing) handler(
	t *testing.T, cfg otelhook.Config, h receiver.HandlerFunc,
) http.Handler {
	t.Helper()
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: secret}}, AllowHTTP: true,
		Logger: slog.New(slog.DiscardHandler), Hooks: otelhook.Hooks(tr, cfg),
	})
	require.NoError(t, err)
	return rcv.Handler(h)
}

// request has an event of the id, and is a part of a trace.
func request(t *testing.T, id string) *http.Request {
	t.Helper()
	e := event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"})
	e.ID = id
	body, err := json.Marshal(e)
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/s3cr3t?s3cr3t", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(receiver.DefaultSecretHeader, secret)
	r.Header.Set("traceparent", "00-"+traceID+"-"+spanID+"-01")
	r.Header.Set("tracestate", "vendor=1")
	r.Header.Set("baggage", "user=alice")
	return r
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	var result error
	h := tr.handler(t, otelhook.Config{}, func(ctx context.Context, _ *event.Event) error {
		assert.Equal(t, "alice", baggage.FromContext(ctx).Member("user").Value())
		if result == http.ErrAbortHandler { //nolint:errorlint // it is this one
			panic(result)
		}
		return result
	})
	for i, test := range []struct {
		result  error
		outcome string
		failed  string // error.type
	}{
		{nil, "handled", ""},
		{errors.New("s3cr3t"), "failed", "failed"},
		{receiver.Permanent(errors.New("s3cr3t")), "given_up", "given_up"},
		{receiver.ErrNoHandler, "unhandled", ""},
		{receiver.ErrAlreadyHandled, "duplicate", ""},
		{http.ErrAbortHandler, "panicked", "panicked"},
	} {
		result = test.result
		id := fmt.Sprintf("evt_%d", i)
		func() {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), request(t, id))
		}()
		span := tr.last(t)
		require.Len(t, tr.exporter.GetSpans(), i+1)
		want := map[string]any{
			"webhook.event_id": id, "webhook.event_type": "invoice.paid", "webhook.outcome": test.outcome,
		}
		status := codes.Unset
		if test.failed != "" {
			want["error.type"], status = test.failed, codes.Error
		}
		assert.Equal(t, want, attributes(span))
		assert.Equal(t, sdktrace.Status{Code: status}, span.Status)
		assert.Equal(t, "process", span.Name)
		assert.Equal(t, trace.SpanKindConsumer, span.SpanKind)
		assert.NotContains(t, fmt.Sprint(span.Events), "s3cr3t")
	}
	r := request(t, "evt_rejected")
	r.Header.Del(receiver.DefaultSecretHeader)
	h.ServeHTTP(httptest.NewRecorder(), r)
	assert.Len(t, tr.exporter.GetSpans(), 6, "what is rejected is not processed")
}

// The span begins a trace and links to the sender's, unless the server has a span.
func TestParents(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg    otelhook.Config
		server bool // has a span
		sent   bool // a traceparent
		parent string
	}{
		"alone":           {sent: true},
		"without a trace": {},
		"in the server's": {server: true, sent: true, parent: "server"},
		"continued":       {cfg: otelhook.Config{Continue: true}, sent: true, parent: "sender"},
		"not continued": {
			cfg: otelhook.Config{Continue: true}, server: true, sent: true, parent: "server",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTracing()
			var current trace.SpanContext
			var seen tracecontext.Context
			h := tr.handler(t, test.cfg, func(ctx context.Context, _ *event.Event) error {
				current, seen = trace.SpanContextFromContext(ctx), tracecontext.From(ctx)
				return nil
			})
			r := request(t, "evt_1")
			if !test.sent {
				r.Header.Del("traceparent")
			}
			parents := map[string]string{"sender": spanID, "": strings.Repeat("0", 16)}
			if test.server {
				ctx, span := tr.Tracer("server").Start(r.Context(), "POST /webhooks")
				r, parents["server"] = r.WithContext(ctx), span.SpanContext().SpanID().String()
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			span := tr.last(t)
			assert.Equal(t, parents[test.parent], span.Parent.SpanID().String())
			assert.Equal(t, test.parent == "sender", span.SpanContext.TraceID().String() == traceID)
			if test.sent {
				require.Len(t, span.Links, 1)
				assert.Equal(t, traceID, span.Links[0].SpanContext.TraceID().String())
				assert.Equal(t, spanID, span.Links[0].SpanContext.SpanID().String())
			} else {
				assert.Empty(t, span.Links)
			}
			assert.Equal(t, span.SpanContext.SpanID(), current.SpanID())
			assert.Contains(t, seen.Parent, span.SpanContext.SpanID().String(),
				"what the handler emits is a part of this span")
			assert.Equal(t, "user=alice", seen.Baggage)
		})
	}
}

func TestMessaging(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	h := tr.handler(t, otelhook.Config{Messaging: true},
		func(context.Context, *event.Event) error { return nil })
	h.ServeHTTP(httptest.NewRecorder(), request(t, "evt_1"))
	span := tr.last(t)
	assert.Equal(t, "process invoice.paid", span.Name)
	assert.Equal(t, map[string]any{
		"messaging.system": "webhook", "messaging.operation.name": "process",
		"messaging.operation.type": "process", "messaging.destination.name": "invoice.paid",
		"messaging.message.id": "evt_1", "webhook.event_id": "evt_1",
		"webhook.event_type": "invoice.paid", "webhook.outcome": "handled",
	}, attributes(span))
}

// What a sender writes into the envelope is in no span if it is no id or type.
func TestNothingPrivate(t *testing.T) {
	t.Parallel()
	tr := newTracing()
	h := tr.handler(t, otelhook.Config{Messaging: true},
		func(context.Context, *event.Event) error { return errors.New("s3cr3t") })
	body := `{"event_id":"s3cr3t id","event_type":"s3cr3t type","metadata":{"a":"s3cr3t"}}`
	r := httptest.NewRequest(http.MethodPost, "/s3cr3t?s3cr3t", strings.NewReader(body))
	r.Header = request(t, "evt_1").Header
	r.Header.Set("X-S3cr3t", "s3cr3t")
	h.ServeHTTP(httptest.NewRecorder(), r)
	span := tr.last(t)
	assert.Equal(t, "process", span.Name)
	assert.Equal(t, map[string]any{
		"messaging.system": "webhook", "messaging.operation.name": "process",
		"messaging.operation.type": "process", "webhook.outcome": "failed", "error.type": "failed",
	}, attributes(span))
	assert.NotContains(t, fmt.Sprintf("%+v", span.Events)+span.Status.Description, "s3cr3t")
}
