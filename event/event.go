package event

import (
	"encoding/json"
	"time"
)

// Values that [New] fills in.
const (
	// Version1 is the version of the envelope that this package describes.
	Version1 = "v1"
	// ActorSystem is the actor of an event that no user caused.
	ActorSystem = "system"
)

// Event is the envelope in which something that happened travels from an
// emitter to its subscribers.
//
// A field with its zero value is absent: it is not written, and null or a
// missing field decodes to it. Absent is not always right; [Event.Validate]
// says what is missing.
//
// An Event is plain data. It is safe for concurrent reads, not for concurrent
// changes.
type Event struct {
	// ID (event_id) is the event's identity, the same on every retry and every
	// channel: what consumers deduplicate on. [NewID] makes one.
	ID string
	// Type (event_type) says what happened: "object.created". See [ValidType].
	Type string
	// OccurredAt (occurred_at) is when the thing happened, not when it was
	// sent. Decoding converts it to UTC, encoding writes it in UTC with as many
	// fractional digits as it needs.
	OccurredAt time.Time
	// Namespace (namespace) is the tenant's namespace by name.
	Namespace string
	// NamespaceID (namespace_id) is the namespace by id. An envelope that has
	// it and no Namespace is in the later form, see [Event.MarshalJSON].
	NamespaceID string
	// Collection (collection) is a collection's name. Optional.
	Collection string
	// Actor (actor) is who did it, [ActorSystem] when no user did.
	Actor string
	// Subject (subject) is the resource that the event is about.
	Subject Subject
	// Version (version) is the envelope's version, [Version1].
	Version string
	// IndexSignature (index_signature) is an opaque signature of the index
	// state. Optional.
	IndexSignature string
	// CacheScope is what a consumer should drop from its caches
	// (cache_scope_to_invalidate, in the later form cache_scope). Nil: nothing.
	CacheScope *CacheScope
	// Metadata (metadata) is what is specific to this event: any value that
	// [encoding/json] can encode. Decoded numbers are [json.Number], so that
	// they come out as they went in. Optional; empty and nil differ on the wire.
	Metadata map[string]any
	// Extra holds the envelope's fields that this package does not know, as
	// they came. They are written after the known ones, sorted by name.
	Extra map[string]json.RawMessage

	// OrganizationID says whose event this is in an emitter that serves several
	// organizations. It is never on the wire.
	OrganizationID string
}

// Subject names the resource that an event is about.
type Subject struct {
	// Type is the kind of resource: "object", "collection".
	Type string
	// ID is the resource's id.
	ID string
	// Extra holds fields that this package does not know, as they came.
	Extra map[string]json.RawMessage
}

// New returns an event that happens now: ID, OccurredAt, Actor
// ([ActorSystem]) and Version are filled in. Set Namespace, and what else the
// event needs, before it is emitted.
func New(eventType string, subject Subject) *Event {
	return &Event{
		ID:         NewID(),
		Type:       eventType,
		OccurredAt: time.Now().UTC(),
		Actor:      ActorSystem,
		Subject:    subject,
		Version:    Version1,
	}
}

// laterForm reports whether the envelope is spelled as the later sender does:
// namespace_id in place of namespace, cache_scope in place of
// cache_scope_to_invalidate.
func (e *Event) laterForm() bool { return e.Namespace == "" && e.NamespaceID != "" }
