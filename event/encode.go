package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// MarshalJSON encodes the envelope. Equal events give equal bytes: the known fields come first,
// in a fixed order, then the unknown ones sorted by name; all objects in the metadata are sorted
// by name. Absent fields are omitted.
//
// The cache scope of an event with a NamespaceID and no Namespace is named cache_scope. In all
// other events its name is cache_scope_to_invalidate.
//
// Invalid UTF-8 in a text is replaced by U+FFFD, as in [encoding/json]. The characters '<', '>' and
// '&' are not escaped, but [json.Marshal] escapes them in the result of this method.
//
// Whatever is encoded, [Decode] accepts. If something cannot be encoded, the error is a
// [*ValidationError] that lists the fields: a metadata value that encoding/json cannot encode, or in
// which a name occurs twice, as it may in a [json.RawMessage]; a name in Metadata or Extra that is
// not UTF-8; an Extra value that is not JSON; nesting deeper than [MaxDepth]; a time outside the
// years 0 to 9999. Nothing else is checked: a partial event is encoded too (see [Event.Validate]).
func (e Event) MarshalJSON() ([]byte, error) { // value receiver: json.Marshal(*e) must use it too
	const usualSize = 1024 // most envelopes are smaller
	b, err := e.AppendJSON(make([]byte, 0, usualSize))
	if err != nil {
		return nil, err
	}
	return b, nil
}

// AppendJSON appends the result of [Event.MarshalJSON] to dst. After an error it returns dst
// unchanged. It allocates only to grow dst and to encode metadata values of unusual types: all but
// those that [Decode] makes, string, int, int64 and float64.
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
	dst = appendExtra(dst, "", e.Extra, 2, &p, func(name []byte) readValue {
		switch envelopeField(name) {
		case fieldUnknown:
			return skipValue
		case otherField:
			return skipScope
		}
		return nil
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
	return jsontext.AppendString(appendName(b, name), s)
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
	b = appendExtra(b, "subject", s.Extra, 3, p, func(name []byte) readValue {
		if subjectField(name) == fieldUnknown {
			return skipValue
		}
		return nil
	})
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
	b = appendExtra(b, name, s.Extra, 3, p, func(name []byte) readValue {
		if scopeField(name) == fieldUnknown {
			return skipValue
		}
		return nil
	})
	return append(b, '}')
}

// readValue reads a value as Decode reads it at some place, to find out whether it would accept it.
type readValue func(*reader) error

func skipValue(r *reader) error { return r.Skip() }

func skipScope(r *reader) error { return r.scopeInto(new(scopeSource)) }

func skipMetadata(r *reader) error {
	_, err := r.Value()
	return err
}

// appendExtra appends the members of extra for which how does not return nil, sorted by name. The
// others would occur twice. depth is the depth of their values.
func appendExtra(
	b []byte, path string, extra map[string]json.RawMessage, depth int, p *Problems,
	how func(name []byte) readValue,
) []byte {
	if len(extra) == 0 {
		return b
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		read := how([]byte(name))
		if read == nil {
			continue
		}
		var err error
		if b, err = appendAnyName(b, name); err == nil {
			b, err = appendRaw(b, extra[name], depth, read)
		}
		p.AddError(joinPath(path, pathOf(name)), err)
	}
	return b
}

// appendAnyName appends a name as [appendName] does, with the escapes that it needs. U+FFFD in place
// of what is not UTF-8 could make two names the same, and Decode refuses those.
func appendAnyName(b []byte, name string) ([]byte, error) {
	if !utf8.ValidString(name) {
		return b, invalid("must have a name in valid UTF-8")
	}
	return append(jsontext.AppendString(appendComma(b), name), ':'), nil
}

// appendValue appends any value at the given depth. It encodes the types that Decode makes and
// a few others itself and leaves the rest to encoding/json. The error is a *ValidationError with
// paths relative to v; the caller must drop the bytes then.
func appendValue(b []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return appendNull(b), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return jsontext.AppendString(b, v), nil
	case json.Number:
		if !jsontext.ValidNumber(v) {
			return b, invalid("must be a JSON number")
		}
		return append(b, v...), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return appendFloat(b, v)
	case []string:
		return appendStrings(b, v), nil
	case []any:
		return appendList(b, v, depth)
	case map[string]any:
		return appendObject(b, v, depth)
	default:
		return appendOther(b, v, depth)
	}
}

func appendNull(b []byte) []byte { return append(b, "null"...) }

func appendStrings(b []byte, list []string) []byte {
	if list == nil {
		return appendNull(b)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsontext.AppendString(b, s)
	}
	return append(b, ']')
}

func appendList(b []byte, list []any, depth int) ([]byte, error) {
	if list == nil {
		return appendNull(b), nil
	}
	if depth > MaxDepth {
		return b, invalid(ruleDepth)
	}
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, v, depth+1); err != nil {
			return b, under(pathOfElement(i), err)
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, m map[string]any, depth int) ([]byte, error) {
	if m == nil {
		return appendNull(b), nil
	}
	if depth > MaxDepth {
		return b, invalid(ruleDepth)
	}
	var few [16]string // on the stack, enough for most objects
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for _, name := range names {
		var err error
		if b, err = appendAnyName(b, name); err == nil {
			b, err = appendValue(b, m[name], depth+1)
		}
		if err != nil {
			return b, under(pathOf(name), err)
		}
	}
	return append(b, '}'), nil
}

// appendFloat appends the shortest form that decodes to the same number.
func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, invalid("must be a finite number")
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64), nil
}

// appendOther appends v as encoding/json encodes it.
func appendOther(b []byte, v any, depth int) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return b, invalid("cannot be encoded: " + err.Error())
	}
	return appendRaw(b, out.Bytes(), depth, skipMetadata)
}

// appendRaw appends JSON without its white space, if read accepts it.
func appendRaw(b []byte, raw json.RawMessage, depth int, read readValue) ([]byte, error) {
	r := &reader{Reader: *jsontext.NewReader(raw, MaxDepth-depth+1), data: raw}
	var out bytes.Buffer
	err := read(r)
	var wrong *jsontext.Error
	if errors.As(err, &wrong) && !isSyntax(wrong.Rule) {
		return b, decodeError(err)
	}
	if err != nil || !r.ValidUTF8() || !r.AtEnd() || json.Compact(&out, raw) != nil {
		return b, invalid("must be valid JSON, not nested too deep")
	}
	return append(b, out.Bytes()...), nil
}

func isSyntax(rule string) bool {
	return rule == jsontext.RuleSyntax || rule == jsontext.RuleTruncated || rule == jsontext.RuleDepth
}

// invalid returns a problem whose path the callers add.
func invalid(rule string) error {
	return &ValidationError{Problems: []Problem{{Code: CodeInvalid, Rule: rule}}}
}

// under adds a path in front of those of err.
func under(path string, err error) error {
	var p Problems
	p.AddError(path, err)
	return p.Err()
}
