package python

import (
	"math"
	"math/big"
	"math/bits"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// Arithmetic is a binary operator other than a comparison.
func (st *State) Arithmetic(op string, left, right any) (any, error) {
	if l, ok := left.(int64); ok {
		if r, ok := right.(int64); ok {
			return IntArithmetic(op, l, r)
		}
	}
	if format, ok := AsString(left); ok && op == "%" {
		return st.PercentFormat(format, SafetyOf(left), st.Wrap(right))
	}
	for _, v := range [2]any{left, right} {
		if u, ok := v.(*Undefined); ok {
			return nil, u.Fail()
		}
	}
	if err := st.ReadDigits(left, right); err != nil {
		return nil, err
	}
	l, lok := AsFloat(left)
	r, rok := AsFloat(right)
	if lok && rok {
		return st.numberArithmetic(op, left, right, l, r)
	}
	switch op {
	case "+":
		return st.Add(left, right)
	case "*":
		if n, ok := AsInt(right); ok {
			return st.repeat(left, n)
		}
		if n, ok := AsInt(left); ok {
			return st.repeat(right, n)
		}
	}
	return nil, OperandError(op, left, right)
}

// OperandError says that an operator does not work on values of these types.
func OperandError(op string, left, right any) error {
	return fault.Errorf(fault.ErrType, "%s %s %s is not defined", TypeName(left), op, TypeName(right))
}

func (st *State) numberArithmetic(op string, left, right any, l, r float64) (any, error) {
	li, lok := AsInt(left)
	ri, rok := AsInt(right)
	if lok && rok { // one of them is a bool
		return IntArithmetic(op, li, ri)
	}
	_, lbig := left.(BigInt)
	_, rbig := right.(BigInt)
	if lbig || rbig {
		return nil, fault.Errorf(fault.ErrArithmetic,
			"an integer beyond 64 bits can be printed and compared, not calculated with")
	}
	if op == "**" {
		if err := st.Spend(stepsOfPower); err != nil {
			return nil, err
		}
	}
	return floatArithmetic(op, l, r)
}

// TooLarge is the error of a result that no int64 holds.
func TooLarge() error { return fault.Errorf(fault.ErrArithmetic, "the result is beyond 64 bits") }

// DivisionByZero is the error of a division, or remainder, by zero.
func DivisionByZero() error { return fault.Errorf(fault.ErrArithmetic, "division by zero") }

// IntArithmetic is an operator between integers.
func IntArithmetic(op string, l, r int64) (any, error) {
	switch op {
	case "+":
		sum := l + r
		if (sum > l) != (r > 0) {
			return nil, TooLarge()
		}
		return sum, nil
	case "-":
		difference := l - r
		if (difference < l) != (r > 0) {
			return nil, TooLarge()
		}
		return difference, nil
	case "*":
		product, ok := multiply(l, r)
		if !ok {
			return nil, TooLarge()
		}
		return product, nil
	case "**":
		return intPower(l, r)
	}
	if r == 0 {
		return nil, DivisionByZero()
	}
	switch op {
	case "/":
		return float64(l) / float64(r), nil
	case "//":
		if l == math.MinInt64 && r == -1 {
			return nil, TooLarge()
		}
		return FloorDivide(l, r), nil
	}
	if r == -1 {
		return int64(0), nil
	}
	return l - FloorDivide(l, r)*r, nil
}

// FloorDivide is Python's //: it rounds down. The caller has checked that r is not 0.
func FloorDivide(l, r int64) int64 {
	q := l / r
	if l%r != 0 && (l < 0) != (r < 0) {
		q--
	}
	return q
}

func multiply(l, r int64) (int64, bool) {
	high, low := bits.Mul64(Magnitude(l), Magnitude(r))
	negative := (l < 0) != (r < 0)
	if high != 0 || low > 1<<63 || low == 1<<63 && !negative {
		return 0, false
	}
	if negative {
		return int64(-low), true
	}
	return int64(low), true
}

// Magnitude is the absolute value of i, which always fits.
func Magnitude(i int64) uint64 {
	if i < 0 {
		return -uint64(i)
	}
	return uint64(i)
}

func intPower(base, exponent int64) (any, error) {
	if exponent < 0 {
		if base == 0 {
			return nil, DivisionByZero()
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
		return nil, TooLarge()
	}
	result := int64(1)
	for ; exponent > 0; exponent-- {
		var ok bool
		if result, ok = multiply(result, base); !ok {
			return nil, TooLarge()
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
			return nil, DivisionByZero()
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
		return nil, DivisionByZero()
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

// Signed is +v, or -v if negative.
func (st *State) Signed(v any, negative bool) (any, error) {
	if u, ok := v.(*Undefined); ok {
		return nil, u.Fail()
	}
	if i, ok := AsInt(v); ok {
		switch {
		case !negative:
			return i, nil
		case i == math.MinInt64:
			return nil, TooLarge()
		}
		return -i, nil
	}
	switch v := v.(type) {
	case float64:
		if negative {
			return -v, nil
		}
		return v, nil
	case BigInt:
		if !negative {
			return v, nil
		}
		return nil, TooLarge()
	}
	return nil, fault.Errorf(fault.ErrType, "%s has no sign", TypeName(v))
}

// Add joins texts, lists and tuples. What is joined to markup is escaped.
func (st *State) Add(left, right any) (any, error) {
	ls, lok := AsString(left)
	rs, rok := AsString(right)
	if lok && rok {
		lsafe, rsafe := SafetyOf(left), SafetyOf(right)
		if (lsafe == NotSafe) != (rsafe == NotSafe) {
			filler := st.NewFiller()
			b, err := filler.Append(nil, left)
			if err == nil {
				b, err = filler.Append(b, right)
			}
			if err != nil {
				return nil, err
			}
			return st.Mix(string(b), left, right)
		}
		if err := st.Alloc(len(ls) + len(rs)); err != nil {
			return nil, err
		}
		if lsafe == NotSafe {
			return ls + rs, nil
		}
		return st.Mix(ls+rs, left, right)
	}
	switch l := st.Wrap(left).(type) {
	case *List:
		if r, ok := st.Wrap(right).(*List); ok {
			items, err := st.concatItems(l.Items, r.Items)
			return &List{Items: items}, err
		}
	case *Tuple:
		if r, ok := right.(*Tuple); ok {
			items, err := st.concatItems(l.Items, r.Items)
			return &Tuple{Items: items}, err
		}
	}
	return nil, OperandError("+", left, right)
}

func (st *State) concatItems(a, b []any) ([]any, error) {
	if err := st.AllocValues(len(a) + len(b)); err != nil {
		return nil, err
	}
	return append(append(make([]any, 0, len(a)+len(b)), a...), b...), nil
}

// repeat is text, a list or a tuple, n times.
func (st *State) repeat(v any, n int64) (any, error) {
	n = max(n, 0)
	switch v := st.Wrap(v).(type) {
	case string:
		if err := st.AllocTimes(len(v), n); err != nil || v == "" {
			return "", err
		}
		return strings.Repeat(v, int(n)), nil
	case Markup:
		s, err := st.repeat(v.Text, n)
		if err != nil {
			return nil, err
		}
		return TextOf(s.(string), v.Safety), nil
	case *List:
		items, err := st.repeatItems(v.Items, n)
		return &List{Items: items}, err
	case *Tuple:
		items, err := st.repeatItems(v.Items, n)
		return &Tuple{Items: items}, err
	}
	return nil, OperandError("*", v, n)
}

func (st *State) repeatItems(items []any, n int64) ([]any, error) {
	if err := st.AllocTimes(len(items)*BytesPerValue, n); err != nil || len(items) == 0 {
		return nil, err
	}
	if err := st.Spend(len(items) * int(n)); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(items)*int(n))
	for i := int64(0); i < n; i++ {
		out = append(out, items...)
	}
	return out, nil
}
