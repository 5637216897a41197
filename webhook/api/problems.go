package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
)

// ValidationResponse is the body of a 422, as the contract has it: everything
// that is wrong with a request, at once.
type ValidationResponse struct {
	Detail []ValidationProblem `json:"detail"`
}

// ValidationProblem is one rule that one part of a request breaks.
type ValidationProblem struct {
	// Location is the path to the part: "body", "query" or "header", and then
	// names and, as numbers, positions.
	Location []any `json:"loc"`
	// Message says what it must be.
	Message string `json:"msg"`
	// Type names the kind of problem for programs: "missing", "extra_forbidden",
	// "string_type", "value_error".
	Type string `json:"type"`
}

// The bounds of an answer, which could otherwise be many times as large as the
// request, and take as long to make: a location has the names of all that it is
// in, which many locations share.
const (
	maxProblems      = 100
	maxProblemsBytes = 64 << 10 // about
	maxPart          = 128      // bytes of a name in a location
	maxParts         = 64       // of a location; its middle is left out
)

// TypeKeyReused is the [ValidationProblem.Type] of an Idempotency-Key that was used before,
// for a request with another body.
const TypeKeyReused = "idempotency_key_reused"

// The types of problems that are not "<kind>_type".
const (
	typeMissing = "missing"
	typeExtra   = "extra_forbidden"
	typeValue   = "value_error"
	typeJSON    = "json_invalid"
	typeTooLong = "too_long"
	typeTooMany = "too_many_problems"
)

// problems collects what is wrong with a request. As an error it is a 422.
type problems struct {
	list []ValidationProblem
	size int // bytes in the list, about
	more int // beyond the bounds
}

func (p *problems) Error() string {
	return fmt.Sprintf("api: %d problems with the request", len(p.list)+p.more)
}

func (p *problems) add(location []any, kind, format string, args ...any) {
	if p.full() {
		return
	}
	p.put(ValidationProblem{Location: location, Type: kind, Message: fmt.Sprintf(format, args...)})
}

// put adds a problem for which there is place.
func (p *problems) put(problem ValidationProblem) {
	problem.Location = shownLocation(problem.Location)
	p.list = append(p.list, problem)
	p.size += len(problem.Message) + len(problem.Type)
	for _, part := range problem.Location {
		name, _ := part.(string)
		p.size += len(name) + len(`"",`)
	}
}

// full counts a problem for which there is no place.
func (p *problems) full() bool {
	if len(p.list) < maxProblems && p.size < maxProblemsBytes {
		return false
	}
	p.more++
	return true
}

// shownLocation returns a copy of the location, without the rest of long names
// and without the middle if it is deep.
func shownLocation(location []any) []any {
	const left = "…"
	shown := slices.Clone(location)
	if len(shown) > maxParts {
		shown = slices.Replace(shown, maxParts/2, len(shown)-maxParts/2+1, any(left))
	}
	for i, part := range shown {
		if name, ok := part.(string); ok && len(name) > maxPart {
			shown[i] = strings.ToValidUTF8(name[:maxPart], "") + left
		}
	}
	return shown
}

// merge adds problems of places about which nothing has been said yet: what
// has the wrong type need not also be called missing.
func (p *problems) merge(list []ValidationProblem) {
	said := len(p.list)
	for _, problem := range list {
		about := func(known ValidationProblem) bool {
			return len(known.Location) <= len(problem.Location) &&
				slices.Equal(known.Location, problem.Location[:len(known.Location)])
		}
		if !slices.ContainsFunc(p.list[:said], about) && !p.full() {
			p.put(problem)
		}
	}
}

// mergeError merges what the library found in a body, if anything.
func (p *problems) mergeError(err error) {
	var invalid *event.ValidationError
	if errors.As(err, &invalid) {
		p.merge(bodyProblems(invalid))
		p.more += invalid.More
	}
}

// response says what is wrong.
func (p *problems) response() ValidationResponse {
	if p.more == 0 {
		return ValidationResponse{p.list}
	}
	more := ValidationProblem{Location: []any{"body"}, Type: typeTooMany, Message: fmt.Sprintf("has %d more problems", p.more)}
	return ValidationResponse{append(slices.Clone(p.list), more)}
}

// err returns nil if there are no problems.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return p
}

// bodyProblems are the library's findings about a body.
func bodyProblems(invalid *event.ValidationError) []ValidationProblem {
	list := make([]ValidationProblem, len(invalid.Problems))
	for i, p := range invalid.Problems {
		kind := typeValue
		if p.Code == event.CodeRequired {
			kind = typeMissing
		}
		at := append([]any{"body"}, p.Path()...)
		list[i] = ValidationProblem{Location: at, Message: p.Rule, Type: kind}
	}
	return list
}
