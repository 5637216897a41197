package event

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxNameLength bounds the fields that name something, in bytes.
	maxNameLength = 255
	// maxOpaqueLength bounds cache keys and signatures, in bytes.
	maxOpaqueLength = 1024

	ruleLength    = "must be at most %d bytes"
	rulePlainText = "must be valid UTF-8 without control characters"
)

// Validate says whether the event is one that may be emitted. The error is a
// [*ValidationError] that names every field that is wrong, by its name on the
// wire and in the order of the contract.
//
// Required are event_id ([ValidID]), event_type ([ValidType]), occurred_at,
// namespace or namespace_id, actor, subject with type and id, and version
// ([Version1]). An event of a type of your own, one that [Lookup] does not find, may
// have neither namespace. The later form, with a namespace_id and no namespace, carries
// neither actor nor version, so there they may be absent. A cache scope has to carry
// what its kind needs. Extra must not hold a field that the envelope has.
// Names are at most 255 bytes, the index signature 1024, of UTF-8 without
// control characters.
//
// Metadata is free form and not looked at; encoding reports what cannot be
// encoded, see [Event.MarshalJSON].
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
	later := e.laterForm()
	p.name("namespace", e.Namespace, false)
	p.name("namespace_id", e.NamespaceID, false)
	p.name("collection", e.Collection, false)
	p.name("actor", e.Actor, !later)
	p.name("subject.type", e.Subject.Type, true)
	p.name("subject.id", e.Subject.ID, true)
	p.known("subject", e.Subject.Extra, subjectField)
	switch {
	case e.Version == Version1, e.Version == "" && later:
	case e.Version == "":
		p.Required("version")
	default:
		p.Add("version", "must be %q", Version1)
	}
	p.text("index_signature", e.IndexSignature, maxOpaqueLength)
	scopeName, otherName := nameScope, nameLaterScope
	if later {
		scopeName, otherName = otherName, scopeName
	}
	p.AddError(scopeName, e.CacheScope.Validate())
	if _, differs := e.Extra[otherName]; differs {
		p.Add(otherName, "differs from %s; an envelope has one of them", scopeName)
	}
	p.known("", e.Extra, func(name []byte) field {
		if string(name) == otherName {
			return fieldUnknown
		}
		return envelopeField(name)
	})
	return p.Err()
}

// Validate says whether the scope carries what its kind needs. The error is a
// [*ValidationError]. A nil scope is valid: it covers nothing.
//
// Keys are not empty and at most 1024 bytes of UTF-8 without control
// characters. One that begins with "mixpeek:" has the form of [Key]; keys of
// your own may have any other.
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
		if rule := keyRule(key); rule != "" {
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

// ownType reports whether s is an event type that is not built in.
func ownType(s string) bool {
	_, builtIn := Lookup(s)
	return !builtIn && ValidType(s) == nil
}

// required checks a field that must be there.
func (p *Problems) required(field, s string, valid func(string) error) {
	if s == "" {
		p.Required(field)
		return
	}
	p.AddError(field, valid(s))
}

// name checks a field that names something.
func (p *Problems) name(field, s string, required bool) {
	if s == "" && required {
		p.Required(field)
	}
	p.text(field, s, maxNameLength)
}

// keyRule returns the rule that a cache key breaks, if any.
func keyRule(s string) string {
	switch _, _, _, ok := SplitKey(s); {
	case s == "":
		return "must not be empty"
	case len(s) > maxOpaqueLength:
		return fmt.Sprintf(ruleLength, maxOpaqueLength)
	case !isPlainText(s):
		return rulePlainText
	case !ok && strings.HasPrefix(s, keyPrefix):
		return "must be mixpeek:{namespace}:{collection}:{object}, no part empty"
	default:
		return ""
	}
}

// text checks what holds for all text outside the metadata.
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

// known reports the members of extra that are fields of their own.
func (p *Problems) known(path string, extra map[string]json.RawMessage, fieldOf func(name []byte) field) {
	if len(extra) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if fieldOf([]byte(name)) != fieldUnknown {
			p.Add(joinPath(path, pathOf(name)), "is a field of its own and must not be in Extra")
		}
	}
}
