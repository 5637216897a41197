package template

import (
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// An iterator hands out the elements of a value; ok is false at the end.
type iterator interface {
	next(st *state) (v any, ok bool, err error)
}

// A generator is a value that can be gone through once: what map, select and the like return.
type generator struct {
	iterator
	at fault.Pos // of the filter that makes it
}

// next goes one deeper into the stack: generators may take their elements from others, which may
// stand in lists, arguments and variables.
func (g *generator) next(st *state) (any, bool, error) {
	if err := st.enter(); err != nil {
		return nil, false, err
	}
	v, ok, err := g.iterator.next(st)
	st.leave()
	return v, ok, err
}

// lazily makes a filter that does nothing, and checks nothing, before its first element is asked
// for: Jinja2's are generators of Python.
func lazily(run func(*state, any, params) (any, error)) func(*state, any, params) (any, error) {
	return func(st *state, in any, p params) (any, error) {
		var items iterator
		made := &generator{}
		made.iterator = iteratorFunc(func(st *state) (any, bool, error) {
			if items == nil {
				v, err := run(st, in, p)
				if err != nil {
					return nil, false, made.at.At(err)
				}
				if items, err = st.iterate(v); err != nil {
					return nil, false, made.at.At(err)
				}
				if inner, ok := items.(*generator); ok {
					items = inner.iterator // one filter is one generator deep
				}
			}
			v, ok, err := items.next(st)
			return v, ok, made.at.At(err)
		})
		return made, nil
	}
}

// generatorOf makes a generator of the elements of a list, tuple or view.
func generatorOf(v any) *generator { return &generator{iterator: &sequenceIterator{of: v}} }

// iteratorFunc is an iterator from a function.
type iteratorFunc func(st *state) (any, bool, error)

func (f iteratorFunc) next(st *state) (any, bool, error) {
	if err := st.step(); err != nil {
		return nil, false, err
	}
	return f(st)
}

// sequenceIterator goes through anything with positions, as it is at each step: a list may grow
// meanwhile.
type sequenceIterator struct {
	of any
	i  int
}

func (it *sequenceIterator) next(st *state) (any, bool, error) {
	if err := st.step(); err != nil {
		return nil, false, err
	}
	i := it.i
	it.i++
	switch v := it.of.(type) {
	case *list:
		if i < len(v.items) {
			return v.items[i], true, nil
		}
	case []any:
		if i < len(v) {
			return st.normal(v[i]), true, nil
		}
	case *tuple:
		if i < len(v.items) {
			return v.items[i], true, nil
		}
	case *dict:
		if i < len(v.keys) {
			return v.keys[i], true, nil
		}
	case *view:
		if i < v.dict.len() {
			if v.kind == viewItems {
				if err := st.alloc(bytesPerTuple); err != nil {
					return nil, false, err
				}
			}
			return v.at(i), true, nil
		}
	case *rangeValue:
		if int64(i) < v.n {
			return v.at(int64(i)), true, nil
		}
	case string:
		if i < len(v) {
			_, n := utf8.DecodeRuneInString(v[i:])
			it.i = i + n
			return v[i : i+n], true, nil
		}
	case markup: // Python iterates over a Markup as over a plain string
		if i < len(v.text) {
			_, n := utf8.DecodeRuneInString(v.text[i:])
			it.i = i + n
			return v.text[i : i+n], true, nil
		}
	}
	return nil, false, nil
}

// iterate is Python's iter().
func (st *state) iterate(v any) (iterator, error) {
	switch v := v.(type) {
	case []any, *list, *tuple, *dict, *view, *rangeValue, string, markup:
		return &sequenceIterator{of: v}, nil
	case map[string]any:
		return &sequenceIterator{of: st.wrap(v)}, nil
	case *generator:
		return v, nil
	case *undefined:
		if !v.loud() {
			return &sequenceIterator{}, nil
		}
		return nil, v.fail()
	}
	return nil, fault.Errorf(fault.ErrType, "%s cannot be gone through", typeName(v))
}

// collect returns a new slice of all elements of a value.
func (st *state) collect(v any) ([]any, error) {
	if _, ok := v.(*generator); ok { // it has no length, and saying so in an error takes time
		return st.collectUnknown(v)
	}
	if n, err := st.length(v); st.fault != nil {
		return nil, st.fault
	} else if err == nil {
		if err := st.allocValues(n); err != nil {
			return nil, err
		}
		items := make([]any, 0, n)
		it, err := st.iterate(v)
		if err != nil {
			return nil, err
		}
		for {
			item, ok, err := it.next(st)
			if err != nil || !ok {
				return items, err
			}
			items = append(items, item)
		}
	}
	return st.collectUnknown(v)
}

// collectUnknown is collect for what does not know how many elements it has.
func (st *state) collectUnknown(v any) ([]any, error) {
	it, err := st.iterate(v)
	if err != nil {
		return nil, err
	}
	var items []any
	for {
		item, ok, err := it.next(st)
		if err != nil || !ok {
			return items, err
		}
		if err := st.alloc(bytesPerValue); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
}

// each calls f for every element.
func (st *state) each(v any, f func(any) error) error {
	it, err := st.iterate(v)
	if err != nil {
		return err
	}
	for {
		item, ok, err := it.next(st)
		if err != nil || !ok {
			return err
		}
		if err := f(item); err != nil {
			return err
		}
	}
}
