package template

import (
	"math"
	"strconv"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

func numberFilters() []filter {
	return []filter{
		{name: "abs", run: abs},
		{name: "filesizeformat", params: "binary?", run: filesizeformat},
		{name: "float", params: "default?", run: toFloat},
		{name: "int", params: "default? base?", run: toInt},
		{name: "round", params: "precision? method?", run: round},
	}
}

func abs(_ *state, in any, _ params) (any, error) {
	switch v := in.(type) {
	case float64:
		return math.Abs(v), nil
	case bigInteger:
		return bigInteger(strings.TrimPrefix(string(v), "-")), nil
	case *undefined:
		return nil, v.fail()
	}
	i, ok := asInt(in)
	switch {
	case !ok:
		return nil, fault.Errorf(fault.ErrType, "abs works on numbers, not on %s", typeName(in))
	case i == math.MinInt64:
		return nil, tooLarge()
	case i < 0:
		return -i, nil
	}
	return i, nil
}

func toInt(st *state, in any, p params) (any, error) {
	otherwise := p.get(0, int64(0))
	switch v := in.(type) {
	case float64:
		if i, ok := floatToInt(v); ok {
			return i, nil
		}
		if math.IsNaN(v) {
			return otherwise, nil
		}
		return nil, tooLarge()
	case bigInteger:
		return v, nil
	case *undefined:
		return nil, v.fail()
	}
	if i, ok := asInt(in); ok {
		return i, nil
	}
	s, ok := asString(in)
	if !ok {
		return otherwise, nil
	}
	base, err := p.integer(1, 10)
	if err != nil {
		base = -1 // as int() in Python fails, which the filter catches
	}
	if err := st.spend(len(s)); err != nil {
		return nil, err
	}
	if i, ok := parseInt(s, int(max(-1, min(base, 99)))); ok {
		return i, nil
	}
	if f, ok := parseFloat(s); ok { // so that '7.9'|int is 7
		if i, ok := floatToInt(f); ok {
			return i, nil
		}
	}
	return otherwise, nil
}

func toFloat(st *state, in any, p params) (any, error) {
	if f, ok := asFloat(in); ok {
		return f, nil
	}
	if u, ok := in.(*undefined); ok {
		return nil, u.fail()
	}
	if s, ok := asString(in); ok {
		if err := st.spend(len(s)); err != nil {
			return nil, err
		}
		if f, ok := parseFloat(s); ok {
			return f, nil
		}
	}
	return p.get(0, 0.0), nil
}

func round(st *state, in any, p params) (any, error) {
	precision, err := p.integer(0, 0)
	if err != nil {
		return nil, err
	}
	method, err := p.str(1, "common")
	if err != nil {
		return nil, err
	}
	if u, ok := in.(*undefined); ok {
		return nil, u.fail()
	}
	if err := st.readDigits(in, nil); err != nil {
		return nil, err
	}
	f, ok := asFloat(in)
	if !ok {
		return nil, fault.Errorf(fault.ErrType, "round works on numbers, not on %s", typeName(in))
	}
	precision = max(-400, min(precision, 400))
	if err := st.spend(stepsOfRounding + int(max(precision, 0))/bytesPerDigitStep); err != nil {
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
	i, ok := asInt(v)
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
	quotient := floorDivide(i, scale)
	rest := i - quotient*scale
	if half := scale / 2; rest > half || rest == half && quotient%2 != 0 {
		quotient++
	}
	return intArithmetic("*", quotient, scale)
}

func filesizeformat(st *state, in any, p params) (any, error) {
	size, ok := asFloat(in)
	if s, isText := asString(in); isText {
		if err := st.spend(len(s)); err != nil {
			return nil, err
		}
		size, ok = parseFloat(s)
	}
	if !ok || math.IsNaN(size) {
		if u, isUndefined := in.(*undefined); isUndefined {
			return nil, u.fail()
		}
		return nil, fault.Errorf(fault.ErrType, "filesizeformat works on numbers, not on %s", typeName(in))
	}
	if err := st.spend(stepsOfRounding); err != nil {
		return nil, err
	}
	base, suffix := 1000.0, "B"
	if p.truth(0, false) {
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
