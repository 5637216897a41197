package eval

import "github.com/mixpeek/webhooks-go/template/internal/fault"

// compileRoot compiles the tag around the whole template.
func compileRoot(t *tagSource) (statement, error) {
	b, err := t.lastBody()
	return &rootStatement{b}, err
}

type rootStatement struct{ body body }

func (s *rootStatement) run(out *output) error { return s.body.run(out) }

// textStatement is text that pongo2 would not take for text.
type textStatement struct{ text string }

func compileTextTag(t *tagSource) (statement, error) { return &textStatement{t.text}, nil }

func (s *textStatement) run(out *output) error {
	_, err := out.WriteString(s.text)
	return err
}

// printStatement is {{ … }}.
type printStatement struct {
	pos   fault.Pos
	value expr
	own   bool // the template spells the value out
}

func compilePrint(t *tagSource) (statement, error) {
	s := &printStatement{pos: t.tok().Pos, value: t.tuple(tupleMode{})}
	s.own = spelledOut(s.value)
	return s, t.finish()
}

func (s *printStatement) run(out *output) error {
	if out.marked {
		out.marks = append(out.marks, mark{len(out.b), s.pos})
	}
	if err := out.st.Step(); err != nil {
		return s.pos.At(err)
	}
	v, err := s.value.eval(out.st)
	if err != nil {
		return s.pos.At(err)
	}
	return s.pos.At(out.printOwn(v, s.own))
}

// spelledOut reports whether all that an expression can be stands in the template.
func spelledOut(e expr) bool {
	switch e := e.(type) {
	case nil, *constant:
		return true
	case *conditional:
		return spelledOut(e.yes) && spelledOut(e.no)
	}
	return false
}

// compilePrintTag compiles {% print a, b %}, which writes its values one after the other.
func compilePrintTag(t *tagSource) (statement, error) {
	var s printAll
	if t.atEnd() {
		return s, nil
	}
	for {
		p := &printStatement{pos: t.tok().Pos, value: t.expression()}
		p.own = spelledOut(p.value)
		s = append(s, p)
		if !t.skipOp(",") {
			return s, t.done()
		}
	}
}

type printAll []*printStatement

func (s printAll) run(out *output) error {
	for _, p := range s {
		if err := p.run(out); err != nil {
			return err
		}
	}
	return nil
}

// ifStatement is if, elif and else.
type ifStatement struct {
	branches  []branch
	otherwise *body
}

type branch struct {
	test expr
	body body
}

func compileIf(t *tagSource) (statement, error) {
	s := &ifStatement{}
	source := t
	for {
		test := source.tuple(tupleMode{noConditional: true})
		if err := source.done(); err != nil {
			return nil, err
		}
		b, end, next, err := t.body("elif", "else")
		if err != nil {
			return nil, err
		}
		s.branches = append(s.branches, branch{test, b})
		switch tagPrefix + end {
		case endTag:
			return s, nil
		case tagPrefix + "else":
			otherwise, err := t.lastBody()
			s.otherwise = &otherwise
			return s, err
		}
		source = next
	}
}

func (s *ifStatement) run(out *output) error {
	st := out.st
	if err := st.Enter(); err != nil {
		return err
	}
	defer st.Leave()
	for i := range s.branches {
		if err := st.Step(); err != nil {
			return err
		}
		ok, err := evalTruth(st, s.branches[i].test)
		if err != nil {
			return err
		}
		if ok {
			return s.branches[i].body.run(out)
		}
	}
	if s.otherwise != nil {
		return s.otherwise.run(out)
	}
	return nil
}

// autoescapeStatement switches HTML escaping on or off for its body.
type autoescapeStatement struct {
	on   expr
	body body
}

func compileAutoescape(t *tagSource) (statement, error) {
	s := &autoescapeStatement{on: t.expression()}
	if err := t.done(); err != nil {
		return nil, err
	}
	var err error
	s.body, err = t.lastBody()
	return s, err
}

func (s *autoescapeStatement) run(out *output) error {
	st := out.st
	on, err := evalTruth(st, s.on)
	if err != nil {
		return err
	}
	previous := st.Autoescape
	st.Autoescape = on
	defer func() { st.Autoescape = previous }()
	return st.inScope(st.scope, func() error { return s.body.run(out) })
}

// inScope runs f in a new scope inside parent, one level deeper.
func (st *rendering) inScope(parent *scope, f func() error) error {
	if err := st.Enter(); err != nil {
		return err
	}
	defer st.Leave()
	previous, err := st.push(parent)
	if err != nil {
		return err
	}
	defer func() { st.scope = previous }()
	return f()
}
