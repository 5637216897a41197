package builtin

import (
	"slices"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// sequenceMethods are those of lists and tuples.
func sequenceMethods() []python.Method {
	return []python.Method{
		{Name: "count", Params: "value", Run: countItems},
		{Name: "index", Params: "value start? stop?", Run: indexItem},
	}
}

func countItems(st *python.State, of any, p python.Params) (any, error) {
	n := int64(0)
	err := st.Each(of, func(v any) error {
		eq, err := st.Equal(v, p.Values[0], 0)
		if eq {
			n++
		}
		return err
	})
	return n, err
}

func indexItem(st *python.State, of any, p python.Params) (any, error) {
	length, err := st.Length(of)
	if err != nil {
		return nil, err
	}
	var bounds [3]any
	for i := range 2 {
		if p.Has(i + 1) {
			bounds[i] = p.Values[i+1]
		}
	}
	start, _, n, err := python.SliceBounds(int64(length), bounds)
	if err != nil {
		return nil, err
	}
	for i := start; i < start+n; i++ {
		eq, err := st.Equal(st.ElementAt(of, int(i)), p.Values[0], 0)
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
func change(
	f func(st *python.State, l *python.List, p python.Params) (any, error),
) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		l, ok := of.(*python.List)
		if !ok || l.Frozen {
			return nil, fault.Errorf(fault.ErrForbidden,
				"a list of the event's data cannot be changed; copy it with |list")
		}
		return f(st, l, p)
	}
}

func listMethods() []python.Method {
	return []python.Method{
		{Name: "append", Params: "value",
			Run: change(func(st *python.State, l *python.List, p python.Params) (any, error) {
				return nil, insert(st, l, len(l.Items), p.Values[0])
			})},
		{Name: "clear",
			Run: change(func(_ *python.State, l *python.List, _ python.Params) (any, error) {
				l.Items = nil
				return nil, nil
			})},
		{Name: "copy", Run: func(st *python.State, of any, _ python.Params) (any, error) {
			items, err := st.Collect(of)
			return &python.List{Items: items}, err
		}},
		{Name: "extend", Params: "values",
			Run: change(func(st *python.State, l *python.List, p python.Params) (any, error) {
				items, err := st.Collect(p.Values[0])
				l.Items = append(l.Items, items...)
				return nil, err
			})},
		{Name: "insert", Params: "index value",
			Run: change(func(st *python.State, l *python.List, p python.Params) (any, error) {
				i, err := p.Integer(0, 0)
				if err != nil {
					return nil, err
				}
				n := int64(len(l.Items))
				if i < 0 {
					i += n
				}
				return nil, insert(st, l, int(max(0, min(i, n))), p.Values[1])
			})},
		{Name: "pop", Params: "index?", Run: change(popItem)},
		{Name: "remove", Params: "value",
			Run: change(func(st *python.State, l *python.List, p python.Params) (any, error) {
				for i, v := range l.Items {
					eq, err := st.Equal(v, p.Values[0], 0)
					if err != nil {
						return nil, err
					}
					if eq {
						return nil, removeItem(st, l, i)
					}
				}
				return nil, fault.Errorf(fault.ErrType, "the value is not in the list")
			})},
		{Name: "reverse",
			Run: change(func(st *python.State, l *python.List, _ python.Params) (any, error) {
				if err := st.Spend(len(l.Items)); err != nil {
					return nil, err
				}
				slices.Reverse(l.Items)
				return nil, nil
			})},
		{Name: "sort", Params: "reverse?",
			Run: change(func(st *python.State, l *python.List, p python.Params) (any, error) {
				itself := func(_ *python.State, item any) (any, error) { return item, nil }
				keys, err := sortKeys(st, l.Items, itself, true)
				if err != nil {
					return nil, err
				}
				if err := sortKeyed(st, keys, p.Truth(0, false), false); err != nil {
					return nil, err
				}
				for i, k := range keys {
					l.Items[i] = k.item
				}
				return nil, nil
			})},
	}
}

func insert(st *python.State, l *python.List, i int, v any) error {
	if err := st.Alloc(python.BytesPerValue); err != nil {
		return err
	}
	if err := st.Spend((len(l.Items) - i) / itemsPerMoveStep); err != nil {
		return err
	}
	l.Items = slices.Insert(l.Items, i, v)
	return nil
}

const itemsPerMoveStep = 8 // how many items one step moves up or down

func removeItem(st *python.State, l *python.List, i int) error {
	if err := st.Spend((len(l.Items) - i) / itemsPerMoveStep); err != nil {
		return err
	}
	l.Items = slices.Delete(l.Items, i, i+1)
	return nil
}

func popItem(st *python.State, l *python.List, p python.Params) (any, error) {
	i, err := p.Integer(0, -1)
	if err != nil {
		return nil, err
	}
	n := int64(len(l.Items))
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return nil, fault.Errorf(fault.ErrType, "pop from an empty list, or an index out of range")
	}
	v := l.Items[i]
	return v, removeItem(st, l, int(i))
}

func dictMethods() []python.Method {
	viewOf := func(kind python.ViewKind) func(*python.State, any, python.Params) (any, error) {
		return func(st *python.State, of any, _ python.Params) (any, error) {
			return &python.View{Dict: st.Wrap(of).(*python.Dict), Kind: kind}, nil
		}
	}
	return []python.Method{
		{Name: "copy", Run: func(st *python.State, of any, _ python.Params) (any, error) {
			return st.Wrap(of).(*python.Dict).Copy(st)
		}},
		{Name: "get", Params: "key default?", Run: getKey},
		{Name: "items", Run: viewOf(python.ViewItems)},
		{Name: "keys", Run: viewOf(python.ViewKeys)},
		{Name: "values", Run: viewOf(python.ViewValues)},
	}
}

func getKey(st *python.State, of any, p python.Params) (any, error) {
	otherwise := p.Get(1, nil)
	if m, ok := of.(map[string]any); ok {
		if _, err := st.HashKey(p.Values[0]); err != nil {
			return nil, err
		}
		if s, ok := python.AsString(p.Values[0]); ok {
			if err := st.Scan(len(s)); err != nil {
				return nil, err
			}
			if v, ok := m[s]; ok {
				return st.Normal(v), nil
			}
		}
		return otherwise, nil
	}
	v, ok, err := of.(*python.Dict).Get(st, p.Values[0])
	if !ok {
		v = otherwise
	}
	return v, err
}

// changeDict makes a method that changes a dict of the template's own.
func changeDict(
	f func(st *python.State, d *python.Dict, p python.Params) (any, error),
) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		d, ok := of.(*python.Dict)
		if !ok || d.Frozen {
			return nil, fault.Errorf(fault.ErrForbidden,
				"an object of the event's data cannot be changed; copy it with dict()")
		}
		return f(st, d, p)
	}
}

func dictChanges() []python.Method {
	return []python.Method{
		{Name: "clear",
			Run: changeDict(func(_ *python.State, d *python.Dict, _ python.Params) (any, error) {
				*d = python.Dict{}
				return nil, nil
			})},
		{Name: "pop", Params: "key default?",
			Run: changeDict(func(st *python.State, d *python.Dict, p python.Params) (any, error) {
				i, err := d.Find(st, p.Values[0])
				switch {
				case err != nil:
					return nil, err
				case i >= 0:
					v := d.Values[i]
					return v, d.Remove(st, i)
				case p.Has(1):
					return p.Values[1], nil
				}
				return nil, fault.Errorf(fault.ErrType, "pop of a key that is not there")
			})},
		{Name: "popitem",
			Run: changeDict(func(st *python.State, d *python.Dict, _ python.Params) (any, error) {
				last := d.Len() - 1
				if last < 0 {
					return nil, fault.Errorf(fault.ErrType, "popitem from an empty dict")
				}
				pair := &python.Tuple{Items: []any{d.Keys[last], d.Values[last]}}
				return pair, d.Remove(st, last)
			})},
		{Name: "setdefault", Params: "key default?",
			Run: changeDict(func(st *python.State, d *python.Dict, p python.Params) (any, error) {
				v, ok, err := d.Get(st, p.Values[0])
				if ok || err != nil {
					return v, err
				}
				v = p.Get(1, nil)
				return v, d.Set(st, p.Values[0], v)
			})},
		{Name: "update", Params: "*", Run: changeDict(func(st *python.State, d *python.Dict,
			p python.Params) (any, error) {
			return nil, fill(st, d, p.Raw)
		})},
	}
}
