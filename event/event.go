package event

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The values that [New] fills in.
const (
	// Version1 is the version of the envelope that this package describes.
	Version1 = "v1"
	// ActorSystem is the actor of an event that no user caused.
	ActorSystem = "system"
)

// Event is the envelope that tells subscribers what happened.
//
// A field with its zero value is absent: it is not encoded, and a null or missing field
// decodes to the zero value. [Event.Validate] reports the required fields that are absent.
//
// An Event is plain data: safe for concurrent reads, not for concurrent changes.
type Event struct {
	// ID (event_id) identifies the event. It is the same on every retry and every channel, so
	// consumers deduplicate on it. [NewID] makes one.
	ID string
	// Type (event_type) says what happened: "object.created". See [ValidType].
	Type string
	// OccurredAt (occurred_at) is when it happened, not when it was sent. Decoding converts it
	// to UTC; encoding writes it in UTC with as many fractional digits as it needs.
	OccurredAt time.Time
	// Namespace (namespace) is the tenant's namespace by name.
	Namespace string
	// NamespaceID (namespace_id) is the tenant's namespace by id. An envelope that has
	// a namespace_id and no namespace names its cache scope differently, see
	// [Event.MarshalJSON].
	NamespaceID string
	// Collection (collection) is a collection's name. Optional.
	Collection string
	// Actor (actor) is the user that caused the event, or [ActorSystem].
	Actor string
	// Subject (subject) is the resource that the event is about.
	Subject Subject
	// Version (version) is the envelope's version, [Version1].
	Version string
	// IndexSignature (index_signature) is an opaque signature of the index
	// state. Optional.
	IndexSignature string
	// CacheScope (cache_scope_to_invalidate or cache_scope) is what a consumer should drop
	// from its caches. Nil means nothing.
	CacheScope *CacheScope
	// Metadata (metadata) holds details of this event, with any values that [encoding/json] can
	// encode. Decoded numbers are [json.Number], which keeps their exact digits. Optional.
	// An empty map is encoded, nil is not.
	Metadata map[string]any
	// Extra holds the envelope's fields that this package does not know, unchanged. They are
	// encoded after the known ones, sorted by name.
	Extra map[string]json.RawMessage

	// OrganizationID is the organization that the event belongs to. Empty for a service without
	// tenants. It is not part of the JSON, and Validate does not check it; the Dispatcher's Emit does
	// (webhook.CheckOrganizationID).
	OrganizationID string

	// TTL is the time to live: how long after the emit, or a replay, the event is still worth
	// delivering, such as the minutes that a one-time code is valid. Zero leaves it to the retry
	// policy. It is not part of the JSON, and Validate does not check it; the Dispatcher's Emit does
	// (webhook.CheckTTL).
	TTL time.Duration
}

// Subject names the resource that an event is about.
type Subject struct {
	// Type is the kind of resource: "object", "collection".
	Type string
	// ID is the resource's id.
	ID string
	// Extra holds the fields that this package does not know, unchanged.
	Extra map[string]json.RawMessage
}

// New returns an event that happened now, with ID, OccurredAt, Actor ([ActorSystem]) and Version
// filled in. Set Namespace and the other fields that the event needs before you emit it.
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

// identifiedByID reports whether the envelope has a namespace_id instead of a namespace. Senders
// of that form write cache_scope instead of cache_scope_to_invalidate.
func (e *Event) identifiedByID() bool { return e.Namespace == "" && e.NamespaceID != "" }

// MaxIDLength is the largest length of an event id in bytes, including the prefix. It fits in a
// database index and a header line.
const MaxIDLength = 128

const idPrefix = "evt_"

// NewID returns a new event id: "evt_" and the 32 hex digits of a UUIDv7
// (RFC 9562). Ids made by one process sort by time.
func NewID() string {
	// NewV7 fails only if the system has no randomness, but then crypto/rand has already
	// stopped the program.
	id := uuid.Must(uuid.NewV7())
	var buf [len(idPrefix) + 2*len(id)]byte
	copy(buf[:], idPrefix)
	hex.Encode(buf[len(idPrefix):], id[:])
	return string(buf[:])
}

// ValidID returns an error if s is not an event id: "evt_" and an opaque token of letters,
// digits, '_' and '-', at most [MaxIDLength] bytes in total. Dots are not allowed because a
// signature covers "id.timestamp.body".
//
// The error's text is the rule that s breaks, worded as in a [Problem].
func ValidID(s string) error {
	token, ok := strings.CutPrefix(s, idPrefix)
	switch {
	case !ok || token == "":
		return fmt.Errorf("must be %q followed by a token", idPrefix)
	case len(s) > MaxIDLength:
		return fmt.Errorf("must be at most %d bytes", MaxIDLength)
	}
	for i := range len(token) {
		if c := token[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return fmt.Errorf("must hold only letters, digits, '_' and '-' after %q", idPrefix)
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// setExtra stores an unknown field.
func (e *Event) setExtra(name string, raw json.RawMessage) {
	if e.Extra == nil {
		e.Extra = map[string]json.RawMessage{}
	}
	e.Extra[name] = raw
}
