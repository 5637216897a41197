package event

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxTypeLength is how many bytes an event type may have.
	MaxTypeLength = 128

	minSegments = 2
	maxSegments = 4
)

// ValidType says whether s can be an event type, built in or your own:
// {resource}.{action}[.{sub-resource}[.{sub-action}]], so two to four segments
// separated by dots, each of lower-case ASCII letters, digits, '_' and '-', and
// beginning with a letter; at most [MaxTypeLength] bytes.
//
// The error says which rule s breaks, phrased as the rule of a [Problem].
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
