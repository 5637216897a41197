package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ScopeKind is the part of a cache that an event makes stale.
type ScopeKind string

// The kinds of cache scope. Encoding writes them in lower case; decoding accepts any case.
const (
	// ScopeNone is the [TypeInfo.DefaultScope] of event types that change no cached data. A CacheScope
	// must not have it: an event that makes nothing stale has a nil CacheScope.
	ScopeNone ScopeKind = ""
	// ScopeKey covers single cache keys: one object or document changed.
	ScopeKey ScopeKind = "key"
	// ScopeCollection covers all cache keys of one collection.
	ScopeCollection ScopeKind = "collection"
	// ScopeNamespace covers all cache keys of one namespace.
	ScopeNamespace ScopeKind = "namespace"
)

// CacheScope says what a consumer should drop from its caches. Build one with [KeyScope],
// [CollectionScope] or [NamespaceScope], or let [Event.DefaultScope] do it. The zero value is not
// valid.
type CacheScope struct {
	// Kind (scope) decides which of the other fields are used.
	Kind ScopeKind
	// Keys (keys) are the cache keys of a [ScopeKey] (see [CacheKey]).
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

// KeyScope returns a scope that covers the given cache keys (see [CacheKey]).
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
func (s *CacheScope) Covers(key string) bool { return s.covers(key, CacheKeys{}) }

func (s *CacheScope) covers(key string, keys CacheKeys) bool {
	if s == nil {
		return false
	}
	if s.kind() == ScopeKey {
		return slices.Contains(s.Keys, key)
	}
	namespace, collection, _, ok := keys.Split(key)
	switch {
	case !ok:
		return false
	case s.kind() == ScopeCollection:
		return collection == s.CollectionID
	case s.kind() == ScopeNamespace:
		return namespace != "" && (namespace == s.NamespaceID || namespace == s.Namespace)
	default:
		return false
	}
}

// Lower returns the kind with its ASCII letters in lower case. Unlike strings.ToLower it changes no
// other letter, so no text outside ASCII becomes a known kind.
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
// It does if [CacheScope.Covers] says so. Two kinds of scope cover more keys than that, because the
// event knows more than its scope:
//
//   - A collection scope also covers the keys with the event's Collection whose namespace is the
//     event's Namespace or NamespaceID. If the event or the key has no Namespace, the namespace of
//     the key is not compared, because dropping a fresh entry costs a load and keeping a stale one
//     gives wrong answers.
//   - A namespace scope also covers the keys with the event's Namespace or NamespaceID, unless the
//     scope names another namespace.
//
// If the envelope has only ids, keys made of names are not found. Make keys of ids then, or set
// the event's Collection and Namespace before you call Invalidates.
func (e *Event) Invalidates(key string) bool { return CacheKeys{}.Invalidated(e, key) }

// Invalidated is [Event.Invalidates] for keys with this prefix: it reports whether the event makes
// the key stale.
func (k CacheKeys) Invalidated(e *Event, key string) bool {
	s := e.CacheScope
	if s == nil || s.covers(key, k) {
		return s != nil
	}
	namespace, collection, _, ok := k.Split(key)
	if !ok {
		return false
	}
	switch s.kind() {
	case ScopeCollection:
		elsewhere := differ(e.Namespace, namespace) && namespace != e.NamespaceID
		return collection == e.Collection && !elsewhere
	case ScopeNamespace:
		contradicted := differ(s.NamespaceID, e.NamespaceID) || differ(s.Namespace, e.Namespace)
		return !contradicted && namespace != "" &&
			(namespace == e.Namespace || namespace == e.NamespaceID)
	default:
		return false
	}
}

// differ reports whether both are set and not the same.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// DefaultScope returns the default cache scope of a type of the [Mixpeek] catalogue, with the keys
// of the wire contract. See [Catalogue.DefaultScope].
func (e *Event) DefaultScope() *CacheScope {
	info, _ := Lookup(e.Type)
	return info.scope(e, CacheKeys{})
}

// DefaultScope returns the default cache scope of the event's type ([TypeInfo]), filled in from
// the envelope:
//
//   - key: the cache key of a subject of type "object", made by keys of Namespace (or
//     NamespaceID), Collection and Subject.ID;
//   - collection: Subject.ID of a subject of type "collection", otherwise the string
//     "collection_id" of the metadata;
//   - namespace: NamespaceID, otherwise Namespace.
//
// It returns nil if the catalogue does not list the type or gives it no default scope, or if the
// envelope lacks one of these fields.
func (c Catalogue) DefaultScope(e *Event, keys CacheKeys) *CacheScope {
	info, _ := c.Lookup(e.Type)
	return info.scope(e, keys)
}

func (t TypeInfo) scope(e *Event, keys CacheKeys) *CacheScope {
	switch t.DefaultScope {
	case ScopeKey:
		namespace := e.Namespace
		if namespace == "" {
			namespace = e.NamespaceID
		}
		if e.Subject.Type == "object" && e.Subject.ID != "" && namespace != "" && e.Collection != "" {
			return KeyScope(keys.Key(namespace, e.Collection, e.Subject.ID))
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

// CacheKeys is the form of a service's cache keys: "{Prefix}:{namespace}:{collection}:{object}".
// The zero value has the prefix of the wire contract, "mixpeek"; [CacheKey], [SplitCacheKey] and
// the methods of [Event] and [CacheScope] use that one. The publisher and the consumers of an
// event must agree on the prefix.
type CacheKeys struct {
	// Prefix is what all keys begin with. Empty means "mixpeek".
	Prefix string
}

const contractPrefix = "mixpeek"

func (k CacheKeys) prefix() string {
	if k.Prefix == "" {
		return contractPrefix + ":"
	}
	return k.Prefix + ":"
}

// Key returns the cache key of an object.
//
// Different objects have different keys: in the namespace and the collection, ':' is written
// as "%3A" and '%' as "%25". The object is the rest of the key and is not escaped, so that
// an id with a colon gives the same key as in other implementations.
func (k CacheKeys) Key(namespace, collection, object string) string {
	return k.prefix() + escapePart(namespace) + ":" + escapePart(collection) + ":" + object
}

// Split returns the parts of a key that [CacheKeys.Key] made. It returns false if the key has
// another form or a part of it is empty; if Prefix is not "mixpeek", the namespace may be empty,
// because your own event types need none.
func (k CacheKeys) Split(key string) (namespace, collection, object string, ok bool) {
	rest, ok := strings.CutPrefix(key, k.prefix())
	if !ok {
		return "", "", "", false
	}
	namespace, rest, _ = strings.Cut(rest, ":")
	collection, object, _ = strings.Cut(rest, ":")
	if collection == "" || object == "" || namespace == "" && k.prefix() == contractPrefix+":" {
		return "", "", "", false
	}
	return unescapePart(namespace), unescapePart(collection), object, true
}

// CacheKey returns the cache key of an object in the wire contract's form,
// "mixpeek:{namespace}:{collection}:{object}". See [CacheKeys.Key].
func CacheKey(namespace, collection, object string) string {
	return CacheKeys{}.Key(namespace, collection, object)
}

// SplitCacheKey returns the parts of a key that [CacheKey] made. It returns false if the key has
// another form or a part of it is empty.
func SplitCacheKey(key string) (namespace, collection, object string, ok bool) {
	return CacheKeys{}.Split(key)
}

func escapePart(s string) string {
	if !strings.ContainsAny(s, ":%") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "%", "%25"), ":", "%3A")
}

func unescapePart(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "%3A", ":"), "%25", "%")
}

// Validate returns a [*ValidationError] if the scope lacks the fields that its kind needs, or has
// an invalid one. A nil scope is valid and covers nothing.
//
// A cache key has 1 to 1024 bytes of UTF-8 without control characters. If it begins with
// "mixpeek:", it must have the form of a [CacheKey]; your own keys may have any other form.
func (s *CacheScope) Validate() error {
	if s == nil {
		return nil
	}
	var p Problems
	switch s.kind() {
	case ScopeKey:
		if len(s.Keys) == 0 {
			p.Required("keys")
		}
	case ScopeCollection:
		p.name("collection_id", s.CollectionID, true)
	case ScopeNamespace:
		if s.NamespaceID == "" && s.Namespace == "" {
			p.AddCode(CodeRequired, "namespace_id", "is required, or namespace")
		}
	case ScopeNone:
		p.Required("scope")
	default:
		p.Add("scope", "must be %q, %q or %q", ScopeKey, ScopeCollection, ScopeNamespace)
	}
	for i, key := range s.Keys {
		if rule := cacheKeyRule(key); rule != "" {
			p.Add("keys"+pathOfElement(i), "%s", rule)
		}
	}
	if s.kind() != ScopeCollection {
		p.name("collection_id", s.CollectionID, false)
	}
	p.name("namespace_id", s.NamespaceID, false)
	p.name("namespace", s.Namespace, false)
	p.known("", s.Extra, scopeField)
	return p.Err()
}

// cacheKeyRule returns the rule that a cache key breaks, or "".
func cacheKeyRule(s string) string {
	switch _, _, _, ok := SplitCacheKey(s); {
	case s == "":
		return "must not be empty"
	case len(s) > maxOpaqueLength:
		return fmt.Sprintf(ruleLength, maxOpaqueLength)
	case !isPlainText(s):
		return rulePlainText
	case !ok && strings.HasPrefix(s, contractPrefix+":"):
		return "must be mixpeek:{namespace}:{collection}:{object} without empty parts"
	default:
		return ""
	}
}
