package event

import "encoding/json"

// The two names of the cache scope, see [Event.MarshalJSON].
const (
	nameScope      = "cache_scope_to_invalidate"
	nameLaterScope = "cache_scope"
)

// field is a field of an object that this package knows, unique within the object.
type field uint8

// fieldUnknown is every field that is not known.
const fieldUnknown field = 0

// The fields of the envelope, in the order in which they are written.
const (
	fieldID field = iota + 1
	fieldType
	fieldOccurredAt
	fieldNamespace
	fieldNamespaceID
	fieldCollection
	fieldActor
	fieldSubject
	fieldVersion
	fieldIndexSignature
	fieldScope
	fieldLaterScope
	fieldMetadata
)

func envelopeField(name []byte) field {
	switch string(name) {
	case "event_id":
		return fieldID
	case "event_type":
		return fieldType
	case "occurred_at":
		return fieldOccurredAt
	case "namespace":
		return fieldNamespace
	case "namespace_id":
		return fieldNamespaceID
	case "collection":
		return fieldCollection
	case "actor":
		return fieldActor
	case "subject":
		return fieldSubject
	case "version":
		return fieldVersion
	case "index_signature":
		return fieldIndexSignature
	case nameScope:
		return fieldScope
	case nameLaterScope:
		return fieldLaterScope
	case "metadata":
		return fieldMetadata
	default:
		return fieldUnknown
	}
}

// The fields of a subject.
const (
	fieldSubjectType field = iota + 1
	fieldSubjectID
)

func subjectField(name []byte) field {
	switch string(name) {
	case "type":
		return fieldSubjectType
	case "id":
		return fieldSubjectID
	default:
		return fieldUnknown
	}
}

// The fields of a cache scope.
const (
	fieldScopeKind field = iota + 1
	fieldScopeKeys
	fieldScopeCollectionID
	fieldScopeNamespaceID
	fieldScopeNamespace
)

func scopeField(name []byte) field {
	switch string(name) {
	case "scope":
		return fieldScopeKind
	case "keys":
		return fieldScopeKeys
	case "collection_id":
		return fieldScopeCollectionID
	case "namespace_id":
		return fieldScopeNamespaceID
	case "namespace":
		return fieldScopeNamespace
	default:
		return fieldUnknown
	}
}

// fieldSet is a set of known fields.
type fieldSet uint16

// add reports whether f was not in the set. Unknown fields never are.
func (s *fieldSet) add(f field) bool {
	if f == fieldUnknown {
		return true
	}
	before := *s
	*s |= 1 << f
	return *s != before
}

// setExtra keeps a field under its name.
func (e *Event) setExtra(name string, raw json.RawMessage) {
	if e.Extra == nil {
		e.Extra = map[string]json.RawMessage{}
	}
	e.Extra[name] = raw
}
