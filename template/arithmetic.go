package template

import (
	"math"
	"math/big"
	"math/bits"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// arithmetic is a binary operator other than a comparison.
func (st *state) arithmetic(op string, left, right any) (any, error) {
	if l, ok := left.(int64); ok {
		if r, ok := right.(int64); ok {
			return intArithmetic(op, l, r)
		}
	}
	if format, ok := asString(left); ok && op == "%" {
		return st.percentFormat(format, safetyOf(left), st.wrap(right))
	}
	for _, v := range [2]any{left, right} {
		if u, ok := v.(*undefined); ok {
			return nil, u.fail()
		}
	}
	if err := st.readDigits(left, right); err != nil {
		return nil, err
	}
	l, lok := asFloat(left)
	r, rok := asFloat(right)
	if lok && rok {
		return st.numberArithmetic(op, left, right, l, r)
	}
	switch op {
	case "+":
		return st.add(left, right)
	case "*":
		if n, ok := asInt(right); ok {
			return st.repeat(left, n)
		}
		if n, ok := asInt(left); ok {
			return st.repeat(right, n)
		}
	}
	return nil, operandError(op, left, right)
}

func operandError(op string, left, right any) error {
	return fault.Errorf(fault.ErrType, "%s %s %s is not defined", typeName(left), op, typeName(right))
}

func (st *state) numberArithmetic(op string, left, right any, l, r float64) (any, error) {
	li, lok := asInt(left)
	ri, rok := asInt(right)
	if lok && rok { // one of them is a bool
		return intArithmetic(op, li, ri)
	}
	_, lbig := left.(bigInteger)
	_, rbig := right.(bigInteger)
	if lbig || rbig {
		return nil, fault.Errorf(fault.ErrArithmetic, "an integer beyond 64 bits can be printed and compared, not calculated with")
	}
	if op == "**" {
		if err := st.spend(stepsOfPower); err != nil {
			return nil, err
		}
	}
	return floatArithmetic(op, l, r)
}

func tooLarge() error { return fault.Errorf(fault.ErrArithmetic, "the result is beyond 64 bits") }

func divisionByZero() error { return fault.Errorf(fault.ErrArithmetic, "division by zero") }

func intArithmetic(op string, l, r int64) (any, error) {
	switch op {
	case "+":
		sum := l + r
		if (sum > l) != (r > 0) {
			return nil, tooLarge()
		}
		return sum, nil
	case "-":
		difference := l - r
		if (difference < l) != (r > 0) {
			return nil, tooLarge()
		}
		return difference, nil
	case "*":
		product, ok := multiply(l, r)
		if !ok {
			return nil, tooLarge()
		}
		return product, nil
	case "**":
		return intPower(l, r)
	}
	if r == 0 {
		return nil, divisionByZero()
	}
	switch op {
	case "/":
		return float64(l) / float64(r), nil
	case "//":
		if l == math.MinInt64 && r == -1 {
			return nil, tooLarge()
		}
		return floorDivide(l, r), nil
	}
	if r == -1 {
		return int64(0), nil
	}
	return l - floorDivide(l, r)*r, nil
}

func floorDivide(l, r int64) int64 {
	q := l / r
	if l%r != 0 && (l < 0) != (r < 0) {
		q--
	}
	return q
}

func multiply(l, r int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(l), magnitude(r))
	negative := (l < 0) != (r < 0)
	if high != 0 || low > 1<<63 || low == 1<<63 && !negative {
		return 0, false
	}
	if negative {
		return int64(-low), true
	}
	return int64(low), true
}

func magnitude(i int64) uint64 {
	if i < 0 {
		return -uint64(i)
	}
	return uint64(i)
}

func intPower(base, exponent int64) (any, error) {
	if exponent < 0 {
		if base == 0 {
			return nil, divisionByZero()
		}
		return power(float64(base), float64(exponent)), nil
	}
	switch {
	case base == 1 || exponent == 0:
		return int64(1), nil
	case base == 0:
		return int64(0), nil
	case base == -1:
		return 1 - 2*(exponent%2), nil
	case exponent > 63:
		return nil, tooLarge()
	}
	result := int64(1)
	for ; exponent > 0; exponent-- {
		var ok bool
		if result, ok = multiply(result, base); !ok {
			return nil, tooLarge()
		}
	}
	return result, nil
}

// stepsOfPower is what a power of floats costs: up to 64 multiplications of thousands of bits.
const stepsOfPower = 200

// power is x**y. Whole and half exponents are multiplied out exactly and rounded once, as C's pow
// does and Go's does not.
func power(x, y float64) float64 {
	const largest = 64
	if 2*y != math.Trunc(2*y) || math.Abs(y) > largest || x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return math.Pow(x, y)
	}
	const precision = 53 * (largest + 2)
	number := func(f float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(f) }
	product, factor := number(1), number(x)
	whole := math.Trunc(math.Abs(y))
	for range int(whole) {
		product.Mul(product, factor)
	}
	if whole != math.Abs(y) {
		product.Mul(product, factor.Sqrt(factor))
	}
	if y < 0 {
		product.Quo(number(1), product)
	}
	f, _ := product.Float64()
	return f
}

func floatArithmetic(op string, l, r float64) (any, error) {
	switch op {
	case "+":
		return l + r, nil
	case "-":
		return l - r, nil
	case "*":
		return l * r, nil
	case "**":
		if l == 0 && r < 0 {
			return nil, divisionByZero()
		}
		if l < 0 && r != math.Trunc(r) {
			return nil, fault.Errorf(fault.ErrArithmetic, "the result is a complex number")
		}
		p := power(l, r)
		if math.IsInf(p, 0) && !math.IsInf(l, 0) && !math.IsInf(r, 0) {
			return nil, fault.Errorf(fault.ErrArithmetic, "the result is out of range")
		}
		return p, nil
	}
	if r == 0 {
		return nil, divisionByZero()
	}
	if op == "/" {
		return l / r, nil
	}
	mod := math.Mod(l, r)
	quotient := (l - mod) / r
	if mod != 0 && (r < 0) != (mod < 0) {
		mod += r
		quotient--
	}
	if op == "%" {
		if mod == 0 {
			mod = math.Copysign(0, r)
		}
		return mod, nil
	}
	if quotient == 0 {
		return math.Copysign(0, l/r), nil
	}
	floor := math.Floor(quotient)
	if quotient-floor > 0.5 {
		floor++
	}
	return floor, nil
}

func (st *state) signed(v any, negative bool) (any, error) {
	if u, ok := v.(*undefined); ok {
		return nil, u.fail()
	}
	if i, ok := asInt(v); ok {
		switch {
		case !negative:
			return i, nil
		case i == math.MinInt64:
			return nil, tooLarge()
		}
		return -i, nil
	}
	switch v := v.(type) {
	case float64:
		if negative {
			return -v, nil
		}
		return v, nil
	case bigInteger:
		if !negative {
			return v, nil
		}
		return nil, tooLarge()
	}
	return nil, fault.Errorf(fault.ErrType, "%s has no sign", typeName(v))
}

// add joins texts, lists and tuples. What is joined to markup is escaped.
func (st *state) add(left, right any) (any, error) {
	ls, lok := asString(left)
	rs, rok := asString(right)
	if lok && rok {
		lsafe, rsafe := safetyOf(left), safetyOf(right)
		if (lsafe == notSafe) != (rsafe == notSafe) {
			b, err := st.appendEscaped(nil, left)
			if err == nil {
				b, err = st.appendEscaped(b, right)
			}
			return markup{string(b), mixed(left, right)}, err
		}
		if err := st.alloc(len(ls) + len(rs)); err != nil {
			return nil, err
		}
		return textOf(ls+rs, mixed(left, right)), nil
	}
	switch l := st.wrap(left).(type) {
	case *list:
		if r, ok := st.wrap(right).(*list); ok {
			items, err := st.concatItems(l.items, r.items)
			return &list{items: items}, err
		}
	case *tuple:
		if r, ok := right.(*tuple); ok {
			items, err := st.concatItems(l.items, r.items)
			return &tuple{items: items}, err
		}
	}
	return nil, operandError("+", left, right)
}

func (st *state) concatItems(a, b []any) ([]any, error) {
	if err := st.allocValues(len(a) + len(b)); err != nil {
		return nil, err
	}
	return append(append(make([]any, 0, len(a)+len(b)), a...), b...), nil
}

// repeat is text, a list or a tuple, n times.
func (st *state) repeat(v any, n int64) (any, error) {
	n = max(n, 0)
	switch v := st.wrap(v).(type) {
	case string:
		if err := st.allocTimes(len(v), n); err != nil || v == "" {
			return "", err
		}
		return strings.Repeat(v, int(n)), nil
	case markup:
		s, err := st.repeat(v.text, n)
		if err != nil {
			return nil, err
		}
		return markup{s.(string), v.safety}, nil
	case *list:
		items, err := st.repeatItems(v.items, n)
		return &list{items: items}, err
	case *tuple:
		items, err := st.repeatItems(v.items, n)
		return &tuple{items: items}, err
	}
	return nil, operandError("*", v, n)
}

func (st *state) repeatItems(items []any, n int64) ([]any, error) {
	if err := st.allocTimes(len(items)*bytesPerValue, n); err != nil || len(items) == 0 {
		return nil, err
	}
	if err := st.spend(len(items) * int(n)); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(items)*int(n))
	for i := int64(0); i < n; i++ {
		out = append(out, items...)
	}
	return out, nil
}
