package template

import (
	"encoding/json"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// export makes a copy of a value that code outside of this package can work with.
func export(st *state, v any, depth int) (any, error) {
	if depth > st.limits.Depth {
		return nil, tooDeep(st.limits.Depth)
	}
	if err := st.step(); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v, nil
	case markup:
		return v.text, nil
	case bigInteger:
		return json.Number(v), nil
	case *undefined:
		return nil, v.fail()
	case *moment:
		return v.String(), nil
	case map[string]any, *dict:
		return exportDict(st, st.wrap(v).(*dict), depth)
	case []any, *list, *tuple, *view, *rangeValue, *generator:
		items, err := st.collect(v)
		if err != nil {
			return nil, err
		}
		for i, item := range items {
			if items[i], err = export(st, item, depth+1); err != nil {
				return nil, err
			}
		}
		return items, nil
	}
	return nil, fault.Errorf(fault.ErrType, "%s cannot be given to a function of the service", typeName(v))
}

func exportDict(st *state, d *dict, depth int) (any, error) {
	if err := st.allocTimes(entrySize, int64(d.len())); err != nil {
		return nil, err
	}
	m := make(map[string]any, d.len())
	for i, k := range d.keys {
		name, ok := asString(k)
		if !ok {
			return nil, fault.Errorf(fault.ErrType, "only objects whose keys are text can be given to a function of the service")
		}
		v, err := export(st, d.values[i], depth+1)
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	return m, nil
}

// take makes a value of what code outside of this package has returned: a copy, which the template
// may change.
func take(st *state, v any, depth int) (any, error) {
	if depth > st.limits.Depth {
		return nil, tooDeep(st.limits.Depth)
	}
	if err := st.step(); err != nil {
		return nil, err
	}
	if m, ok := v.(Markup); ok {
		return markup{string(m), safeText}, st.alloc(len(m))
	}
	switch v := st.normal(v).(type) {
	case nil, bool, int64, float64:
		return v, nil
	case string:
		return v, st.alloc(len(v))
	case bigInteger:
		return v, st.alloc(len(v))
	case []any:
		if err := st.allocValues(len(v) + 1); err != nil {
			return nil, err
		}
		l := &list{items: make([]any, len(v))}
		for i := range v {
			var err error
			if l.items[i], err = take(st, v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return l, nil
	case map[string]any:
		d := newDict()
		for _, k := range sortedKeys(v) {
			item, err := take(st, v[k], depth+1)
			if err == nil {
				err = st.alloc(len(k))
			}
			if err == nil {
				err = d.set(st, k, item)
			}
			if err != nil {
				return nil, err
			}
		}
		return d, nil
	case *undefined:
		return nil, v.fail()
	}
	return nil, fault.Errorf(fault.ErrData, "a function of the service returned a value that templates cannot use")
}
