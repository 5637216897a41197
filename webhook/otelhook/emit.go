package otelhook

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

func (t *tracer) emitStart(ctx context.Context, e dispatch.EmitStart) context.Context {
	from := tracecontext.From(ctx)
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, spanContext(from))
	}
	name, attributes := t.describeEmit(e.Events)
	ctx, span := t.Start(ctx, name, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attributes...))
	var baggage tracecontext.Context
	propagation.Baggage{}.Inject(ctx, &baggage)
	if baggage.Baggage != "" {
		from.Baggage = baggage.Baggage
	}
	return context.WithValue(withSpan(ctx, from), emitKey{}, span)
}

// describeEmit returns the name of the span of an emit, and what is known when it begins.
func (t *tracer) describeEmit(events []*event.Event) (string, []attribute.KeyValue) {
	var attributes []attribute.KeyValue
	eventType := commonType(events)
	if eventType != "" {
		attributes = append(attributes, attribute.String("webhook.event_type", eventType))
	}
	if len(events) != 1 {
		attributes = append(attributes, attribute.Int("webhook.event_count", len(events)))
	}
	if !t.cfg.Messaging {
		return "emit", attributes
	}
	attributes = append(attributes, messaging(semconv.MessagingOperationTypeSend, "send")...)
	if len(events) != 1 {
		attributes = append(attributes, semconv.MessagingBatchMessageCount(len(events)))
	}
	if eventType == "" {
		return "send", attributes
	}
	return "send " + eventType, append(attributes, semconv.MessagingDestinationName(eventType))
}

// commonType returns the type of the events, or "" if they have several, or one that is invalid.
func commonType(events []*event.Event) string {
	common := ""
	for i, e := range events {
		if e == nil || i > 0 && e.Type != common {
			return ""
		}
		common = e.Type
	}
	if event.ValidType(common) != nil {
		return ""
	}
	return common
}

func (t *tracer) emitEnd(ctx context.Context, e dispatch.EmitEnd) {
	span := spanOf(ctx, emitKey{})
	defer span.End()
	if !span.IsRecording() {
		return
	}
	if e.Err != nil {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String(emitError(e.Err)))
		return
	}
	deliveries := 0
	for _, emitted := range e.Emitted {
		deliveries += emitted.Deliveries
	}
	span.SetAttributes(attribute.Int("webhook.delivery_count", deliveries))
	if len(e.Emitted) != 1 {
		return
	}
	span.SetAttributes(attribute.String("webhook.event_id", e.Emitted[0].EventID))
	if e.Emitted[0].Duplicate {
		span.SetAttributes(attribute.Bool("webhook.duplicate", true))
	}
	if t.cfg.Messaging {
		span.SetAttributes(semconv.MessagingMessageID(e.Emitted[0].EventID))
	}
}

// emitError returns the class of an error of Emit. Its text may have parts of the event.
func emitError(err error) string {
	var invalid *event.ValidationError
	switch {
	case errors.As(err, &invalid):
		return "invalid"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, webhook.ErrUnavailable):
		return "unavailable"
	}
	return semconv.ErrorTypeOther.Value.AsString()
}
