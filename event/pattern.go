package event

import (
	"errors"
	"strings"
)

// Pattern selects event types. It has one of three forms:
//
//   - "*" selects every type;
//   - "object.*" selects the types below object at any depth: object.created and
//     object.metadata.updated, but not objects.created.batch;
//   - "object.created" selects this type only.
type Pattern string

// MatchAll is the pattern that selects every event.
const MatchAll Pattern = "*"

// Match reports whether the pattern selects the event type. It does not allocate. An invalid
// pattern matches no valid event type.
func (p Pattern) Match(eventType string) bool {
	if p == MatchAll {
		return true
	}
	if prefix, ok := strings.CutSuffix(string(p), "*"); ok {
		return strings.HasSuffix(prefix, ".") && len(eventType) > len(prefix) && strings.HasPrefix(eventType, prefix)
	}
	return string(p) == eventType
}

// Validate returns an error if the pattern has none of the three forms. The error's text is the
// rule that it breaks, worded as in a [Problem].
func (p Pattern) Validate() error {
	if p == MatchAll {
		return nil
	}
	prefix, wildcard := strings.CutSuffix(string(p), ".*")
	switch {
	case strings.Contains(prefix, "*"):
		return errors.New(`must have "*" alone or as the last of several segments, as in "object.*"`)
	case wildcard:
		return validSegments(prefix, 1, maxSegments-1)
	default:
		return validSegments(prefix, minSegments, maxSegments)
	}
}
