package python

import (
	"cmp"
	"math/big"
	"reflect"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// CompareOp is one link of a comparison.
func (st *State) CompareOp(op string, left, right any) (bool, error) {
	switch op {
	case "==":
		return st.Equal(left, right, 0)
	case "!=":
		eq, err := st.Equal(left, right, 0)
		return !eq, err
	case "in":
		return st.Contains(right, left)
	case "not in":
		in, err := st.Contains(right, left)
		return !in, err
	}
	order, ordered, err := st.Order(op, left, right, 0)
	if err != nil || !ordered {
		return false, err
	}
	switch op {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	}
	return order >= 0, nil
}

// Equal is ==, which is defined for any two values.
func (st *State) Equal(left, right any, depth int) (bool, error) {
	if depth > st.Limits.Depth {
		return false, TooDeep(st.Limits.Depth)
	}
	if err := st.Step(); err != nil {
		return false, err
	}
	if err := st.ReadDigits(left, right); err != nil {
		return false, err
	}
	if order, ok := compareNumbers(left, right); ok {
		return order == 0, nil
	}
	if l, ok := AsString(left); ok {
		r, ok := AsString(right)
		if ok && len(l) == len(r) {
			if err := st.Scan(len(l)); err != nil {
				return false, err
			}
			return l == r, nil
		}
		return false, nil
	}
	if l, ok := left.(Orderable); ok {
		order, ok := l.CompareTo(right)
		return ok && order == 0, nil
	}
	switch l := st.Wrap(left).(type) {
	case nil:
		return right == nil, nil
	case *Undefined:
		r, ok := right.(*Undefined)
		if l.Loud() {
			return false, l.Fail()
		}
		return ok && !r.Loud(), nil
	case *List:
		if r, ok := st.Wrap(right).(*List); ok {
			return st.EqualItems(l.Items, r.Items, depth+1)
		}
		return false, nil
	case *Tuple:
		if r, ok := right.(*Tuple); ok {
			return st.EqualItems(l.Items, r.Items, depth+1)
		}
		return false, nil
	case *Dict:
		if r, ok := st.Wrap(right).(*Dict); ok {
			return st.equalDicts(l, r, depth+1)
		}
		return false, nil
	case *Range:
		r, ok := right.(*Range)
		return ok && l.Len == r.Len && (l.Len == 0 ||
			l.Start == r.Start && (l.Len == 1 || l.Step == r.Step)), nil
	case *View:
		r, ok := right.(*View)
		return ok && l.Dict == r.Dict && l.Kind == r.Kind && l.Kind != ViewValues, nil
	case float64: // not a number
		return false, nil
	case int64, bool, BigInt:
		return false, nil
	}
	return Identical(left, right), nil
}

// Identical reports whether two values that are compared by identity are the same.
func Identical(left, right any) bool {
	switch left.(type) {
	case map[string]any, []any, IteratorFunc:
		return false
	}
	switch right.(type) {
	case map[string]any, []any, IteratorFunc:
		return false
	}
	return left == right
}

// EqualItems reports whether two sequences have equal elements.
func (st *State) EqualItems(l, r []any, depth int) (bool, error) {
	if len(l) != len(r) {
		return false, nil
	}
	for i := range l {
		if eq, err := st.Equal(l[i], r[i], depth); err != nil || !eq {
			return false, err
		}
	}
	return true, nil
}

func (st *State) equalDicts(l, r *Dict, depth int) (bool, error) {
	if l.Len() != r.Len() {
		return false, nil
	}
	for i, k := range l.Keys {
		v, ok, err := r.Get(st, k)
		if err != nil || !ok {
			return false, err
		}
		if eq, err := st.Equal(l.Values[i], v, depth); err != nil || !eq {
			return false, err
		}
	}
	return true, nil
}

// ReadDigits asks for the steps to compare integers beyond 64 bits, which are read from their
// digits each time.
func (b *Budget) ReadDigits(left, right any) error {
	l, lok := left.(BigInt)
	r, rok := right.(BigInt)
	if !lok && !rok {
		return nil
	}
	return b.Spend((len(l) + len(r)) / 4)
}

// compareNumbers orders two numbers exactly. ok is false if one is not a number, or NaN.
func compareNumbers(left, right any) (order int, ok bool) {
	if l, ok := AsInt(left); ok {
		if r, ok := AsInt(right); ok {
			return cmp.Compare(l, r), true
		}
	}
	l, lok := AsFloat(left)
	r, rok := AsFloat(right)
	if !lok || !rok || l != l || r != r {
		return 0, false
	}
	const exact = 1 << 53
	if l > -exact && l < exact || r > -exact && r < exact {
		return cmp.Compare(l, r), true
	}
	return bigFloat(left, l).Cmp(bigFloat(right, r)), true
}

func bigFloat(v any, f float64) *big.Float {
	switch v := v.(type) {
	case int64:
		return new(big.Float).SetInt64(v)
	case BigInt:
		const exactDigits = 300
		if len(v) < exactDigits {
			if b, _, err := big.ParseFloat(string(v), 10, 4*exactDigits, big.ToNearestEven); err == nil {
				return b
			}
		}
	}
	return new(big.Float).SetFloat64(f)
}

// Order compares for <, <=, > and >=. ordered is false when neither is larger, as with NaN.
func (st *State) Order(op string, left, right any, depth int) (order int, ordered bool, err error) {
	if depth > st.Limits.Depth {
		return 0, false, TooDeep(st.Limits.Depth)
	}
	if err := st.Step(); err != nil {
		return 0, false, err
	}
	if err := st.ReadDigits(left, right); err != nil {
		return 0, false, err
	}
	if order, ok := compareNumbers(left, right); ok {
		return order, true, nil
	}
	if l, ok := AsString(left); ok {
		if r, ok := AsString(right); ok {
			if err := st.Scan(min(len(l), len(r))); err != nil {
				return 0, false, err
			}
			return strings.Compare(l, r), true, nil
		}
	}
	if l, ok := left.(Orderable); ok {
		if order, ok := l.CompareTo(right); ok {
			return order, true, nil
		}
	}
	for _, v := range [2]any{left, right} {
		if u, ok := v.(*Undefined); ok {
			return 0, false, u.Fail()
		}
	}
	switch l := st.Wrap(left).(type) {
	case *List:
		if r, ok := st.Wrap(right).(*List); ok {
			return st.orderItems(op, l.Items, r.Items, depth+1)
		}
	case *Tuple:
		if r, ok := right.(*Tuple); ok {
			return st.orderItems(op, l.Items, r.Items, depth+1)
		}
	case float64, int64, bool, BigInt:
		if _, ok := AsFloat(right); ok {
			return 0, false, nil
		}
	}
	return 0, false, OperandError(op, left, right)
}

func (st *State) orderItems(op string, l, r []any, depth int) (int, bool, error) {
	for i := 0; i < len(l) && i < len(r); i++ {
		eq, err := st.Equal(l[i], r[i], depth)
		if err != nil {
			return 0, false, err
		}
		if !eq {
			return st.Order(op, l[i], r[i], depth)
		}
	}
	return cmp.Compare(len(l), len(r)), true, nil
}

// Contains is value in container.
func (st *State) Contains(container, value any) (bool, error) {
	switch c := container.(type) {
	case string, Markup:
		v, ok := AsString(value)
		if !ok {
			if u, isUndefined := value.(*Undefined); isUndefined && u.Loud() {
				return false, u.Fail()
			}
			return false, fault.Errorf(fault.ErrType, "only a string can be in a string, not %s",
				TypeName(value))
		}
		s := StringOf(c)
		if err := st.Search(s, v); err != nil {
			return false, err
		}
		return strings.Contains(s, v), nil
	case map[string]any:
		if _, err := st.HashKey(value); err != nil {
			return false, err
		}
		s, ok := AsString(value)
		if err := st.Scan(len(s)); err != nil {
			return false, err
		}
		if ok {
			_, ok = c[s]
		}
		return ok, nil
	case *Dict:
		_, ok, err := c.Get(st, value)
		return ok, err
	case *View:
		if c.Kind == ViewKeys {
			_, ok, err := c.Dict.Get(st, value)
			return ok, err
		}
	case *Range:
		if i, ok := AsInt(value); ok {
			offset := i - c.Start
			return c.Len > 0 && offset%c.Step == 0 && offset/c.Step >= 0 && offset/c.Step < c.Len, nil
		}
	}
	found := false
	it, err := st.Iterate(container)
	if err != nil {
		return false, err
	}
	for !found {
		item, ok, err := it.Next(st)
		if err != nil || !ok {
			return false, err
		}
		if found, err = st.Equal(item, value, 1); err != nil {
			return false, err
		}
	}
	return true, nil
}

// SameBacking reports whether two lists or objects of the data are the same one.
func SameBacking(left, right any) bool {
	l, r := reflect.ValueOf(left), reflect.ValueOf(right)
	return l.Kind() == r.Kind() && l.Type() == r.Type() && l.Len() == r.Len() &&
		l.UnsafePointer() == r.UnsafePointer()
}
