package builtin

import "github.com/mixpeek/webhooks-go/template/internal/python"

// allTests is the table of tests.
func allTests() map[string]*python.Test {
	table := []python.Test{
		{Name: "boolean", Run: is(func(v any) bool { _, ok := v.(bool); return ok })},
		{Name: "callable", Run: is(func(v any) bool { return python.IsCallable(v) || isUndefined(v) })},
		{Name: "defined", Run: is(func(v any) bool { return !isUndefined(v) })},
		{Name: "divisibleby", Params: "num", Run: divisibleBy},
		{Name: "escaped", Run: is(func(v any) bool { _, ok := v.(python.Markup); return ok })},
		{Name: "even", Run: remainder(2, 0)},
		{Name: "false", Run: is(func(v any) bool { return v == false })},
		{Name: "filter", Run: func(st *python.State, v any, _ python.Params) (bool,
			error) {
			return hasName(st, st.Names.Filters, v)
		}},
		{Name: "float", Run: is(func(v any) bool { _, ok := v.(float64); return ok })},
		{Name: "in", Params: "seq", Run: func(st *python.State, v any, p python.Params) (bool,
			error) {
			return st.Contains(p.Values[0], v)
		}},
		{Name: "integer", Run: is(isInteger)},
		{Name: "iterable", Run: func(st *python.State, v any, _ python.Params) (bool,
			error) {
			return isIterable(v), nil
		}},
		{Name: "lower", Run: cased(isLowerText)},
		{Name: "mapping", Run: is(isMapping)},
		{Name: "none", Run: is(func(v any) bool { return v == nil })},
		{Name: "number", Run: is(func(v any) bool { _, ok := python.AsFloat(v); return ok })},
		{Name: "odd", Run: remainder(2, 1)},
		{Name: "sameas", Params: "other", Run: sameAs},
		{Name: "sequence", Run: is(isSequence)},
		{Name: "string", Run: is(func(v any) bool { _, ok := python.AsString(v); return ok })},
		{Name: "test", Run: func(st *python.State, v any, _ python.Params) (bool,
			error) {
			return hasName(st, st.Names.Tests, v)
		}},
		{Name: "true", Run: is(func(v any) bool { return v == true })},
		{Name: "undefined", Run: is(isUndefined)},
		{Name: "upper", Run: cased(isUpperText)},
	}
	for op, names := range map[string][]string{
		"==": {"==", "eq", "equalto"}, "!=": {"!=", "ne"},
		">": {">", "gt", "greaterthan"}, ">=": {">=", "ge"},
		"<": {"<", "lt", "lessthan"}, "<=": {"<=", "le"},
	} {
		for _, name := range names {
			table = append(table, python.Test{Name: name, Params: "other",
				Run: func(st *python.State, v any, p python.Params) (bool, error) {
					return st.CompareOp(op, v, p.Values[0])
				}})
		}
	}
	all := make(map[string]*python.Test, len(table))
	for _, t := range table {
		t.Signature = python.NewParamSpec("the test "+python.Quoted(t.Name), t.Params)
		all[t.Name] = &t
	}
	return all
}

// is makes a test of a predicate.
func is(f func(any) bool) func(*python.State, any, python.Params) (bool, error) {
	return func(_ *python.State, v any, _ python.Params) (bool, error) { return f(v), nil }
}

// cased makes a test of a predicate on text.
func cased(f func(string) bool) func(*python.State, any, python.Params) (bool, error) {
	return func(st *python.State, v any, _ python.Params) (bool, error) {
		s, _, err := st.Text(v)
		if err != nil {
			return false, err
		}
		for range python.InOneGo {
			if err := st.Classify(s); err != nil {
				return false, err
			}
		}
		return f(s), nil
	}
}

func isUndefined(v any) bool {
	_, ok := v.(*python.Undefined)
	return ok
}

func isInteger(v any) bool {
	switch v.(type) {
	case int64, python.BigInt:
		return true
	}
	return false
}

func isMapping(v any) bool {
	switch v.(type) {
	case map[string]any, *python.Dict:
		return true
	}
	return false
}

func isIterable(v any) bool {
	switch v.(type) {
	case []any, map[string]any, string, python.Markup, *python.List, *python.Tuple, *python.Dict,
		*python.View, *python.Range, *python.Generator, *python.Undefined, python.Sized:
		return true
	}
	return false
}

// isSequence: has a length and elements, which in Python mappings and in Jinja2 undefined values
// have too.
func isSequence(v any) bool {
	switch v.(type) {
	case []any, map[string]any, string, python.Markup, *python.List, *python.Tuple, *python.Dict,
		*python.Range, *python.Undefined:
		return true
	}
	return false
}

func hasName[T any](st *python.State, table map[string]T, v any) (bool, error) {
	if _, err := st.HashKey(v); err != nil {
		return false, err
	}
	s, ok := python.AsString(v)
	if err := st.Scan(len(s)); err != nil {
		return false, err
	}
	if ok {
		_, ok = table[s]
	}
	return ok, nil
}

// remainder is even or odd.
func remainder(by, want int64) func(*python.State, any, python.Params) (bool, error) {
	return func(st *python.State, v any, _ python.Params) (bool,
		error) {
		return hasRemainder(st, v, by, want)
	}
}

func divisibleBy(st *python.State, v any, p python.Params) (bool, error) {
	return hasRemainder(st, v, p.Values[0], int64(0))
}

func hasRemainder(st *python.State, v, by any, want int64) (bool, error) {
	if _, ok := python.AsString(v); ok {
		return false, python.OperandError("%", v, by)
	}
	rest, err := st.Arithmetic("%", v, by)
	if err != nil {
		return false, err
	}
	return st.Equal(rest, want, 0)
}

func sameAs(st *python.State, v any, p python.Params) (bool, error) {
	other := p.Values[0]
	switch v := v.(type) {
	case bool, nil:
		return v == other, nil
	case string, python.Markup, int64, float64,
		python.BigInt: // Python's answer depends on where the value comes from
		if python.TypeName(v) != python.TypeName(other) {
			return false, nil
		}
		return st.Equal(v, other, 0)
	case map[string]any, []any:
		return python.SameBacking(v, other), nil
	}
	return python.Identical(v, other), nil
}
