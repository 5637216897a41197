package api

import (
	"encoding/json"
	"errors"
	"slices"
)

// jsonPath is a place in JSON text: a name, or a position in a list as int, below
// its parent. Nil is the whole. Paths share their parents, so that a text that
// is nested deeply costs no more than another.
type jsonPath struct {
	parent *jsonPath
	part   any
	top    any // the first part
}

func (p *jsonPath) child(part any) *jsonPath {
	top := part
	if p != nil {
		top = p.top
	}
	return &jsonPath{p, part, top}
}

// parts returns all parts, the first one first.
func (p *jsonPath) parts() (parts []any) {
	for ; p != nil; p = p.parent {
		parts = append(parts, p.part)
	}
	slices.Reverse(parts)
	return parts
}

// jsonLeaf is a string or a number in JSON text, and where it stands there, so
// that it can be replaced without touching the rest.
type jsonLeaf struct {
	path       *jsonPath
	start, end int
}

// jsonLeaves finds the strings and numbers of JSON text, in order, but for those
// below the members of the text that skip names. Nil skips none.
func jsonLeaves(raw []byte, skip func(top string) bool) ([]jsonLeaf, error) {
	if !json.Valid(raw) {
		return nil, errors.New("api: a config is not JSON")
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

// replacement puts other text where a leaf is.
type replacement struct {
	leaf jsonLeaf
	text []byte
}

// replaceLeaves applies replacements, which are in the order of their leaves.
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
