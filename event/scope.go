package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// ScopeKind is the part of a cache that an event makes stale.
type ScopeKind string

// The kinds of cache scope. Encoding writes them in lower case; decoding accepts any case.
const (
	// ScopeNone covers nothing. It is the default of event types that change no cached data.
	ScopeNone ScopeKind = ""
	// ScopeKey covers single cache keys: one object or document changed.
	ScopeKey ScopeKind = "key"
	// ScopeCollection covers all cache keys of one collection.
	ScopeCollection ScopeKind = "collection"
	// ScopeNamespace covers all cache keys of one namespace.
	ScopeNamespace ScopeKind = "namespace"
)

// CacheScope says what a consumer should drop from its caches. Build one with
// [KeyScope], [CollectionScope] or [NamespaceScope], or let
// [Event.DefaultScope] do it.
type CacheScope struct {
	// Kind (scope) decides which of the other fields are used.
	Kind ScopeKind
	// Keys (keys) are the cache keys of a [ScopeKey], see [CacheKey].
	Keys []string
	// CollectionID (collection_id) is the collection of a [ScopeCollection].
	CollectionID string
	// NamespaceID (namespace_id) is the namespace of a [ScopeNamespace], by id.
	NamespaceID string
	// Namespace (namespace) is the namespace of a [ScopeNamespace], by name.
	Namespace string
	// Extra holds the fields that this package does not know, unchanged.
	Extra map[string]json.RawMessage
}

// KeyScope returns a scope that covers the given cache keys, see [CacheKey].
func KeyScope(keys ...string) *CacheScope {
	return &CacheScope{Kind: ScopeKey, Keys: keys}
}

// CollectionScope returns a scope that covers all cache keys of the collection with this id.
func CollectionScope(id string) *CacheScope {
	return &CacheScope{Kind: ScopeCollection, CollectionID: id}
}

// NamespaceScope returns a scope that covers all cache keys of the namespace with this id.
func NamespaceScope(id string) *CacheScope {
	return &CacheScope{Kind: ScopeNamespace, NamespaceID: id}
}

// Covers reports whether the scope covers a cache key, without looking at the rest of the
// envelope:
//
//   - a key scope covers the keys that it lists, whatever their form;
//   - a collection scope covers each [CacheKey] whose collection is its CollectionID;
//   - a namespace scope covers each [CacheKey] whose namespace is its NamespaceID or its
//     Namespace.
//
// A collection scope has only the id of a collection. If your cache keys are made of names,
// use [Event.Invalidates], which knows the name too. A nil scope covers nothing.
func (s *CacheScope) Covers(key string) bool {
	if s == nil {
		return false
	}
	if s.kind() == ScopeKey {
		return slices.Contains(s.Keys, key)
	}
	namespace, collection, _, ok := SplitCacheKey(key)
	switch {
	case !ok:
		return false
	case s.kind() == ScopeCollection:
		return collection == s.CollectionID
	case s.kind() == ScopeNamespace:
		return namespace == s.NamespaceID || namespace == s.Namespace
	default:
		return false
	}
}

// Lower returns the kind with its ASCII letters in lower case. Other letters stay: the Kelvin
// sign does not become a k.
func (k ScopeKind) Lower() ScopeKind { return ScopeKind(lower(string(k))) }

// kind returns Kind as it is encoded.
func (s *CacheScope) kind() ScopeKind { return s.Kind.Lower() }

func (s *CacheScope) equal(other *CacheScope) bool {
	return s.kind() == other.kind() &&
		slices.Equal(s.Keys, other.Keys) &&
		s.CollectionID == other.CollectionID &&
		s.NamespaceID == other.NamespaceID &&
		s.Namespace == other.Namespace &&
		maps.EqualFunc(s.Extra, other.Extra, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// Invalidates reports whether the event makes a cache key stale. The key may be made of ids or
// of names.
//
// It does if [CacheScope.Covers] says so. A collection scope also covers the keys that have the
// event's Collection and namespace, and a namespace scope those that have the event's Namespace
// or NamespaceID, unless the scope and the event disagree about the namespace. If an event has
// no namespace that could be compared, the collection's name alone decides: dropping a fresh
// entry costs a load, keeping a stale one gives wrong answers.
//
// If the envelope has only ids, keys made of names are not found. Make keys of ids then, or set
// the event's Collection and Namespace before you call Invalidates.
func (e *Event) Invalidates(key string) bool {
	s := e.CacheScope
	if s == nil || s.Covers(key) {
		return s != nil
	}
	namespace, collection, _, ok := SplitCacheKey(key)
	if !ok {
		return false
	}
	switch s.kind() {
	case ScopeCollection:
		elsewhere := e.Namespace != "" && namespace != e.Namespace && namespace != e.NamespaceID
		return collection == e.Collection && !elsewhere
	case ScopeNamespace:
		contradicted := differ(s.NamespaceID, e.NamespaceID) || differ(s.Namespace, e.Namespace)
		return !contradicted && (namespace == e.Namespace || namespace == e.NamespaceID)
	default:
		return false
	}
}

// differ reports whether both are set and not the same.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// DefaultScope returns the default cache scope of a built-in event type ([TypeInfo]), filled in
// from the envelope:
//
//   - key: the [CacheKey] of a subject of type "object", made of Namespace (or NamespaceID),
//     Collection and Subject.ID;
//   - collection: Subject.ID of a subject of type "collection", otherwise the string
//     "collection_id" of the metadata;
//   - namespace: NamespaceID, otherwise Namespace.
//
// It returns nil if the type is not built in or has no default scope, or if the envelope lacks
// one of these fields.
func (e *Event) DefaultScope() *CacheScope {
	info, _ := Lookup(e.Type)
	switch info.DefaultScope {
	case ScopeKey:
		namespace := e.Namespace
		if namespace == "" {
			namespace = e.NamespaceID
		}
		if e.Subject.Type == "object" && e.Subject.ID != "" && namespace != "" && e.Collection != "" {
			return KeyScope(CacheKey(namespace, e.Collection, e.Subject.ID))
		}
	case ScopeCollection:
		id, _ := e.Metadata["collection_id"].(string)
		if e.Subject.Type == "collection" {
			id = e.Subject.ID
		}
		if id != "" {
			return CollectionScope(id)
		}
	case ScopeNamespace:
		if e.NamespaceID != "" {
			return NamespaceScope(e.NamespaceID)
		}
		if e.Namespace != "" {
			return &CacheScope{Kind: ScopeNamespace, Namespace: e.Namespace}
		}
	}
	return nil
}

// lower converts ASCII letters to lower case and leaves all others as they are.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
