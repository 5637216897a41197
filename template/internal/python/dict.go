package python

import (
	"math"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A Dict keeps its entries in the order in which they were added; a copy of a Go map, in the order
// of its keys.
type Dict struct {
	Keys, Values []any
	index        map[any]int // by hash key, from IndexFrom entries on
	Ordered      bool        // the sender's object: its keys are not sorted
	Frozen       bool        // of the data's object: a change would have no effect and is refused
}

// The sizes of dicts.
const (
	IndexFrom = 8  // smaller dicts are searched from the start
	EntrySize = 64 // what an entry costs in Limits.Memory
)

// NewDict returns an empty dict.
func NewDict() *Dict { return &Dict{} }

// Len is the number of entries.
func (d *Dict) Len() int { return len(d.Keys) }

// HashKey returns what equal keys have in common: 1, 1.0 and True are one key.
func (st *State) HashKey(v any) (any, error) {
	switch v := v.(type) {
	case string, int64, BigInt:
		return v, nil
	case Markup:
		return v.Text, nil
	case bool:
		i, _ := AsInt(v)
		return i, nil
	case float64:
		if i, ok := FloatToInt(v); ok && float64(i) == v {
			return i, nil
		}
		if math.IsNaN(v) {
			return new(float64), nil // equal to nothing
		}
		return v, nil
	case nil:
		return Absent, nil
	case *Undefined:
		if v.Loud() {
			return nil, v.Fail()
		}
		return undefinedKey{}, nil
	case *Tuple:
		return st.tupleKey(v, 0)
	case *List, *Dict, []any, map[string]any:
		return nil, fault.Errorf(fault.ErrType, "%s cannot be a key", TypeName(v))
	}
	return v, nil // by identity
}

type (
	undefinedKey struct{}
	tupleKey     string
)

const maxTupleDepth = 20

// tupleKey spells out the keys of a tuple's elements.
func (st *State) tupleKey(t *Tuple, depth int) (any, error) {
	if depth > maxTupleDepth {
		return nil, TooDeep(maxTupleDepth)
	}
	var b strings.Builder
	for _, item := range t.Items {
		if err := st.Step(); err != nil {
			return nil, err
		}
		var k any
		var err error
		if inner, ok := item.(*Tuple); ok {
			k, err = st.tupleKey(inner, depth+1)
		} else {
			k, err = st.HashKey(item)
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
		case BigInt:
			part = "i" + string(k)
		case tupleKey:
			part = "t" + string(k)
		case missing:
			part = "n"
		case undefinedKey:
			part = "u"
		default:
			return nil, fault.Errorf(fault.ErrType, "a tuple with %s cannot be a key", TypeName(item))
		}
		if err := st.Alloc(len(part)); err != nil {
			return nil, err
		}
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
	}
	return tupleKey(b.String()), nil
}

// Find returns the position of a key, or -1.
func (d *Dict) Find(st *State, key any) (int, error) {
	h, err := st.HashKey(key)
	if err != nil {
		return -1, err
	}
	if err := st.Scan(hashSize(h)); err != nil {
		return -1, err
	}
	if d.index == nil && len(d.Keys) >= IndexFrom {
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
	for i, k := range d.Keys {
		kh, err := st.HashKey(k)
		if err != nil {
			return -1, err
		}
		if size := hashSize(kh); size == hashSize(h) {
			if err := st.Scan(size); err != nil {
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
func (d *Dict) buildIndex(st *State) error {
	if err := st.Spend(2 * len(d.Keys)); err != nil {
		return err
	}
	index := make(map[any]int, len(d.Keys))
	for i, k := range d.Keys {
		h, err := st.HashKey(k)
		if err != nil {
			return err
		}
		if err := st.Scan(hashSize(h)); err != nil {
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
	case BigInt:
		return len(h)
	}
	return 0
}

// Get returns the value of a key, if there is one.
func (d *Dict) Get(st *State, key any) (any, bool, error) {
	i, err := d.Find(st, key)
	if i < 0 || err != nil {
		return nil, false, err
	}
	return d.Values[i], true, nil
}

// Set gives a key its value; a new key goes to the end.
func (d *Dict) Set(st *State, key, value any) error {
	i, err := d.Find(st, key)
	if err != nil {
		return err
	}
	if i >= 0 {
		d.Values[i] = value
		return nil
	}
	if err := st.Alloc(EntrySize); err != nil {
		return err
	}
	d.Keys = append(d.Keys, key)
	d.Values = append(d.Values, value)
	if d.index != nil {
		h, err := st.HashKey(key)
		if err != nil {
			return err
		}
		d.index[h] = len(d.Keys) - 1
	}
	return nil
}

// Remove deletes the entry at i; the rest moves up.
func (d *Dict) Remove(st *State, i int) error {
	if err := st.Spend(len(d.Keys)); err != nil {
		return err
	}
	d.Keys = append(d.Keys[:i], d.Keys[i+1:]...)
	d.Values = append(d.Values[:i], d.Values[i+1:]...)
	d.index = nil
	return nil
}

// Copy returns a dict with the same entries, which can be changed.
func (d *Dict) Copy(st *State) (*Dict, error) {
	if err := st.AllocTimes(EntrySize, int64(d.Len()+1)); err != nil {
		return nil, err
	}
	return &Dict{Keys: append([]any(nil), d.Keys...), Values: append([]any(nil), d.Values...)}, nil
}

// A View is what keys(), values() and items() return.
type View struct {
	Dict *Dict
	Kind ViewKind
}

// ViewKind is what of a dict a View shows.
type ViewKind uint8

// The kinds of views.
const (
	ViewKeys ViewKind = iota
	ViewValues
	ViewItems
)

func (k ViewKind) String() string { return [...]string{"keys", "values", "items"}[k] }

func (v *View) at(i int) any {
	switch v.Kind {
	case ViewKeys:
		return v.Dict.Keys[i]
	case ViewValues:
		return v.Dict.Values[i]
	}
	return &Tuple{Items: []any{v.Dict.Keys[i], v.Dict.Values[i]}}
}
