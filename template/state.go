package template

import (
	"context"

	"github.com/flosch/pongo2/v6"
)

// A state is one render: its variables, its budget and what it has to hand for tags and filters. It is used by one
// goroutine and thrown away.
type state struct {
	budget
	env        *environment
	format     Format
	escaper    func(b []byte, s string) []byte
	json       bool
	exec       *pongo2.ExecutionContext // for running the bodies of macros
	data       map[string]any
	root       *scope // of the template's top level
	scope      *scope // the innermost
	autoescape bool
	collected  any    // what a filter tag or a set block has collected for its filters
	scratch    []byte // see takeScratch
	top        output
	topScope   scope
}

func newState(ctx context.Context, s *settings, data map[string]any) *state {
	st := &state{budget: budget{limits: s.limits, ctx: ctx}, env: s.env, format: s.format, escaper: s.escaper, json: s.json, data: data}
	st.autoescape = s.json || s.format != FormatPlain
	st.root, st.scope = &st.topScope, &st.topScope
	st.top = output{st: st, top: true}
	if s.json {
		st.top.json = &jsonOutput{}
	}
	return st
}

// takeScratch returns an empty buffer to build text in. It is given back by assigning the grown buffer to scratch; who
// asks meanwhile gets none.
func (st *state) takeScratch() []byte {
	b := st.scratch[:0]
	st.scratch = nil
	return b
}

// A scope holds the variables of a block. Assignments go to the innermost scope; lookups go outwards, and to the data.
type scope struct {
	parent   *scope
	vars     []variable
	captured bool // by a macro or a caller, which may look at it later
}

type variable struct {
	name  string
	value any
}

func (s *scope) get(name string) (any, bool) {
	for i := range s.vars {
		if s.vars[i].name == name {
			return s.vars[i].value, true
		}
	}
	return nil, false
}

func (s *scope) set(name string, value any) {
	for i := range s.vars {
		if s.vars[i].name == name {
			s.vars[i].value = value
			return
		}
	}
	s.vars = append(s.vars, variable{name, value})
}

func (st *state) lookup(name string) (any, bool) {
	for s := st.scope; s != nil; s = s.parent {
		if v, ok := s.get(name); ok {
			return v, true
		}
	}
	if v, ok := st.data[name]; ok {
		return normal(v), true
	}
	return nil, false
}

// push opens a scope inside parent and returns the scope to come back to.
func (st *state) push(parent *scope) (previous *scope) {
	previous = st.scope
	st.scope = &scope{parent: parent}
	return previous
}

// assign puts a value into a target of the innermost scope, unpacking it where the target has parts.
func (st *state) assign(t *target, value any) error {
	if t.parts == nil {
		if t.attr == "" {
			st.scope.set(t.name, value)
			return nil
		}
		ns, _ := st.lookup(t.name)
		n, ok := ns.(*namespace)
		if !ok {
			return t.pos.errorf(ErrType, "cannot assign an attribute of %s, which is no namespace", quoted(t.name))
		}
		return t.pos.at(n.attributes.set(st, t.attr, value))
	}
	items, err := st.collect(value)
	if err != nil {
		return t.pos.at(err)
	}
	if len(items) != len(t.parts) {
		return t.pos.errorf(ErrType, "%d values to unpack, expected %d", len(items), len(t.parts))
	}
	for i := range t.parts {
		if err := st.assign(&t.parts[i], items[i]); err != nil {
			return err
		}
	}
	return nil
}
