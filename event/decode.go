package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// MaxDepth is how deep arrays and objects may be nested, counting the envelope itself. Decoding
// and encoding return an error beyond it.
const MaxDepth = 64

const ruleDepth = jsontext.RuleDepth

// DecodeError says why and where the input is not an envelope. Find it with [errors.As]. Do not
// retry: the same input fails again.
type DecodeError struct {
	// Field is the path of the invalid field: "subject.id". Empty if the error is about the
	// input as a whole.
	Field string
	// Offset is the byte offset in the input.
	Offset int
	// Rule says what was expected. It never quotes values of the input.
	Rule string
}

// Error returns the field, the rule and the position.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("event: decode: %s (byte %d)", e.problem(), e.Offset)
}

// Unwrap returns the problem as a [*ValidationError], for code that handles malformed and invalid
// input in the same way.
func (e *DecodeError) Unwrap() error {
	return &ValidationError{Problems: []Problem{e.problem()}}
}

func (e *DecodeError) problem() Problem {
	return Problem{Field: e.Field, Code: CodeInvalid, Rule: e.Rule}
}

// Decode decodes an envelope, with the fields namespace and cache_scope_to_invalidate or with
// namespace_id and cache_scope. It checks only that the input is JSON and that the known fields
// have the right JSON types: a partial envelope decodes, and [Event.Validate] reports what is
// missing. The error is a [*DecodeError].
//
// Decode is stricter than [encoding/json], so that different programs cannot read different
// events from the same bytes:
//
//   - The input is one object in valid UTF-8, without a byte order mark and
//     with nothing but white space after it.
//   - No name occurs twice in the envelope, its subject or its cache scope, or in any object of
//     the metadata.
//   - Names match exactly; "Event_ID" is an unknown field.
//   - Arrays and objects are nested at most [MaxDepth] deep.
//   - occurred_at is an RFC 3339 time with a zone. It is converted to UTC, keeps fractions to
//     the nanosecond, and a leap second (23:59:60) becomes the second after it.
//
// A null field is an absent field. Numbers become [json.Number] and may be too large for any
// Go type that you convert them to. Half a surrogate pair in a string becomes U+FFFD.
//
// If cache_scope_to_invalidate and cache_scope are both present and differ, CacheScope is the one
// that [Event.MarshalJSON] would write. The other is kept in Extra, and Validate reports it.
//
// Decode does not limit the size of its input; limit it when you read it.
func Decode(data []byte) (*Event, error) {
	e := new(Event)
	if err := e.decode(data); err != nil {
		return nil, err
	}
	return e, nil
}

// UnmarshalJSON replaces the event with the envelope in data (see [Decode]). After an error the
// event is unchanged. JSON null changes nothing, as for other types in [encoding/json].
func (e *Event) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	decoded, err := Decode(data)
	if err != nil {
		return err
	}
	*e = *decoded
	return nil
}

func (e *Event) decode(data []byte) error {
	r := &reader{Reader: *jsontext.NewReader(data, MaxDepth), data: data}
	if !r.ValidUTF8() {
		return &DecodeError{Rule: "must be valid UTF-8"}
	}
	if err := r.envelope(e); err != nil {
		return decodeError(err)
	}
	if !r.AtEnd() {
		return decodeError(r.Fail("must be a single JSON object, with nothing after it"))
	}
	return nil
}

// decodeError returns the *DecodeError for an error of a reader.
func decodeError(err error) error {
	var invalid *jsontext.Error
	if !errors.As(err, &invalid) {
		return err
	}
	decode := &DecodeError{Offset: invalid.Offset, Rule: invalid.Rule}
	for _, part := range invalid.Path() {
		switch part := part.(type) {
		case string:
			decode.Field = joinPath(decode.Field, pathOf(part))
		case int:
			decode.Field += pathOfElement(part)
		}
	}
	return decode
}

// reader reads the parts of an envelope.
type reader struct {
	jsontext.Reader
	data []byte
}

func (r *reader) envelope(e *Event) error {
	var seen fieldSet
	var toInvalidate, scope scopeSource
	err := r.Object(func(name []byte) error {
		f := envelopeField(name)
		if !seen.add(f) {
			return r.Fail(jsontext.RuleDuplicate)
		}
		switch f {
		case fieldID:
			return r.textInto(&e.ID)
		case fieldType:
			return r.textInto(&e.Type)
		case fieldOccurredAt:
			return r.timeInto(&e.OccurredAt)
		case fieldNamespace:
			return r.textInto(&e.Namespace)
		case fieldNamespaceID:
			return r.textInto(&e.NamespaceID)
		case fieldCollection:
			return r.textInto(&e.Collection)
		case fieldActor:
			return r.textInto(&e.Actor)
		case fieldSubject:
			return r.subjectInto(&e.Subject)
		case fieldVersion:
			return r.textInto(&e.Version)
		case fieldIndexSignature:
			return r.textInto(&e.IndexSignature)
		case fieldCacheScopeToInvalidate:
			return r.scopeInto(&toInvalidate)
		case fieldCacheScope:
			return r.scopeInto(&scope)
		case fieldMetadata:
			if r.Null() {
				return nil
			}
			var err error
			e.Metadata, err = r.Map()
			return err
		default:
			return r.extra(name, &e.Extra)
		}
	})
	if err != nil {
		return err
	}
	e.chooseScope(toInvalidate, scope)
	return nil
}

// scopeSource is a cache scope and the JSON that it was decoded from.
type scopeSource struct {
	scope *CacheScope
	raw   []byte
}

// chooseScope sets CacheScope to one of the scopes decoded from the two names.
func (e *Event) chooseScope(toInvalidate, scope scopeSource) {
	chosen, other, otherName := toInvalidate, scope, nameCacheScope
	if e.identifiedByID() {
		chosen, other, otherName = scope, toInvalidate, nameCacheScopeToInvalidate
	}
	switch {
	case chosen.scope == nil:
		e.CacheScope = other.scope
	case other.scope == nil || other.scope.equal(chosen.scope):
		e.CacheScope = chosen.scope
	default:
		e.CacheScope = chosen.scope
		e.setExtra(otherName, bytes.Clone(other.raw))
	}
}

func (r *reader) subjectInto(s *Subject) error {
	if r.Null() {
		return nil
	}
	var seen fieldSet
	return r.Object(func(name []byte) error {
		f := subjectField(name)
		if !seen.add(f) {
			return r.Fail(jsontext.RuleDuplicate)
		}
		switch f {
		case fieldSubjectType:
			return r.textInto(&s.Type)
		case fieldSubjectID:
			return r.textInto(&s.ID)
		default:
			return r.extra(name, &s.Extra)
		}
	})
}

func (r *reader) scopeInto(dst *scopeSource) error {
	if r.Null() {
		return nil
	}
	start := r.Offset()
	s := new(CacheScope)
	var seen fieldSet
	err := r.Object(func(name []byte) error {
		f := scopeField(name)
		if !seen.add(f) {
			return r.Fail(jsontext.RuleDuplicate)
		}
		switch f {
		case fieldScopeKind:
			var kind string
			err := r.textInto(&kind)
			s.Kind = ScopeKind(lower(kind))
			return err
		case fieldScopeKeys:
			return r.keysInto(&s.Keys)
		case fieldScopeCollectionID:
			return r.textInto(&s.CollectionID)
		case fieldScopeNamespaceID:
			return r.textInto(&s.NamespaceID)
		case fieldScopeNamespace:
			return r.textInto(&s.Namespace)
		default:
			return r.extra(name, &s.Extra)
		}
	})
	dst.scope, dst.raw = s, r.data[start:r.Offset()]
	return err
}

func (r *reader) keysInto(dst *[]string) error {
	if r.Null() {
		return nil
	}
	keys := []string{}
	err := r.Array(func() error {
		key, err := r.Text()
		keys = append(keys, string(key))
		return err
	})
	*dst = keys
	return err
}

// extra reads the value of an unknown name into extra, and makes the map if it is nil.
func (r *reader) extra(name []byte, extra *map[string]json.RawMessage) error {
	start := r.Offset()
	raw, err := r.Raw()
	if err != nil {
		return err
	}
	if *extra == nil {
		*extra = map[string]json.RawMessage{}
	}
	size := len(*extra)
	if (*extra)[string(name)] = raw; len(*extra) == size {
		return r.FailAt(start, jsontext.RuleDuplicate)
	}
	return nil
}

// textInto reads a string or null. Null does not change dst.
func (r *reader) textInto(dst *string) error {
	if r.Null() {
		return nil
	}
	s, err := r.Text()
	if err == nil {
		*dst = string(s)
	}
	return err
}

func (r *reader) timeInto(dst *time.Time) error {
	if r.Null() {
		return nil
	}
	start := r.Offset()
	if r.Next() != '"' {
		return r.Fail(ruleTime)
	}
	s, err := r.Text()
	if err != nil {
		return err
	}
	t, ok := parseTime(s)
	if !ok {
		return r.FailAt(start, ruleTime)
	}
	if !validYear(t) {
		return r.FailAt(start, ruleYear)
	}
	*dst = t
	return nil
}

// parseTime parses an RFC 3339 time and returns it in UTC. Package time does not accept two
// things that section 5.6 allows: "t" and "z" in lower case, and leap seconds.
func parseTime(s []byte) (t time.Time, ok bool) {
	// UnmarshalText accepts only RFC 3339; time.Parse accepts more.
	if t.UnmarshalText(s) == nil {
		return t.UTC(), true
	}
	const seconds = len("2006-01-02T15:04:")
	if len(s) < seconds+len("05Z") {
		return time.Time{}, false
	}
	s = bytes.ToUpper(s)
	leap := string(s[seconds:seconds+2]) == "60"
	if leap {
		copy(s[seconds:], "59")
	}
	if t.UnmarshalText(s) != nil {
		return time.Time{}, false
	}
	t = t.UTC()
	if leap {
		// time.Time has no leap seconds. As in POSIX, use the second after it. Leap seconds
		// occur only at the end of a month in UTC (section 5.7).
		t = t.Add(time.Second)
		year, month, _ := t.Date()
		first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		return t, t.Truncate(time.Second).Equal(first)
	}
	return t, true
}

const (
	ruleTime = `must be an RFC 3339 time with a zone, such as "2025-10-08T16:09:00Z"`
	ruleYear = "must be in the years 0 to 9999 in UTC"
)

// validYear reports whether RFC 3339 can express t, which is in UTC.
func validYear(t time.Time) bool { return 0 <= t.Year() && t.Year() <= 9999 }
