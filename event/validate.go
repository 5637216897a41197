package event

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxNameLength is the longest name or id in bytes.
	maxNameLength = 255
	// maxOpaqueLength is the longest cache key or index signature in bytes.
	maxOpaqueLength = 1024

	ruleLength    = "must be at most %d bytes"
	rulePlainText = "must be valid UTF-8 without control characters"
)

// Validate returns an error if the event must not be emitted. The error is a [*ValidationError]
// that lists all invalid fields by their JSON names.
//
// Required are event_id ([ValidID]), event_type ([ValidType]), occurred_at, actor, subject with
// type and id, version ([Version1]), and namespace or namespace_id. Two kinds of events need
// less: a type that is not built in ([Lookup]) needs no namespace, and an envelope that has a
// namespace_id and no namespace needs no actor and no version.
//
// The cache scope must be valid ([CacheScope.Validate]). Extra must not contain a field that the
// envelope has. Names and ids have at most 255 bytes and the index signature 1024, all in UTF-8
// without control characters.
//
// Metadata is not checked. Encoding reports values in it that cannot be encoded, see
// [Event.MarshalJSON].
func (e *Event) Validate() error {
	var p Problems
	p.required("event_id", e.ID, ValidID)
	p.required("event_type", e.Type, ValidType)
	switch {
	case e.OccurredAt.IsZero():
		p.Required("occurred_at")
	case !validYear(e.OccurredAt.UTC()):
		p.Add("occurred_at", ruleYear)
	}
	if e.Namespace == "" && e.NamespaceID == "" && !ownType(e.Type) {
		p.AddCode(CodeRequired, "namespace", "is required, or namespace_id")
	}
	byID := e.identifiedByID()
	p.name("namespace", e.Namespace, false)
	p.name("namespace_id", e.NamespaceID, false)
	p.name("collection", e.Collection, false)
	p.name("actor", e.Actor, !byID)
	p.name("subject.type", e.Subject.Type, true)
	p.name("subject.id", e.Subject.ID, true)
	p.known("subject", e.Subject.Extra, subjectField)
	switch {
	case e.Version == Version1, e.Version == "" && byID:
	case e.Version == "":
		p.Required("version")
	default:
		p.Add("version", "must be %q", Version1)
	}
	p.text("index_signature", e.IndexSignature, maxOpaqueLength)
	scopeName, otherName := nameCacheScopeToInvalidate, nameCacheScope
	if byID {
		scopeName, otherName = otherName, scopeName
	}
	p.AddError(scopeName, e.CacheScope.Validate())
	if _, differs := e.Extra[otherName]; differs {
		p.Add(otherName, "differs from %s; an envelope must have only one of them", scopeName)
	}
	p.known("", e.Extra, func(name []byte) field {
		if string(name) == otherName {
			return fieldUnknown
		}
		return envelopeField(name)
	})
	return p.Err()
}

// ownType reports whether s is a valid event type that is not built in.
func ownType(s string) bool {
	_, builtIn := Lookup(s)
	return !builtIn && ValidType(s) == nil
}

// required checks a required field.
func (p *Problems) required(field, s string, valid func(string) error) {
	if s == "" {
		p.Required(field)
		return
	}
	p.AddError(field, valid(s))
}

// name checks a field that holds a name or an id.
func (p *Problems) name(field, s string, required bool) {
	if s == "" && required {
		p.Required(field)
	}
	p.text(field, s, maxNameLength)
}

// text checks the rules of all text outside the metadata.
func (p *Problems) text(field, s string, maxLength int) {
	if len(s) > maxLength {
		p.AddCode(CodeTooLong, field, ruleLength, maxLength)
	}
	if !isPlainText(s) {
		p.Add(field, rulePlainText)
	}
}

func isPlainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// known reports the members of extra that have a struct field of their own.
func (p *Problems) known(
	path string, extra map[string]json.RawMessage, fieldOf func(name []byte) field,
) {
	if len(extra) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if fieldOf([]byte(name)) != fieldUnknown {
			p.Add(joinPath(path, pathOf(name)), "must not be in Extra: the struct has a field for it")
		}
	}
}
