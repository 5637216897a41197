package builtin

import (
	"math"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

func numberFilters() []python.Filter {
	return []python.Filter{
		{Name: "abs", Run: abs},
		{Name: "filesizeformat", Params: "binary?", Run: filesizeformat},
		{Name: "float", Params: "default?", Run: toFloat},
		{Name: "int", Params: "default? base?", Run: toInt},
		{Name: "round", Params: "precision? method?", Run: round},
	}
}

func abs(_ *python.State, in any, _ python.Params) (any, error) {
	switch v := in.(type) {
	case float64:
		return math.Abs(v), nil
	case python.BigInt:
		return python.BigInt(strings.TrimPrefix(string(v), "-")), nil
	case *python.Undefined:
		return nil, v.Fail()
	}
	i, ok := python.AsInt(in)
	switch {
	case !ok:
		return nil, fault.Errorf(fault.ErrType, "abs works on numbers, not on %s", python.TypeName(in))
	case i == math.MinInt64:
		return nil, python.TooLarge()
	case i < 0:
		return -i, nil
	}
	return i, nil
}

func toInt(st *python.State, in any, p python.Params) (any, error) {
	otherwise := p.Get(0, int64(0))
	switch v := in.(type) {
	case float64:
		if i, ok := python.FloatToInt(v); ok {
			return i, nil
		}
		if math.IsNaN(v) {
			return otherwise, nil
		}
		return nil, python.TooLarge()
	case python.BigInt:
		return v, nil
	case *python.Undefined:
		return nil, v.Fail()
	}
	if i, ok := python.AsInt(in); ok {
		return i, nil
	}
	s, ok := python.AsString(in)
	if !ok {
		return otherwise, nil
	}
	base, err := p.Integer(1, 10)
	if err != nil {
		base = -1 // as int() in Python fails, which the filter catches
	}
	if err := st.Spend(len(s)); err != nil {
		return nil, err
	}
	if i, ok := python.ParseInt(s, int(max(-1, min(base, 99)))); ok {
		return i, nil
	}
	if f, ok := python.ParseFloat(s); ok { // so that '7.9'|int is 7
		if i, ok := python.FloatToInt(f); ok {
			return i, nil
		}
	}
	return otherwise, nil
}

func toFloat(st *python.State, in any, p python.Params) (any, error) {
	if f, ok := python.AsFloat(in); ok {
		return f, nil
	}
	if u, ok := in.(*python.Undefined); ok {
		return nil, u.Fail()
	}
	if s, ok := python.AsString(in); ok {
		if err := st.Spend(len(s)); err != nil {
			return nil, err
		}
		if f, ok := python.ParseFloat(s); ok {
			return f, nil
		}
	}
	return p.Get(0, 0.0), nil
}

func round(st *python.State, in any, p python.Params) (any, error) {
	precision, err := p.Integer(0, 0)
	if err != nil {
		return nil, err
	}
	method, err := p.String(1, "common")
	if err != nil {
		return nil, err
	}
	if u, ok := in.(*python.Undefined); ok {
		return nil, u.Fail()
	}
	if err := st.ReadDigits(in, nil); err != nil {
		return nil, err
	}
	f, ok := python.AsFloat(in)
	if !ok {
		return nil, fault.Errorf(fault.ErrType, "round works on numbers, not on %s", python.TypeName(in))
	}
	precision = max(-400, min(precision, 400))
	steps := python.StepsOfRounding + int(max(precision, 0))/python.BytesPerDigitStep
	if err := st.Spend(steps); err != nil {
		return nil, err
	}
	scale := math.Pow10(int(precision))
	switch method {
	case "common":
		if _, isFloat := in.(float64); isFloat {
			return roundFloat(f, int(precision)), nil
		}
		return roundInt(in, precision)
	case "ceil", "floor":
		f *= scale
		if math.IsNaN(f) || math.IsInf(f, 0) || scale == 0 {
			return nil, fault.Errorf(fault.ErrArithmetic, "the number cannot be rounded")
		}
		if method == "ceil" {
			f = math.Ceil(f)
		} else {
			f = math.Floor(f)
		}
		return (f + 0) / scale, nil
	}
	return nil, fault.Errorf(fault.ErrType, "the method of round must be common, ceil or floor")
}

// roundFloat rounds to digits after the point, the exact half to even.
func roundFloat(f float64, digits int) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	if digits >= 0 {
		r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', min(digits, 400), 64), 64)
		return r
	}
	scale := math.Pow10(-digits)
	if math.IsInf(scale, 0) {
		return math.Copysign(0, f)
	}
	return math.RoundToEven(f/scale) * scale
}

func roundInt(v any, digits int64) (any, error) {
	i, ok := python.AsInt(v)
	if !ok || digits >= 0 {
		if ok {
			return i, nil
		}
		return v, nil
	}
	if digits < -18 {
		return int64(0), nil
	}
	scale := int64(1)
	for ; digits < 0; digits++ {
		scale *= 10
	}
	quotient := python.FloorDivide(i, scale)
	rest := i - quotient*scale
	if half := scale / 2; rest > half || rest == half && quotient%2 != 0 {
		quotient++
	}
	return python.IntArithmetic("*", quotient, scale)
}

func filesizeformat(st *python.State, in any, p python.Params) (any, error) {
	size, ok := python.AsFloat(in)
	if s, isText := python.AsString(in); isText {
		if err := st.Spend(len(s)); err != nil {
			return nil, err
		}
		size, ok = python.ParseFloat(s)
	}
	if !ok || math.IsNaN(size) {
		if u, isUndefined := in.(*python.Undefined); isUndefined {
			return nil, u.Fail()
		}
		return nil, fault.Errorf(fault.ErrType, "filesizeformat works on numbers, not on %s",
			python.TypeName(in))
	}
	if err := st.Spend(python.StepsOfRounding); err != nil {
		return nil, err
	}
	base, suffix := 1000.0, "B"
	if p.Truth(0, false) {
		base, suffix = 1024, "iB"
	}
	if size == 1 {
		return "1 Byte", nil
	}
	if size < base {
		return strconv.FormatFloat(math.Trunc(size)+0, 'f', 0, 64) + " Bytes", nil // +0: no negative zero
	}
	prefixes := "kMGTPEZY"
	if base == 1024 {
		prefixes = "KMGTPEZY"
	}
	unit := base
	for i := range prefixes {
		unit *= base
		if size < unit || i == len(prefixes)-1 {
			return strconv.FormatFloat(base*size/unit, 'f', 1, 64) + " " + prefixes[i:i+1] + suffix, nil
		}
	}
	return nil, fault.Errorf(fault.ErrInternal, "no prefix")
}
