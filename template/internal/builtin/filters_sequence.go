package builtin

import (
	"math/rand/v2"
	"slices"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// Filters that look at a sequence as a whole or cut it into parts.
func sequenceFilters() []python.Filter {
	return []python.Filter{
		{Name: "batch", Params: "linecount fill_with?", Run: python.Lazily(batch)},
		{Name: "count", Run: length},
		{Name: "first", Run: first},
		{Name: "items", Run: python.Lazily(items)},
		{Name: "join", Params: "d? attribute?", Run: join},
		{Name: "last", Run: last},
		{Name: "length", Run: length},
		{Name: "list", Run: toList},
		{Name: "random", Run: random},
		{Name: "reverse", Run: reverse},
		{Name: "slice", Params: "slices fill_with?", Run: python.Lazily(sliceInto)},
		{Name: "sum", Params: "attribute? start?", Run: sum},
		{Name: "unique", Params: "case_sensitive? attribute?", Run: python.Lazily(unique)},
	}
}

func length(st *python.State, in any, _ python.Params) (any, error) {
	n, err := st.Length(in)
	return int64(n), err
}

func toList(st *python.State, in any, _ python.Params) (any, error) {
	values, err := st.Collect(in)
	return &python.List{Items: values}, err
}

func first(st *python.State, in any, _ python.Params) (any, error) {
	it, err := st.Iterate(in)
	if err != nil {
		return nil, err
	}
	v, ok, err := it.Next(st)
	if err == nil && !ok {
		v = &python.Undefined{Kind: fault.ErrUndefined, Why: "no first item, the sequence is empty"}
	}
	return v, err
}

func last(st *python.State, in any, _ python.Params) (any, error) {
	switch in.(type) {
	case *python.Generator:
		return nil, fault.Errorf(fault.ErrType, "a generator has no last item; use |list|last")
	case *python.Undefined:
		if err := st.Each(in, nil); err != nil {
			return nil, err
		}
	case *python.Dict, *python.View, map[string]any:
		values, err := st.Collect(in)
		if err != nil {
			return nil, err
		}
		in = &python.List{Items: values}
	}
	if s, ok := python.AsString(in); ok && s != "" {
		_, n := utf8.DecodeLastRuneInString(s)
		parts, err := st.Parts(s, python.SafetyOf(in))
		if err != nil {
			return nil, err
		}
		return parts.Part(len(s)-n, len(s)), nil
	}
	n, err := st.Length(in)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return &python.Undefined{Kind: fault.ErrUndefined, Why: "no last item, the sequence is empty"},
			nil
	}
	return st.ElementAt(in, n-1), nil
}

func random(st *python.State, in any, _ python.Params) (any, error) {
	switch in.(type) {
	case *python.Dict, *python.View, map[string]any, *python.Generator:
		return nil, fault.Errorf(fault.ErrType, "random works on sequences, not on %s",
			python.TypeName(in))
	}
	if s, ok := python.AsString(in); ok {
		if err := st.Read(s); err != nil {
			return nil, err
		}
	}
	n, err := st.Length(in)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return &python.Undefined{Kind: fault.ErrUndefined, Why: "no random item, the sequence is empty"},
			nil
	}
	return st.ElementAt(in, rand.IntN(n)), nil
}

func reverse(st *python.State, in any, _ python.Params) (any, error) {
	if s, ok := python.AsString(in); ok {
		safe := python.SafetyOf(in)
		return st.SliceText(s, safe, [3]any{nil, nil, int64(-1)})
	}
	values, err := st.Collect(in)
	if err != nil {
		return nil, err
	}
	slices.Reverse(values)
	if _, ok := in.(*python.Generator); ok {
		return &python.List{Items: values}, nil
	}
	return python.GeneratorOf(&python.List{Items: values}), nil
}

func join(st *python.State, in any, p python.Params) (any, error) {
	var get getter
	if p.Get(1, nil) != nil {
		var err error
		if get, err = newGetter(st, p.Values[1], python.Absent); err != nil {
			return nil, err
		}
	}
	separator, safe, err := st.Text(p.Get(0, ""))
	if err != nil {
		return nil, err
	}
	values, err := st.Collect(in)
	if err != nil {
		return nil, err
	}
	escapes := st.Autoescape && safe != python.NotSafe
	for i := range values {
		if get != nil {
			if values[i], err = get(st, values[i]); err != nil {
				return nil, err
			}
		}
		if python.SafetyOf(values[i]) != python.NotSafe && st.Autoescape {
			escapes = true
		}
	}
	result := python.NotSafe
	if escapes {
		result = python.Mixed(append(values, python.TextOf(separator, safe))...)
	}
	if escapes && safe == python.NotSafe {
		m, err := st.Escape(separator)
		if err != nil {
			return nil, err
		}
		separator = m.Text
	}
	var b []byte
	filler := st.NewFiller()
	for i, v := range values {
		if i > 0 {
			if escapes {
				b, err = filler.AppendText(b, separator, max(safe, python.SafeText))
			} else {
				b, err = st.AppendCopy(b, separator)
			}
			if err != nil {
				return nil, err
			}
		}
		if escapes {
			b, err = filler.Append(b, v)
		} else {
			b, err = st.AppendString(b, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return python.TextOf(string(b), result), nil
}

// items are the pairs of a mapping.
func items(st *python.State, in any, _ python.Params) (any, error) {
	if u, ok := in.(*python.Undefined); ok {
		return python.GeneratorOf(nil), st.Each(u, nil)
	}
	d, ok := st.Wrap(in).(*python.Dict)
	if !ok {
		return nil, fault.Errorf(fault.ErrType, "items works on mappings, not on %s", python.TypeName(in))
	}
	return python.GeneratorOf(&python.View{Dict: d, Kind: python.ViewItems}), nil
}

// batch cuts into lists of n.
func batch(st *python.State, in any, p python.Params) (any, error) {
	n, err := p.Integer(0, 0)
	if err != nil {
		return nil, err
	}
	it, err := st.Iterate(in)
	if err != nil {
		return nil, err
	}
	fill := p.Get(1, nil)
	held := python.Absent // the first item of the next batch
	done := false
	return &python.Generator{Iterator: python.IteratorFunc(func(st *python.State) (any, bool, error) {
		if done {
			return nil, false, nil
		}
		row := &python.List{}
		if held != python.Absent {
			row.Items = append(row.Items, held)
		}
		for {
			v, ok, err := it.Next(st)
			if err != nil {
				return nil, false, err
			}
			if !ok {
				done = true
				break
			}
			if err := st.Alloc(python.BytesPerValue); err != nil {
				return nil, false, err
			}
			if int64(len(row.Items)) == n {
				held = v
				return row, true, nil
			}
			row.Items = append(row.Items, v)
		}
		if missing := n - int64(len(row.Items)); fill != nil && len(row.Items) > 0 && missing > 0 {
			if err := st.AllocTimes(python.BytesPerValue, missing); err != nil {
				return nil, false, err
			}
			for ; missing > 0; missing-- {
				row.Items = append(row.Items, fill)
			}
		}
		return row, len(row.Items) > 0, nil
	})}, nil
}

// sliceInto cuts into n lists of about the same length.
func sliceInto(st *python.State, in any, p python.Params) (any, error) {
	n, err := p.Integer(0, 0)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, python.DivisionByZero()
	}
	values, err := st.Collect(in)
	if err != nil || n < 0 {
		return python.GeneratorOf(nil), err
	}
	if err := st.AllocTimes(python.BytesPerTuple, n); err != nil {
		return nil, err
	}
	if err := st.Spend(int(n)); err != nil {
		return nil, err
	}
	fill := p.Get(1, nil)
	size, longer := len(values)/int(n), len(values)%int(n)
	rows := &python.List{}
	for i := range int(n) {
		length := size
		if i < longer {
			length++
		}
		row := append([]any(nil), values[:length]...)
		values = values[length:]
		if fill != nil && i >= longer {
			row = append(row, fill)
		}
		rows.Items = append(rows.Items, &python.List{Items: row})
	}
	return python.GeneratorOf(rows), nil
}

func sum(st *python.State, in any, p python.Params) (any, error) {
	total := p.Get(1, int64(0))
	if _, ok := python.AsString(total); ok {
		return nil, fault.Errorf(fault.ErrType, "sum cannot add text, use join")
	}
	var get getter
	if p.Get(0, nil) != nil {
		var err error
		if get, err = newGetter(st, p.Values[0], python.Absent); err != nil {
			return nil, err
		}
	}
	err := st.Each(in, func(v any) (err error) {
		if get != nil {
			if v, err = get(st, v); err != nil {
				return err
			}
		}
		total, err = st.Arithmetic("+", total, v)
		return err
	})
	return total, err
}

func unique(st *python.State, in any, p python.Params) (any, error) {
	get, err := newGetter(st, p.Get(1, nil), python.Absent)
	if err != nil {
		return nil, err
	}
	caseSensitive := p.Truth(0, false)
	it, err := st.Iterate(in)
	if err != nil {
		return nil, err
	}
	seen := python.NewDict()
	return &python.Generator{Iterator: python.IteratorFunc(func(st *python.State) (any, bool, error) {
		for {
			v, ok, err := it.Next(st)
			if err != nil || !ok {
				return nil, false, err
			}
			key, err := get(st, v)
			if err != nil {
				return nil, false, err
			}
			if !caseSensitive {
				if key, err = foldCase(st, key); err != nil {
					return nil, false, err
				}
			}
			if _, known, err := seen.Get(st, key); err != nil {
				return nil, false, err
			} else if known {
				continue
			}
			return v, true, seen.Set(st, key, nil)
		}
	})}, nil
}
