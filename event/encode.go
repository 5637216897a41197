package event

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// MarshalJSON encodes the envelope. Equal events give equal bytes: the known fields come first,
// in a fixed order, then the unknown ones sorted by name; all objects in the metadata are sorted
// by name. Absent fields are omitted.
//
// The cache scope of an event with a NamespaceID and no Namespace is named cache_scope. In all
// other events its name is cache_scope_to_invalidate.
//
// Invalid UTF-8 is replaced by U+FFFD, as in [encoding/json]. The characters '<', '>' and '&' are
// not escaped, but [json.Marshal] escapes them in the result of this method.
//
// If something cannot be encoded, the error is a [*ValidationError] that lists the fields: a
// metadata value that encoding/json cannot encode, an Extra value that is not JSON, nesting
// deeper than [MaxDepth], a time outside the years 0 to 9999. Nothing else is checked: a partial
// event is encoded too, see [Event.Validate].
func (e Event) MarshalJSON() ([]byte, error) { // value receiver: json.Marshal(*e) must use it too
	const usualSize = 1024 // most envelopes are smaller
	b, err := e.AppendJSON(make([]byte, 0, usualSize))
	if err != nil {
		return nil, err
	}
	return b, nil
}

// AppendJSON appends the result of [Event.MarshalJSON] to dst. After an error it returns dst
// unchanged. It allocates only to grow dst, and to encode metadata values of types other than
// those that [Decode] makes and strings, ints, int64s and float64s.
func (e *Event) AppendJSON(dst []byte) ([]byte, error) {
	var p Problems
	start := len(dst)
	dst = append(dst, '{')
	dst = appendMember(dst, "event_id", e.ID)
	dst = appendMember(dst, "event_type", e.Type)
	dst = appendTime(dst, "occurred_at", e.OccurredAt, &p)
	dst = appendMember(dst, "namespace", e.Namespace)
	dst = appendMember(dst, "namespace_id", e.NamespaceID)
	dst = appendMember(dst, "collection", e.Collection)
	dst = appendMember(dst, "actor", e.Actor)
	dst = appendSubject(dst, &e.Subject, &p)
	dst = appendMember(dst, "version", e.Version)
	dst = appendMember(dst, "index_signature", e.IndexSignature)
	scopeName, otherField := nameCacheScopeToInvalidate, fieldCacheScope
	if e.identifiedByID() {
		scopeName, otherField = nameCacheScope, fieldCacheScopeToInvalidate
	}
	dst = appendScope(dst, scopeName, e.CacheScope, &p)
	if e.Metadata != nil {
		dst = appendName(dst, "metadata")
		var err error
		dst, err = appendObject(dst, e.Metadata, 2)
		p.AddError("metadata", err)
	}
	dst = appendExtra(dst, "", e.Extra, 2, &p, func(name []byte) bool {
		f := envelopeField(name)
		return f == fieldUnknown || f == otherField
	})
	dst = append(dst, '}')
	if err := p.Err(); err != nil {
		return dst[:start], err
	}
	return dst, nil
}

// appendName appends the name of an object's member and the colon, after a comma if the member
// is not the first. The name must need no escapes.
func appendName(b []byte, name string) []byte {
	b = appendComma(b)
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func appendComma(b []byte) []byte {
	if b[len(b)-1] == '{' {
		return b
	}
	return append(b, ',')
}

// appendMember appends a member with a string, unless that is empty.
func appendMember(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(appendName(b, name), s)
}

func appendTime(b []byte, name string, t time.Time, p *Problems) []byte {
	if t.IsZero() {
		return b
	}
	if t = t.UTC(); !validYear(t) {
		p.Add(name, ruleYear)
		return b
	}
	b = append(appendName(b, name), '"')
	b = t.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendSubject(b []byte, s *Subject, p *Problems) []byte {
	if s.Type == "" && s.ID == "" && len(s.Extra) == 0 {
		return b
	}
	b = append(appendName(b, "subject"), '{')
	b = appendMember(b, "type", s.Type)
	b = appendMember(b, "id", s.ID)
	b = appendExtra(b, "subject", s.Extra, 3, p, func(name []byte) bool { return subjectField(name) == fieldUnknown })
	return append(b, '}')
}

func appendScope(b []byte, name string, s *CacheScope, p *Problems) []byte {
	if s == nil {
		return b
	}
	b = append(appendName(b, name), '{')
	b = appendMember(b, "scope", string(s.kind()))
	if s.Keys != nil {
		b = appendStrings(appendName(b, "keys"), s.Keys)
	}
	b = appendMember(b, "collection_id", s.CollectionID)
	b = appendMember(b, "namespace_id", s.NamespaceID)
	b = appendMember(b, "namespace", s.Namespace)
	b = appendExtra(b, name, s.Extra, 3, p, func(name []byte) bool { return scopeField(name) == fieldUnknown })
	return append(b, '}')
}

// appendExtra appends the members of extra for which keep returns true, sorted by name. The
// others would occur twice. depth is the depth of their values.
func appendExtra(b []byte, path string, extra map[string]json.RawMessage, depth int, p *Problems, keep func(name []byte) bool) []byte {
	if len(extra) == 0 {
		return b
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if keep([]byte(name)) {
			b = append(appendString(appendComma(b), name), ':')
			var err error
			b, err = appendRaw(b, extra[name], depth)
			p.AddError(joinPath(path, pathOf(name)), err)
		}
	}
	return b
}
