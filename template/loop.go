package template

import (
	"strconv"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A loop is the variable of that name inside a for.
type loop struct {
	items   iterator
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
	_ attributed  = (*loop)(nil)
	_ callable    = (*loop)(nil)
	_ methodical  = (*loop)(nil)
	_ represented = (*loop)(nil)
	_ sized       = (*loop)(nil)
	_ typed       = (*loop)(nil)
)

func (l *loop) typeName() string { return "LoopContext" }

func (l *loop) methods(tables *methodTables) map[string]*method { return tables.loop }

// advance goes to the next item.
func (l *loop) advance(st *state) (bool, error) {
	next := l.after
	if next == absent {
		var ok bool
		var err error
		if next, ok, err = l.items.next(st); err != nil || !ok {
			return false, err
		}
	}
	l.after = absent
	l.before, l.current = l.current, next
	l.index0++
	return true, nil
}

// peek reads the next item ahead; absent if there is none.
func (l *loop) peek(st *state) (any, error) {
	if l.after == absent {
		v, ok, err := l.items.next(st)
		if err != nil {
			return nil, err
		}
		if ok {
			l.after = v
		}
	}
	return l.after, nil
}

// length is the number of items. Where only going through them tells, they are collected first.
func (l *loop) length(st *state) (int, error) {
	if l.size >= 0 {
		return l.size, nil
	}
	if n, err := st.length(l.of); err == nil && l.of != nil {
		l.size = n
		return n, nil
	}
	rest, err := st.collect(&generator{iterator: l.items})
	if err != nil {
		return 0, err
	}
	l.items = &sequenceIterator{of: &list{items: rest}}
	l.size = l.index0 + 1 + len(rest)
	if l.after != absent {
		l.size++
	}
	return l.size, nil
}

func (l *loop) attribute(st *state, name string) (any, bool, error) {
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
		n, err := l.length(st)
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
			return next == absent, true, err
		}
		if next == absent {
			next = &undefined{kind: fault.ErrUndefined, why: "there is no next item"}
		}
		return next, true, err
	case "previtem":
		if l.before == absent || l.index0 == 0 {
			return &undefined{kind: fault.ErrUndefined, why: "there is no previous item"}, true, nil
		}
		return l.before, true, nil
	}
	return nil, false, nil
}

// call is loop(items) in a recursive loop.
func (l *loop) call(_ *state, a args) (any, error) {
	if l.recurse == nil {
		return nil, fault.Errorf(fault.ErrType, `only a loop marked "recursive" can be called`)
	}
	if len(a.positional) != 1 || len(a.names) != 0 {
		return nil, fault.Errorf(fault.ErrType, "loop takes the items to go through")
	}
	return l.recurse(a.positional[0])
}

func (l *loop) appendRepr(st *state, b []byte, _ int) ([]byte, error) {
	n, err := l.length(st)
	b = strconv.AppendInt(append(b, "<LoopContext "...), int64(l.index0+1), 10)
	b = strconv.AppendInt(append(b, '/'), int64(n), 10)
	return append(b, '>'), err
}

func loopMethods() []method {
	return []method{
		{name: "cycle", params: "*", run: func(_ *state, of any, p params) (any, error) {
			items := p.raw.positional
			if len(items) == 0 {
				return nil, fault.Errorf(fault.ErrType, "cycle needs items")
			}
			return items[of.(*loop).index0%len(items)], nil
		}},
		{name: "changed", params: "*", run: func(st *state, of any, p params) (any, error) {
			l := of.(*loop)
			same := false
			if l.called {
				var err error
				if same, err = st.equalItems(l.changed, p.raw.positional, 1); err != nil {
					return nil, err
				}
			}
			l.called, l.changed = true, p.raw.positional
			return !same, nil
		}},
	}
}
