// Package otelhook makes spans of OpenTelemetry for what a Dispatcher does:
//
//	d, err := dispatch.New(store, dispatch.Config{
//		Hooks: otelhook.Hooks(provider, otelhook.Config{}),
//	})
//
// The Hooks of several packages are joined by [dispatch.JoinHooks]. Package receiver/otelhook, a
// module of its own so that a receiver needs no Dispatcher, makes the span of the other side.
//
// # The spans
//
//	span         kind      parent                          links to
//	emit         PRODUCER  the span in the context         -
//	an attempt   CLIENT    none: it begins a trace         emit
//	process      CONSUMER  the span in the context, if     the attempt
//	                       the server makes one
//
// An attempt has a trace of its own, because it may be made days after the emit, and many attempts
// may follow from one. The context of the emit is stored with the event, so that the link is there
// after a restart and in another process. The request of an attempt has a traceparent of its span,
// so that what the receiver does is found from the attempt.
//
// An inbox of a receiver takes these hooks in its Config.Dispatcher: its attempts are the calls of
// the handler.
//
// An event that is emitted in a context without a span, but with the trace of a request that
// a receiver or [tracecontext.With] has put there, is a part of that trace.
//
// # Names and attributes
//
// The names are those of the semantic conventions 1.43. HTTP has stable ones:
//
//	http.request.method, server.address, server.port, http.response.status_code
//	http.request.resend_count     from the second attempt on
//	error.type                    the class of a failed attempt, such as "timeout" or "status"
//
// The span of an attempt that makes an HTTP request is called after its method, such as POST; any
// other is called "deliver". Attributes of the library:
//
//	webhook.event_id, webhook.event_type
//	webhook.event_count           of an emit of several events
//	webhook.delivery_count        how many deliveries an emit made
//	webhook.duplicate             the event had been emitted before
//	webhook.delivery_id, webhook.id, webhook.channel, webhook.attempt
//	webhook.connection_reused     the request went out on a kept connection: see [Connected]
//	webhook.requeued              Run has cancelled the attempt: it will be made again
//	webhook.organization_id       with [Config].OrganizationID
//
// No span has the path or query of a URL, a header, a part of a payload, or the text of an error:
// they hold secrets and personal data. For that reason url.full, which the conventions ask for, is
// left out.
//
// The conventions of messaging are in development and change. With [Config].Messaging spans have
// those of version 1.43: names such as "send invoice.paid", messaging.system ("webhook"),
// messaging.operation.name and type, messaging.destination.name (the event type),
// messaging.message.id and messaging.batch.message_count.
//
// # What is where
//
//   - otelhook.go: Config and Hooks
//   - emit.go, attempt.go: the two spans
package otelhook
