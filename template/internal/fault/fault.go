// Package fault is how the packages below template report what is wrong with a template, and where.
// Package template makes its own Error of every [Error] that leaves it.
//
// # What is where
//
//	fault.go   the kinds of errors, Error, and Pos, a place in the source
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds of errors. Package template says what each of them means.
var (
	ErrSyntax         = errors.New("syntax error")
	ErrUnknown        = errors.New("unknown name")
	ErrForbidden      = errors.New("forbidden")
	ErrUndefined      = errors.New("undefined value used")
	ErrType           = errors.New("wrong type or argument")
	ErrArithmetic     = errors.New("arithmetic error")
	ErrData           = errors.New("unsupported data")
	ErrNotJSON        = errors.New("not valid JSON")
	ErrOptions        = errors.New("invalid options")
	ErrSourceTooLarge = errors.New("template too large")
	ErrTooDeep        = errors.New("nested too deeply")
	ErrSteps          = errors.New("too many steps")
	ErrOutputTooLarge = errors.New("output too large")
	ErrRangeTooLarge  = errors.New("range too large")
	ErrMemory         = errors.New("too much memory")
	ErrFunction       = errors.New("function failed")
	ErrInternal       = errors.New("internal error")
)

// An Error says what is wrong and where, as the Error of package template does. It never holds a
// value of the data or a piece of the output.
type Error struct {
	Kind   error  // one of the kinds, or the context's error
	Line   int    // in the template's source, from 1; 0 until the place is known
	Column int    // in characters, from 1
	Near   string // the offending piece of the source, when known
	Leaf   string // in an object template: the JSON pointer of the leaf
	Msg    string // what is wrong, in words
	Cause  error  // what a function of the service returned; it may hold data
}

// Error is the kind and the message.
func (e *Error) Error() string { return e.Kind.Error() + ": " + e.Msg }

// Unwrap returns the kind, for errors.Is.
func (e *Error) Unwrap() error { return e.Kind }

// Pos is a place in the template's source: line and column from 1.
type Pos struct{ Line, Col int }

// Errorf returns an Error without a place; the nearest expression that has one adds it.
func Errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: message(format, args)}
}

// maxMessage bounds a message, which names what stands in the template, in runes.
const maxMessage = 200

func message(format string, args []any) string {
	msg := fmt.Sprintf(format, args...)
	if len(msg) <= maxMessage {
		return msg
	}
	if short := firstRunes(msg, maxMessage); len(short) < len(msg) {
		return short + "…"
	}
	return msg
}

// At adds the place to an Error that has none.
func (p Pos) At(err error) error {
	if err == nil || p.Line == 0 {
		return err
	}
	var e *Error
	if errors.As(err, &e) && e.Line == 0 {
		e.Line, e.Column = p.Line, p.Col
	}
	return err
}

// Errorf returns an Error with the place.
func (p Pos) Errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Line: p.Line, Column: p.Col, Msg: message(format, args)}
}

const nearLength = 30

// Near returns the first characters of source, on one line, for Error.Near. It looks at the
// beginning only, however long source is.
func Near(source string) string {
	const enough = 1 << 10
	source = strings.TrimSpace(source[:min(len(source), enough)])
	if i := strings.IndexByte(source, '\n'); i >= 0 {
		source = source[:i]
	}
	return firstRunes(source, nearLength)
}

// firstRunes returns the first n characters of s.
func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
