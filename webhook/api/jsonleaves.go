package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// jsonLeaf is a string or a number in JSON text, and where it stands there, so
// that it can be replaced without touching the rest.
type jsonLeaf struct {
	path       []any // names, and positions in lists as int
	start, end int
}

// jsonLeaves finds the strings and numbers of JSON text, in order.
func jsonLeaves(raw []byte) ([]jsonLeaf, error) {
	w, err := walkJSON(raw)
	return w.leaves, err
}

// repeatedNames finds the members of objects that an earlier member of the same
// object shares its name with.
func repeatedNames(raw []byte) [][]any {
	w, _ := walkJSON(raw) // what is broken is found by others
	return w.repeated
}

type jsonWalk struct {
	raw      []byte
	decoder  *json.Decoder
	leaves   []jsonLeaf
	repeated [][]any
}

func walkJSON(raw []byte) (*jsonWalk, error) {
	w := &jsonWalk{raw: raw, decoder: json.NewDecoder(bytes.NewReader(raw))}
	w.decoder.UseNumber()
	if err := w.value(nil); err != nil {
		return w, fmt.Errorf("api: reading JSON: %w", err)
	}
	return w, nil
}

func (w *jsonWalk) value(path []any) error {
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
		return w.children(path, token)
	}
	return nil
}

func (w *jsonWalk) children(path []any, open json.Delim) error {
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
		member := append(slices.Clone(path), name)
		if seen[name] {
			w.repeated = append(w.repeated, member)
		}
		seen[name] = true
		if err := w.value(member); err != nil {
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
