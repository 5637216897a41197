// Package otelhook makes spans of OpenTelemetry for what a Receiver does:
//
//	rcv, err := receiver.New(receiver.Config{
//		Secrets: []receiver.Secret{{Value: os.Getenv("WEBHOOK_SECRET")}},
//		Hooks:   otelhook.Hooks(provider, otelhook.Config{}),
//	})
//
// The span has the kind CONSUMER and the name "process". It encloses the claim of the event, its
// handler, and settling. In the context of the handler it is the current span. Its parent is the
// span in the context of the request, if a middleware of the server has made one, and it links to
// the trace of the sender's request: with package webhook/otelhook that is the attempt, which links
// to the emit. With [Config].Continue and without a span of the server, the sender's is the parent.
//
// # Attributes
//
//	webhook.event_id, webhook.event_type
//	webhook.outcome       one of the receiver.Outcome
//	error.type            the outcome, if there was an error
//
// No span has a header, a part of a payload, or the text of an error: they hold secrets and
// personal data. An id or type that no event of this library could have is left out.
//
// The semantic conventions for messaging are in development and change. With [Config].Messaging
// spans have those of version 1.43: names such as "process invoice.paid", messaging.system
// ("webhook"), messaging.operation.name and type, messaging.destination.name (the event type) and
// messaging.message.id.
//
// # What is where
//
// All is in otelhook.go.
package otelhook
