package template

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// Errors of this package. Match them with errors.Is. Except where a function says otherwise
// ([CompileObject] joins several errors, [Pass] returns that of its function), every error is an
// [*Error] whose Kind is one of these, or the error of the context that ended a render.
var (
	// ErrSyntax means that the source is not valid Jinja2.
	ErrSyntax = fault.ErrSyntax
	// ErrUnknown means that there is no tag, filter, test or [Shape] of that name.
	ErrUnknown = fault.ErrUnknown
	// ErrForbidden means that the template asks for something that a subscriber's template may not
	// have: another template, an underscore attribute, a change to the event's data.
	ErrForbidden = fault.ErrForbidden
	// ErrUndefined means that the template uses a value that does not exist.
	ErrUndefined = fault.ErrUndefined
	// ErrType means that an operation, filter or test does not work on a value of that type, or got
	// arguments that it does not take.
	ErrType = fault.ErrType
	// ErrArithmetic means a division by zero, or an integer beyond 64 bits.
	ErrArithmetic = fault.ErrArithmetic
	// ErrData means that the data contains a Go value of a type that templates cannot use.
	ErrData = fault.ErrData
	// ErrNotJSON means that the result of a JSON template, or the source of an object template, is not
	// JSON.
	ErrNotJSON = fault.ErrNotJSON

	// ErrOptions means that the service's configuration is invalid: a negative limit, a format that
	// does not exist, a function without a name.
	ErrOptions = fault.ErrOptions

	// ErrSourceTooLarge means that the source is longer than Limits.Source, or has more leaves than
	// Limits.Leaves.
	ErrSourceTooLarge = fault.ErrSourceTooLarge
	// ErrTooDeep means that blocks, expressions, calls or values nest deeper than Limits.Depth.
	ErrTooDeep = fault.ErrTooDeep
	// ErrSteps means that a render needs more work than Limits.Steps.
	ErrSteps = fault.ErrSteps
	// ErrOutputTooLarge means that the output is longer than Limits.Output.
	ErrOutputTooLarge = fault.ErrOutputTooLarge
	// ErrRangeTooLarge means that a range has more elements than Limits.Range.
	ErrRangeTooLarge = fault.ErrRangeTooLarge
	// ErrMemory means that a render creates values of more than Limits.Memory bytes.
	ErrMemory = fault.ErrMemory

	// ErrFunction means that a filter or function of the embedding service failed, panicked or took
	// too long.
	ErrFunction = fault.ErrFunction
	// ErrInternal means a defect of this package or of pongo2. Please report it.
	ErrInternal = fault.ErrInternal
)

// An Error says what is wrong with a template and where. It never holds a value of the data or a
// piece of the output: only names, numbers and text that stand in the template itself.
type Error struct {
	Kind   error  // one of the Err variables, or the context's error
	Line   int    // in the template's source, from 1; 0 if there is no single place
	Column int    // in characters, from 1
	Near   string // the offending piece of the source; empty if it is not known
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

// Unwrap returns Kind.
func (e *Error) Unwrap() error { return e.Kind }

// Is reports whether the error that a [Func] returned matches target, so that errors.Is finds it.
func (e *Error) Is(target error) bool { return e.cause != nil && errors.Is(e.cause, target) }

// As finds target in the error that a [Func] returned, so that errors.As finds it.
func (e *Error) As(target any) bool { return e.cause != nil && errors.As(e.cause, target) }

// Retryable reports whether the same template and data could succeed another time. It is true only
// if the context ended the render.
func (e *Error) Retryable() bool {
	return errors.Is(e.Kind, context.Canceled) || errors.Is(e.Kind, context.DeadlineExceeded)
}

// exported makes the errors of this package of those that the internal packages return.
func exported(err error) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, exported(e))
		}
		return errors.Join(errs...)
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	return &Error{Kind: f.Kind, Line: f.Line, Column: f.Column, Near: f.Near, Leaf: f.Leaf, Msg: f.Msg,
		cause: f.Cause}
}

// errorf returns an Error without a place.
func errorf(kind error, format string, args ...any) error {
	return exported(fault.Errorf(kind, format, args...))
}
