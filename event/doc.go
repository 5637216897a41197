// Package event defines what travels from an emitter to its subscribers: the
// envelope, the catalogue of event types, the patterns that select types, and
// the cache scopes that say what an event makes stale.
//
// # Making an event
//
// [New] fills in the id, the time, the actor and the version. Set the namespace
// and what else the event needs, and let [Event.Validate] name everything that
// is wrong at once:
//
//	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
//	e.Namespace, e.Collection = "acme", "articles"
//	e.CacheScope = e.DefaultScope()
//	e.Metadata = map[string]any{"bucket_id": "bkt_1"}
//	err := e.Validate()
//
// Types of your own, such as "invoice.paid", need no registration. They work
// everywhere a built-in one does, and need no namespace. A [Catalogue] of them is what the
// management API then lists.
//
// # Reading an event
//
// [Decode] accepts both spellings that senders use, namespace with
// cache_scope_to_invalidate and namespace_id with cache_scope, and partial
// envelopes. What it does not know it keeps: unknown fields and the exact
// digits of numbers come out of [Event.MarshalJSON] as they went in.
//
// # What is where
//
//   - event.go, id.go: the envelope and its identity
//   - catalogue.go, eventtype.go, pattern.go: event types and how to select them
//   - scope.go, key.go: cache scopes and cache keys
//   - validate.go, problems.go: what is wrong with a value, all of it at once
//   - decode.go, value.go, reader.go: JSON in
//   - encode.go, encodevalue.go: JSON out
//   - fields.go: the names of the fields
//
// Signing and verifying what carries an event over HTTP is the subject of the
// package signature below this one.
package event
