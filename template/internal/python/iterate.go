package python

import (
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// An Iterator hands out the elements of a value; ok is false at the end.
type Iterator interface {
	Next(st *State) (v any, ok bool, err error)
}

// A Generator is a value that can be gone through once: what map, select and the like return.
type Generator struct {
	Iterator
	At      fault.Pos // of the filter that makes it
	running bool
	ended   bool
}

// Next goes one deeper into the stack: generators may take their elements from others, which may
// stand in lists, arguments and variables. As in Python, one cannot take them from itself, and one
// that has ended stays so.
func (g *Generator) Next(st *State) (any, bool, error) {
	switch {
	case g.running:
		return nil, false, fault.Errorf(fault.ErrType, "a generator asks itself for its next element")
	case g.ended:
		return nil, false, st.Step()
	}
	if err := st.Enter(); err != nil {
		return nil, false, err
	}
	g.running = true
	v, ok, err := g.Iterator.Next(st)
	g.running, g.ended = false, err != nil || !ok
	st.Leave()
	return v, ok, err
}

// Lazily makes a filter that does nothing, and checks nothing, before its first element is asked
// for: Jinja2's are generators of Python.
func Lazily(run func(*State, any, Params) (any, error)) func(*State, any, Params) (any, error) {
	return func(st *State, in any, p Params) (any, error) {
		var items Iterator
		made := &Generator{}
		made.Iterator = IteratorFunc(func(st *State) (any, bool, error) {
			if items == nil {
				v, err := run(st, in, p)
				if err != nil {
					return nil, false, made.At.At(err)
				}
				if items, err = st.Iterate(v); err != nil {
					return nil, false, made.At.At(err)
				}
				if inner, ok := items.(*Generator); ok {
					items = inner.Iterator // one filter is one generator deep
				}
			}
			v, ok, err := items.Next(st)
			return v, ok, made.At.At(err)
		})
		return made, nil
	}
}

// GeneratorOf makes a generator of the elements of a list, tuple or view.
func GeneratorOf(v any) *Generator { return &Generator{Iterator: &SequenceIterator{Of: v}} }

// IteratorFunc is an iterator from a function.
type IteratorFunc func(st *State) (any, bool, error)

// Next asks for a step and calls f.
func (f IteratorFunc) Next(st *State) (any, bool, error) {
	if err := st.Step(); err != nil {
		return nil, false, err
	}
	return f(st)
}

// SequenceIterator goes through anything with positions, as it is at each step: a list may grow
// meanwhile.
type SequenceIterator struct {
	Of any
	i  int
}

// Next returns the element at the position and moves on.
func (it *SequenceIterator) Next(st *State) (any, bool, error) {
	if err := st.Step(); err != nil {
		return nil, false, err
	}
	i := it.i
	it.i++
	switch v := it.Of.(type) {
	case *List:
		if i < len(v.Items) {
			return v.Items[i], true, nil
		}
	case []any:
		if i < len(v) {
			return st.Normal(v[i]), true, nil
		}
	case *Tuple:
		if i < len(v.Items) {
			return v.Items[i], true, nil
		}
	case *Dict:
		if i < len(v.Keys) {
			return v.Keys[i], true, nil
		}
	case *View:
		if i < v.Dict.Len() {
			if v.Kind == ViewItems {
				if err := st.Alloc(BytesPerTuple); err != nil {
					return nil, false, err
				}
			}
			return v.at(i), true, nil
		}
	case *Range:
		if int64(i) < v.Len {
			return v.at(int64(i)), true, nil
		}
	case string:
		if i < len(v) {
			_, n := utf8.DecodeRuneInString(v[i:])
			it.i = i + n
			return v[i : i+n], true, nil
		}
	case Markup: // Python iterates over a Markup as over a plain string
		if i < len(v.Text) {
			_, n := utf8.DecodeRuneInString(v.Text[i:])
			it.i = i + n
			return v.Text[i : i+n], true, nil
		}
	}
	it.Of = nil // it has ended, even if a list grows later
	return nil, false, nil
}

// Iterate is Python's iter().
func (st *State) Iterate(v any) (Iterator, error) {
	switch v := v.(type) {
	case []any, *List, *Tuple, *Dict, *View, *Range, string, Markup:
		return &SequenceIterator{Of: v}, nil
	case map[string]any:
		return &SequenceIterator{Of: st.Wrap(v)}, nil
	case *Generator:
		return v, nil
	case *Undefined:
		if !v.Loud() {
			return &SequenceIterator{}, nil
		}
		return nil, v.Fail()
	}
	return nil, fault.Errorf(fault.ErrType, "%s cannot be gone through", TypeName(v))
}

// Collect returns a new slice of all elements of a value.
func (st *State) Collect(v any) ([]any, error) {
	if _, ok := v.(*Generator); ok { // it has no length, and saying so in an error takes time
		return st.collectUnknown(v)
	}
	if n, err := st.Length(v); st.Fault != nil {
		return nil, st.Fault
	} else if err == nil {
		if err := st.AllocValues(n); err != nil {
			return nil, err
		}
		items := make([]any, 0, n)
		it, err := st.Iterate(v)
		if err != nil {
			return nil, err
		}
		for {
			item, ok, err := it.Next(st)
			if err != nil || !ok {
				return items, err
			}
			items = append(items, item)
		}
	}
	return st.collectUnknown(v)
}

// collectUnknown is collect for what does not know how many elements it has.
func (st *State) collectUnknown(v any) ([]any, error) {
	it, err := st.Iterate(v)
	if err != nil {
		return nil, err
	}
	var items []any
	for {
		item, ok, err := it.Next(st)
		if err != nil || !ok {
			return items, err
		}
		if err := st.Alloc(BytesPerValue); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
}

// Each calls f for every element.
func (st *State) Each(v any, f func(any) error) error {
	it, err := st.Iterate(v)
	if err != nil {
		return err
	}
	for {
		item, ok, err := it.Next(st)
		if err != nil || !ok {
			return err
		}
		if err := f(item); err != nil {
			return err
		}
	}
}
