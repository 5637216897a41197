package event

// The two JSON names of the cache scope (see [Event.MarshalJSON]).
const (
	nameCacheScopeToInvalidate = "cache_scope_to_invalidate"
	nameCacheScope             = "cache_scope"
)

// field is a known field of a JSON object, unique within the object.
type field uint8

// fieldUnknown stands for all unknown fields.
const fieldUnknown field = 0

// The fields of the envelope, in the order in which they are encoded.
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
	fieldCacheScopeToInvalidate
	fieldCacheScope
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
	case nameCacheScopeToInvalidate:
		return fieldCacheScopeToInvalidate
	case nameCacheScope:
		return fieldCacheScope
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

// add adds f and reports whether it is new. Unknown fields always count as new.
func (s *fieldSet) add(f field) bool {
	if f == fieldUnknown {
		return true
	}
	before := *s
	*s |= 1 << f
	return *s != before
}
