package api

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// jsonPath is a place in JSON text: a name, or a position in a list as int, below
// its parent. Nil is the whole. Paths share their parents, so that a text that
// is nested deeply costs no more than another.
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

// key tells paths apart, also the name "0" from the position 0, and positions in
// lists of different lengths, which do not mean the same. It costs as little as
// the last part, however long the parents' names are.
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

// named says whether the parts, with dots between them, are the name.
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
