package event

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Problem says which rule a field breaks.
type Problem struct {
	// Field is the path of the field: "subject.id", "channels[0].configs.url".
	// Empty when the rule is about the value as a whole. Programs take it apart
	// with [Problem.Path].
	Field string `json:"field,omitempty"`
	// Code tells programs which kind of rule the field breaks.
	Code Code `json:"code"`
	// Rule tells people what the field must be, phrased to follow the field's name:
	// "is required", "must be at most 200 characters". Its text may change.
	Rule string `json:"rule"`
}

// Code is the kind of rule that a field breaks. Later versions may add codes.
type Code string

// The codes of problems.
const (
	// CodeRequired means that a required field is absent or empty.
	CodeRequired Code = "required"
	// CodeTooLong means that the field has too many bytes.
	CodeTooLong Code = "too_long"
	// CodeInvalid is the code of every rule that has no code of its own.
	CodeInvalid Code = "invalid"
)

// Path returns the parts of Field: names as strings, positions in lists as ints. The path
// channels[0].configs.headers["a b"] has five.
func (p Problem) Path() []any {
	var parts []any
	path := p.Field
	for path != "" {
		if path[0] != '[' {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			parts = append(parts, path[:end])
			path = strings.TrimPrefix(path[end:], ".")
			continue
		}
		quoted, err := strconv.QuotedPrefix(path[1:])
		if err == nil {
			name, _ := strconv.Unquote(quoted) // cannot fail: QuotedPrefix accepted it
			parts = append(parts, name)
			path = path[1+len(quoted):]
		} else {
			digits, rest, _ := strings.Cut(path[1:], "]")
			if n, err := strconv.Atoi(digits); err == nil {
				parts = append(parts, n)
			} else {
				parts = append(parts, digits)
			}
			path = rest
		}
		path = strings.TrimPrefix(strings.TrimPrefix(path, "]"), ".")
	}
	return parts
}

// String returns "field: rule", or only the rule if there is no field.
func (p Problem) String() string {
	if p.Field == "" {
		return p.Rule
	}
	return p.Field + ": " + p.Rule
}

// ValidationError lists all problems of a value, in the order in which its fields are documented.
// The Validate methods and the constructors of this module return one for an invalid value, such as
// an envelope, a subscription or a channel's config. [ValidID], [ValidType] and [Pattern.Validate]
// are the exceptions: the text of their error is the rule. Find a *ValidationError with
// [errors.As].
//
// It never quotes secrets, and quotes other values only where that helps.
type ValidationError struct {
	// Problems has 1 to [MaxProblems] entries.
	Problems []Problem
	// More is the number of further problems.
	More int
}

// MaxProblems is how many problems a [ValidationError] lists, so that invalid input of any size
// gives an error of limited size.
const MaxProblems = 100

// Error lists all problems, separated by semicolons.
func (e *ValidationError) Error() string {
	var b strings.Builder
	b.WriteString("invalid: ")
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.String())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "; and %d more", e.More)
	}
	return b.String()
}

// Problems collects the problems of a value, so that a check can report all of them in one
// error. It keeps the first [MaxProblems] and counts the rest. The zero value is empty and ready
// to use. It is not safe for concurrent use.
type Problems struct {
	list []Problem
	more int
}

// full reports whether the list is full, and counts the problem that the caller drops then.
func (p *Problems) full() bool {
	if len(p.list) < MaxProblems {
		return false
	}
	p.more++
	return true
}

// Add adds a problem of the field with the code [CodeInvalid]. The rule is formatted as by
// [fmt.Sprintf].
func (p *Problems) Add(field, format string, args ...any) {
	p.AddCode(CodeInvalid, field, format, args...)
}

// AddCode adds a problem as [Problems.Add] does, with another code.
func (p *Problems) AddCode(code Code, field, format string, args ...any) {
	if !p.full() {
		p.list = append(p.list, Problem{Field: field, Code: code, Rule: fmt.Sprintf(format, args...)})
	}
}

// Required adds the problem that the field is required, with the code [CodeRequired].
func (p *Problems) Required(field string) { p.AddCode(CodeRequired, field, "is required") }

// AddError adds the problems of err below a path. If err wraps a [*ValidationError], all its
// problems are added, with the path in front of theirs. Any other error becomes one problem
// of the path itself. A nil error adds nothing.
func (p *Problems) AddError(path string, err error) {
	if err == nil {
		return
	}
	var invalid *ValidationError
	if !errors.As(err, &invalid) {
		p.Add(path, "%s", err.Error())
		return
	}
	p.more += invalid.More
	for _, problem := range invalid.Problems {
		if !p.full() {
			problem.Field = joinPath(path, problem.Field)
			p.list = append(p.list, problem)
		}
	}
}

// Err returns a [*ValidationError] with the collected problems, or nil if there are none.
func (p *Problems) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &ValidationError{Problems: p.list, More: p.more}
}

// joinPath joins two field paths: "a" and "b" to "a.b", "a" and "[0]" to "a[0]".
func joinPath(path, field string) string {
	switch {
	case path == "":
		return field
	case field == "" || field[0] == '[':
		return path + field
	default:
		return path + "." + field
	}
}

// pathOf returns the path of a member of an object. Names from outside may have any length and
// hold any character: long ones are shortened, and those that are not plain are quoted.
func pathOf(name string) string {
	const maxShown = 64
	if len(name) > maxShown {
		name = name[:maxShown] + "…"
	}
	for _, c := range []byte(name) {
		if !isAlphanumeric(c) && c != '_' && c != '-' {
			return "[" + strconv.Quote(name) + "]"
		}
	}
	return name
}

// pathOfElement returns the path of an array's element.
func pathOfElement(i int) string { return "[" + strconv.Itoa(i) + "]" }
