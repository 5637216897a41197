package event

import (
	"bytes"
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
// What cannot be encoded is reported as a [*ValidationError] naming the field:
// a metadata value that encoding/json refuses, an Extra value that is not JSON, nesting
// deeper than [MaxDepth], a time outside the years 0 to 9999. Nothing else is
// checked: a partial event encodes, see [Event.Validate].
func (e *Event) MarshalJSON() ([]byte, error) {
	// Most envelopes fit the buffer on the stack, and the copy has the exact size.
	var buf [1024]byte
	b, err := e.AppendJSON(buf[:0])
	if err != nil {
		return nil, err
	}
	return bytes.Clone(b), nil
}

// AppendJSON appends what [Event.MarshalJSON] returns to dst. After an error
// it returns dst as it was.
func (e *Event) AppendJSON(dst []byte) ([]byte, error) {
	w := objectWriter{buf: dst}
	w.open()
	w.text("event_id", e.ID)
	w.text("event_type", e.Type)
	w.time("occurred_at", e.OccurredAt)
	w.text("namespace", e.Namespace)
	w.text("namespace_id", e.NamespaceID)
	w.text("collection", e.Collection)
	w.text("actor", e.Actor)
	w.subject(&e.Subject)
	w.text("version", e.Version)
	w.text("index_signature", e.IndexSignature)
	scopeName, otherField := nameScope, fieldLaterScope
	if e.laterForm() {
		scopeName, otherField = nameLaterScope, fieldScope
	}
	w.scope(scopeName, e.CacheScope)
	if e.Metadata != nil {
		w.name("metadata")
		w.problems.AddError("metadata", w.object(e.Metadata, 2))
	}
	w.extra("", e.Extra, func(name []byte) bool {
		f := envelopeField(name)
		return f == fieldUnknown || f == otherField
	}, 2)
	w.close()
	if err := w.problems.Err(); err != nil {
		return dst, err
	}
	return w.buf, nil
}

// objectWriter appends the members of one object after another, and collects
// what is wrong with them. What it wrote counts only if nothing is.
type objectWriter struct {
	buf      []byte
	problems Problems
}

func (w *objectWriter) open()  { w.buf = append(w.buf, '{') }
func (w *objectWriter) close() { w.buf = append(w.buf, '}') }

// name begins a member: a comma unless it is the first, its name, a colon. The
// name needs no escapes.
func (w *objectWriter) name(name string) {
	w.comma()
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
}

// anyName is name for names from outside.
func (w *objectWriter) anyName(name string) {
	w.comma()
	w.buf = append(appendString(w.buf, name), ':')
}

func (w *objectWriter) comma() {
	if w.buf[len(w.buf)-1] != '{' {
		w.buf = append(w.buf, ',')
	}
}

// text writes a member that is absent when empty.
func (w *objectWriter) text(name, s string) {
	if s != "" {
		w.name(name)
		w.buf = appendString(w.buf, s)
	}
}

func (w *objectWriter) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	if t = t.UTC(); !validYear(t) {
		w.problems.Add(name, ruleYear)
		return
	}
	w.name(name)
	w.buf = append(w.buf, '"')
	w.buf = t.AppendFormat(w.buf, time.RFC3339Nano)
	w.buf = append(w.buf, '"')
}

func (w *objectWriter) subject(s *Subject) {
	if s.Type == "" && s.ID == "" && len(s.Extra) == 0 {
		return
	}
	w.name("subject")
	w.open()
	w.text("type", s.Type)
	w.text("id", s.ID)
	w.extra("subject", s.Extra, func(name []byte) bool { return subjectField(name) == fieldUnknown }, 3)
	w.close()
}

func (w *objectWriter) scope(name string, s *CacheScope) {
	if s == nil {
		return
	}
	w.name(name)
	w.open()
	w.text("scope", lower(string(s.Kind)))
	if s.Keys != nil {
		w.name("keys")
		w.texts(s.Keys)
	}
	w.text("collection_id", s.CollectionID)
	w.text("namespace_id", s.NamespaceID)
	w.text("namespace", s.Namespace)
	w.extra(name, s.Extra, func(name []byte) bool { return scopeField(name) == fieldUnknown }, 3)
	w.close()
}

// extra writes the members of extra that keep admits, sorted by name. The
// others would occur twice.
func (w *objectWriter) extra(path string, extra map[string]json.RawMessage, keep func(name []byte) bool, depth int) {
	if len(extra) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if keep([]byte(name)) {
			w.anyName(name)
			w.problems.AddError(joinPath(path, pathOf(name)), w.raw(extra[name], depth))
		}
	}
}
