package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// cursor walks over the bytes of valid JSON.
type cursor struct {
	raw []byte
	pos int
}

// next skips white space and returns the byte at the cursor.
func (c *cursor) next() byte {
	for c.raw[c.pos] == ' ' || c.raw[c.pos] == '\t' || c.raw[c.pos] == '\n' || c.raw[c.pos] == '\r' {
		c.pos++
	}
	return c.raw[c.pos]
}

// scalar skips a value that is neither an object nor a list, and returns its text.
func (c *cursor) scalar() []byte {
	start := c.pos
	if c.raw[c.pos] != '"' {
		for c.pos < len(c.raw) && !strings.ContainsRune(" \t\r\n,:]}", rune(c.raw[c.pos])) {
			c.pos++
		}
		return c.raw[start:c.pos]
	}
	for c.pos++; c.raw[c.pos] != '"'; c.pos++ {
		if c.raw[c.pos] == '\\' {
			c.pos++
		}
	}
	c.pos++
	return c.raw[start:c.pos]
}

// children calls each for every member of the object, or element of the list, at the cursor, with
// the quoted name of the member. each moves the cursor behind the value, and returns false to
// stop.
func (c *cursor) children(each func(i int, name []byte) bool) bool {
	isObject := c.raw[c.pos] == '{'
	c.pos++
	for i := 0; ; i++ {
		switch c.next() {
		case '}', ']':
			c.pos++
			return true
		case ',':
			c.pos++
			c.next()
		}
		var name []byte
		if isObject {
			name = c.scalar()
			c.next()
			c.pos++ // the colon
			c.next()
		}
		if !each(i, name) {
			return false
		}
	}
}

// skip moves the cursor behind a value.
func (c *cursor) skip() {
	if b := c.next(); b != '{' && b != '[' {
		c.scalar()
		return
	}
	depth := 0
	for {
		switch c.next() {
		case '{', '[':
			depth++
			c.pos++
		case '}', ']':
			depth--
			c.pos++
			if depth == 0 {
				return
			}
		case ',', ':':
			c.pos++
		default:
			c.scalar()
		}
	}
}

// unquote returns the text of a quoted name.
func unquote(text []byte) string {
	inner := text[1 : len(text)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(text, &s) // it is valid JSON
	return s
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

// named reports whether the parts, joined by dots, are the name.
func (p *jsonPath) named(name string) bool {
	for ; p.parent != nil; p = p.parent {
		rest, ok := strings.CutSuffix(name, fmt.Sprint(p.part))
		if !ok || !strings.HasSuffix(rest, ".") {
			return false
		}
		name = strings.TrimSuffix(rest, ".")
	}
	return name == fmt.Sprint(p.part)
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
	if !json.Valid(raw) {
		return nil, errors.New("api: the configs are not JSON")
	}
	w := &leafWalk{cursor: cursor{raw: raw}, skipTop: skip}
	w.value(nil)
	return w.leaves, nil
}

type leafWalk struct {
	cursor
	skipTop func(top string) bool
	leaves  []jsonLeaf
}

func (w *leafWalk) value(path *jsonPath) bool {
	switch b := w.next(); {
	case b == '{', b == '[':
		w.children(func(i int, name []byte) bool {
			if name == nil {
				if path != nil {
					path.length = i + 1
				}
				return w.value(path.child(i))
			}
			said := unquote(name)
			if path == nil && w.skipTop != nil && w.skipTop(said) {
				w.skip()
				return true
			}
			return w.value(path.child(said))
		})
	case b == '"', b == '-', '0' <= b && b <= '9':
		start := w.pos
		w.scalar()
		w.leaves = append(w.leaves, jsonLeaf{path, start, w.pos})
	default:
		w.scalar()
	}
	return true
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
		return nil, errors.New("api: not a JSON object")
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
