package eval

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// forStatement is {% for x in xs if test recursive %}…{% else %}…{% endfor %}.
type forStatement struct {
	pos       fault.Pos
	target    target
	items     expr
	test      expr // nil if there is none
	recursive bool
	body      body
	otherwise *body
}

func compileFor(t *tagSource) (statement, error) {
	s := &forStatement{pos: t.tagArguments.pos, target: t.targets(false, "in")}
	if s.target.assigns("loop") {
		t.fail(fault.ErrSyntax, s.target.pos, `cannot assign to "loop" in a for`)
	}
	if at := t.tok().Pos; !t.skipName("in") {
		t.fail(fault.ErrSyntax, at, `expected "in", got %s`, t.tok().Describe())
	}
	s.items = t.tuple(tupleMode{noConditional: true, stop: "recursive"})
	if t.skipName("if") {
		s.test = t.expression()
	}
	s.recursive = t.skipName("recursive")
	if err := t.done(); err != nil {
		return nil, err
	}
	var end string
	var err error
	if s.body, end, _, err = t.body("else"); err != nil {
		return nil, err
	}
	if tagPrefix+end != endTag {
		otherwise, err := t.lastBody()
		s.otherwise = &otherwise
		return s, err
	}
	return s, nil
}

func (t *target) assigns(name string) bool {
	for i := range t.parts {
		if t.parts[i].assigns(name) {
			return true
		}
	}
	return t.parts == nil && t.name == name
}

func (s *forStatement) run(out *output) error {
	if err := out.st.Step(); err != nil {
		return s.pos.At(err)
	}
	items, err := s.items.eval(out.st)
	if err != nil {
		return err
	}
	return s.loop(out, items, 0, out.st.scope)
}

// loop runs the body for each item, in scopes inside outer.
func (s *forStatement) loop(out *output, items any, depth int, outer *scope) error {
	st := out.st
	l := &loop{depth0: depth, index0: -1, of: items, current: python.Absent, after: python.Absent,
		size: -1}
	var err error
	if l.items, err = st.Iterate(items); err != nil {
		return s.pos.At(err)
	}
	if s.test != nil {
		l.items = &python.Generator{Iterator: &filteredItems{s, l.items, st, outer}}
		l.of = nil
	}
	if s.recursive {
		l.recurse = func(items any) (any, error) { return s.recurse(st, items, depth+1, outer) }
	}
	err = st.inScope(outer, func() error { return s.turns(out, l) })
	if err != nil || l.index0 >= 0 || s.otherwise == nil {
		return err
	}
	return st.inScope(outer, func() error { return s.otherwise.run(out) })
}

// turns runs the body for each item; every turn begins with fresh variables.
func (s *forStatement) turns(out *output, l *loop) error {
	st := out.st
	outer := st.scope.parent
	for {
		ok, err := l.advance(&st.State)
		if err != nil || !ok {
			return s.pos.At(err)
		}
		if st.scope.captured {
			if _, err := st.push(outer); err != nil {
				return s.pos.At(err)
			}
		}
		st.scope.clear()
		if err := st.set("loop", l); err != nil {
			return s.pos.At(err)
		}
		if err := st.assign(&s.target, l.current); err != nil {
			return err
		}
		if err := s.body.run(out); err != nil {
			return err
		}
	}
}

// recurse is loop(items) inside the body.
func (s *forStatement) recurse(st *rendering, items any, depth int, outer *scope) (any, error) {
	return st.capture(func(out *output) error { return s.loop(out, items, depth, outer) })
}

// filteredItems are the items for which the loop's test holds. The test sees the item, but not the
// loop; one that has found the loop in a variable may ask it for the next item, so that they are
// gone through as a generator.
type filteredItems struct {
	loop  *forStatement
	items python.Iterator
	st    *rendering
	outer *scope
}

func (f *filteredItems) Next(*python.State) (any, bool, error) {
	st := f.st
	previous, err := st.push(f.outer)
	if err != nil {
		return nil, false, err
	}
	defer func() { st.scope = previous }()
	for {
		item, ok, err := f.items.Next(&st.State)
		if err != nil || !ok {
			return nil, false, err
		}
		if err := st.assign(&f.loop.target, item); err != nil {
			return nil, false, err
		}
		if ok, err = evalTruth(st, f.loop.test); err != nil || ok {
			return item, ok, err
		}
	}
}
