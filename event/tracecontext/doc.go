// Package tracecontext carries the context of a trace through a context.Context: from the code that
// emits an event, through the store, to each attempt, over HTTP, and to the handler of a receiver.
// It handles the W3C's headers and depends on no tracing library:
//
//	ctx = tracecontext.With(ctx, tracecontext.Context{Parent: "00-4bf9…-01"})
//	_, err = d.Emit(ctx, e)           // stored with the event
//	…
//	trace := tracecontext.From(ctx)   // in the handler of the receiver
//
// The modules webhook/otelhook and receiver/otelhook do both for OpenTelemetry.
//
// At each step From finds:
//
//	step            what From finds
//	Emit            what the caller, or a hook that traces the emit, has put there
//	an attempt      that of the emit, or what a hook that traces the attempt has put there
//	a handler       that of the request, or what a hook that traces the handler has put there
//
// # What is where
//
//   - tracecontext.go: Context, With, From, FromHeader
//   - clean.go: the rules of the three headers
package tracecontext
