package api

import (
	"net/url"
	"slices"
	"strconv"
	"time"
)

// query reads the parameters of a URL, so that every one that is wrong is
// reported. An empty one counts as absent.
type query struct {
	found  *problems
	values url.Values
	known  []string
}

func newQuery(p *problems, r *request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // what is wrong is missing from values, and without its filter a query selects everything
		p.add([]any{"query"}, typeValue, "must be escaped as in a URL")
	}
	return &query{found: p, values: values}
}

func at(name string) []any { return []any{"query", name} }

func (q *query) text(name string) string {
	q.known = append(q.known, name)
	return q.values.Get(name)
}

// integer reads a number between least and most, or returns the default.
func (q *query) integer(name string, least, most, value int) int {
	s := q.text(name)
	if s == "" {
		return value
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		q.found.add(at(name), "int_parsing", "must be an integer")
	case n < least || n > most:
		q.found.add(at(name), typeValue, "must be between %d and %d", least, most)
	}
	return n
}

// boolean reads a flag in the spellings that clients of the contract use.
func (q *query) boolean(name string) bool {
	switch s := q.text(name); s {
	case "", "false", "False", "0":
		return false
	case "true", "True", "1":
		return true
	default:
		q.found.add(at(name), "bool_parsing", "must be true or false")
		return false
	}
}

func (q *query) time(name string) time.Time {
	s := q.text(name)
	if s == "" {
		return time.Time{}
	}
	t, err := parseTime(s)
	if err != nil {
		q.found.add(at(name), "datetime_parsing", "must be a time such as 2025-01-31T12:00:00Z")
	}
	return t
}

// end reports the parameters that were not read, so that no filter with a
// slip in its name selects everything.
func (q *query) end() {
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			q.found.add(at(name), typeExtra, "is not known here")
		}
	}
}
