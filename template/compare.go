package template

import (
	"cmp"
	"math/big"
	"reflect"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// compareOp is one link of a comparison.
func (st *state) compareOp(op string, left, right any) (bool, error) {
	switch op {
	case "==":
		return st.equal(left, right, 0)
	case "!=":
		eq, err := st.equal(left, right, 0)
		return !eq, err
	case "in":
		return st.contains(right, left)
	case "not in":
		in, err := st.contains(right, left)
		return !in, err
	}
	order, ordered, err := st.order(op, left, right, 0)
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

// equal is ==, which is defined for any two values.
func (st *state) equal(left, right any, depth int) (bool, error) {
	if depth > st.limits.Depth {
		return false, tooDeep(st.limits.Depth)
	}
	if err := st.step(); err != nil {
		return false, err
	}
	if err := st.readDigits(left, right); err != nil {
		return false, err
	}
	if order, ok := compareNumbers(left, right); ok {
		return order == 0, nil
	}
	if l, ok := asString(left); ok {
		r, ok := asString(right)
		if ok && len(l) == len(r) {
			if err := st.scan(len(l)); err != nil {
				return false, err
			}
			return l == r, nil
		}
		return false, nil
	}
	if l, ok := left.(orderable); ok {
		order, ok := l.compare(right)
		return ok && order == 0, nil
	}
	switch l := st.wrap(left).(type) {
	case nil:
		return right == nil, nil
	case *undefined:
		r, ok := right.(*undefined)
		if l.loud() {
			return false, l.fail()
		}
		return ok && !r.loud(), nil
	case *list:
		if r, ok := st.wrap(right).(*list); ok {
			return st.equalItems(l.items, r.items, depth+1)
		}
		return false, nil
	case *tuple:
		if r, ok := right.(*tuple); ok {
			return st.equalItems(l.items, r.items, depth+1)
		}
		return false, nil
	case *dict:
		if r, ok := st.wrap(right).(*dict); ok {
			return st.equalDicts(l, r, depth+1)
		}
		return false, nil
	case *rangeValue:
		r, ok := right.(*rangeValue)
		return ok && l.n == r.n && (l.n == 0 || l.start == r.start && (l.n == 1 || l.step == r.step)), nil
	case *view:
		r, ok := right.(*view)
		return ok && l.dict == r.dict && l.kind == r.kind && l.kind != viewValues, nil
	case float64: // not a number
		return false, nil
	case int64, bool, bigInteger:
		return false, nil
	}
	return identical(left, right), nil
}

// identical reports whether two values that are compared by identity are the same.
func identical(left, right any) bool {
	switch left.(type) {
	case map[string]any, []any, iteratorFunc:
		return false
	}
	switch right.(type) {
	case map[string]any, []any, iteratorFunc:
		return false
	}
	return left == right
}

func (st *state) equalItems(l, r []any, depth int) (bool, error) {
	if len(l) != len(r) {
		return false, nil
	}
	for i := range l {
		if eq, err := st.equal(l[i], r[i], depth); err != nil || !eq {
			return false, err
		}
	}
	return true, nil
}

func (st *state) equalDicts(l, r *dict, depth int) (bool, error) {
	if l.len() != r.len() {
		return false, nil
	}
	for i, k := range l.keys {
		v, ok, err := r.get(st, k)
		if err != nil || !ok {
			return false, err
		}
		if eq, err := st.equal(l.values[i], v, depth); err != nil || !eq {
			return false, err
		}
	}
	return true, nil
}

// readDigits asks for the steps to compare integers beyond 64 bits, which are read from their
// digits each time.
func (b *budget) readDigits(left, right any) error {
	l, lok := left.(bigInteger)
	r, rok := right.(bigInteger)
	if !lok && !rok {
		return nil
	}
	return b.spend((len(l) + len(r)) / 4)
}

// compareNumbers orders two numbers exactly. ok is false if one is not a number, or NaN.
func compareNumbers(left, right any) (order int, ok bool) {
	if l, ok := asInt(left); ok {
		if r, ok := asInt(right); ok {
			return cmp.Compare(l, r), true
		}
	}
	l, lok := asFloat(left)
	r, rok := asFloat(right)
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
	case bigInteger:
		const exactDigits = 300
		if len(v) < exactDigits {
			if b, _, err := big.ParseFloat(string(v), 10, 4*exactDigits, big.ToNearestEven); err == nil {
				return b
			}
		}
	}
	return new(big.Float).SetFloat64(f)
}

// order compares for <, <=, > and >=. ordered is false when neither is larger, as with NaN.
func (st *state) order(op string, left, right any, depth int) (order int, ordered bool, err error) {
	if depth > st.limits.Depth {
		return 0, false, tooDeep(st.limits.Depth)
	}
	if err := st.step(); err != nil {
		return 0, false, err
	}
	if err := st.readDigits(left, right); err != nil {
		return 0, false, err
	}
	if order, ok := compareNumbers(left, right); ok {
		return order, true, nil
	}
	if l, ok := asString(left); ok {
		if r, ok := asString(right); ok {
			if err := st.scan(min(len(l), len(r))); err != nil {
				return 0, false, err
			}
			return strings.Compare(l, r), true, nil
		}
	}
	if l, ok := left.(orderable); ok {
		if order, ok := l.compare(right); ok {
			return order, true, nil
		}
	}
	for _, v := range [2]any{left, right} {
		if u, ok := v.(*undefined); ok {
			return 0, false, u.fail()
		}
	}
	switch l := st.wrap(left).(type) {
	case *list:
		if r, ok := st.wrap(right).(*list); ok {
			return st.orderItems(op, l.items, r.items, depth+1)
		}
	case *tuple:
		if r, ok := right.(*tuple); ok {
			return st.orderItems(op, l.items, r.items, depth+1)
		}
	case float64, int64, bool, bigInteger:
		if _, ok := asFloat(right); ok {
			return 0, false, nil
		}
	}
	return 0, false, operandError(op, left, right)
}

func (st *state) orderItems(op string, l, r []any, depth int) (int, bool, error) {
	for i := 0; i < len(l) && i < len(r); i++ {
		eq, err := st.equal(l[i], r[i], depth)
		if err != nil {
			return 0, false, err
		}
		if !eq {
			return st.order(op, l[i], r[i], depth)
		}
	}
	return cmp.Compare(len(l), len(r)), true, nil
}

// contains is value in container.
func (st *state) contains(container, value any) (bool, error) {
	switch c := container.(type) {
	case string, markup:
		v, ok := asString(value)
		if !ok {
			if u, isUndefined := value.(*undefined); isUndefined && u.loud() {
				return false, u.fail()
			}
			return false, fault.Errorf(fault.ErrType, "only a string can be in a string, not %s", typeName(value))
		}
		s := stringOf(c)
		if err := st.search(s, v); err != nil {
			return false, err
		}
		return strings.Contains(s, v), nil
	case map[string]any:
		if _, err := st.hashKey(value); err != nil {
			return false, err
		}
		s, ok := asString(value)
		if err := st.scan(len(s)); err != nil {
			return false, err
		}
		if ok {
			_, ok = c[s]
		}
		return ok, nil
	case *dict:
		_, ok, err := c.get(st, value)
		return ok, err
	case *view:
		if c.kind == viewKeys {
			_, ok, err := c.dict.get(st, value)
			return ok, err
		}
	case *rangeValue:
		if i, ok := asInt(value); ok {
			offset := i - c.start
			return c.n > 0 && offset%c.step == 0 && offset/c.step >= 0 && offset/c.step < c.n, nil
		}
	}
	found := false
	it, err := st.iterate(container)
	if err != nil {
		return false, err
	}
	for !found {
		item, ok, err := it.next(st)
		if err != nil || !ok {
			return false, err
		}
		if found, err = st.equal(item, value, 1); err != nil {
			return false, err
		}
	}
	return true, nil
}

// sameBacking reports whether two lists or objects of the data are the same one.
func sameBacking(left, right any) bool {
	l, r := reflect.ValueOf(left), reflect.ValueOf(right)
	return l.Kind() == r.Kind() && l.Type() == r.Type() && l.Len() == r.Len() && l.UnsafePointer() == r.UnsafePointer()
}
