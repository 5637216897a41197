package template

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// normal turns a Go value of the data into one that templates work with. It does not go into maps and slices: their
// elements are turned when they are looked at.
func normal(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int64, float64, map[string]any, []any:
		return v
	case int:
		return int64(v)
	case json.Number:
		return number(string(v))
	}
	return normalOther(v)
}

func normalOther(v any) any {
	switch v.(type) {
	case markup, bigInteger, *list, *tuple, *dict, *rangeValue, *view, *generator, *undefined, *namespace, *loop, callable:
		return v // made by a template
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if u := r.Uint(); u > math.MaxInt64 {
			return bigInteger(strconv.FormatUint(u, 10))
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
		items := make([]any, r.Len())
		for i := range items {
			items[i] = r.Index(i).Interface()
		}
		return items
	case reflect.Map:
		if r.Type().Key().Kind() != reflect.String {
			break
		}
		m := make(map[string]any, r.Len())
		for it := r.MapRange(); it.Next(); {
			m[it.Key().String()] = it.Value().Interface()
		}
		return m
	}
	return &undefined{kind: ErrData, why: "the data holds a Go " + r.Type().String()}
}

// number reads a number of JSON; an integer too large for 64 bits keeps its digits.
func number(s string) any {
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // infinity when out of range, as in Python
		return f
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err == nil {
		return i
	}
	digits := strings.TrimPrefix(s, "-")
	if len(digits) > maxDigits {
		return &undefined{kind: ErrData, why: "the data holds an integer of too many digits"}
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return &undefined{kind: ErrData, why: "the data holds a json.Number that is no number"}
	}
	return bigInteger(s)
}

// wrap turns a list or object of the data into a frozen copy that the general code works on, and leaves other values.
func (st *state) wrap(v any) any {
	switch v := v.(type) {
	case []any:
		st.spend(len(v))
		l := &list{items: make([]any, len(v)), frozen: true}
		for i, item := range v {
			l.items[i] = normal(item)
		}
		return l
	case map[string]any:
		st.spend(2 * len(v))
		d := &dict{frozen: true, keys: make([]any, len(v)), values: make([]any, len(v))}
		for i, k := range sortedKeys(v) {
			d.keys[i] = k
			d.values[i] = normal(v[k])
		}
		return d
	}
	return v
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
