package template

import (
	"errors"
	"math"
	"strconv"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// The values that templates work with. In Go they are
//
//	nil, bool, int64, float64   None and the numbers
//	bigInteger                  an integer of the data beyond 64 bits: printed and compared, not calculated with
//	string, markup              text; markup is text that need not be escaped
//	*list, *tuple, *dict        what templates create
//	[]any, map[string]any       lists and objects of the data, shared and never written to; wrap makes *list or *dict
//	*rangeValue, *view, *generator, *undefined, and the callables
type (
	bigInteger string // up to maxDigits decimal digits with a sign, without leading zeros
)

const maxDigits = 400

type list struct {
	items  []any
	frozen bool // a copy of the data's list: changing it would have no effect, so it is refused
}

type tuple struct {
	items []any
	names []string // of a group's two elements
}

// rangeValue is what range() returns: n numbers from start in steps.
type rangeValue struct {
	start, step, n int64
	stop           int64 // as it was given: for printing
}

func (r *rangeValue) at(i int64) int64 { return r.start + i*r.step }

// undefined stands for what is not there. It prints as nothing, is false, empty, and equal to other
// undefined values; anything else that is done with it fails.
type undefined struct {
	kind error  // of what fail returns: ErrUndefined, ErrForbidden, or ErrData
	why  string // template text only, never data
	at   fault.Pos
}

// loud reports whether any use fails: data that cannot be shown must not look like data that is not
// there.
func (u *undefined) loud() bool { return errors.Is(u.kind, fault.ErrData) }

func (u *undefined) fail() error {
	why := u.why
	if why == "" {
		why = "there is no such element"
	}
	return u.at.Errorf(u.kind, "%s", why)
}

// typeName is the Python name of a value's type.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64, bigInteger:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case []any, *list:
		return "list"
	case map[string]any, *dict:
		return "dict"
	case *tuple:
		return "tuple"
	case *rangeValue:
		return "range"
	case *generator:
		return "generator"
	case *undefined:
		return "Undefined"
	case *view:
		return "dict_" + v.kind.String()
	case typed:
		return v.typeName()
	case callable:
		return "function"
	}
	return "object"
}

// truth is Python's bool().
func truth(v any) bool {
	switch v := v.(type) {
	case nil, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v.text != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	case *list:
		return len(v.items) > 0
	case *tuple:
		return len(v.items) > 0
	case *dict:
		return v.len() > 0
	case *view:
		return v.dict.len() > 0
	case *rangeValue:
		return v.n > 0
	}
	return true
}

// length is Python's len(), for what has one.
func (st *state) length(v any) (int, error) {
	switch v := v.(type) {
	case string:
		return st.runes(v)
	case markup:
		return st.runes(v.text)
	case []any:
		return len(v), nil
	case map[string]any:
		return len(v), nil
	case *list:
		return len(v.items), nil
	case *tuple:
		return len(v.items), nil
	case *dict:
		return v.len(), nil
	case *view:
		return v.dict.len(), nil
	case *rangeValue:
		return int(v.n), nil
	case sized:
		return v.length(st)
	case *undefined:
		if v.loud() {
			return 0, v.fail()
		}
		return 0, nil
	}
	return 0, fault.Errorf(fault.ErrType, "%s has no length", typeName(v))
}

// asString returns the text of a string or markup.
func asString(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return v.text, true
	}
	return "", false
}

// asInt returns an integer's value; True is 1.
func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// asFloat returns a number's value.
func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case bigInteger:
		f, _ := strconv.ParseFloat(string(v), 64) // infinity when out of range
		return f, true
	}
	i, ok := asInt(v)
	return float64(i), ok
}

// floatToInt truncates, if the result fits.
func floatToInt(f float64) (int64, bool) {
	f = math.Trunc(f)
	if f >= -(1<<63) && f < 1<<63 {
		return int64(f), true
	}
	return 0, false
}
