package template

import (
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// Filters that compare the items of a sequence.
func orderFilters() []filter {
	return []filter{
		{name: "dictsort", params: "case_sensitive? by? reverse?", run: dictsort},
		{name: "groupby", params: "attribute default? case_sensitive?", run: groupby},
		{name: "max", params: "case_sensitive? attribute?", run: extreme(">", "no aggregated item, the sequence is empty")},
		{name: "min", params: "case_sensitive? attribute?", run: extreme("<", "no aggregated item, the sequence is empty")},
		{name: "sort", params: "reverse? case_sensitive? attribute?", run: sortFilter},
	}
}

// A getter takes the value out of an item that an attribute= argument names.
type getter func(st *state, item any) (any, error)

// newGetter makes a getter of "a.b.0", an index, or None for the item itself. Where a step finds
// nothing, the item becomes otherwise, unless that is absent.
func newGetter(st *state, attribute, otherwise any) (getter, error) {
	var parts []any
	if s, ok := asString(attribute); ok {
		if err := st.read(s); err != nil {
			return nil, err
		}
		for part := range strings.SplitSeq(s, ".") {
			if err := st.alloc(2 * bytesPerValue); err != nil {
				return nil, err
			}
			if err := st.step(); err != nil {
				return nil, err
			}
			if n, ok := parseInt(part, 10); ok && strings.Trim(part, "0123456789") == "" {
				parts = append(parts, n)
			} else {
				parts = append(parts, part)
			}
		}
	} else if attribute != nil {
		parts = []any{attribute}
	}
	return func(st *state, item any) (any, error) {
		for _, part := range parts {
			if err := st.step(); err != nil {
				return nil, err
			}
			var err error
			if item, err = st.item(item, part); err != nil {
				return nil, err
			}
			if u, ok := item.(*undefined); ok {
				if otherwise != absent && otherwise != nil {
					item = otherwise
				} else if u.why == "" {
					item = &undefined{kind: u.kind, why: "an item lacks the attribute"}
				}
			}
		}
		return item, nil
	}, nil
}

// foldCase is how text is compared unless case_sensitive is given.
func foldCase(st *state, v any) (any, error) {
	s, ok := asString(v)
	if !ok {
		return v, nil
	}
	s, err := mapText(st, s, lower)
	return textOf(s, safetyOf(v)), err
}

// keyed is an item with what it is sorted by.
type keyed struct{ item, key any }

// sortKeys computes what items are sorted by.
func sortKeys(st *state, values []any, get getter, caseSensitive bool) ([]keyed, error) {
	if err := st.allocValues(3 * len(values)); err != nil { // two each, and what sorting moves
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
func sortKeyed(st *state, values []keyed, reverse, whole bool) error {
	var failed error
	slices.SortStableFunc(values, func(x, y keyed) int {
		if failed != nil {
			return 0
		}
		order, _, err := st.order("<", x.key, y.key, 0)
		if err != nil {
			failed = err
			if equal, err := st.equal(x.key, y.key, 0); whole && err == nil && equal {
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

func sortFilter(st *state, in any, p params) (any, error) {
	values, err := st.collect(in)
	if err != nil {
		return nil, err
	}
	caseSensitive := p.truth(1, false)
	get, err := newGetter(st, p.get(2, nil), absent)
	if err != nil {
		return nil, err
	}
	if s, ok := asString(p.get(2, nil)); ok && strings.Contains(s, ",") {
		if get, err = newMultiGetter(st, s, caseSensitive); err != nil {
			return nil, err
		}
	}
	sorted, err := sortKeys(st, values, get, caseSensitive)
	if err != nil {
		return nil, err
	}
	if err := sortKeyed(st, sorted, p.truth(0, false), true); err != nil {
		return nil, err
	}
	for i, k := range sorted {
		values[i] = k.item
	}
	return &list{items: values}, nil
}

// newMultiGetter makes a getter of "a,b.c" that returns the list of both.
func newMultiGetter(st *state, attributes string, caseSensitive bool) (getter, error) {
	var getters []getter
	for a := range strings.SplitSeq(attributes, ",") {
		get, err := newGetter(st, a, absent)
		if err != nil {
			return nil, err
		}
		getters = append(getters, get)
	}
	return func(st *state, item any) (any, error) {
		if err := st.allocValues(len(getters)); err != nil {
			return nil, err
		}
		key := &list{}
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
			key.items = append(key.items, v)
		}
		return key, nil
	}, nil
}

// extreme is the filter min or max.
func extreme(op, whyEmpty string) func(*state, any, params) (any, error) {
	return func(st *state, in any, p params) (any, error) {
		values, err := st.collect(in)
		if err != nil {
			return nil, err
		}
		get, err := newGetter(st, p.get(1, nil), absent)
		if err != nil {
			return nil, err
		}
		candidates, err := sortKeys(st, values, get, p.truth(0, false))
		if err != nil {
			return nil, err
		}
		if len(candidates) == 0 {
			return &undefined{kind: fault.ErrUndefined, why: whyEmpty}, nil
		}
		best := candidates[0]
		for _, c := range candidates[1:] {
			better, err := st.compareOp(op, c.key, best.key)
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

func dictsort(st *state, in any, p params) (any, error) {
	d, ok := st.wrap(in).(*dict)
	if !ok {
		if u, isUndefined := in.(*undefined); isUndefined {
			return nil, u.fail()
		}
		return nil, fault.Errorf(fault.ErrType, "dictsort works on mappings, not on %s", typeName(in))
	}
	by, err := p.str(1, "key")
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
	pairs, err := st.collect(&view{d, viewItems})
	if err != nil {
		return nil, err
	}
	get, err := newGetter(st, position, absent)
	if err != nil {
		return nil, err
	}
	sorted, err := sortKeys(st, pairs, get, p.truth(0, false))
	if err != nil {
		return nil, err
	}
	if err := sortKeyed(st, sorted, p.truth(2, false), false); err != nil {
		return nil, err
	}
	for i, k := range sorted {
		pairs[i] = k.item
	}
	return &list{items: pairs}, nil
}

// groupby sorts by an attribute and makes a (grouper, list) of each run of equal ones.
func groupby(st *state, in any, p params) (any, error) {
	values, err := st.collect(in)
	if err != nil {
		return nil, err
	}
	get, err := newGetter(st, p.values[0], p.get(1, absent))
	if err != nil {
		return nil, err
	}
	caseSensitive := p.truth(2, false)
	sorted, err := sortKeys(st, values, get, caseSensitive)
	if err != nil {
		return nil, err
	}
	if err := sortKeyed(st, sorted, false, false); err != nil {
		return nil, err
	}
	groups := &list{}
	for start := 0; start < len(sorted); {
		if err := st.alloc(3 * bytesPerTuple); err != nil {
			return nil, err
		}
		members := &list{}
		end := start
		for ; end < len(sorted); end++ {
			same, err := st.equal(sorted[start].key, sorted[end].key, 0)
			if err != nil {
				return nil, err
			}
			if !same && end > start {
				break
			}
			members.items = append(members.items, sorted[end].item)
		}
		grouper, err := get(st, sorted[start].item) // the key as the first member spells it
		if err != nil {
			return nil, err
		}
		groups.items = append(groups.items, &tuple{items: []any{grouper, members}, names: []string{"grouper", "list"}})
		start = end
	}
	return groups, nil
}
