package event

import (
	"errors"
	"strings"
)

// Pattern selects event types. Three forms exist:
//
//	*               every type
//	object.*        every type below object, at any depth: object.created,
//	                object.metadata.updated; not "object", not objects.created.batch
//	object.created  this type only
//
// A star stands only at the end, as a segment of its own.
type Pattern string

// MatchAll is the pattern of a subscription to every event.
const MatchAll Pattern = "*"

// Match reports whether the pattern selects the event type. A pattern that is
// not valid selects nothing but a type spelled the same. It does not allocate.
func (p Pattern) Match(eventType string) bool {
	if p == MatchAll {
		return true
	}
	if n := len(p) - 1; n > 0 && p[n] == '*' && p[n-1] == '.' {
		return len(eventType) > n && eventType[:n] == string(p[:n])
	}
	return string(p) == eventType
}

// Validate says whether the pattern has one of the three forms. The error says
// which rule it breaks, phrased as the rule of a [Problem].
func (p Pattern) Validate() error {
	if p == MatchAll {
		return nil
	}
	prefix, wild := strings.CutSuffix(string(p), ".*")
	switch {
	case strings.Contains(prefix, "*"):
		return errors.New(`must have '*' only alone or as the last segment, as in "object.*"`)
	case wild:
		return validSegments(prefix, 1, maxSegments-1)
	default:
		return ValidType(prefix)
	}
}
