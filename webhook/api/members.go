package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// member is one member of a JSON object. Lists of them keep the order in which
// the object was written, and their values stay byte by byte as they are.
type member struct {
	name  string
	value json.RawMessage
}

func (m member) equal(other member) bool {
	return m.name == other.name && bytes.Equal(m.value, other.value)
}

// isNull says whether the member is as good as absent.
func (m member) isNull() bool { return string(m.value) == "null" }

func readMembers(raw json.RawMessage) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	open, err := d.Token()
	if err != nil {
		return nil, err
	}
	if open != json.Delim('{') {
		return nil, errors.New("api: no JSON object")
	}
	var members []member
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{}
		m.name, _ = token.(string) // which names are
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	_, err = d.Token()
	return members, err
}

func writeMembers(members []member) (json.RawMessage, error) {
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), m.value...)
	}
	return append(out, '}'), nil
}

// find returns the place of the member of that name, -1 if there is none.
func find(members []member, name string) int {
	return slices.IndexFunc(members, func(m member) bool { return m.name == name })
}

// has says whether the member is there, and neither null nor empty text.
func has(members []member, name string) bool {
	i := find(members, name)
	return i >= 0 && !members[i].isNull() && string(members[i].value) != `""`
}

// without removes the members of the names.
func without(members []member, names ...string) []member {
	return slices.DeleteFunc(members, func(m member) bool { return slices.Contains(names, m.name) })
}
