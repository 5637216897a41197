package otelhook

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/mixpeek/webhooks-go/event/tracecontext"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

func (t *tracer) attemptStart(ctx context.Context, a dispatch.AttemptStart) context.Context {
	emit := tracecontext.From(ctx)
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindClient)}
	if to := spanContext(emit); to.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: to}))
	}
	if emit.Baggage != "" { // for channels that are functions of this process
		ctx = propagation.Baggage{}.Extract(ctx, &emit)
	}
	name, attributes := "deliver", t.describeAttempt(&a)
	if a.Capabilities.Method != "" {
		name = a.Capabilities.Method
	}
	ctx, span := t.Start(ctx, name, append(options, trace.WithAttributes(attributes...))...)
	return context.WithValue(withSpan(ctx, emit), attemptKey{}, span)
}

// describeAttempt returns what is known when an attempt begins.
func (t *tracer) describeAttempt(a *dispatch.AttemptStart) []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		attribute.String("webhook.event_id", a.EventID),
		attribute.String("webhook.event_type", a.EventType),
		attribute.String("webhook.delivery_id", a.DeliveryID.String()),
		attribute.String("webhook.id", a.Endpoint.SubscriptionID),
		attribute.String("webhook.channel", a.Endpoint.Channel),
		attribute.Int("webhook.attempt", a.Number),
	}
	if t.cfg.OrganizationID && a.OrganizationID != "" {
		attributes = append(attributes, attribute.String("webhook.organization_id", a.OrganizationID))
	}
	to := &a.Capabilities
	if to.Host != "" {
		attributes = append(attributes, semconv.ServerAddress(to.Host))
	}
	if to.Port != 0 {
		attributes = append(attributes, semconv.ServerPort(to.Port))
	}
	if to.Method != "" {
		attributes = append(attributes, semconv.HTTPRequestMethodKey.String(to.Method))
		if a.Number > 1 {
			attributes = append(attributes, semconv.HTTPRequestResendCount(a.Number-1))
		}
	}
	if t.cfg.Messaging {
		attributes = append(attributes, semconv.MessagingSystemKey.String("webhook"),
			semconv.MessagingDestinationName(a.EventType), semconv.MessagingMessageID(a.EventID))
	}
	return attributes
}

// Connected records, on the span of an attempt, whether its request reused a connection that an
// earlier request had left open. If the request was sent again, the last connection counts. It is
// for channelkit.HTTPConfig, or the HTTP of a standard.Config.
func Connected(ctx context.Context, reused bool) {
	spanOf(ctx, attemptKey{}).SetAttributes(attribute.Bool("webhook.connection_reused", reused))
}

func (t *tracer) attemptEnd(ctx context.Context, a dispatch.AttemptEnd) {
	span := spanOf(ctx, attemptKey{})
	defer span.End()
	if !span.IsRecording() {
		return
	}
	if a.Capabilities.Method != "" && a.Attempt.StatusCode != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(a.Attempt.StatusCode))
	}
	switch {
	case a.Err == nil:
	case errors.Is(a.Err, context.Canceled):
		span.SetAttributes(attribute.Bool("webhook.requeued", true))
	default:
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String(a.Attempt.Class))
	}
}
