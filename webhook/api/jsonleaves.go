package api

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// jsonLeaves finds the strings and numbers of JSON text, in order.
func jsonLeaves(raw []byte) ([]jsonLeaf, error) {
	w, err := walkJSON(raw)
	return w.leaves, err
}

// jsonWalk is what a walk over JSON text finds.
type jsonWalk struct {
	raw     []byte
	decoder *json.Decoder
	leaves  []jsonLeaf
	// repeated are members of objects that an earlier member of the same
	// object shares its name with.
	repeated []*jsonPath
	depth    int // of the deepest object or list
}

func walkJSON(raw []byte) (*jsonWalk, error) {
	w := &jsonWalk{raw: raw, decoder: json.NewDecoder(bytes.NewReader(raw))}
	w.decoder.UseNumber()
	if err := w.value(nil, 0); err != nil {
		return w, fmt.Errorf("api: reading JSON: %w", err)
	}
	return w, nil
}

func (w *jsonWalk) value(path *jsonPath, depth int) error {
	before := int(w.decoder.InputOffset())
	token, err := w.decoder.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string, json.Number:
		start := before + len(w.raw[before:]) - len(bytes.TrimLeft(w.raw[before:], " \t\r\n:,"))
		w.leaves = append(w.leaves, jsonLeaf{path, start, int(w.decoder.InputOffset())})
	case json.Delim:
		w.depth = max(w.depth, depth+1)
		return w.children(path, token, depth+1)
	}
	return nil
}

func (w *jsonWalk) children(path *jsonPath, open json.Delim, depth int) error {
	seen := map[any]bool{}
	for i := 0; w.decoder.More(); i++ {
		var name any = i
		if open == '{' {
			token, err := w.decoder.Token()
			if err != nil {
				return err
			}
			name = token
		}
		member := path.child(name)
		if seen[name] {
			w.repeated = append(w.repeated, member)
		}
		seen[name] = true
		if err := w.value(member, depth); err != nil {
			return err
		}
	}
	_, err := w.decoder.Token() // what closes it
	return err
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
