package event

import (
	"strings"
	"time"
)

// Sample returns a complete event of the type for previews and tests: the example in the catalogue,
// or an empty event, with what is missing as [Event.FillSample] sets it. Its metadata has "test":
// true, unless the metadata of the example has a "test" field.
func (c Catalogue) Sample(eventType string) *Event {
	info, _ := c.Lookup(eventType)
	e := &Event{}
	if decoded, err := Decode([]byte(info.Example)); err == nil {
		e = decoded
	}
	_, builtIn := Lookup(eventType)
	unnamed := info.Example != "" && !builtIn && e.Namespace == "" // such events need no namespace
	e.FillSample(eventType)
	if unnamed {
		e.Namespace = ""
	}
	if e.Metadata["test"] == nil {
		e.Metadata["test"] = true
	}
	return e
}

// FillSample sets the fields that are missing to sample values: a new id, the type, the present
// time, a namespace, a subject, and {"test": true} as the metadata.
func (e *Event) FillSample(eventType string) {
	setDefault(&e.ID, NewID())
	setDefault(&e.Type, eventType)
	setDefault(&e.Actor, ActorSystem)
	setDefault(&e.Version, Version1)
	if e.OccurredAt.IsZero() {
		e.OccurredAt = time.Now().UTC().Truncate(time.Microsecond)
	}
	if e.Namespace == "" && e.NamespaceID == "" {
		e.Namespace = "example"
	}
	resource, _, _ := strings.Cut(e.Type, ".")
	setDefault(&e.Subject.Type, resource)
	setDefault(&e.Subject.ID, resource+"_example")
	if e.Metadata == nil {
		e.Metadata = map[string]any{"test": true}
	}
}

func setDefault(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// SampleType returns the type of a sample for a subscriber to the patterns: the first type with an
// example that one of them matches, or else one that fits the first pattern.
func (c Catalogue) SampleType(patterns []Pattern) string {
	for _, pattern := range patterns {
		for i := range c {
			if t := &c[i]; t.Example != "" && pattern.Match(t.Type) {
				return t.Type
			}
		}
	}
	for _, pattern := range patterns {
		if prefix, wildcard := strings.CutSuffix(string(pattern), "*"); !wildcard {
			return string(pattern)
		} else if prefix != "" {
			return prefix + "test"
		}
	}
	return ObjectCreated
}
