package jsontext

import (
	"errors"
	"fmt"
	"slices"
)

// The rules that every input must follow, for Error.Rule. Each text follows the name of a field or
// "the input".
const (
	RuleSyntax    = "is not valid JSON"
	RuleTruncated = "ends too early"
	RuleDuplicate = "occurs twice" // of a name in an object
	RuleDepth     = "is nested too deep"
)

// Error says why a [Reader] could not read, and where. Find it with [errors.As].
type Error struct {
	// Offset is the position in the input, in bytes.
	Offset int
	// Rule says what was expected. It never quotes the input: it is one of the Rule constants, a
	// text such as "must be a string", or what the caller passed to [Reader.Fail].
	Rule string

	path []any // the innermost part first
}

// Error returns the rule and the position, but not the path, whose names may be long.
func (e *Error) Error() string { return fmt.Sprintf("jsontext: %s (byte %d)", e.Rule, e.Offset) }

// Path returns where the error is: names as strings and indexes as ints, the outermost first. It is
// empty for an error about the input as a whole.
func (e *Error) Path() []any {
	path := slices.Clone(e.path)
	slices.Reverse(path)
	return path
}

// within adds the object or array that a value with an error is in.
func within(part any, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.path = append(e.path, part)
	}
	return err
}
