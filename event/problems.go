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
	// Empty when the rule is about the value as a whole.
	Field string `json:"field,omitempty"`
	// Rule says what the field must be, phrased to follow the field's name:
	// "is required", "must be at most 200 characters".
	Rule string `json:"rule"`
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

// Add records that field breaks a rule. The rule is formatted as by [fmt.Sprintf].
func (p *Problems) Add(field, format string, args ...any) {
	if !p.full() {
		p.list = append(p.list, Problem{Field: field, Rule: fmt.Sprintf(format, args...)})
	}
}

// AddError records err under a path. The problems of a [*ValidationError]
// anywhere in err's chain are merged, their fields prefixed with the path; any
// other error becomes one problem of the path itself. A nil error adds nothing.
func (p *Problems) AddError(path string, err error) {
	if err == nil {
		return
	}
	var invalid *ValidationError
	if !errors.As(err, &invalid) {
		if !p.full() {
			p.list = append(p.list, Problem{Field: path, Rule: err.Error()})
		}
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
