package eval

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// setStatement is {% set x = … %}.
type setStatement struct {
	pos    fault.Pos
	target target
	value  expr
}

func compileSet(t *tagSource) (statement, error) {
	target := t.targets(true, "")
	if t.skipOp("=") {
		s := &setStatement{t.tagArguments.pos, target, t.tuple(tupleMode{})}
		return s, t.done()
	}
	s := &setBlock{pos: t.tagArguments.pos, target: target, filters: t.filterChain(nil)}
	if err := t.done(); err != nil {
		return nil, err
	}
	var err error
	s.body, err = t.lastBody()
	return s, err
}

func (s *setStatement) run(out *output) error {
	if err := out.st.Step(); err != nil {
		return s.pos.At(err)
	}
	v, err := s.value.eval(out.st)
	if err != nil {
		return err
	}
	return s.pos.At(out.st.assign(&s.target, v))
}

// setBlock is {% set x %}…{% endset %}, with filters if there are any.
type setBlock struct {
	pos     fault.Pos
	target  target
	filters expr
	body    body
}

func (s *setBlock) run(out *output) error {
	st := out.st
	v, err := st.collectBody(s.body, s.filters, true)
	if err != nil {
		return s.pos.At(err)
	}
	return s.pos.At(st.assign(&s.target, v))
}

// collectBody runs a body in a scope of its own and puts what it writes through filters. Where values
// are escaped, text is markup then, as in Jinja2; but what filters have decoded or brought along,
// which Jinja2 leaves as it is, is escaped.
// Whole makes text of anything else that they end in.
func (st *rendering) collectBody(b body, filters expr, whole bool) (v any, err error) {
	err = st.inScope(st.scope, func() error {
		v, err = st.capture(b.run)
		if err != nil || filters == nil {
			return err
		}
		body := v
		collected, foreign := st.collected, st.foreign
		st.collected, st.foreign = body, false
		defer func() { st.collected, st.foreign = collected, foreign }()
		if v, err = filters.eval(st); err != nil || !st.Autoescape {
			return err
		}
		if _, ok := python.AsString(v); !ok && !whole {
			return nil
		}
		v, err = st.escapeBlock(v, python.SafetyOf(body))
		return err
	})
	return v, err
}

// escapeBlock makes markup of what filters have made of a block that was as safe as told.
func (st *rendering) escapeBlock(v any, body python.Safety) (any, error) {
	switch {
	case python.SafetyOf(v) != python.NotSafe:
		return v, nil
	case st.foreign:
		return st.Escape(v)
	}
	s, _, err := st.Text(v)
	return python.TextOf(s, python.Filled(body)), err
}

// filterBlock is {% filter f %}…{% endfilter %}.
type filterBlock struct {
	pos     fault.Pos
	filters expr
	body    body
}

func compileFilterBlock(t *tagSource) (statement, error) {
	s := &filterBlock{pos: t.tagArguments.pos}
	s.filters = t.filterChain(t.filter(nil))
	if err := t.done(); err != nil {
		return nil, err
	}
	var err error
	s.body, err = t.lastBody()
	return s, err
}

func (s *filterBlock) run(out *output) error {
	v, err := out.st.collectBody(s.body, s.filters, false)
	if err != nil {
		return s.pos.At(err)
	}
	if _, ok := python.AsString(v); !ok {
		return s.pos.Errorf(fault.ErrType, "a filter block must end in text, not %s", python.TypeName(v))
	}
	return out.print(v)
}

// withStatement is {% with a = 1, b = 2 %}…{% endwith %}.
type withStatement struct {
	pos     fault.Pos
	targets []target
	values  []expr
	body    body
}

func compileWith(t *tagSource) (statement, error) {
	s := &withStatement{pos: t.tagArguments.pos}
	for !t.atEnd() && !t.isOp(":") {
		s.targets = append(s.targets, t.targets(false, ""))
		t.expectOp("=")
		s.values = append(s.values, t.expression())
		if !t.skipOp(",") {
			break
		}
	}
	if err := t.done(); err != nil {
		return nil, err
	}
	var err error
	s.body, err = t.lastBody()
	return s, err
}

func (s *withStatement) run(out *output) error {
	st := out.st
	values, err := evalAll(st, s.values) // in the scope around the block
	if err != nil {
		return err
	}
	return st.inScope(st.scope, func() error {
		for i := range s.targets {
			if err := st.assign(&s.targets[i], values[i]); err != nil {
				return err
			}
		}
		return s.body.run(out)
	})
}
