package template

import (
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// Data returns what a template sees of an event: the fields of the envelope as variables, and all
// of them again as the keys of the variable event.
//
//	event_id, event_type, occurred_at      text; occurred_at as in the envelope, RFC 3339 in UTC
//	namespace, namespace_id, collection    text
//	actor, version, index_signature        text
//	subject                                an object with type and id
//	metadata                               an object, as the sender made it; {} if there is none
//	cache_scope_to_invalidate, cache_scope an object with scope and keys, collection_id,
//	                                       namespace_id or namespace; the same under both names
//	                                       (write cache_scope['keys']: .keys is a method)
//	any other field of the envelope        under its own name
//	event                                  an object with all of these
//
// A field that the event does not have is undefined. The result shares the event's metadata: change
// neither while a render runs. It may be given to any number of renders.
func Data(e *event.Event) map[string]any {
	const fields = 16
	d := make(map[string]any, fields+len(e.Extra))
	for name, raw := range e.Extra {
		d[name] = python.DecodeInOrder(raw)
	}
	text := func(m map[string]any, name, value string) {
		if value != "" {
			m[name] = value
		}
	}
	text(d, "event_id", e.ID)
	text(d, "event_type", e.Type)
	if !e.OccurredAt.IsZero() {
		d["occurred_at"] = e.OccurredAt.UTC().Format(time.RFC3339Nano)
	}
	text(d, "namespace", e.Namespace)
	text(d, "namespace_id", e.NamespaceID)
	text(d, "collection", e.Collection)
	text(d, "actor", e.Actor)
	text(d, "version", e.Version)
	text(d, "index_signature", e.IndexSignature)

	subject := make(map[string]any, 2+len(e.Subject.Extra))
	for name, raw := range e.Subject.Extra {
		subject[name] = python.DecodeInOrder(raw)
	}
	text(subject, "type", e.Subject.Type)
	text(subject, "id", e.Subject.ID)
	d["subject"] = subject

	d["metadata"] = e.Metadata
	if e.Metadata == nil {
		d["metadata"] = map[string]any{}
	}
	if s := e.CacheScope; s != nil {
		scope := make(map[string]any, 2+len(s.Extra))
		for name, raw := range s.Extra {
			scope[name] = python.DecodeInOrder(raw)
		}
		text(scope, "scope", string(s.Kind))
		if s.Keys != nil {
			scope["keys"] = s.Keys
		}
		text(scope, "collection_id", s.CollectionID)
		text(scope, "namespace_id", s.NamespaceID)
		text(scope, "namespace", s.Namespace)
		d["cache_scope_to_invalidate"] = scope
		d["cache_scope"] = scope
	}

	all := make(map[string]any, len(d)+1)
	for name, value := range d {
		all[name] = value
	}
	all["event"] = d
	return all
}
