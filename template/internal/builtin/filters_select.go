package builtin

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// Filters that choose: a default, an attribute, some of the items, or what becomes of each.
func selectFilters() []python.Filter {
	return []python.Filter{
		{Name: "attr", Params: "name", Run: attr},
		{Name: "d", Params: "default_value? boolean?", Run: defaultFilter},
		{Name: "default", Params: "default_value? boolean?", Run: defaultFilter},
		{Name: "map", Params: "*", Run: python.Lazily(mapFilter)},
		{Name: "reject", Params: "*", Run: python.Lazily(selector(false, true))},
		{Name: "rejectattr", Params: "*", Run: python.Lazily(selector(true, true))},
		{Name: "select", Params: "*", Run: python.Lazily(selector(false, false))},
		{Name: "selectattr", Params: "*", Run: python.Lazily(selector(true, false))},
	}
}

func defaultFilter(_ *python.State, in any, p python.Params) (any, error) {
	if _, ok := in.(*python.Undefined); ok || p.Truth(1, false) && !python.Truth(in) {
		return p.Get(0, ""), nil
	}
	return in, nil
}

// attr is an attribute by name, never a key.
func attr(st *python.State, in any, p python.Params) (any, error) {
	name, err := p.String(0, "")
	if err != nil {
		return nil, err
	}
	if err := st.Scan(len(name)); err != nil {
		return nil, err
	}
	switch o := in.(type) {
	case *python.Undefined:
		return nil, o.Fail()
	case map[string]any, *python.Dict:
		if m, ok := st.Names.Methods.Dict[name]; ok {
			return &python.BoundMethod{Method: m, Of: o}, nil
		}
	default:
		if v, ok, err := st.OwnAttribute(in, name); ok || err != nil {
			return v, err
		}
	}
	return &python.Undefined{Kind: fault.ErrUndefined,
		Why: python.TypeName(in) + " has no such attribute"}, nil
}

// mapFilter applies a filter to each item, or takes an attribute of it.
func mapFilter(st *python.State, in any, p python.Params) (any, error) {
	if !python.Truth(in) {
		return python.GeneratorOf(nil), nil
	}
	apply, err := mapping(st, p.Raw)
	if err != nil {
		return nil, err
	}
	it, err := st.Iterate(in)
	if err != nil {
		return nil, err
	}
	return &python.Generator{Iterator: python.IteratorFunc(func(st *python.State) (any, bool, error) {
		v, ok, err := it.Next(st)
		if err != nil || !ok {
			return nil, false, err
		}
		v, err = apply(st, v)
		return v, err == nil, err
	})}, nil
}

func mapping(st *python.State, a python.Args) (getter, error) {
	if len(a.Positional) == 0 {
		attribute, otherwise := python.Absent, python.Absent
		for i, n := range a.Names {
			switch n {
			case "attribute":
				attribute = a.Values[i]
			case "default":
				otherwise = a.Values[i]
			default:
				return nil, fault.Errorf(fault.ErrType,
					"map takes attribute and default, or a filter and its arguments")
			}
		}
		if attribute == python.Absent {
			return nil, fault.Errorf(fault.ErrType, "map needs a filter or an attribute")
		}
		return newGetter(st, attribute, otherwise)
	}
	name, _ := python.AsString(a.Positional[0])
	if err := st.Scan(len(name)); err != nil {
		return nil, err
	}
	f, ok := st.Names.Filters[name]
	if !ok {
		return nil, fault.Errorf(fault.ErrUnknown, "map was given a filter that does not exist")
	}
	a.Positional = a.Positional[1:]
	bound, err := f.Signature.Bind(a)
	if err != nil {
		return nil, err
	}
	return func(st *python.State, item any) (any, error) {
		if err := st.Step(); err != nil {
			return nil, err
		}
		return f.Run(st, item, bound)
	}, nil
}

// selector is select, reject, and both by an attribute.
func selector(byAttribute, reject bool) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, in any, p python.Params) (any, error) {
		if !python.Truth(in) {
			return python.GeneratorOf(nil), nil
		}
		holds, err := predicate(st, p, byAttribute)
		if err != nil {
			return nil, err
		}
		it, err := st.Iterate(in)
		if err != nil {
			return nil, err
		}
		return &python.Generator{Iterator: python.IteratorFunc(func(st *python.State) (any, bool, error) {
			for {
				v, ok, err := it.Next(st)
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
func predicate(
	st *python.State, p python.Params, byAttribute bool,
) (func(*python.State, any) (bool, error), error) {
	a := p.Raw
	get := func(_ *python.State, item any) (any, error) { return item, nil }
	if byAttribute {
		if len(a.Positional) == 0 {
			return nil, fault.Errorf(fault.ErrType, "%s needs an attribute", p.Owner)
		}
		var err error
		if get, err = newGetter(st, a.Positional[0], python.Absent); err != nil {
			return nil, err
		}
		a.Positional = a.Positional[1:]
	}
	if len(a.Positional) == 0 {
		return func(st *python.State, item any) (bool, error) {
			v, err := get(st, item)
			return python.Truth(v), err
		}, nil
	}
	name, _ := python.AsString(a.Positional[0])
	if err := st.Scan(len(name)); err != nil {
		return nil, err
	}
	t, ok := st.Names.Tests[name]
	if !ok {
		return nil, fault.Errorf(fault.ErrUnknown, "%s was given a test that does not exist", p.Owner)
	}
	a.Positional = a.Positional[1:]
	bound, err := t.Signature.Bind(a)
	if err != nil {
		return nil, err
	}
	return func(st *python.State, item any) (bool, error) {
		v, err := get(st, item)
		if err != nil {
			return false, err
		}
		if err := st.Step(); err != nil {
			return false, err
		}
		return t.Run(st, v, bound)
	}, nil
}
