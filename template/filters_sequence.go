package template

import (
	"math/rand/v2"
	"slices"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// Filters that look at a sequence as a whole or cut it into parts.
func sequenceFilters() []filter {
	return []filter{
		{name: "batch", params: "linecount fill_with?", run: lazily(batch)},
		{name: "count", run: length},
		{name: "first", run: first},
		{name: "items", run: lazily(items)},
		{name: "join", params: "d? attribute?", run: join},
		{name: "last", run: last},
		{name: "length", run: length},
		{name: "list", run: toList},
		{name: "random", run: random},
		{name: "reverse", run: reverse},
		{name: "slice", params: "slices fill_with?", run: lazily(sliceInto)},
		{name: "sum", params: "attribute? start?", run: sum},
		{name: "unique", params: "case_sensitive? attribute?", run: lazily(unique)},
	}
}

func length(st *state, in any, _ params) (any, error) {
	n, err := st.length(in)
	return int64(n), err
}

func toList(st *state, in any, _ params) (any, error) {
	values, err := st.collect(in)
	return &list{items: values}, err
}

func first(st *state, in any, _ params) (any, error) {
	it, err := st.iterate(in)
	if err != nil {
		return nil, err
	}
	v, ok, err := it.next(st)
	if err == nil && !ok {
		v = &undefined{kind: fault.ErrUndefined, why: "no first item, the sequence is empty"}
	}
	return v, err
}

func last(st *state, in any, _ params) (any, error) {
	switch in.(type) {
	case *generator:
		return nil, fault.Errorf(fault.ErrType, "a generator has no last item; use |list|last")
	case *undefined:
		if err := st.each(in, nil); err != nil {
			return nil, err
		}
	case *dict, *view, map[string]any:
		values, err := st.collect(in)
		if err != nil {
			return nil, err
		}
		in = &list{items: values}
	}
	if s, ok := asString(in); ok && s != "" {
		_, n := utf8.DecodeLastRuneInString(s)
		return textOf(s[len(s)-n:], safetyOf(in)), nil
	}
	n, err := st.length(in)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return &undefined{kind: fault.ErrUndefined, why: "no last item, the sequence is empty"}, nil
	}
	return st.elementAt(in, n-1), nil
}

func random(st *state, in any, _ params) (any, error) {
	switch in.(type) {
	case *dict, *view, map[string]any, *generator:
		return nil, fault.Errorf(fault.ErrType, "random works on sequences, not on %s", typeName(in))
	}
	if s, ok := asString(in); ok {
		if err := st.read(s); err != nil {
			return nil, err
		}
	}
	n, err := st.length(in)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return &undefined{kind: fault.ErrUndefined, why: "no random item, the sequence is empty"}, nil
	}
	return st.elementAt(in, rand.IntN(n)), nil
}

func reverse(st *state, in any, _ params) (any, error) {
	if s, ok := asString(in); ok {
		safe := safetyOf(in)
		return st.sliceText(s, safe, [3]any{nil, nil, int64(-1)})
	}
	values, err := st.collect(in)
	if err != nil {
		return nil, err
	}
	slices.Reverse(values)
	if _, ok := in.(*generator); ok {
		return &list{items: values}, nil
	}
	return generatorOf(&list{items: values}), nil
}

func join(st *state, in any, p params) (any, error) {
	var get getter
	if p.get(1, nil) != nil {
		var err error
		if get, err = newGetter(st, p.values[1], absent); err != nil {
			return nil, err
		}
	}
	separator, safe, err := st.text(p.get(0, ""))
	if err != nil {
		return nil, err
	}
	values, err := st.collect(in)
	if err != nil {
		return nil, err
	}
	escapes := st.autoescape && safe != notSafe
	for i := range values {
		if get != nil {
			if values[i], err = get(st, values[i]); err != nil {
				return nil, err
			}
		}
		if safetyOf(values[i]) != notSafe && st.autoescape {
			escapes = true
		}
	}
	result := notSafe
	if escapes {
		result = mixed(append(values, textOf(separator, safe))...)
	}
	if escapes && safe == notSafe {
		m, err := st.escape(separator)
		if err != nil {
			return nil, err
		}
		separator = m.text
	}
	var b []byte
	for i, v := range values {
		if i > 0 {
			if b, err = st.appendCopy(b, separator); err != nil {
				return nil, err
			}
		}
		if escapes {
			b, err = st.appendEscaped(b, v)
		} else {
			b, err = st.appendString(b, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return textOf(string(b), result), nil
}

// items are the pairs of a mapping.
func items(st *state, in any, _ params) (any, error) {
	if u, ok := in.(*undefined); ok {
		return generatorOf(nil), st.each(u, nil)
	}
	d, ok := st.wrap(in).(*dict)
	if !ok {
		return nil, fault.Errorf(fault.ErrType, "items works on mappings, not on %s", typeName(in))
	}
	return generatorOf(&view{d, viewItems}), nil
}

// batch cuts into lists of n.
func batch(st *state, in any, p params) (any, error) {
	n, err := p.integer(0, 0)
	if err != nil {
		return nil, err
	}
	it, err := st.iterate(in)
	if err != nil {
		return nil, err
	}
	fill := p.get(1, nil)
	held := absent // the first item of the next batch
	done := false
	return &generator{iterator: iteratorFunc(func(st *state) (any, bool, error) {
		if done {
			return nil, false, nil
		}
		row := &list{}
		if held != absent {
			row.items = append(row.items, held)
		}
		for {
			v, ok, err := it.next(st)
			if err != nil {
				return nil, false, err
			}
			if !ok {
				done = true
				break
			}
			if err := st.alloc(bytesPerValue); err != nil {
				return nil, false, err
			}
			if int64(len(row.items)) == n {
				held = v
				return row, true, nil
			}
			row.items = append(row.items, v)
		}
		if missing := n - int64(len(row.items)); fill != nil && len(row.items) > 0 && missing > 0 {
			if err := st.allocTimes(bytesPerValue, missing); err != nil {
				return nil, false, err
			}
			for ; missing > 0; missing-- {
				row.items = append(row.items, fill)
			}
		}
		return row, len(row.items) > 0, nil
	})}, nil
}

// sliceInto cuts into n lists of about the same length.
func sliceInto(st *state, in any, p params) (any, error) {
	n, err := p.integer(0, 0)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, divisionByZero()
	}
	values, err := st.collect(in)
	if err != nil || n < 0 {
		return generatorOf(nil), err
	}
	if err := st.allocTimes(bytesPerTuple, n); err != nil {
		return nil, err
	}
	if err := st.spend(int(n)); err != nil {
		return nil, err
	}
	fill := p.get(1, nil)
	size, longer := len(values)/int(n), len(values)%int(n)
	rows := &list{}
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
		rows.items = append(rows.items, &list{items: row})
	}
	return generatorOf(rows), nil
}

func sum(st *state, in any, p params) (any, error) {
	total := p.get(1, int64(0))
	if _, ok := asString(total); ok {
		return nil, fault.Errorf(fault.ErrType, "sum cannot add text, use join")
	}
	var get getter
	if p.get(0, nil) != nil {
		var err error
		if get, err = newGetter(st, p.values[0], absent); err != nil {
			return nil, err
		}
	}
	err := st.each(in, func(v any) (err error) {
		if get != nil {
			if v, err = get(st, v); err != nil {
				return err
			}
		}
		total, err = st.arithmetic("+", total, v)
		return err
	})
	return total, err
}

func unique(st *state, in any, p params) (any, error) {
	get, err := newGetter(st, p.get(1, nil), absent)
	if err != nil {
		return nil, err
	}
	caseSensitive := p.truth(0, false)
	it, err := st.iterate(in)
	if err != nil {
		return nil, err
	}
	seen := newDict()
	return &generator{iterator: iteratorFunc(func(st *state) (any, bool, error) {
		for {
			v, ok, err := it.next(st)
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
			if _, known, err := seen.get(st, key); err != nil {
				return nil, false, err
			} else if known {
				continue
			}
			return v, true, seen.set(st, key, nil)
		}
	})}, nil
}
