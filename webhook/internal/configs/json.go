package configs

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// Children calls each for every member of the object, or element of the list, that follows in
// text, with its position and with its name or, in a list, the position again. each must read the
// value.
func Children(text *jsontext.Reader, each func(i int, part any) error) error {
	i := -1
	if text.Next() == '[' {
		return text.Array(func() error {
			i++
			return each(i, i)
		})
	}
	return text.Object(func(name []byte) error {
		i++
		return each(i, string(name))
	})
}

// jsonPath is a place in JSON text: a name, or an int that is the position in a list, below its
// parent. Nil is the whole text. Paths share their parents, so that deeply nested text needs no
// more memory than other text.
type jsonPath struct {
	parent *jsonPath
	part   any
	top    any      // the first part
	length int      // of the list that is here
	known  *pathKey // what key has returned
}

func (p *jsonPath) child(part any) *jsonPath {
	top := part
	if p != nil {
		top = p.top
	}
	return &jsonPath{parent: p, part: part, top: top}
}

// parts returns all parts, the first one first.
func (p *jsonPath) parts() (parts []any) {
	for ; p != nil; p = p.parent {
		parts = append(parts, p.part)
	}
	slices.Reverse(parts)
	return parts
}

// pathKey identifies a path in any text: see [jsonPath.key].
type pathKey [sha256.Size]byte

// key tells paths apart. It differs for the name "0" and the position 0, and for the same
// position in lists of different lengths, which do not mean the same. Its cost depends on the
// last part only.
func (p *jsonPath) key() pathKey {
	if p == nil {
		return pathKey{}
	}
	if p.known == nil {
		parent := p.parent.key()
		length := 0
		if p.parent != nil {
			length = p.parent.length
		}
		key := pathKey(sha256.Sum256(fmt.Appendf(parent[:], "%d %T %v", length, p.part, p.part)))
		p.known = &key
	}
	return *p.known
}

// jsonLeaf is a string or a number in JSON text, and its position there, so that it can be
// replaced without changing the rest.
type jsonLeaf struct {
	path       *jsonPath
	start, end int
}

// jsonLeaves finds the strings and numbers of JSON text, in order. It leaves out the members of
// the top level for which skip returns true; a nil skip leaves out none.
func jsonLeaves(raw []byte, skip func(top string) bool) ([]jsonLeaf, error) {
	w := &leafWalk{text: jsontext.NewReader(raw, jsontext.MaxDepth), skipTop: skip}
	if w.value(nil) != nil || !w.text.AtEnd() {
		return nil, errors.New("configs: the configs are not JSON")
	}
	return w.leaves, nil
}

type leafWalk struct {
	text    *jsontext.Reader
	skipTop func(top string) bool
	leaves  []jsonLeaf
}

func (w *leafWalk) value(path *jsonPath) error {
	switch b := w.text.Next(); {
	case b == '{', b == '[':
		return Children(w.text, func(i int, part any) error {
			switch name, isName := part.(string); {
			case !isName && path != nil:
				path.length = i + 1
			case isName && path == nil && w.skipTop != nil && w.skipTop(name):
				return w.text.Skip()
			}
			return w.value(path.child(part))
		})
	case b == '"', b == '-', '0' <= b && b <= '9':
		start := w.text.Offset()
		err := w.text.Skip()
		w.leaves = append(w.leaves, jsonLeaf{path, start, w.text.Offset()})
		return err
	default:
		return w.text.Skip()
	}
}

// replacement is the text to put in the place of a leaf.
type replacement struct {
	leaf jsonLeaf
	text []byte
}

// replaceLeaves makes replacements, which must be in the order of their leaves.
func replaceLeaves(raw []byte, replacements []replacement) []byte {
	if len(replacements) == 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	last := 0
	for _, r := range replacements {
		out = append(append(out, raw[last:r.leaf.start]...), r.text...)
		last = r.leaf.end
	}
	return append(out, raw[last:]...)
}

// member is one member of a JSON object. A list of members keeps the order of the object, and the
// bytes of its values.
type member struct {
	name  string
	value json.RawMessage
}

func (m member) equal(other member) bool {
	return m.name == other.name && bytes.Equal(m.value, other.value)
}

// isNull reports whether the member counts as absent.
func (m member) isNull() bool { return string(m.value) == "null" }

func readMembers(raw json.RawMessage) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	open, err := d.Token()
	if err != nil {
		return nil, err
	}
	if open != json.Delim('{') {
		return nil, errors.New("configs: not a JSON object")
	}
	var members []member
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{}
		m.name, _ = token.(string) // names are strings
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

// find returns the index of the member with the name, or -1.
func find(members []member, name string) int {
	return slices.IndexFunc(members, func(m member) bool { return m.name == name })
}

// has reports whether there is a member with the name that is neither null nor an empty string.
func has(members []member, name string) bool {
	i := find(members, name)
	return i >= 0 && !members[i].isNull() && string(members[i].value) != `""`
}

// without removes the members with the names.
func without(members []member, names ...string) []member {
	return slices.DeleteFunc(members, func(m member) bool { return slices.Contains(names, m.name) })
}
