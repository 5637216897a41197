// Package event defines the events that a service emits to its subscribers: the envelope, event
// types and the patterns that select them, and cache scopes, which say what an event makes stale.
//
// # Making an event
//
// [New] fills in the id, the time, the actor and the version. Set the other fields and call
// [Event.Validate], which reports all problems at once:
//
//	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
//	e.Namespace, e.Collection = "acme", "articles"
//	e.CacheScope = e.DefaultScope()
//	e.Metadata = map[string]any{"bucket_id": "bkt_1"}
//	err := e.Validate()
//
// Types of your own, such as "invoice.paid", need no registration and no namespace. List them in
// a [Catalogue] if the management API should show them.
//
// # Reading an event
//
// [Decode] accepts the envelopes of all senders: with namespace and cache_scope_to_invalidate, with
// namespace_id and cache_scope, and partial ones. [Event.MarshalJSON] encodes unknown fields and
// the digits of numbers exactly as they were decoded.
//
// # Dropping stale cache entries
//
// [Event.Invalidates] reports whether an event makes a cache key stale. [CacheKey] makes such keys.
// The package receiver/invalidate drops them from a cache.
//
// # Reporting invalid input
//
// Checks collect [Problems] and return a [*ValidationError]: each [Problem] has the path of a
// field, a code for programs and a text for people.
//
// # What is where
//
//   - event.go: the envelope and its id
//   - catalogue.go, eventtype.go: event types and patterns
//   - cachescope.go: cache scopes and cache keys
//   - sample.go: events for previews and tests
//   - validate.go, problems.go: validation
//   - decode.go: decoding
//   - encode.go: encoding
//   - fields.go: the names of the fields
//
// Four packages are below this one: signature signs and verifies the requests that carry events,
// tracecontext says of which trace an event is a part, jsontext reads and writes JSON where
// encoding/json is not enough, and settings completes and checks the fields of a Config.
package event
