package event

import (
	"errors"
	"fmt"
	"strings"
)

// MaxTypeLength is the largest length of an event type in bytes.
const MaxTypeLength = 128

// The bounds of the number of segments.
const (
	minSegments = 2
	maxSegments = 4
)

// ValidType returns an error if s cannot be an event type. Event types, built-in or your own,
// have the form {resource}.{action}[.{sub-resource}[.{sub-action}]]: two to four segments
// separated by dots and at most [MaxTypeLength] bytes. A segment has lower-case ASCII letters,
// digits, '_' and '-', and begins with a letter.
//
// The error's text is the rule that s breaks, worded as in a [Problem].
func ValidType(s string) error { return validSegments(s, minSegments, maxSegments) }

func validSegments(s string, atLeast, atMost int) error {
	if len(s) > MaxTypeLength {
		return fmt.Errorf("must be at most %d bytes", MaxTypeLength)
	}
	n := 0
	for segment := range strings.SplitSeq(s, ".") {
		if !validSegment(segment) {
			return errors.New(`must be segments of lower-case letters, digits, '_' and '-', each beginning with a letter, separated by dots, as in "object.created"`)
		}
		n++
	}
	if n < atLeast || n > atMost {
		return fmt.Errorf("must have %d to %d segments separated by dots", atLeast, atMost)
	}
	return nil
}

func validSegment(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '_' || c == '-')) {
			return false
		}
	}
	return s != ""
}

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
		return strings.HasSuffix(prefix, ".") && len(eventType) > len(prefix) &&
			strings.HasPrefix(eventType, prefix)
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
