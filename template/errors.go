package template

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What went wrong, for errors.Is. Every error of this package is an [*Error] whose Kind is one of
// these, or the error of the context that ended a render.
var (
	// ErrSyntax: the source is not valid Jinja2.
	ErrSyntax = errors.New("syntax error")
	// ErrUnknown: a tag, filter or test of that name does not exist here.
	ErrUnknown = errors.New("unknown name")
	// ErrForbidden: the template asks for something that a subscriber's template may not have:
	// another template, an underscore attribute, a change to the event's data.
	ErrForbidden = errors.New("forbidden")
	// ErrUndefined: the template goes through a value that is not there.
	ErrUndefined = errors.New("undefined value used")
	// ErrType: an operation, filter or test does not work on a value of that type, or got arguments
	// that it does not take.
	ErrType = errors.New("wrong type or argument")
	// ErrArithmetic: a division by zero, or an integer beyond 64 bits.
	ErrArithmetic = errors.New("arithmetic error")
	// ErrData: the data holds a Go value that templates cannot see.
	ErrData = errors.New("unsupported data")
	// ErrNotJSON: the result of a JSON template, or the source of an object template, is not JSON.
	ErrNotJSON = errors.New("not valid JSON")

	// ErrOptions: what the service configures is wrong: a negative limit, a format that does not
	// exist, a function without a name.
	ErrOptions = errors.New("invalid options")

	// ErrSourceTooLarge: the source is longer than Limits.Source, or has more leaves than
	// Limits.Leaves.
	ErrSourceTooLarge = errors.New("template too large")
	// ErrTooDeep: blocks, expressions, calls or values nest deeper than Limits.Depth.
	ErrTooDeep = errors.New("nested too deeply")
	// ErrSteps: a render needs more work than Limits.Steps.
	ErrSteps = errors.New("too many steps")
	// ErrOutputTooLarge: the output is longer than Limits.Output.
	ErrOutputTooLarge = errors.New("output too large")
	// ErrRangeTooLarge: a range has more elements than Limits.Range.
	ErrRangeTooLarge = errors.New("range too large")
	// ErrMemory: a render creates more values than Limits.Memory.
	ErrMemory = errors.New("too much memory")

	// ErrFunction: a filter or function of the embedding service failed, panicked or took too long.
	ErrFunction = errors.New("function failed")
	// ErrInternal: a defect of this package or of pongo2, caught; please report it.
	ErrInternal = errors.New("internal error")
)

// An Error says what is wrong with a template and where. It never holds a value of the data or a
// piece of the output: only names, numbers and text that stand in the template itself.
type Error struct {
	Kind   error  // one of the Err variables, or the context's error
	Line   int    // in the template's source, from 1; 0 when no one place is to blame
	Column int    // in characters, from 1
	Near   string // the offending piece of the source, when known
	Leaf   string // in an object template: the JSON pointer of the leaf, such as /blocks/0/text
	Msg    string // what is wrong, in words

	cause error // of ErrFunction; not printed, it may hold data
}

// Error lists the leaf, the place, the kind, the message and the offending text.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("template")
	if e.Leaf != "" {
		fmt.Fprintf(&b, " %s", e.Leaf)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ": line %d, column %d", e.Line, e.Column)
	}
	fmt.Fprintf(&b, ": %v", e.Kind)
	if e.Msg != "" {
		fmt.Fprintf(&b, ": %s", e.Msg)
	}
	if e.Near != "" {
		fmt.Fprintf(&b, " near %q", e.Near)
	}
	return b.String()
}

// Unwrap returns the kind, for errors.Is.
func (e *Error) Unwrap() error { return e.Kind }

// Is and As find the error of the service's function as well, if one failed.
func (e *Error) Is(target error) bool { return e.cause != nil && errors.Is(e.cause, target) }

// As is documented with Is.
func (e *Error) As(target any) bool { return e.cause != nil && errors.As(e.cause, target) }

// Retryable reports whether the same template and data could succeed another time: only when the
// context ended the render.
func (e *Error) Retryable() bool {
	return errors.Is(e.Kind, context.Canceled) || errors.Is(e.Kind, context.DeadlineExceeded)
}

// pos is a place in the template's source: line and column from 1.
type pos struct{ line, col int }

// errorf returns an Error without a place; the nearest expression that has one adds it.
func errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: message(format, args)}
}

// maxMessage bounds a message, which names what stands in the template, in runes.
const maxMessage = 200

func message(format string, args []any) string {
	msg := fmt.Sprintf(format, args...)
	if len(msg) <= maxMessage {
		return msg
	}
	if n := runeOffset(msg, maxMessage); n < len(msg) {
		return msg[:n] + "…"
	}
	return msg
}

// at adds the place to an Error that has none.
func (p pos) at(err error) error {
	if err == nil || p.line == 0 {
		return err
	}
	var e *Error
	if errors.As(err, &e) && e.Line == 0 {
		e.Line, e.Column = p.line, p.col
	}
	return err
}

func (p pos) errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Line: p.line, Column: p.col, Msg: message(format, args)}
}

const nearLength = 30

// near returns the first characters of source, on one line, for Error.Near. It looks at the
// beginning only, however long source is.
func near(source string) string {
	const enough = 1 << 10
	source = strings.TrimSpace(source[:min(len(source), enough)])
	if i := strings.IndexByte(source, '\n'); i >= 0 {
		source = source[:i]
	}
	return source[:runeOffset(source, nearLength)]
}
