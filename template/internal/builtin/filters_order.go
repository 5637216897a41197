package builtin

import (
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// Filters that compare the items of a sequence.
func orderFilters() []python.Filter {
	return []python.Filter{
		{Name: "dictsort", Params: "case_sensitive? by? reverse?", Run: dictsort},
		{Name: "groupby", Params: "attribute default? case_sensitive?", Run: groupby},
		{Name: "max", Params: "case_sensitive? attribute?",
			Run: extreme(">", "no aggregated item, the sequence is empty")},
		{Name: "min", Params: "case_sensitive? attribute?",
			Run: extreme("<", "no aggregated item, the sequence is empty")},
		{Name: "sort", Params: "reverse? case_sensitive? attribute?", Run: sortFilter},
	}
}

// A getter takes the value out of an item that an attribute= argument names.
type getter func(st *python.State, item any) (any, error)

// newGetter makes a getter of "a.b.0", an index, or None for the item itself. Where a step finds
// nothing, the item becomes otherwise, unless that is absent.
func newGetter(st *python.State, attribute, otherwise any) (getter, error) {
	var parts []any
	if s, ok := python.AsString(attribute); ok {
		if err := st.Read(s); err != nil {
			return nil, err
		}
		for part := range strings.SplitSeq(s, ".") {
			if err := st.Alloc(2 * python.BytesPerValue); err != nil {
				return nil, err
			}
			if err := st.Step(); err != nil {
				return nil, err
			}
			if n, ok := python.ParseInt(part, 10); ok && strings.Trim(part, "0123456789") == "" {
				parts = append(parts, n)
			} else {
				parts = append(parts, part)
			}
		}
	} else if attribute != nil {
		parts = []any{attribute}
	}
	return func(st *python.State, item any) (any, error) {
		for _, part := range parts {
			if err := st.Step(); err != nil {
				return nil, err
			}
			var err error
			if item, err = st.Item(item, part); err != nil {
				return nil, err
			}
			if u, ok := item.(*python.Undefined); ok {
				if otherwise != python.Absent && otherwise != nil {
					item = otherwise
				} else if u.Why == "" {
					item = &python.Undefined{Kind: u.Kind, Why: "an item lacks the attribute"}
				}
			}
		}
		return item, nil
	}, nil
}

// foldCase is how text is compared unless case_sensitive is given.
func foldCase(st *python.State, v any) (any, error) {
	s, ok := python.AsString(v)
	if !ok {
		return v, nil
	}
	s, err := mapText(st, s, python.Lower)
	return python.TextOf(s, python.SafetyOf(v)), err
}

// keyed is an item with what it is sorted by.
type keyed struct{ item, key any }

// sortKeys computes what items are sorted by.
func sortKeys(st *python.State, values []any, get getter, caseSensitive bool) ([]keyed, error) {
	if err := st.AllocValues(3 * len(values)); err != nil { // two each, and what sorting moves
		return nil, err
	}
	out := make([]keyed, len(values))
	for i, v := range values {
		key, err := get(st, v)
		if err != nil {
			return nil, err
		}
		if !caseSensitive {
			if key, err = foldCase(st, key); err != nil {
				return nil, err
			}
		}
		out[i] = keyed{v, key}
	}
	return out, nil
}

// sortKeyed sorts stably. With whole, keys that are equal need not have an order: Jinja2's sort
// compares lists of keys.
func sortKeyed(st *python.State, values []keyed, reverse, whole bool) error {
	var failed error
	slices.SortStableFunc(values, func(x, y keyed) int {
		if failed != nil {
			return 0
		}
		order, _, err := st.Order("<", x.key, y.key, 0)
		if err != nil {
			failed = err
			if equal, err := st.Equal(x.key, y.key, 0); whole && err == nil && equal {
				failed = nil
			}
		}
		if reverse {
			return -order
		}
		return order
	})
	return failed
}

func sortFilter(st *python.State, in any, p python.Params) (any, error) {
	values, err := st.Collect(in)
	if err != nil {
		return nil, err
	}
	caseSensitive := p.Truth(1, false)
	get, err := newGetter(st, p.Get(2, nil), python.Absent)
	if err != nil {
		return nil, err
	}
	if s, ok := python.AsString(p.Get(2, nil)); ok && strings.Contains(s, ",") {
		if get, err = newMultiGetter(st, s, caseSensitive); err != nil {
			return nil, err
		}
	}
	sorted, err := sortKeys(st, values, get, caseSensitive)
	if err != nil {
		return nil, err
	}
	if err := sortKeyed(st, sorted, p.Truth(0, false), true); err != nil {
		return nil, err
	}
	for i, k := range sorted {
		values[i] = k.item
	}
	return &python.List{Items: values}, nil
}

// newMultiGetter makes a getter of "a,b.c" that returns the list of both.
func newMultiGetter(st *python.State, attributes string, caseSensitive bool) (getter, error) {
	var getters []getter
	for a := range strings.SplitSeq(attributes, ",") {
		get, err := newGetter(st, a, python.Absent)
		if err != nil {
			return nil, err
		}
		getters = append(getters, get)
	}
	return func(st *python.State, item any) (any, error) {
		if err := st.AllocValues(len(getters)); err != nil {
			return nil, err
		}
		key := &python.List{}
		for _, get := range getters {
			v, err := get(st, item)
			if err != nil {
				return nil, err
			}
			if !caseSensitive {
				if v, err = foldCase(st, v); err != nil {
					return nil, err
				}
			}
			key.Items = append(key.Items, v)
		}
		return key, nil
	}, nil
}

// extreme is the filter min or max.
func extreme(op, whyEmpty string) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, in any, p python.Params) (any, error) {
		values, err := st.Collect(in)
		if err != nil {
			return nil, err
		}
		get, err := newGetter(st, p.Get(1, nil), python.Absent)
		if err != nil {
			return nil, err
		}
		candidates, err := sortKeys(st, values, get, p.Truth(0, false))
		if err != nil {
			return nil, err
		}
		if len(candidates) == 0 {
			return &python.Undefined{Kind: fault.ErrUndefined, Why: whyEmpty}, nil
		}
		best := candidates[0]
		for _, c := range candidates[1:] {
			better, err := st.CompareOp(op, c.key, best.key)
			if err != nil {
				return nil, err
			}
			if better {
				best = c
			}
		}
		return best.item, nil
	}
}

func dictsort(st *python.State, in any, p python.Params) (any, error) {
	d, ok := st.Wrap(in).(*python.Dict)
	if !ok {
		if u, isUndefined := in.(*python.Undefined); isUndefined {
			return nil, u.Fail()
		}
		return nil, fault.Errorf(fault.ErrType, "dictsort works on mappings, not on %s",
			python.TypeName(in))
	}
	by, err := p.String(1, "key")
	if err != nil {
		return nil, err
	}
	position := int64(0)
	switch by {
	case "key":
	case "value":
		position = 1
	default:
		return nil, fault.Errorf(fault.ErrType, `dictsort sorts by "key" or "value"`)
	}
	pairs, err := st.Collect(&python.View{Dict: d, Kind: python.ViewItems})
	if err != nil {
		return nil, err
	}
	get, err := newGetter(st, position, python.Absent)
	if err != nil {
		return nil, err
	}
	sorted, err := sortKeys(st, pairs, get, p.Truth(0, false))
	if err != nil {
		return nil, err
	}
	if err := sortKeyed(st, sorted, p.Truth(2, false), false); err != nil {
		return nil, err
	}
	for i, k := range sorted {
		pairs[i] = k.item
	}
	return &python.List{Items: pairs}, nil
}

// groupby sorts by an attribute and makes a (grouper, list) of each run of equal ones.
func groupby(st *python.State, in any, p python.Params) (any, error) {
	values, err := st.Collect(in)
	if err != nil {
		return nil, err
	}
	get, err := newGetter(st, p.Values[0], p.Get(1, python.Absent))
	if err != nil {
		return nil, err
	}
	caseSensitive := p.Truth(2, false)
	sorted, err := sortKeys(st, values, get, caseSensitive)
	if err != nil {
		return nil, err
	}
	if err := sortKeyed(st, sorted, false, false); err != nil {
		return nil, err
	}
	groups := &python.List{}
	for start := 0; start < len(sorted); {
		if err := st.Alloc(3 * python.BytesPerTuple); err != nil {
			return nil, err
		}
		members := &python.List{}
		end := start
		for ; end < len(sorted); end++ {
			same, err := st.Equal(sorted[start].key, sorted[end].key, 0)
			if err != nil {
				return nil, err
			}
			if !same && end > start {
				break
			}
			members.Items = append(members.Items, sorted[end].item)
		}
		grouper, err := get(st, sorted[start].item) // the key as the first member spells it
		if err != nil {
			return nil, err
		}
		groups.Items = append(groups.Items,
			&python.Tuple{Items: []any{grouper, members}, Names: []string{"grouper", "list"}})
		start = end
	}
	return groups, nil
}
