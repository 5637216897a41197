package template

import "github.com/mixpeek/webhooks-go/template/internal/fault"

// Filters that choose: a default, an attribute, some of the items, or what becomes of each.
func selectFilters() []filter {
	return []filter{
		{name: "attr", params: "name", run: attr},
		{name: "d", params: "default_value? boolean?", run: defaultFilter},
		{name: "default", params: "default_value? boolean?", run: defaultFilter},
		{name: "map", params: "*", run: lazily(mapFilter)},
		{name: "reject", params: "*", run: lazily(selector(false, true))},
		{name: "rejectattr", params: "*", run: lazily(selector(true, true))},
		{name: "select", params: "*", run: lazily(selector(false, false))},
		{name: "selectattr", params: "*", run: lazily(selector(true, false))},
	}
}

func defaultFilter(_ *state, in any, p params) (any, error) {
	if _, ok := in.(*undefined); ok || p.truth(1, false) && !truth(in) {
		return p.get(0, ""), nil
	}
	return in, nil
}

// attr is an attribute by name, never a key.
func attr(st *state, in any, p params) (any, error) {
	name, err := p.str(0, "")
	if err != nil {
		return nil, err
	}
	if err := st.scan(len(name)); err != nil {
		return nil, err
	}
	switch o := in.(type) {
	case *undefined:
		return nil, o.fail()
	case map[string]any, *dict:
		if m, ok := st.names.methods.dict[name]; ok {
			return &boundMethod{m, o}, nil
		}
	default:
		if v, ok, err := st.ownAttribute(in, name); ok || err != nil {
			return v, err
		}
	}
	return &undefined{kind: fault.ErrUndefined, why: typeName(in) + " has no such attribute"}, nil
}

// mapFilter applies a filter to each item, or takes an attribute of it.
func mapFilter(st *state, in any, p params) (any, error) {
	if !truth(in) {
		return generatorOf(nil), nil
	}
	apply, err := mapping(st, p.raw)
	if err != nil {
		return nil, err
	}
	it, err := st.iterate(in)
	if err != nil {
		return nil, err
	}
	return &generator{iterator: iteratorFunc(func(st *state) (any, bool, error) {
		v, ok, err := it.next(st)
		if err != nil || !ok {
			return nil, false, err
		}
		v, err = apply(st, v)
		return v, err == nil, err
	})}, nil
}

func mapping(st *state, a args) (getter, error) {
	if len(a.positional) == 0 {
		attribute, otherwise := absent, absent
		for i, n := range a.names {
			switch n {
			case "attribute":
				attribute = a.values[i]
			case "default":
				otherwise = a.values[i]
			default:
				return nil, fault.Errorf(fault.ErrType, "map takes attribute and default, or a filter and its arguments")
			}
		}
		if attribute == absent {
			return nil, fault.Errorf(fault.ErrType, "map needs a filter or an attribute")
		}
		return newGetter(st, attribute, otherwise)
	}
	name, _ := asString(a.positional[0])
	if err := st.scan(len(name)); err != nil {
		return nil, err
	}
	f, ok := st.names.filters[name]
	if !ok {
		return nil, fault.Errorf(fault.ErrUnknown, "map was given a filter that does not exist")
	}
	a.positional = a.positional[1:]
	bound, err := f.signature.bind(a)
	if err != nil {
		return nil, err
	}
	return func(st *state, item any) (any, error) {
		if err := st.step(); err != nil {
			return nil, err
		}
		return f.run(st, item, bound)
	}, nil
}

// selector is select, reject, and both by an attribute.
func selector(byAttribute, reject bool) func(*state, any, params) (any, error) {
	return func(st *state, in any, p params) (any, error) {
		if !truth(in) {
			return generatorOf(nil), nil
		}
		holds, err := predicate(st, p, byAttribute)
		if err != nil {
			return nil, err
		}
		it, err := st.iterate(in)
		if err != nil {
			return nil, err
		}
		return &generator{iterator: iteratorFunc(func(st *state) (any, bool, error) {
			for {
				v, ok, err := it.next(st)
				if err != nil || !ok {
					return nil, false, err
				}
				if ok, err = holds(st, v); err != nil {
					return nil, false, err
				}
				if ok != reject {
					return v, true, nil
				}
			}
		})}, nil
	}
}

// predicate makes a function of the arguments of a selector: an attribute if asked for, a test and
// its arguments.
func predicate(st *state, p params, byAttribute bool) (func(*state, any) (bool, error), error) {
	a := p.raw
	get := func(_ *state, item any) (any, error) { return item, nil }
	if byAttribute {
		if len(a.positional) == 0 {
			return nil, fault.Errorf(fault.ErrType, "%s needs an attribute", p.owner)
		}
		var err error
		if get, err = newGetter(st, a.positional[0], absent); err != nil {
			return nil, err
		}
		a.positional = a.positional[1:]
	}
	if len(a.positional) == 0 {
		return func(st *state, item any) (bool, error) {
			v, err := get(st, item)
			return truth(v), err
		}, nil
	}
	name, _ := asString(a.positional[0])
	if err := st.scan(len(name)); err != nil {
		return nil, err
	}
	t, ok := st.names.tests[name]
	if !ok {
		return nil, fault.Errorf(fault.ErrUnknown, "%s was given a test that does not exist", p.owner)
	}
	a.positional = a.positional[1:]
	bound, err := t.signature.bind(a)
	if err != nil {
		return nil, err
	}
	return func(st *state, item any) (bool, error) {
		v, err := get(st, item)
		if err != nil {
			return false, err
		}
		if err := st.step(); err != nil {
			return false, err
		}
		return t.run(st, v, bound)
	}, nil
}
