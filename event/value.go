package event

import (
	"bytes"
	"encoding/json"
)

// value reads any value, with the types of encoding/json with UseNumber: map[string]any, []any,
// string, json.Number, bool or nil.
func (r *reader) value() (any, error) {
	switch c := r.next(); {
	case c == '{':
		return r.mapValue()
	case c == '[':
		list := []any{}
		err := r.array(func() error {
			v, err := r.value()
			list = append(list, v)
			return err
		})
		return list, err
	case c == '"':
		s, err := r.text()
		return string(s), err
	case c == '-' || '0' <= c && c <= '9':
		n, err := r.number()
		return json.Number(n), err
	default:
		return r.literal()
	}
}

// mapValue reads an object and returns an error if a name occurs twice.
func (r *reader) mapValue() (map[string]any, error) {
	m := map[string]any{}
	err := r.object(func(name []byte) error {
		start := r.pos
		v, err := r.value()
		if err != nil {
			return err
		}
		size := len(m)
		if m[string(name)] = v; len(m) == size {
			return r.failAt(start, ruleDuplicate)
		}
		return nil
	})
	return m, err
}

func (r *reader) literal() (any, error) {
	switch {
	case r.hasLiteral("true"):
		r.pos += len("true")
		return true, nil
	case r.hasLiteral("false"):
		r.pos += len("false")
		return false, nil
	case r.hasLiteral("null"):
		r.pos += len("null")
		return nil, nil
	default:
		return nil, r.fail(ruleSyntax)
	}
}

// skip reads any value and drops it. It allows duplicate names, because nothing here uses them.
func (r *reader) skip() error {
	var err error
	switch c := r.next(); {
	case c == '{':
		return r.object(func([]byte) error { return r.skip() })
	case c == '[':
		return r.array(r.skip)
	case c == '"':
		_, err = r.text()
	case c == '-' || '0' <= c && c <= '9':
		_, err = r.number()
	default:
		_, err = r.literal()
	}
	return err
}

// raw reads any value and returns a copy of its bytes.
func (r *reader) raw() (json.RawMessage, error) {
	start := r.pos
	if err := r.skip(); err != nil {
		return nil, err
	}
	return bytes.Clone(r.data[start:r.pos]), nil
}

// extra reads the value of an unknown name into extra, and makes the map if it is nil.
func (r *reader) extra(name []byte, extra *map[string]json.RawMessage) error {
	start := r.pos
	raw, err := r.raw()
	if err != nil {
		return err
	}
	if *extra == nil {
		*extra = map[string]json.RawMessage{}
	}
	size := len(*extra)
	if (*extra)[string(name)] = raw; len(*extra) == size {
		return r.failAt(start, ruleDuplicate)
	}
	return nil
}

// textInto reads a string or null. Null does not change dst.
func (r *reader) textInto(dst *string) error {
	if r.null() {
		return nil
	}
	if r.next() != '"' {
		return r.fail("must be a string")
	}
	s, err := r.text()
	*dst = string(s)
	return err
}
