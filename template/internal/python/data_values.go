package python

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// Normal turns a Go value of the data into one that templates work with. It does not go into maps
// and slices: their elements are turned when they are looked at. Where the budget is exhausted,
// what it returns is never used.
func (st *State) Normal(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int64, float64, map[string]any, []any:
		return v
	case int:
		return int64(v)
	case json.Number:
		if st.Spend(len(v)/BytesPerDigitStep) != nil {
			return nil
		}
		return number(string(v))
	}
	return st.normalOther(v)
}

// BytesPerDigitStep is how many digits of a number one step reads or writes.
const BytesPerDigitStep = 8

// foreign identifies a list or map of the data.
type foreign struct {
	at     unsafe.Pointer
	length int
	typ    reflect.Type
}

func (st *State) normalOther(v any) any {
	switch v.(type) {
	case Markup, BigInt, *List, *Tuple, *Dict, *Range, *View, *Generator, *Undefined, Typed, Callable:
		return v // made by a template
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if u := r.Uint(); u > math.MaxInt64 {
			return BigInt(strconv.FormatUint(u, 10))
		}
		return int64(r.Uint())
	case reflect.Float32, reflect.Float64:
		return r.Float()
	case reflect.Bool:
		return r.Bool()
	case reflect.String:
		return r.String()
	case reflect.Slice:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			break // bytes are no text
		}
		return st.convertOnce(r, func() any {
			items := make([]any, r.Len())
			for i := range items {
				items[i] = r.Index(i).Interface()
			}
			return items
		})
	case reflect.Map:
		if r.Type().Key().Kind() != reflect.String {
			break
		}
		return st.convertOnce(r, func() any {
			m := make(map[string]any, r.Len())
			for it := r.MapRange(); it.Next(); {
				m[it.Key().String()] = it.Value().Interface()
			}
			return m
		})
	}
	return &Undefined{Kind: fault.ErrData, Why: "the data holds a Go " + r.Type().String()}
}

// convertOnce makes a list or map of another Go type one that templates work with, the first time
// that it is looked at.
func (st *State) convertOnce(r reflect.Value, convert func() any) any {
	key := foreign{r.UnsafePointer(), r.Len(), r.Type()}
	if v, ok := st.converted[key]; ok {
		return v
	}
	if st.AllocTimes(EntrySize, int64(r.Len())) != nil || st.Spend(r.Len()) != nil {
		return nil
	}
	if st.converted == nil {
		st.converted = map[foreign]any{}
	}
	v := convert()
	st.converted[key] = v
	return v
}

// number reads a number of JSON; an integer too large for 64 bits keeps its digits.
func number(s string) any {
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // infinity when out of range, as in Python
		return f
	}
	digits := strings.TrimPrefix(s, "-")
	if len(digits) > maxDigits {
		return &Undefined{Kind: fault.ErrData, Why: "the data holds an integer of too many digits"}
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err == nil {
		return i
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return &Undefined{Kind: fault.ErrData, Why: "the data holds a json.Number that is no number"}
	}
	return BigInt(s)
}

// Wrap turns a list or object of the data into a frozen copy that the general code works on, and
// leaves other values. Where the budget is exhausted, the copy is empty and never used.
func (st *State) Wrap(v any) any {
	switch v := v.(type) {
	case []any:
		if st.Spend(len(v)) != nil {
			return &List{Frozen: true}
		}
		l := &List{Items: make([]any, len(v)), Frozen: true}
		for i, item := range v {
			l.Items[i] = st.Normal(item)
		}
		return l
	case map[string]any:
		if st.Spend(2*len(v)) != nil || st.scanKeys(v) != nil {
			return &Dict{Frozen: true}
		}
		d := &Dict{Frozen: true, Keys: make([]any, len(v)), Values: make([]any, len(v))}
		for i, k := range SortedKeys(v) {
			d.Keys[i] = k
			d.Values[i] = st.Normal(v[k])
		}
		return d
	}
	return v
}

// scanKeys asks for the steps to sort the keys of an object.
func (st *State) scanKeys(m map[string]any) error {
	size := 0
	for k := range m {
		size += len(k)
	}
	return st.Scan(PerCharacter * size)
}

// SortedKeys returns the keys of m in order. The caller has asked for the steps.
func SortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// BlankByte reports whether c is white space of JSON.
func BlankByte(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
