package template

import (
	"slices"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// sequenceMethods are those of lists and tuples.
func sequenceMethods() []method {
	return []method{
		{name: "count", params: "value", run: countItems},
		{name: "index", params: "value start? stop?", run: indexItem},
	}
}

func countItems(st *state, of any, p params) (any, error) {
	n := int64(0)
	err := st.each(of, func(v any) error {
		eq, err := st.equal(v, p.values[0], 0)
		if eq {
			n++
		}
		return err
	})
	return n, err
}

func indexItem(st *state, of any, p params) (any, error) {
	length, err := st.length(of)
	if err != nil {
		return nil, err
	}
	var bounds [3]any
	for i := range 2 {
		if p.has(i + 1) {
			bounds[i] = p.values[i+1]
		}
	}
	start, _, n, err := sliceBounds(int64(length), bounds)
	if err != nil {
		return nil, err
	}
	for i := start; i < start+n; i++ {
		eq, err := st.equal(st.elementAt(of, int(i)), p.values[0], 0)
		if err != nil {
			return nil, err
		}
		if eq {
			return i, nil
		}
	}
	return nil, fault.Errorf(fault.ErrType, "the value is not in the list")
}

// change makes a method that changes a list of the template's own.
func change(f func(st *state, l *list, p params) (any, error)) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		l, ok := of.(*list)
		if !ok || l.frozen {
			return nil, fault.Errorf(fault.ErrForbidden, "a list of the event's data cannot be changed; copy it with |list")
		}
		return f(st, l, p)
	}
}

func listMethods() []method {
	return []method{
		{name: "append", params: "value", run: change(func(st *state, l *list, p params) (any, error) {
			return nil, insert(st, l, len(l.items), p.values[0])
		})},
		{name: "clear", run: change(func(_ *state, l *list, _ params) (any, error) { l.items = nil; return nil, nil })},
		{name: "copy", run: func(st *state, of any, _ params) (any, error) {
			items, err := st.collect(of)
			return &list{items: items}, err
		}},
		{name: "extend", params: "values", run: change(func(st *state, l *list, p params) (any, error) {
			items, err := st.collect(p.values[0])
			l.items = append(l.items, items...)
			return nil, err
		})},
		{name: "insert", params: "index value", run: change(func(st *state, l *list, p params) (any, error) {
			i, err := p.integer(0, 0)
			if err != nil {
				return nil, err
			}
			n := int64(len(l.items))
			if i < 0 {
				i += n
			}
			return nil, insert(st, l, int(max(0, min(i, n))), p.values[1])
		})},
		{name: "pop", params: "index?", run: change(popItem)},
		{name: "remove", params: "value", run: change(func(st *state, l *list, p params) (any, error) {
			for i, v := range l.items {
				eq, err := st.equal(v, p.values[0], 0)
				if err != nil {
					return nil, err
				}
				if eq {
					return nil, removeItem(st, l, i)
				}
			}
			return nil, fault.Errorf(fault.ErrType, "the value is not in the list")
		})},
		{name: "reverse", run: change(func(st *state, l *list, _ params) (any, error) {
			if err := st.spend(len(l.items)); err != nil {
				return nil, err
			}
			slices.Reverse(l.items)
			return nil, nil
		})},
		{name: "sort", params: "reverse?", run: change(func(st *state, l *list, p params) (any, error) {
			itself := func(_ *state, item any) (any, error) { return item, nil }
			keys, err := sortKeys(st, l.items, itself, true)
			if err != nil {
				return nil, err
			}
			if err := sortKeyed(st, keys, p.truth(0, false), false); err != nil {
				return nil, err
			}
			for i, k := range keys {
				l.items[i] = k.item
			}
			return nil, nil
		})},
	}
}

func insert(st *state, l *list, i int, v any) error {
	if err := st.alloc(bytesPerValue); err != nil {
		return err
	}
	if err := st.spend((len(l.items) - i) / itemsPerMoveStep); err != nil {
		return err
	}
	l.items = slices.Insert(l.items, i, v)
	return nil
}

const itemsPerMoveStep = 8 // how many items one step moves up or down

func removeItem(st *state, l *list, i int) error {
	if err := st.spend((len(l.items) - i) / itemsPerMoveStep); err != nil {
		return err
	}
	l.items = slices.Delete(l.items, i, i+1)
	return nil
}

func popItem(st *state, l *list, p params) (any, error) {
	i, err := p.integer(0, -1)
	if err != nil {
		return nil, err
	}
	n := int64(len(l.items))
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return nil, fault.Errorf(fault.ErrType, "pop from an empty list, or an index out of range")
	}
	v := l.items[i]
	return v, removeItem(st, l, int(i))
}

func dictMethods() []method {
	viewOf := func(kind viewKind) func(*state, any, params) (any, error) {
		return func(st *state, of any, _ params) (any, error) { return &view{st.wrap(of).(*dict), kind}, nil }
	}
	return []method{
		{name: "copy", run: func(st *state, of any, _ params) (any, error) { return st.wrap(of).(*dict).copy(st) }},
		{name: "get", params: "key default?", run: getKey},
		{name: "items", run: viewOf(viewItems)},
		{name: "keys", run: viewOf(viewKeys)},
		{name: "values", run: viewOf(viewValues)},
	}
}

func getKey(st *state, of any, p params) (any, error) {
	otherwise := p.get(1, nil)
	if m, ok := of.(map[string]any); ok {
		if _, err := st.hashKey(p.values[0]); err != nil {
			return nil, err
		}
		if s, ok := asString(p.values[0]); ok {
			if err := st.scan(len(s)); err != nil {
				return nil, err
			}
			if v, ok := m[s]; ok {
				return st.normal(v), nil
			}
		}
		return otherwise, nil
	}
	v, ok, err := of.(*dict).get(st, p.values[0])
	if !ok {
		v = otherwise
	}
	return v, err
}

// changeDict makes a method that changes a dict of the template's own.
func changeDict(f func(st *state, d *dict, p params) (any, error)) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		d, ok := of.(*dict)
		if !ok || d.frozen {
			return nil, fault.Errorf(fault.ErrForbidden, "an object of the event's data cannot be changed; copy it with dict()")
		}
		return f(st, d, p)
	}
}

func dictChanges() []method {
	return []method{
		{name: "clear", run: changeDict(func(_ *state, d *dict, _ params) (any, error) { *d = dict{}; return nil, nil })},
		{name: "pop", params: "key default?", run: changeDict(func(st *state, d *dict, p params) (any, error) {
			i, err := d.find(st, p.values[0])
			switch {
			case err != nil:
				return nil, err
			case i >= 0:
				v := d.values[i]
				return v, d.remove(st, i)
			case p.has(1):
				return p.values[1], nil
			}
			return nil, fault.Errorf(fault.ErrType, "pop of a key that is not there")
		})},
		{name: "popitem", run: changeDict(func(st *state, d *dict, _ params) (any, error) {
			last := d.len() - 1
			if last < 0 {
				return nil, fault.Errorf(fault.ErrType, "popitem from an empty dict")
			}
			pair := &tuple{items: []any{d.keys[last], d.values[last]}}
			return pair, d.remove(st, last)
		})},
		{name: "setdefault", params: "key default?", run: changeDict(func(st *state, d *dict, p params) (any, error) {
			v, ok, err := d.get(st, p.values[0])
			if ok || err != nil {
				return v, err
			}
			v = p.get(1, nil)
			return v, d.set(st, p.values[0], v)
		})},
		{name: "update", params: "*", run: changeDict(func(st *state, d *dict, p params) (any, error) {
			return nil, fill(st, d, p.raw)
		})},
	}
}
