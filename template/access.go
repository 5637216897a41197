package template

import (
	"strings"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// attribute is x.name: a method or attribute, or else a key.
func (st *state) attribute(object any, name string) (any, error) {
	if err := st.scan(len(name)); err != nil {
		return nil, err
	}
	switch o := object.(type) {
	case map[string]any:
		if m, ok := st.names.methods.dict[name]; ok {
			return &boundMethod{m, o}, nil
		}
		if dictHas(name) {
			break
		}
		if v, ok := o[name]; ok {
			return st.normal(v), nil
		}
	case *dict:
		if m, ok := st.names.methods.dict[name]; ok {
			return &boundMethod{m, o}, nil
		}
		if dictHas(name) {
			break
		}
		if v, ok, err := o.get(st, name); ok || err != nil {
			return v, err
		}
	case *undefined:
		return nil, o.fail()
	default:
		if v, ok, err := st.ownAttribute(object, name); ok || err != nil {
			return v, err
		}
	}
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		return &undefined{kind: fault.ErrForbidden, why: "the attribute " + quoted(name) + " is not accessible"}, nil
	}
	return &undefined{kind: fault.ErrUndefined, why: typeName(object) + " has no attribute " + quoted(name)}, nil
}

// dictHas reports whether Python's dict has an attribute of that name, which is found before a key
// and is not accessible.
func dictHas(name string) bool {
	switch name {
	case "__class__", "__class_getitem__", "__contains__", "__delattr__", "__delitem__", "__dir__", "__doc__", "__eq__", "__format__", "__ge__",
		"__getattribute__", "__getitem__", "__getstate__", "__gt__", "__hash__", "__init__", "__init_subclass__", "__ior__", "__iter__", "__le__",
		"__len__", "__lt__", "__ne__", "__new__", "__or__", "__reduce__", "__reduce_ex__", "__repr__", "__reversed__", "__ror__", "__setattr__",
		"__setitem__", "__sizeof__", "__str__", "__subclasshook__":
		return true
	}
	return false
}

// partOfNumber is an attribute of a number, as Python's have them.
func partOfNumber(v any, name string) (any, bool) {
	i, isInt := asInt(v)
	if isInt {
		v = i
	}
	_, isFloat := v.(float64)
	_, isBig := v.(bigInteger)
	switch {
	case !isInt && !isFloat && !isBig:
	case name == "real", name == "numerator" && !isFloat:
		return v, true
	case name == "imag" && isFloat:
		return float64(0), true
	case name == "imag":
		return int64(0), true
	case name == "denominator" && !isFloat:
		return int64(1), true
	}
	return nil, false
}

// ownAttribute finds methods, and the attributes of what is no mapping.
func (st *state) ownAttribute(object any, name string) (any, bool, error) {
	if m, ok := st.method(object, name); ok {
		return &boundMethod{m, object}, true, nil
	}
	if v, ok := partOfNumber(object, name); ok {
		return v, true, nil
	}
	switch o := object.(type) {
	case attributed:
		return o.attribute(st, name)
	case *tuple:
		for i, n := range o.names {
			if n == name {
				return o.items[i], true, nil
			}
		}
	}
	return nil, false, nil
}

// item is x[key]: an element, or else an attribute.
func (st *state) item(object, key any) (any, error) {
	var n int
	switch o := object.(type) {
	case *undefined:
		return nil, o.fail()
	case map[string]any:
		if s, ok := asString(key); ok {
			if err := st.scan(len(s)); err != nil {
				return nil, err
			}
			if v, ok := o[s]; ok {
				return st.normal(v), nil
			}
		}
	case *dict:
		if v, ok, err := o.get(st, key); ok || st.fault != nil {
			return v, err
		}
	case []any:
		n = len(o)
	case *list:
		n = len(o.items)
	case *tuple:
		n = len(o.items)
	case *rangeValue:
		n = int(o.n)
	case string, markup:
		if _, ok := asInt(key); ok {
			if err := st.read(stringOf(o)); err != nil {
				return nil, err
			}
			n = utf8.RuneCountInString(stringOf(o))
		}
	}
	if i, ok := asInt(key); ok && n > 0 {
		if i < 0 {
			i += int64(n)
		}
		if i >= 0 && i < int64(n) {
			return st.elementAt(object, int(i)), nil
		}
	}
	if name, ok := asString(key); ok {
		return st.namedItem(object, name)
	}
	return &undefined{kind: fault.ErrUndefined}, nil
}

// namedItem is x['name'] where x has no such element. The name may come from the data: it is in no
// message.
func (st *state) namedItem(object any, name string) (any, error) {
	if err := st.scan(len(name)); err != nil {
		return nil, err
	}
	switch o := object.(type) {
	case map[string]any, *dict:
		if m, ok := st.names.methods.dict[name]; ok {
			return &boundMethod{m, o}, nil
		}
	default:
		if v, ok, err := st.ownAttribute(object, name); ok || err != nil {
			return v, err
		}
	}
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		return &undefined{kind: fault.ErrForbidden, why: "attributes with underscores are not accessible"}, nil
	}
	return &undefined{kind: fault.ErrUndefined}, nil
}

// elementAt is an element that is there. Of a text, the caller has asked for the steps to read it.
func (st *state) elementAt(object any, i int) any {
	switch o := object.(type) {
	case []any:
		return st.normal(o[i])
	case *list:
		return o.items[i]
	case *tuple:
		return o.items[i]
	case *rangeValue:
		return o.at(int64(i))
	case string:
		return runeAt(o, i)
	case markup:
		return markup{runeAt(o.text, i), o.safety}
	}
	return nil
}

func runeAt(s string, i int) string {
	for ; i > 0; i-- {
		_, n := utf8.DecodeRuneInString(s)
		s = s[n:]
	}
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

func stringOf(v any) string {
	s, _ := asString(v)
	return s
}

// runes counts the characters of a string.
func (st *state) runes(s string) (int, error) {
	if err := st.scan(len(s)); err != nil {
		return 0, err
	}
	return utf8.RuneCountInString(s), nil
}

// sliceBounds are the positions that x[low:high:step] takes: n of them from start.
func sliceBounds(length int64, bounds [3]any) (start, step, n int64, err error) {
	step = 1
	if bounds[2] != nil {
		var ok bool
		if step, ok = asInt(bounds[2]); !ok {
			return 0, 0, 0, sliceIndexError(bounds[2])
		}
		if step == 0 {
			return 0, 0, 0, fault.Errorf(fault.ErrType, "the step of a slice cannot be zero")
		}
		step = max(min(step, 1<<40), -(1 << 40)) // as good as any larger one, and cannot overflow
	}
	lowest, highest := int64(0), length
	if step < 0 {
		lowest, highest = -1, length-1
	}
	position := func(v any, otherwise int64) (int64, error) {
		if v == nil {
			return otherwise, nil
		}
		i, ok := asInt(v)
		if !ok {
			return 0, sliceIndexError(v)
		}
		if i < 0 {
			i += length
		}
		return max(lowest, min(i, highest)), nil
	}
	stop := highest
	if step < 0 {
		start, stop = highest, lowest
	}
	if start, err = position(bounds[0], start); err != nil {
		return 0, 0, 0, err
	}
	if stop, err = position(bounds[1], stop); err != nil {
		return 0, 0, 0, err
	}
	if step > 0 {
		n = (stop - start + step - 1) / step
	} else {
		n = (start - stop - step - 1) / -step
	}
	return start, step, max(n, 0), nil
}

// sliceStop is the position before which x[low:high:step] ends.
func sliceStop(length int64, bounds [3]any, step int64) (int64, error) {
	if bounds[1] == nil {
		if step < 0 {
			return -1, nil
		}
		return length, nil
	}
	bounds[0] = bounds[1]
	stop, _, _, err := sliceBounds(length, bounds)
	return stop, err
}

func sliceIndexError(v any) error {
	if u, ok := v.(*undefined); ok {
		return u.fail()
	}
	return fault.Errorf(fault.ErrType, "the bounds of a slice must be integers or none, not %s", typeName(v))
}

// slice is x[low:high:step].
func (st *state) slice(object any, bounds [3]any) (any, error) {
	switch o := object.(type) {
	case string:
		return st.sliceText(o, notSafe, bounds)
	case markup:
		return st.sliceText(o.text, o.safety, bounds)
	case *undefined:
		return nil, o.fail()
	case *rangeValue:
		start, step, n, err := sliceBounds(o.n, bounds)
		if err != nil {
			return nil, err
		}
		stop, err := sliceStop(o.n, bounds, step)
		return &rangeValue{start: o.at(start), step: o.step * step, n: n, stop: o.at(stop)}, err
	case []any, *list, *tuple:
	case map[string]any, *dict:
		return nil, fault.Errorf(fault.ErrType, "%s cannot be sliced", typeName(object))
	default:
		return nil, fault.Errorf(fault.ErrType, "%s cannot be sliced", typeName(object))
	}
	length, err := st.length(object)
	if err != nil {
		return nil, err
	}
	start, step, n, err := sliceBounds(int64(length), bounds)
	if err != nil {
		return nil, err
	}
	if err := st.allocValues(int(n)); err != nil {
		return nil, err
	}
	items := make([]any, n)
	for i := range items {
		items[i] = st.elementAt(object, int(start+int64(i)*step))
	}
	if _, ok := object.(*tuple); ok {
		return &tuple{items: items}, nil
	}
	return &list{items: items}, nil
}

func (st *state) sliceText(s string, safe safety, bounds [3]any) (any, error) {
	if err := st.read(s); err != nil {
		return nil, err
	}
	start, step, n, err := sliceBounds(int64(utf8.RuneCountInString(s)), bounds)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return textOf("", safe), nil
	}
	if step == 1 { // a part of the string as it stands
		low := runeOffset(s, int(start))
		high := low + runeOffset(s[low:], int(n))
		return textOf(s[low:high], safe), nil
	}
	if err := st.allocTimes(2, int64(len(s))); err != nil {
		return nil, err
	}
	runes := []rune(s)
	out := make([]rune, n)
	for i := range out {
		out[i] = runes[start+int64(i)*step]
	}
	return textOf(string(out), safe), nil
}

// runeOffset returns where the n-th character starts.
func runeOffset(s string, n int) int {
	off := 0
	for ; n > 0 && off < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[off:])
		off += size
	}
	return off
}
