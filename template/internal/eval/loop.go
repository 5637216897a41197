package eval

import (
	"strconv"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// A loop is the variable of that name inside a for.
type loop struct {
	items   python.Iterator
	of      any // what is gone through, if its length can be asked for
	size    int // -1 until known
	index0  int
	depth0  int
	before  any // the items around the current one, absent where there is none
	current any
	after   any // read ahead, for last and nextitem
	recurse func(items any) (any, error)
	changed []any // what changed() was called with last
	called  bool
}

var (
	_ python.Attributed  = (*loop)(nil)
	_ python.Callable    = (*loop)(nil)
	_ python.Methodical  = (*loop)(nil)
	_ python.Represented = (*loop)(nil)
	_ python.Sized       = (*loop)(nil)
	_ python.Typed       = (*loop)(nil)
)

func (l *loop) TypeName() string { return "LoopContext" }

func (l *loop) Methods(tables *python.MethodTables) map[string]*python.Method { return tables.Loop }

// advance goes to the next item.
func (l *loop) advance(st *python.State) (bool, error) {
	next := l.after
	if next == python.Absent {
		var ok bool
		var err error
		if next, ok, err = l.items.Next(st); err != nil || !ok {
			return false, err
		}
	}
	l.after = python.Absent
	l.before, l.current = l.current, next
	l.index0++
	return true, nil
}

// peek reads the next item ahead; absent if there is none.
func (l *loop) peek(st *python.State) (any, error) {
	if l.after == python.Absent {
		v, ok, err := l.items.Next(st)
		if err != nil {
			return nil, err
		}
		if ok {
			l.after = v
		}
	}
	return l.after, nil
}

// Length is the number of items. Where only going through them tells, they are collected first.
func (l *loop) Length(st *python.State) (int, error) {
	if l.size >= 0 {
		return l.size, nil
	}
	if n, err := st.Length(l.of); err == nil && l.of != nil {
		l.size = n
		return n, nil
	}
	rest, err := st.Collect(&python.Generator{Iterator: l.items})
	if err != nil {
		return 0, err
	}
	l.items = &python.SequenceIterator{Of: &python.List{Items: rest}}
	l.size = l.index0 + 1 + len(rest)
	if l.after != python.Absent {
		l.size++
	}
	return l.size, nil
}

func (l *loop) Attribute(st *python.State, name string) (any, bool, error) {
	switch name {
	case "index":
		return int64(l.index0 + 1), true, nil
	case "index0":
		return int64(l.index0), true, nil
	case "first":
		return l.index0 == 0, true, nil
	case "depth":
		return int64(l.depth0 + 1), true, nil
	case "depth0":
		return int64(l.depth0), true, nil
	case "length", "revindex", "revindex0":
		n, err := l.Length(st)
		switch name {
		case "revindex":
			n -= l.index0
		case "revindex0":
			n -= l.index0 + 1
		}
		return int64(n), true, err
	case "last", "nextitem":
		next, err := l.peek(st)
		if name == "last" {
			return next == python.Absent, true, err
		}
		if next == python.Absent {
			next = &python.Undefined{Kind: fault.ErrUndefined, Why: "there is no next item"}
		}
		return next, true, err
	case "previtem":
		if l.before == python.Absent || l.index0 == 0 {
			return &python.Undefined{Kind: fault.ErrUndefined, Why: "there is no previous item"}, true, nil
		}
		return l.before, true, nil
	}
	return nil, false, nil
}

// Call is loop(items) in a recursive loop.
func (l *loop) Call(_ *python.State, a python.Args) (any, error) {
	if l.recurse == nil {
		return nil, fault.Errorf(fault.ErrType, `only a loop marked "recursive" can be called`)
	}
	if len(a.Positional) != 1 || len(a.Names) != 0 {
		return nil, fault.Errorf(fault.ErrType, "loop takes the items to go through")
	}
	return l.recurse(a.Positional[0])
}

func (l *loop) AppendRepr(st *python.State, b []byte, _ int) ([]byte, error) {
	n, err := l.Length(st)
	b = strconv.AppendInt(append(b, "<LoopContext "...), int64(l.index0+1), 10)
	b = strconv.AppendInt(append(b, '/'), int64(n), 10)
	return append(b, '>'), err
}

func loopMethods() []python.Method {
	return []python.Method{
		{Name: "cycle", Params: "*", Run: func(_ *python.State, of any, p python.Params) (any, error) {
			items := p.Raw.Positional
			if len(items) == 0 {
				return nil, fault.Errorf(fault.ErrType, "cycle needs items")
			}
			return items[of.(*loop).index0%len(items)], nil
		}},
		{Name: "changed", Params: "*", Run: func(st *python.State, of any, p python.Params) (any, error) {
			l := of.(*loop)
			same := false
			if l.called {
				var err error
				if same, err = st.EqualItems(l.changed, p.Raw.Positional, 1); err != nil {
					return nil, err
				}
			}
			l.called, l.changed = true, p.Raw.Positional
			return !same, nil
		}},
	}
}
