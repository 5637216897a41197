package otelhook

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Config says what spans contain. The zero value works.
type Config struct {
	// Messaging adds the names and attributes of the semantic conventions for messaging, which are
	// in development: a later version of this package may change them. Defaults to false.
	Messaging bool
	// OrganizationID adds the id of the organization to the spans of attempts. It may name one of
	// your customers, and traces are mostly read by more people, and kept elsewhere, than the
	// database. Defaults to false.
	OrganizationID bool
}

// scope names this package in the spans that it makes.
const scope = "github.com/mixpeek/webhooks-go/webhook/otelhook"

// Hooks returns hooks that make a span for each emit and for each attempt with a tracer of the
// provider. If that is nil, they are zero, and no trace is made.
func Hooks(provider trace.TracerProvider, cfg Config) dispatch.Hooks {
	if provider == nil {
		return dispatch.Hooks{}
	}
	t := &tracer{cfg: cfg, Tracer: provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))}
	return dispatch.Hooks{
		EmitStart: t.emitStart, EmitEnd: t.emitEnd,
		AttemptStart: t.attemptStart, AttemptEnd: t.attemptEnd,
	}
}

type tracer struct {
	trace.Tracer
	cfg Config
}

// The keys under which a context has the span of an emit and of an attempt. They differ from the key
// of OpenTelemetry, under which the End hook would find a span of the caller if the Start hook had
// failed.
type (
	emitKey    struct{}
	attemptKey struct{}
)

func spanOf(ctx context.Context, key any) trace.Span {
	if span, ok := ctx.Value(key).(trace.Span); ok {
		return span
	}
	return trace.SpanFromContext(context.Background()) // does nothing
}

// spanContext returns the span that a trace context names, which may be invalid.
func spanContext(c tracecontext.Context) trace.SpanContext {
	if c.Parent == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), &c)
	return trace.SpanContextFromContext(ctx)
}

// withSpan puts the span of ctx in the place of the trace context's, and leaves its baggage.
func withSpan(ctx context.Context, c tracecontext.Context) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		c.Parent, c.State = "", ""
		propagation.TraceContext{}.Inject(ctx, &c)
	}
	return tracecontext.With(ctx, c)
}

// messaging returns the attributes of an operation on messages.
func messaging(operation attribute.KeyValue, name string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String("webhook"),
		semconv.MessagingOperationName(name), operation,
	}
}
