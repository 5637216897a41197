package event

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxTypeLength is the longest event type in bytes.
	MaxTypeLength = 128

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
