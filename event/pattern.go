package event

import (
	"errors"
	"strings"
)

// Pattern selects event types. It has one of three forms:
//
//   - "*" selects every type;
//   - "object.*" every type below object, at any depth: object.created and
//     object.metadata.updated, but not objects.created.batch;
//   - "object.created" this type only.
type Pattern string

// MatchAll is the pattern that selects every event.
const MatchAll Pattern = "*"

// Match reports whether the pattern selects the event type. It does not
// allocate. It does not check the pattern either: one of no valid form selects
// nothing that is an event type.
func (p Pattern) Match(eventType string) bool {
	if p == MatchAll {
		return true
	}
	if prefix, ok := strings.CutSuffix(string(p), "*"); ok {
		return strings.HasSuffix(prefix, ".") && len(eventType) > len(prefix) && strings.HasPrefix(eventType, prefix)
	}
	return string(p) == eventType
}

// Validate says whether the pattern has one of the three forms. The error says
// which rule it breaks, phrased as the rule of a [Problem].
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
