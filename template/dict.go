package template

import (
	"math"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A dict keeps its entries in the order in which they were added; a copy of a Go map, in the order
// of its keys.
type dict struct {
	keys, values []any
	index        map[any]int // by hash key, from indexFrom entries on
	ordered      bool        // the sender's object: its keys are not sorted
	frozen       bool        // a copy of the data's object: changing it would have no effect, so it is refused
}

const (
	indexFrom = 8  // smaller dicts are searched from the start
	entrySize = 64 // what an entry costs in Limits.Memory
)

func newDict() *dict { return &dict{} }

func (d *dict) len() int { return len(d.keys) }

// hashKey returns what equal keys have in common: 1, 1.0 and True are one key.
func (st *state) hashKey(v any) (any, error) {
	switch v := v.(type) {
	case string, int64, bigInteger:
		return v, nil
	case markup:
		return v.text, nil
	case bool:
		i, _ := asInt(v)
		return i, nil
	case float64:
		if i, ok := floatToInt(v); ok && float64(i) == v {
			return i, nil
		}
		if math.IsNaN(v) {
			return new(float64), nil // equal to nothing
		}
		return v, nil
	case nil:
		return absent, nil
	case *undefined:
		if v.loud() {
			return nil, v.fail()
		}
		return undefinedKey{}, nil
	case *tuple:
		return st.tupleKey(v, 0)
	case *list, *dict, []any, map[string]any:
		return nil, fault.Errorf(fault.ErrType, "%s cannot be a key", typeName(v))
	}
	return v, nil // by identity
}

type (
	undefinedKey struct{}
	tupleKey     string
)

const maxTupleDepth = 20

// tupleKey spells out the keys of a tuple's elements.
func (st *state) tupleKey(t *tuple, depth int) (any, error) {
	if depth > maxTupleDepth {
		return nil, tooDeep(maxTupleDepth)
	}
	var b strings.Builder
	for _, item := range t.items {
		if err := st.step(); err != nil {
			return nil, err
		}
		var k any
		var err error
		if inner, ok := item.(*tuple); ok {
			k, err = st.tupleKey(inner, depth+1)
		} else {
			k, err = st.hashKey(item)
		}
		if err != nil {
			return nil, err
		}
		var part string
		switch k := k.(type) {
		case string:
			part = "s" + k
		case int64:
			part = "i" + strconv.FormatInt(k, 10)
		case float64:
			part = "f" + strconv.FormatFloat(k, 'g', -1, 64)
		case bigInteger:
			part = "i" + string(k)
		case tupleKey:
			part = "t" + string(k)
		case missing:
			part = "n"
		case undefinedKey:
			part = "u"
		default:
			return nil, fault.Errorf(fault.ErrType, "a tuple with %s cannot be a key", typeName(item))
		}
		if err := st.alloc(len(part)); err != nil {
			return nil, err
		}
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
	}
	return tupleKey(b.String()), nil
}

// find returns the position of a key, or -1.
func (d *dict) find(st *state, key any) (int, error) {
	h, err := st.hashKey(key)
	if err != nil {
		return -1, err
	}
	if err := st.scan(hashSize(h)); err != nil {
		return -1, err
	}
	if d.index == nil && len(d.keys) >= indexFrom {
		if err := d.buildIndex(st); err != nil {
			return -1, err
		}
	}
	if d.index != nil {
		if i, ok := d.index[h]; ok {
			return i, nil
		}
		return -1, nil
	}
	for i, k := range d.keys {
		kh, err := st.hashKey(k)
		if err != nil {
			return -1, err
		}
		if size := hashSize(kh); size == hashSize(h) {
			if err := st.scan(size); err != nil {
				return -1, err
			}
			if kh == h {
				return i, nil
			}
		}
	}
	return -1, nil
}

// buildIndex makes the index, which later changes keep.
func (d *dict) buildIndex(st *state) error {
	if err := st.spend(2 * len(d.keys)); err != nil {
		return err
	}
	index := make(map[any]int, len(d.keys))
	for i, k := range d.keys {
		h, err := st.hashKey(k)
		if err != nil {
			return err
		}
		if err := st.scan(hashSize(h)); err != nil {
			return err
		}
		index[h] = i
	}
	d.index = index
	return nil
}

// hashSize is how many bytes of a hash key there are to compare.
func hashSize(h any) int {
	switch h := h.(type) {
	case string:
		return len(h)
	case tupleKey:
		return len(h)
	case bigInteger:
		return len(h)
	}
	return 0
}

func (d *dict) get(st *state, key any) (any, bool, error) {
	i, err := d.find(st, key)
	if i < 0 || err != nil {
		return nil, false, err
	}
	return d.values[i], true, nil
}

func (d *dict) set(st *state, key, value any) error {
	i, err := d.find(st, key)
	if err != nil {
		return err
	}
	if i >= 0 {
		d.values[i] = value
		return nil
	}
	if err := st.alloc(entrySize); err != nil {
		return err
	}
	d.keys = append(d.keys, key)
	d.values = append(d.values, value)
	if d.index != nil {
		h, err := st.hashKey(key)
		if err != nil {
			return err
		}
		d.index[h] = len(d.keys) - 1
	}
	return nil
}

// remove deletes the entry at i; the rest moves up.
func (d *dict) remove(st *state, i int) error {
	if err := st.spend(len(d.keys)); err != nil {
		return err
	}
	d.keys = append(d.keys[:i], d.keys[i+1:]...)
	d.values = append(d.values[:i], d.values[i+1:]...)
	d.index = nil
	return nil
}

func (d *dict) copy(st *state) (*dict, error) {
	if err := st.allocTimes(entrySize, int64(d.len()+1)); err != nil {
		return nil, err
	}
	return &dict{keys: append([]any(nil), d.keys...), values: append([]any(nil), d.values...)}, nil
}

// A view is what keys(), values() and items() return.
type view struct {
	dict *dict
	kind viewKind
}

type viewKind uint8

const (
	viewKeys viewKind = iota
	viewValues
	viewItems
)

func (k viewKind) String() string { return [...]string{"keys", "values", "items"}[k] }

func (v *view) at(i int) any {
	switch v.kind {
	case viewKeys:
		return v.dict.keys[i]
	case viewValues:
		return v.dict.values[i]
	}
	return &tuple{items: []any{v.dict.keys[i], v.dict.values[i]}}
}
