package event

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects of an envelope may be nested, the
// envelope itself included. Decoding and encoding refuse more.
const MaxDepth = 64

const ruleDepth = "is nested too deep"

// DecodeError says why bytes are not an envelope, and where. Get at it with
// [errors.As]. The same bytes fail again: there is no point in a retry.
type DecodeError struct {
	// Field is the path of the field that is wrong: "subject.id". Empty when
	// the input as a whole is.
	Field string
	// Offset is the position in the input, in bytes.
	Offset int
	// Rule says what was expected. It never quotes a value of the input.
	Rule string
}

// Error names the field, the rule and the position.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("event: decode: %s (byte %d)", e.problem(), e.Offset)
}

// Unwrap returns the problem as a [*ValidationError], for code that answers
// both kinds of wrong input alike.
func (e *DecodeError) Unwrap() error {
	return &ValidationError{Problems: []Problem{e.problem()}}
}

func (e *DecodeError) problem() Problem {
	return Problem{Field: e.Field, Code: CodeInvalid, Rule: e.Rule}
}

// Decode reads an envelope in either spelling. It checks that the input is
// JSON and that every known field has its JSON type, nothing else: a partial
// envelope decodes, and [Event.Validate] says what it lacks. The error is a
// [*DecodeError].
//
// Decode is stricter than [encoding/json], so that no two readers of an
// envelope can see different events in it:
//
//   - The input is one object in valid UTF-8, without a byte order mark and
//     with nothing but white space after it.
//   - A name that occurs twice is refused, in the envelope, in its subject and
//     cache scope, and anywhere in its metadata.
//   - Names match exactly; "Event_ID" is an unknown field.
//   - Arrays and objects are nested at most [MaxDepth] deep.
//   - occurred_at is RFC 3339 with a zone, as in every example of the contract.
//     An offset is converted to UTC, fractions are kept to the nanosecond, and a
//     leap second (23:59:60) becomes the second after it. A time without a zone
//     is refused rather than guessed.
//
// A null field is an absent field. Numbers of any size are kept as text
// ([json.Number]); code that converts one has to expect that it does not fit. Half a
// surrogate pair in a string becomes U+FFFD. When both spellings of the cache
// scope are present and say the same, one is kept; when they differ, the one
// that belongs to the envelope's form becomes CacheScope, the other stays in
// Extra under its name, and Validate reports it.
//
// Decode does not bound the size of its input: the caller bounds it while reading.
func Decode(data []byte) (*Event, error) {
	e := new(Event)
	if err := e.decode(data); err != nil {
		return nil, err
	}
	return e, nil
}

// UnmarshalJSON replaces the event with the envelope in data, see [Decode].
// After an error the event is unchanged. JSON null changes nothing, as is
// customary.
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
	if !utf8.Valid(data) {
		return &DecodeError{Rule: "must be valid UTF-8"}
	}
	r := &reader{data: data}
	if err := r.envelope(e); err != nil {
		return err
	}
	if !r.atEnd() {
		return r.fail("must be a single JSON object, with nothing after it")
	}
	return nil
}

func (r *reader) envelope(e *Event) error {
	var seen fieldSet
	var scope, laterScope scopeSource
	err := r.object(func(name []byte) error {
		f := envelopeField(name)
		if !seen.add(f) {
			return r.fail(ruleDuplicate)
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
		case fieldScope:
			return r.scopeInto(&scope)
		case fieldLaterScope:
			return r.scopeInto(&laterScope)
		case fieldMetadata:
			if r.null() {
				return nil
			}
			if r.next() != '{' {
				return r.fail("must be an object")
			}
			var err error
			e.Metadata, err = r.mapValue()
			return err
		default:
			return r.extra(name, &e.Extra)
		}
	})
	if err != nil {
		return err
	}
	e.chooseScope(scope, laterScope)
	return nil
}

// scopeSource is a cache scope and the bytes that it was read from.
type scopeSource struct {
	scope *CacheScope
	raw   []byte
}

// chooseScope sets CacheScope from what stood under the two names.
func (e *Event) chooseScope(scope, laterScope scopeSource) {
	chosen, other, otherName := scope, laterScope, nameLaterScope
	if e.laterForm() {
		chosen, other, otherName = laterScope, scope, nameScope
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
	if r.null() {
		return nil
	}
	var seen fieldSet
	return r.object(func(name []byte) error {
		f := subjectField(name)
		if !seen.add(f) {
			return r.fail(ruleDuplicate)
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
	if r.null() {
		return nil
	}
	start := r.pos
	s := new(CacheScope)
	var seen fieldSet
	err := r.object(func(name []byte) error {
		f := scopeField(name)
		if !seen.add(f) {
			return r.fail(ruleDuplicate)
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
	dst.scope, dst.raw = s, r.data[start:r.pos]
	return err
}

func (r *reader) keysInto(dst *[]string) error {
	if r.null() {
		return nil
	}
	keys := []string{}
	err := r.array(func() error {
		if r.next() != '"' {
			return r.fail("must be a string")
		}
		key, err := r.text()
		keys = append(keys, string(key))
		return err
	})
	*dst = keys
	return err
}

func (r *reader) timeInto(dst *time.Time) error {
	if r.null() {
		return nil
	}
	start := r.pos
	if r.next() != '"' {
		return r.fail(ruleTime)
	}
	s, err := r.text()
	if err != nil {
		return err
	}
	t, ok := parseTime(s)
	if !ok {
		return r.failAt(start, ruleTime)
	}
	if !validYear(t) {
		return r.failAt(start, ruleYear)
	}
	*dst = t
	return nil
}

// parseTime parses a time as RFC 3339 has it and returns it in UTC. Package time refuses
// two things that section 5.6 allows: "t" and "z" in lower case, and leap seconds.
func parseTime(s []byte) (t time.Time, ok bool) {
	// UnmarshalText accepts only RFC 3339, time.Parse more than that.
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
		// time.Time has no leap seconds. As in POSIX, this one is the second after it,
		// and it comes only at the end of a month in UTC (section 5.7).
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

// inField adds a name in front of the path of a *DecodeError.
func inField(name []byte, err error) error { return inPath(pathOf(string(name)), err) }

// inElement adds an index in front of the path of a *DecodeError.
func inElement(i int, err error) error { return inPath(pathOfElement(i), err) }

func inPath(path string, err error) error {
	var decode *DecodeError
	if errors.As(err, &decode) {
		decode.Field = joinPath(path, decode.Field)
	}
	return err
}
