package event

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Problem is one rule that one field breaks.
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

// Code is a kind of rule. More kinds may be added.
type Code string

// The kinds of rules.
const (
	// CodeInvalid is every rule that has no code of its own.
	CodeInvalid Code = "invalid"
	// CodeRequired says that the field is absent or empty and must not be.
	CodeRequired Code = "required"
	// CodeTooLong says that the field has more bytes than it may have.
	CodeTooLong Code = "too_long"
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
			name, _ := strconv.Unquote(quoted) // QuotedPrefix found it to be one
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

// String returns "field: rule", or the rule alone when there is no field.
func (p Problem) String() string {
	if p.Field == "" {
		return p.Rule
	}
	return p.Field + ": " + p.Rule
}

// ValidationError lists everything that is wrong with a value, in the order in
// which its fields are documented. It is what every check in this module
// returns for a value that breaks its rules: an envelope, a subscription, a
// channel's config. Get at it with [errors.As].
//
// Rules never quote secrets, and quote other values only where that helps.
type ValidationError struct {
	// Problems is never empty, and has at most [MaxProblems] entries.
	Problems []Problem
	// More is how many problems there are beyond those.
	More int
}

// MaxProblems bounds what a check says of one value, which may be as large as a
// stranger likes.
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

// Problems collects what is wrong with a value, so that a check can name
// everything at once: the first [MaxProblems], and how many there are beyond
// those, which costs nothing more. The zero value is empty and ready to use.
// It is not safe for concurrent use.
type Problems struct {
	list []Problem
	more int
}

// full counts a problem for which there is no place.
func (p *Problems) full() bool {
	if len(p.list) < MaxProblems {
		return false
	}
	p.more++
	return true
}

// Add records that field breaks a rule, which has the code [CodeInvalid]. The rule is
// formatted as by [fmt.Sprintf].
func (p *Problems) Add(field, format string, args ...any) {
	p.AddCode(CodeInvalid, field, format, args...)
}

// AddCode is Add with another code.
func (p *Problems) AddCode(code Code, field, format string, args ...any) {
	if !p.full() {
		p.list = append(p.list, Problem{Field: field, Code: code, Rule: fmt.Sprintf(format, args...)})
	}
}

// Required records that field is required, with the code [CodeRequired].
func (p *Problems) Required(field string) { p.AddCode(CodeRequired, field, "is required") }

// AddError records err under a path. The problems of a [*ValidationError]
// anywhere in err's chain are merged, their fields prefixed with the path; any
// other error becomes one problem of the path itself. A nil error adds nothing.
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

// Err returns a [*ValidationError] with what was collected, nil if that is nothing.
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

// pathOf returns the path of a member. A name from outside that is long or not
// plain is cut and quoted: a path is for people and logs.
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
