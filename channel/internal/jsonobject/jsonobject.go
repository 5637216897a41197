// Package jsonobject reads the members of a JSON object where encoding/json is not
// strict enough: in their order, byte for byte, and with no name twice.
package jsonobject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A Member is a name and its value, as they are written.
type Member struct {
	Name  string
	Value json.RawMessage
}

// ErrNoObject says that a text is not one JSON object.
var ErrNoObject = errors.New("jsonobject: not a JSON object")

// A DuplicateError says that an object has two members of one name, of which
// readers may take either.
type DuplicateError struct{ Name string }

// Error does not repeat the name, which may be long.
func (e *DuplicateError) Error() string { return "jsonobject: a name occurs twice" }

// Read returns the members of an object. It returns ErrNoObject if raw is not one
// object, and a *DuplicateError for each name that occurs again; the members are
// then those that came first.
func Read(raw []byte) ([]Member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, ErrNoObject
	}
	var (
		members    []Member
		duplicates []error
		seen       = map[string]bool{}
	)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, ErrNoObject
		}
		m := Member{Name: fmt.Sprint(token)}
		if d.Decode(&m.Value) != nil {
			return nil, ErrNoObject
		}
		if seen[m.Name] {
			duplicates = append(duplicates, &DuplicateError{m.Name})
			continue
		}
		seen[m.Name] = true
		members = append(members, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, ErrNoObject
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, ErrNoObject
	}
	return members, errors.Join(duplicates...)
}
