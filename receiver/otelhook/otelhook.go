package otelhook

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/receiver"
)

// Config says what spans contain. The zero value works.
type Config struct {
	// Messaging adds the names and attributes of the semantic conventions for messaging, which are
	// in development: a later version of this package may change them. Defaults to false.
	Messaging bool
	// Continue makes the span a child of the sender's, besides the link, unless the context of the
	// request has a span. Then one trace has both, and the sender decides whether it is sampled: it
	// is for senders of your own. Defaults to false.
	Continue bool
}

// scope names this package in the spans that it makes.
const scope = "github.com/mixpeek/webhooks-go/receiver/otelhook"

// Hooks returns hooks that make a span for each event with a tracer of the provider. If provider is
// nil, Hooks returns the zero receiver.Hooks, and no spans are made. Fields that are not set are
// free for hooks of your own.
func Hooks(provider trace.TracerProvider, cfg Config) receiver.Hooks {
	if provider == nil {
		return receiver.Hooks{}
	}
	t := &tracer{cfg: cfg, Tracer: provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))}
	return receiver.Hooks{ProcessStart: t.start, ProcessEnd: t.end}
}

type tracer struct {
	trace.Tracer
	cfg Config
}

// spanKey is the key under which a context has the span of this package. It differs from the key of
// OpenTelemetry, under which the End hook would find a span of the server if the Start hook had
// failed.
type spanKey struct{}

func (t *tracer) start(ctx context.Context, d *receiver.Delivery) context.Context {
	sent := d.Trace
	name, attributes := t.describe(d.Event)
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attributes...)}
	if sender := spanContext(sent); sender.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: sender}))
		if t.cfg.Continue && !trace.SpanContextFromContext(ctx).IsValid() {
			ctx = trace.ContextWithRemoteSpanContext(ctx, sender)
		}
	}
	if sent.Baggage != "" {
		ctx = propagation.Baggage{}.Extract(ctx, &sent)
	}
	ctx, span := t.Start(ctx, name, options...)
	if span.SpanContext().IsValid() {
		sent.Parent, sent.State = "", ""
		propagation.TraceContext{}.Inject(ctx, &sent)
	}
	return context.WithValue(tracecontext.With(ctx, sent), spanKey{}, span)
}

// spanContext returns the span that a trace context names, which may be invalid.
func spanContext(c tracecontext.Context) trace.SpanContext {
	if c.Parent == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), &c)
	return trace.SpanContextFromContext(ctx)
}

// describe returns the name of a span, and what is known when it begins.
func (t *tracer) describe(e *event.Event) (string, []attribute.KeyValue) {
	name := "process"
	var attributes []attribute.KeyValue
	if t.cfg.Messaging {
		attributes = append(attributes, semconv.MessagingSystemKey.String("webhook"),
			semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess)
	}
	if event.ValidType(e.Type) == nil {
		attributes = append(attributes, attribute.String("webhook.event_type", e.Type))
		if t.cfg.Messaging {
			name += " " + e.Type
			attributes = append(attributes, semconv.MessagingDestinationName(e.Type))
		}
	}
	if event.ValidID(e.ID) == nil {
		attributes = append(attributes, attribute.String("webhook.event_id", e.ID))
		if t.cfg.Messaging {
			attributes = append(attributes, semconv.MessagingMessageID(e.ID))
		}
	}
	return name, attributes
}

func (t *tracer) end(ctx context.Context, r receiver.Result) {
	span, ok := ctx.Value(spanKey{}).(trace.Span)
	if !ok {
		return
	}
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("webhook.outcome", string(r.Outcome)))
	if r.Err == nil {
		return
	}
	span.SetStatus(codes.Error, "")
	switch r.Outcome {
	case receiver.Handled, receiver.Unhandled, receiver.Duplicate:
		span.SetAttributes(semconv.ErrorTypeKey.String("not_recorded"))
	default:
		span.SetAttributes(semconv.ErrorTypeKey.String(string(r.Outcome)))
	}
}
