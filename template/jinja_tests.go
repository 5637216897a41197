package template

// allTests is the table of tests.
func allTests() map[string]*test {
	table := []test{
		{name: "boolean", run: is(func(v any) bool { _, ok := v.(bool); return ok })},
		{name: "callable", run: is(func(v any) bool { return isCallable(v) || isUndefined(v) })},
		{name: "defined", run: is(func(v any) bool { return !isUndefined(v) })},
		{name: "divisibleby", params: "num", run: divisibleBy},
		{name: "escaped", run: is(func(v any) bool { _, ok := v.(markup); return ok })},
		{name: "even", run: remainder(2, 0)},
		{name: "false", run: is(func(v any) bool { return v == false })},
		{name: "filter", run: func(st *state, v any, _ params) (bool, error) { return hasName(st, st.names.filters, v) }},
		{name: "float", run: is(func(v any) bool { _, ok := v.(float64); return ok })},
		{name: "in", params: "seq", run: func(st *state, v any, p params) (bool, error) { return st.contains(p.values[0], v) }},
		{name: "integer", run: is(isInteger)},
		{name: "iterable", run: func(st *state, v any, _ params) (bool, error) { return isIterable(v), nil }},
		{name: "lower", run: cased(isLowerText)},
		{name: "mapping", run: is(isMapping)},
		{name: "none", run: is(func(v any) bool { return v == nil })},
		{name: "number", run: is(func(v any) bool { _, ok := asFloat(v); return ok })},
		{name: "odd", run: remainder(2, 1)},
		{name: "sameas", params: "other", run: sameAs},
		{name: "sequence", run: is(isSequence)},
		{name: "string", run: is(func(v any) bool { _, ok := asString(v); return ok })},
		{name: "test", run: func(st *state, v any, _ params) (bool, error) { return hasName(st, st.names.tests, v) }},
		{name: "true", run: is(func(v any) bool { return v == true })},
		{name: "undefined", run: is(isUndefined)},
		{name: "upper", run: cased(isUpperText)},
	}
	for op, names := range map[string][]string{
		"==": {"==", "eq", "equalto"}, "!=": {"!=", "ne"},
		">": {">", "gt", "greaterthan"}, ">=": {">=", "ge"},
		"<": {"<", "lt", "lessthan"}, "<=": {"<=", "le"},
	} {
		for _, name := range names {
			table = append(table, test{name: name, params: "other", run: func(st *state, v any, p params) (bool, error) {
				return st.compareOp(op, v, p.values[0])
			}})
		}
	}
	all := make(map[string]*test, len(table))
	for _, t := range table {
		t.signature = newParamSpec("the test "+quoted(t.name), t.params)
		all[t.name] = &t
	}
	return all
}

// is makes a test of a predicate.
func is(f func(any) bool) func(*state, any, params) (bool, error) {
	return func(_ *state, v any, _ params) (bool, error) { return f(v), nil }
}

// cased makes a test of a predicate on text.
func cased(f func(string) bool) func(*state, any, params) (bool, error) {
	return func(st *state, v any, _ params) (bool, error) {
		s, _, err := st.text(v)
		if err != nil {
			return false, err
		}
		for range inOneGo {
			if err := st.classify(s); err != nil {
				return false, err
			}
		}
		return f(s), nil
	}
}

func isUndefined(v any) bool {
	_, ok := v.(*undefined)
	return ok
}

func isInteger(v any) bool {
	switch v.(type) {
	case int64, bigInteger:
		return true
	}
	return false
}

func isMapping(v any) bool {
	switch v.(type) {
	case map[string]any, *dict:
		return true
	}
	return false
}

func isIterable(v any) bool {
	switch v.(type) {
	case []any, map[string]any, string, markup, *list, *tuple, *dict, *view, *rangeValue, *generator, *undefined, *loop:
		return true
	}
	return false
}

// isSequence: has a length and elements, which in Python mappings and in Jinja2 undefined values
// have too.
func isSequence(v any) bool {
	switch v.(type) {
	case []any, map[string]any, string, markup, *list, *tuple, *dict, *rangeValue, *undefined:
		return true
	}
	return false
}

func hasName[T any](st *state, table map[string]T, v any) (bool, error) {
	if _, err := st.hashKey(v); err != nil {
		return false, err
	}
	s, ok := asString(v)
	if err := st.scan(len(s)); err != nil {
		return false, err
	}
	if ok {
		_, ok = table[s]
	}
	return ok, nil
}

// remainder is even or odd.
func remainder(by, want int64) func(*state, any, params) (bool, error) {
	return func(st *state, v any, _ params) (bool, error) { return hasRemainder(st, v, by, want) }
}

func divisibleBy(st *state, v any, p params) (bool, error) {
	return hasRemainder(st, v, p.values[0], int64(0))
}

func hasRemainder(st *state, v, by any, want int64) (bool, error) {
	if _, ok := asString(v); ok {
		return false, operandError("%", v, by)
	}
	rest, err := st.arithmetic("%", v, by)
	if err != nil {
		return false, err
	}
	return st.equal(rest, want, 0)
}

func sameAs(st *state, v any, p params) (bool, error) {
	other := p.values[0]
	switch v := v.(type) {
	case bool, nil:
		return v == other, nil
	case string, markup, int64, float64, bigInteger: // Python's answer depends on where the value comes from
		if typeName(v) != typeName(other) {
			return false, nil
		}
		return st.equal(v, other, 0)
	case map[string]any, []any:
		return sameBacking(v, other), nil
	}
	return identical(v, other), nil
}
