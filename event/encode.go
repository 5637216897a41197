package event

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// MarshalJSON encodes the envelope. The same event always gives the same
// bytes: known fields in the order of the contract, then unknown ones sorted by
// name; metadata sorted by name at every level. Absent fields are left out.
//
// An event with a NamespaceID and no Namespace is written in the later form,
// its cache scope as "cache_scope"; any other writes
// "cache_scope_to_invalidate".
//
// Strings that are not valid UTF-8 get U+FFFD for what is not, as in
// [encoding/json]. Unlike there, '<', '>' and '&' are left alone
// ([json.Marshal] escapes them nevertheless in what this method returns).
//
// What cannot be encoded is reported as a [*ValidationError] naming the fields:
// a metadata value that encoding/json refuses, an Extra value that is not JSON,
// nesting deeper than [MaxDepth], a time outside the years 0 to 9999. Nothing
// else is checked: a partial event encodes, see [Event.Validate].
//
// It has a value receiver so that an event that is a field, an element or a
// copy is encoded as one too.
func (e Event) MarshalJSON() ([]byte, error) {
	const usualSize = 1024 // most envelopes are smaller
	b, err := e.AppendJSON(make([]byte, 0, usualSize))
	if err != nil {
		return nil, err
	}
	return b, nil
}

// AppendJSON appends what [Event.MarshalJSON] returns to dst. After an error
// it returns dst as it was. It allocates only to grow dst, and for values of
// types that JSON does not decode to.
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
	scopeName, otherField := nameScope, fieldLaterScope
	if e.laterForm() {
		scopeName, otherField = nameLaterScope, fieldScope
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

// appendName begins a member of an object that is being written: a comma unless
// it is the first, its name, a colon. The name needs no escapes.
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

// appendMember writes a string that is absent when empty.
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

// appendExtra writes the members of extra that keep admits, sorted by name; the
// others would occur twice. They stand at the given depth.
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
