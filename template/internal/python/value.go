package python

import (
	"errors"
	"math"
	"strconv"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A BigInt is an integer of the data beyond 64 bits, in up to maxDigits decimal digits with a sign,
// without leading zeros. It is printed and compared, not calculated with.
type BigInt string

const maxDigits = 400

// A List is a list of Python.
type List struct {
	Items  []any
	Frozen bool // a copy of the data's list: changing it would have no effect, so it is refused
}

// A Tuple is a tuple of Python, with names for its elements where it is a named one.
type Tuple struct {
	Items []any
	Names []string // of a group's two elements
}

// Range is what range() returns: n numbers from start in steps.
type Range struct {
	Start, Step, Len int64
	Stop             int64 // as it was given: for printing
}

func (r *Range) at(i int64) int64 { return r.Start + i*r.Step }

// Undefined is the value of a name or attribute that does not exist. It prints as nothing, is
// false, empty, and equal to other undefined values; anything else that is done with it fails.
type Undefined struct {
	Kind error  // of what fail returns: ErrUndefined, ErrForbidden, or ErrData
	Why  string // template text only, never data
	At   fault.Pos
}

// Loud reports whether any use fails: data that cannot be shown must not look like data that is not
// there.
func (u *Undefined) Loud() bool { return errors.Is(u.Kind, fault.ErrData) }

// Fail is the error of using the value.
func (u *Undefined) Fail() error {
	why := u.Why
	if why == "" {
		why = "there is no such element"
	}
	return u.At.Errorf(u.Kind, "%s", why)
}

// TypeName is the Python name of a value's type.
func TypeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64, BigInt:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case Markup:
		return "Markup"
	case []any, *List:
		return "list"
	case map[string]any, *Dict:
		return "dict"
	case *Tuple:
		return "tuple"
	case *Range:
		return "range"
	case *Generator:
		return "generator"
	case *Undefined:
		return "Undefined"
	case *View:
		return "dict_" + v.Kind.String()
	case Typed:
		return v.TypeName()
	case Callable:
		return "function"
	}
	return "object"
}

// Truth is Python's bool().
func Truth(v any) bool {
	switch v := v.(type) {
	case nil, *Undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case Markup:
		return v.Text != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	case *List:
		return len(v.Items) > 0
	case *Tuple:
		return len(v.Items) > 0
	case *Dict:
		return v.Len() > 0
	case *View:
		return v.Dict.Len() > 0
	case *Range:
		return v.Len > 0
	}
	return true
}

// Length is Python's len(), for what has one.
func (st *State) Length(v any) (int, error) {
	switch v := v.(type) {
	case string:
		return st.Runes(v)
	case Markup:
		return st.Runes(v.Text)
	case []any:
		return len(v), nil
	case map[string]any:
		return len(v), nil
	case *List:
		return len(v.Items), nil
	case *Tuple:
		return len(v.Items), nil
	case *Dict:
		return v.Len(), nil
	case *View:
		return v.Dict.Len(), nil
	case *Range:
		return int(v.Len), nil
	case Sized:
		return v.Length(st)
	case *Undefined:
		if v.Loud() {
			return 0, v.Fail()
		}
		return 0, nil
	}
	return 0, fault.Errorf(fault.ErrType, "%s has no length", TypeName(v))
}

// AsString returns the text of a string or markup.
func AsString(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Markup:
		return v.Text, true
	}
	return "", false
}

// AsInt returns an integer's value; True is 1.
func AsInt(v any) (int64, bool) {
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

// AsFloat returns a number's value.
func AsFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case BigInt:
		f, _ := strconv.ParseFloat(string(v), 64) // infinity when out of range
		return f, true
	}
	i, ok := AsInt(v)
	return float64(i), ok
}

// FloatToInt truncates, if the result fits.
func FloatToInt(f float64) (int64, bool) {
	f = math.Trunc(f)
	if f >= -(1<<63) && f < 1<<63 {
		return int64(f), true
	}
	return 0, false
}
