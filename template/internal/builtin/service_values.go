package builtin

import (
	"encoding/json"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// export makes a copy of a value that code outside of this package can work with.
func export(st *python.State, v any, depth int) (any, error) {
	if depth > st.Limits.Depth {
		return nil, python.TooDeep(st.Limits.Depth)
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v, nil
	case python.Markup:
		return v.Text, nil
	case python.BigInt:
		return json.Number(v), nil
	case *python.Undefined:
		return nil, v.Fail()
	case *moment:
		return v.String(), nil
	case map[string]any, *python.Dict:
		return exportDict(st, st.Wrap(v).(*python.Dict), depth)
	case []any, *python.List, *python.Tuple, *python.View, *python.Range, *python.Generator:
		items, err := st.Collect(v)
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
	return nil, fault.Errorf(fault.ErrType, "%s cannot be given to a function of the service",
		python.TypeName(v))
}

func exportDict(st *python.State, d *python.Dict, depth int) (any, error) {
	if err := st.AllocTimes(python.EntrySize, int64(d.Len())); err != nil {
		return nil, err
	}
	m := make(map[string]any, d.Len())
	values := d.Values // going through a loop runs its test, which may change the dict
	for i, k := range d.Keys {
		name, ok := python.AsString(k)
		if !ok {
			return nil, fault.Errorf(fault.ErrType,
				"only objects whose keys are text can be given to a function of the service")
		}
		v, err := export(st, values[i], depth+1)
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	return m, nil
}

// A taker makes values of what code outside of this package has returned.
type taker struct {
	st       *python.State
	isMarkup func(any) (string, bool) // nil for code that makes no markup
}

// take makes a value of what code outside of this package has returned: a copy, which the template
// may change.
func (t taker) take(v any, depth int) (any, error) {
	st := t.st
	if depth > st.Limits.Depth {
		return nil, python.TooDeep(st.Limits.Depth)
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	if t.isMarkup != nil {
		if text, ok := t.isMarkup(v); ok {
			return python.Markup{Text: text, Safety: python.SafeText}, st.Alloc(len(text))
		}
	}
	switch v := st.Normal(v).(type) {
	case nil, bool, int64, float64:
		return v, nil
	case string:
		return v, st.Alloc(len(v))
	case python.BigInt:
		return v, st.Alloc(len(v))
	case []any:
		if err := st.AllocValues(len(v) + 1); err != nil {
			return nil, err
		}
		l := &python.List{Items: make([]any, len(v))}
		for i := range v {
			var err error
			if l.Items[i], err = t.take(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return l, nil
	case map[string]any:
		d := python.NewDict()
		for _, k := range python.SortedKeys(v) {
			item, err := t.take(v[k], depth+1)
			if err == nil {
				err = st.Alloc(len(k))
			}
			if err == nil {
				err = d.Set(st, k, item)
			}
			if err != nil {
				return nil, err
			}
		}
		return d, nil
	case *python.Undefined:
		return nil, v.Fail()
	}
	return nil, fault.Errorf(fault.ErrData,
		"a function of the service returned a value that templates cannot use")
}
