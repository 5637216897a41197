package eval

import (
	"context"

	"github.com/flosch/pongo2/v6"

	"github.com/mixpeek/webhooks-go/template/internal/builtin"
	"github.com/mixpeek/webhooks-go/template/internal/escaping"
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// A rendering is one run of a template: the state, with the variables, and what tags need.
type rendering struct {
	python.State
	env       *Environment
	exec      *pongo2.ExecutionContext // for running the bodies of macros
	data      map[string]any
	root      *scope // of the template's top level
	scope     *scope // the innermost
	foreign   bool   // those filters may have written what is not escaped
	collected any    // what a filter tag or a set block has collected for its filters
	top       output
	topScope  scope
}

func newRendering(ctx context.Context, s *Settings, data map[string]any) *rendering {
	st := &rendering{
		State: python.State{
			Budget:     python.NewBudget(ctx, s.Limits),
			Names:      &s.Env.Names,
			Format:     s.Format,
			Escaper:    s.escaper,
			JSON:       s.json,
			Autoescape: s.json || s.Format != escaping.Plain,
		},
		env: s.Env, data: data,
	}
	st.root, st.scope = &st.topScope, &st.topScope
	st.top = output{st: st, top: true}
	if s.json {
		st.top.json = &jsonOutput{}
	}
	return st
}

// A scope holds the variables of a block. Assignments go to the innermost scope; lookups go
// outwards, and to the data.
type scope struct {
	parent   *scope
	vars     []variable
	index    map[string]int // of vars, from IndexFrom variables on
	captured bool           // by a macro or a caller, which may look at it later
}

type variable struct {
	name  string
	value any
}

// find returns the position of a variable, or -1, after a time that does not depend on how many
// there are.
func (s *scope) find(name string) int {
	if s.index != nil {
		if i, ok := s.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range s.vars {
		if s.vars[i].name == name {
			return i
		}
	}
	return -1
}

// set puts a value into a variable of the innermost scope. The caller has asked for a step.
func (st *rendering) set(name string, value any) error {
	if err := st.Scan(len(name)); err != nil {
		return err
	}
	s := st.scope
	if i := s.find(name); i >= 0 {
		s.vars[i].value = value
		return nil
	}
	if len(s.vars) == cap(s.vars) {
		if err := st.Alloc(python.BytesPerScope * (len(s.vars) + 1)); err != nil { // it doubles
			return err
		}
	}
	s.vars = append(s.vars, variable{name, value})
	switch n := len(s.vars); {
	case s.index != nil:
		s.index[name] = n - 1
		return st.Step()
	case n >= python.IndexFrom:
		if err := st.Spend(n); err != nil {
			return err
		}
		s.index = make(map[string]int, 2*n)
		for i := range s.vars {
			s.index[s.vars[i].name] = i
		}
	}
	return nil
}

// clear takes all variables away, for the next turn of a loop.
func (s *scope) clear() { s.vars, s.index = s.vars[:0], nil }

const scopesPerStep = 8 // how many scopes around it a name is looked up in for one step

// lookup finds a variable. The caller has asked for a step.
func (st *rendering) lookup(name string) (any, bool, error) {
	if err := st.Scan(len(name)); err != nil {
		return nil, false, err
	}
	outwards := 1
	for s := st.scope; s != nil; s = s.parent {
		if i := s.find(name); i >= 0 {
			return s.vars[i].value, true, nil
		}
		if outwards++; outwards%scopesPerStep == 0 {
			if err := st.Step(); err != nil {
				return nil, false, err
			}
		}
	}
	v, ok := st.data[name]
	return st.Normal(v), ok, nil
}

// push opens a scope inside parent and returns the scope to come back to.
func (st *rendering) push(parent *scope) (previous *scope, err error) {
	if err := st.Step(); err != nil {
		return nil, err
	}
	if err := st.Alloc(python.BytesPerScope); err != nil {
		return nil, err
	}
	previous = st.scope
	st.scope = &scope{parent: parent}
	return previous, nil
}

// assign puts a value into a target of the innermost scope, unpacking it where the target has
// parts.
func (st *rendering) assign(t *target, value any) error {
	if t.parts == nil {
		if t.attr == "" {
			return t.pos.At(st.set(t.name, value))
		}
		ns, _, err := st.lookup(t.name)
		if err != nil {
			return t.pos.At(err)
		}
		n, ok := ns.(*builtin.Namespace)
		if !ok {
			return t.pos.Errorf(fault.ErrType, "cannot assign an attribute of %s, which is no namespace",
				python.Quoted(t.name))
		}
		return t.pos.At(n.Attributes.Set(&st.State, t.attr, value))
	}
	items, err := st.Collect(value)
	if err != nil {
		return t.pos.At(err)
	}
	if len(items) != len(t.parts) {
		return t.pos.Errorf(fault.ErrType, "%d values to unpack, expected %d", len(items), len(t.parts))
	}
	for i := range t.parts {
		if err := st.assign(&t.parts[i], items[i]); err != nil {
			return err
		}
	}
	return nil
}
