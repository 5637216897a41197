package event

import (
	"encoding/json"
)

// ScopeKind says how much of a cache an event makes stale.
type ScopeKind string

// The kinds of cache scope. They are written in lower case and read in any.
const (
	// ScopeNone is the default scope of event types that make nothing stale.
	ScopeNone ScopeKind = ""
	// ScopeKey covers single keys: one object or document changed.
	ScopeKey ScopeKind = "key"
	// ScopeCollection covers all keys of one collection.
	ScopeCollection ScopeKind = "collection"
	// ScopeNamespace covers all keys of one namespace.
	ScopeNamespace ScopeKind = "namespace"
)

// CacheScope says what a consumer should drop from its caches. Build one with
// [KeyScope], [CollectionScope] or [NamespaceScope].
type CacheScope struct {
	// Kind (scope) decides which of the other fields counts.
	Kind ScopeKind
	// Keys (keys) are the cache keys of a [ScopeKey], see [Key].
	Keys []string
	// CollectionID (collection_id) is the collection of a [ScopeCollection].
	CollectionID string
	// NamespaceID (namespace_id) is the namespace of a [ScopeNamespace], by id.
	NamespaceID string
	// Namespace (namespace) is the namespace of a [ScopeNamespace], by name.
	Namespace string
	// Extra holds fields that this package does not know, as they came.
	Extra map[string]json.RawMessage
}

// KeyScope covers the given cache keys, see [Key].
func KeyScope(keys ...string) *CacheScope {
	return &CacheScope{Kind: ScopeKey, Keys: keys}
}

// CollectionScope covers all keys of the collection with this id.
func CollectionScope(id string) *CacheScope {
	return &CacheScope{Kind: ScopeCollection, CollectionID: id}
}

// NamespaceScope covers all keys of the namespace with this id.
func NamespaceScope(id string) *CacheScope {
	return &CacheScope{Kind: ScopeNamespace, NamespaceID: id}
}

// Covers is a stub.
func (s *CacheScope) Covers(key string) bool { return s != nil && key != "" && len(s.Keys) > 0 && s.Keys[0] == key }

// Key is a stub.
func Key(namespace, collection, object string) string {
	return "mixpeek:" + namespace + ":" + collection + ":" + object
}
