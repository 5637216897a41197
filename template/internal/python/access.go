package python

import (
	"strings"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// Attribute is x.name: a method or attribute, or else a key.
func (st *State) Attribute(object any, name string) (any, error) {
	if err := st.Scan(len(name)); err != nil {
		return nil, err
	}
	switch o := object.(type) {
	case map[string]any:
		if m, ok := st.Names.Methods.Dict[name]; ok {
			return &BoundMethod{m, o}, nil
		}
		if dictHas(name) {
			break
		}
		if v, ok := o[name]; ok {
			return st.Normal(v), nil
		}
	case *Dict:
		if m, ok := st.Names.Methods.Dict[name]; ok {
			return &BoundMethod{m, o}, nil
		}
		if dictHas(name) {
			break
		}
		if v, ok, err := o.Get(st, name); ok || err != nil {
			return v, err
		}
	case *Undefined:
		return nil, o.Fail()
	default:
		if v, ok, err := st.OwnAttribute(object, name); ok || err != nil {
			return v, err
		}
	}
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		return &Undefined{Kind: fault.ErrForbidden,
			Why: "the attribute " + Quoted(name) + " is not accessible"}, nil
	}
	return &Undefined{Kind: fault.ErrUndefined,
		Why: TypeName(object) + " has no attribute " + Quoted(name)}, nil
}

// dictHas reports whether Python's dict has an attribute of that name, which is found before a key
// and is not accessible.
func dictHas(name string) bool {
	switch name {
	case "__class__", "__class_getitem__", "__contains__", "__delattr__", "__delitem__", "__dir__",
		"__doc__", "__eq__", "__format__", "__ge__",
		"__getattribute__", "__getitem__", "__getstate__", "__gt__", "__hash__", "__init__",
		"__init_subclass__", "__ior__", "__iter__", "__le__",
		"__len__", "__lt__", "__ne__", "__new__", "__or__", "__reduce__", "__reduce_ex__", "__repr__",
		"__reversed__", "__ror__", "__setattr__",
		"__setitem__", "__sizeof__", "__str__", "__subclasshook__":
		return true
	}
	return false
}

// partOfNumber is an attribute of a number, as Python's have them.
func partOfNumber(v any, name string) (any, bool) {
	i, isInt := AsInt(v)
	if isInt {
		v = i
	}
	_, isFloat := v.(float64)
	_, isBig := v.(BigInt)
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

// OwnAttribute finds methods, and the attributes of what is no mapping.
func (st *State) OwnAttribute(object any, name string) (any, bool, error) {
	if m, ok := st.Method(object, name); ok {
		return &BoundMethod{m, object}, true, nil
	}
	if v, ok := partOfNumber(object, name); ok {
		return v, true, nil
	}
	switch o := object.(type) {
	case Attributed:
		return o.Attribute(st, name)
	case *Tuple:
		for i, n := range o.Names {
			if n == name {
				return o.Items[i], true, nil
			}
		}
	}
	return nil, false, nil
}

// Item is x[key]: an element, or else an attribute.
func (st *State) Item(object, key any) (any, error) {
	var n int
	switch o := object.(type) {
	case *Undefined:
		return nil, o.Fail()
	case map[string]any:
		if s, ok := AsString(key); ok {
			if err := st.Scan(len(s)); err != nil {
				return nil, err
			}
			if v, ok := o[s]; ok {
				return st.Normal(v), nil
			}
		}
	case *Dict:
		if v, ok, err := o.Get(st, key); ok || st.Fault != nil {
			return v, err
		}
	case []any:
		n = len(o)
	case *List:
		n = len(o.Items)
	case *Tuple:
		n = len(o.Items)
	case *Range:
		n = int(o.Len)
	case string, Markup:
		if _, ok := AsInt(key); ok {
			if err := st.Read(StringOf(o)); err != nil {
				return nil, err
			}
			n = utf8.RuneCountInString(StringOf(o))
		}
	}
	if i, ok := AsInt(key); ok && n > 0 {
		if i < 0 {
			i += int64(n)
		}
		if i >= 0 && i < int64(n) {
			return st.ElementAt(object, int(i)), nil
		}
	}
	if name, ok := AsString(key); ok {
		return st.namedItem(object, name)
	}
	return &Undefined{Kind: fault.ErrUndefined}, nil
}

// namedItem is x['name'] where x has no such element. The name may come from the data: it is in no
// message.
func (st *State) namedItem(object any, name string) (any, error) {
	if err := st.Scan(len(name)); err != nil {
		return nil, err
	}
	switch o := object.(type) {
	case map[string]any, *Dict:
		if m, ok := st.Names.Methods.Dict[name]; ok {
			return &BoundMethod{m, o}, nil
		}
	default:
		if v, ok, err := st.OwnAttribute(object, name); ok || err != nil {
			return v, err
		}
	}
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		return &Undefined{Kind: fault.ErrForbidden,
			Why: "attributes with underscores are not accessible"}, nil
	}
	return &Undefined{Kind: fault.ErrUndefined}, nil
}

// ElementAt is an element that is there. Of a text, the caller has asked for the steps to read it.
func (st *State) ElementAt(object any, i int) any {
	switch o := object.(type) {
	case []any:
		return st.Normal(o[i])
	case *List:
		return o.Items[i]
	case *Tuple:
		return o.Items[i]
	case *Range:
		return o.at(int64(i))
	case string:
		return runeAt(o, i)
	case Markup:
		safe := o.Safety
		if st.JSON && safe.IsJSON() { // the character may stand inside of a string
			safe = cut(safe)
		}
		return TextOf(runeAt(o.Text, i), safe)
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

// StringOf returns the text of a string or markup, and nothing for anything else.
func StringOf(v any) string {
	s, _ := AsString(v)
	return s
}

// Runes counts the characters of a string.
func (st *State) Runes(s string) (int, error) {
	if err := st.Scan(len(s)); err != nil {
		return 0, err
	}
	return utf8.RuneCountInString(s), nil
}

// SliceBounds are the positions that x[low:high:step] takes: n of them from start.
func SliceBounds(length int64, bounds [3]any) (start, step, n int64, err error) {
	step = 1
	if bounds[2] != nil {
		var ok bool
		if step, ok = AsInt(bounds[2]); !ok {
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
		i, ok := AsInt(v)
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
	stop, _, _, err := SliceBounds(length, bounds)
	return stop, err
}

func sliceIndexError(v any) error {
	if u, ok := v.(*Undefined); ok {
		return u.Fail()
	}
	return fault.Errorf(fault.ErrType, "the bounds of a slice must be integers or none, not %s",
		TypeName(v))
}

// Slice is x[low:high:step].
func (st *State) Slice(object any, bounds [3]any) (any, error) {
	switch o := object.(type) {
	case string:
		return st.SliceText(o, NotSafe, bounds)
	case Markup:
		return st.SliceText(o.Text, o.Safety, bounds)
	case *Undefined:
		return nil, o.Fail()
	case *Range:
		start, step, n, err := SliceBounds(o.Len, bounds)
		if err != nil {
			return nil, err
		}
		stop, err := sliceStop(o.Len, bounds, step)
		between, ok := multiply(o.Step, step)
		if !ok { // then there is at most one element
			between = 1
		}
		return &Range{Start: o.at(start), Step: between, Len: n, Stop: o.at(stop)}, err
	case []any, *List, *Tuple:
	case map[string]any, *Dict:
		return nil, fault.Errorf(fault.ErrType, "%s cannot be sliced", TypeName(object))
	default:
		return nil, fault.Errorf(fault.ErrType, "%s cannot be sliced", TypeName(object))
	}
	length, err := st.Length(object)
	if err != nil {
		return nil, err
	}
	start, step, n, err := SliceBounds(int64(length), bounds)
	if err != nil {
		return nil, err
	}
	if err := st.AllocValues(int(n)); err != nil {
		return nil, err
	}
	items := make([]any, n)
	for i := range items {
		items[i] = st.ElementAt(object, int(start+int64(i)*step))
	}
	if _, ok := object.(*Tuple); ok {
		return &Tuple{Items: items}, nil
	}
	return &List{Items: items}, nil
}

// SliceText is s[low:high:step], as safe as s.
func (st *State) SliceText(s string, safe Safety, bounds [3]any) (any, error) {
	if err := st.Read(s); err != nil {
		return nil, err
	}
	start, step, n, err := SliceBounds(int64(utf8.RuneCountInString(s)), bounds)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		if st.JSON && safe.IsJSON() {
			safe = cut(safe)
		}
		return TextOf("", safe), nil
	}
	if step == 1 { // a part of the string as it stands
		low := RuneOffset(s, int(start))
		high := low + RuneOffset(s[low:], int(n))
		parts, err := st.Parts(s, safe)
		if err != nil {
			return nil, err
		}
		return parts.Part(low, high), nil
	}
	if err := st.AllocTimes(2, int64(len(s))); err != nil {
		return nil, err
	}
	runes := []rune(s)
	out := make([]rune, n)
	for i := range out {
		out[i] = runes[start+int64(i)*step]
	}
	if st.JSON && safe.IsJSON() {
		safe = cut(safe)
	}
	return TextOf(string(out), safe), nil
}

// RuneOffset returns where the n-th character starts.
func RuneOffset(s string, n int) int {
	off := 0
	for ; n > 0 && off < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[off:])
		off += size
	}
	return off
}
