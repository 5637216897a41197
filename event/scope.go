package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
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
// [KeyScope], [CollectionScope] or [NamespaceScope], or let
// [Event.DefaultScope] do it.
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

// Covers reports whether the scope, taken by itself, covers a cache key:
//
//   - a key scope covers the keys that it lists, whatever their form;
//   - a collection scope covers the keys ([Key]) whose collection part is its
//     CollectionID;
//   - a namespace scope covers the keys whose namespace part is its NamespaceID
//     or its Namespace.
//
// A scope names a collection by id. Where keys carry names it covers nothing;
// ask [Event.Invalidates] there. A nil scope covers nothing.
func (s *CacheScope) Covers(key string) bool {
	if s == nil {
		return false
	}
	if s.kind() == ScopeKey {
		return slices.Contains(s.Keys, key)
	}
	namespace, collection, _, ok := SplitKey(key)
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

// Lower returns the kind in lower case. Only ASCII letters have one here, so that a kind
// with a Kelvin sign stays unknown.
func (k ScopeKind) Lower() ScopeKind { return ScopeKind(lower(string(k))) }

// kind is Kind as it is written.
func (s *CacheScope) kind() ScopeKind { return s.Kind.Lower() }

func (s *CacheScope) equal(other *CacheScope) bool {
	return s.kind() == other.kind() &&
		slices.Equal(s.Keys, other.Keys) &&
		s.CollectionID == other.CollectionID &&
		s.NamespaceID == other.NamespaceID &&
		s.Namespace == other.Namespace &&
		maps.EqualFunc(s.Extra, other.Extra, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// Invalidates reports whether the event makes a cache key stale: whether its
// cache scope covers the key, read with what the rest of the envelope says.
//
// Keys may carry ids or names, and the scope of a collection carries an id. So
// the event's Collection counts as another name of the scope's collection, and
// its Namespace and NamespaceID as other names of the scope's namespace, unless
// the scope contradicts them. A collection known by name only is looked for in
// the event's namespace; where that cannot be told, the key counts as
// covered, since dropping a key needlessly costs a load and keeping a stale
// one costs a wrong answer.
//
// An envelope that has only ids says nothing about keys that carry names. Build
// keys from ids then, or set Collection and Namespace from your own tables before
// asking.
func (e *Event) Invalidates(key string) bool {
	s := e.CacheScope
	if s == nil || s.Covers(key) {
		return s != nil
	}
	namespace, collection, _, ok := SplitKey(key)
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

// differ reports whether both are known and not the same.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// DefaultScope builds the cache scope that an event of a built-in type has by
// default, from what the envelope says. It is nil when the type has none, or
// is not built in, or the envelope does not say enough:
//
//   - key: the [Key] of a subject of type "object", from Namespace (or
//     NamespaceID), Collection and Subject.ID;
//   - collection: Subject.ID of a subject of type "collection", else the string
//     "collection_id" of the metadata;
//   - namespace: NamespaceID, else Namespace.
func (e *Event) DefaultScope() *CacheScope {
	info, _ := Lookup(e.Type)
	switch info.DefaultScope {
	case ScopeKey:
		namespace := e.Namespace
		if namespace == "" {
			namespace = e.NamespaceID
		}
		if e.Subject.Type == "object" && e.Subject.ID != "" && namespace != "" && e.Collection != "" {
			return KeyScope(Key(namespace, e.Collection, e.Subject.ID))
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

// lower turns ASCII letters to lower case, and only those: the Kelvin sign is
// not a k.
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
