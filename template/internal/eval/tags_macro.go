package eval

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
	"github.com/mixpeek/webhooks-go/template/internal/syntax"
)

// macroStatement is {% macro name(…) %}…{% endmacro %}: it defines the macro when it is reached.
type macroStatement struct {
	name  string
	macro macroCode
}

// macroCode is what a macro, or the body of a call block, is compiled to.
type macroCode struct {
	pos       fault.Pos
	name      string
	signature signature
	uses      uint8
	body      body
}

func compileMacro(t *tagSource) (statement, error) {
	s := &macroStatement{name: t.target(false).name}
	s.macro = macroCode{pos: t.tagArguments.pos, name: s.name, signature: t.signature(), uses: t.uses}
	if err := t.done(); err != nil {
		return nil, err
	}
	var err error
	s.macro.body, err = t.lastBody()
	return s, err
}

func (s *macroStatement) run(out *output) error {
	return s.macro.pos.At(out.st.set(s.name, out.st.newMacro(&s.macro)))
}

// callStatement is {% call(…) macro(…) %}…{% endcall %}: the macro gets the body as the function
// caller.
type callStatement struct {
	pos    fault.Pos
	call   *call
	caller macroCode
}

func compileCall(t *tagSource) (statement, error) {
	s := &callStatement{pos: t.tagArguments.pos}
	s.caller = macroCode{pos: s.pos, uses: t.uses}
	if t.isOp("(") {
		s.caller.signature = t.signature()
	}
	at := t.tok().Pos
	var ok bool
	if s.call, ok = t.expression().(*call); !ok {
		t.fail(fault.ErrSyntax, at, "expected a call")
	}
	if err := t.done(); err != nil {
		return nil, err
	}
	var err error
	s.caller.body, err = t.lastBody()
	return s, err
}

func (s *callStatement) run(out *output) error {
	st := out.st
	withCaller := *s.call
	a := &withCaller.arguments
	if err := st.Spend(len(a.names)); err != nil { // they are copied
		return s.pos.At(err)
	}
	a.names = append(a.names[:len(a.names):len(a.names)], "caller")
	a.values = append(a.values[:len(a.values):len(a.values)], &constant{value: st.newMacro(&s.caller)})
	v, err := withCaller.eval(st)
	if err != nil {
		return s.pos.At(err)
	}
	if _, ok := python.AsString(v); !ok {
		return s.pos.Errorf(fault.ErrType, "what a call block calls must return text, not %s",
			python.TypeName(v))
	}
	return out.print(v)
}

// A macro is a macroCode with the rendering and the scope in which it was defined.
type macro struct {
	code  *macroCode
	st    *rendering
	scope *scope
}

var (
	_ python.Attributed  = (*macro)(nil)
	_ python.Callable    = (*macro)(nil)
	_ python.Represented = (*macro)(nil)
)

func (m *macro) AppendRepr(st *python.State, b []byte, depth int) ([]byte, error) {
	if m.code.name == "" {
		return append(b, "<Macro anonymous>"...), nil
	}
	b, err := st.AppendRepr(append(b, "<Macro "...), m.code.name, depth)
	return append(b, '>'), err
}

func (st *rendering) newMacro(code *macroCode) *macro {
	// What is around a captured scope is captured too.
	for s := st.scope; s != nil && !s.captured; s = s.parent {
		s.captured = true
	}
	return &macro{code, st, st.scope}
}

// Call runs the macro and returns what it writes.
func (m *macro) Call(_ *python.State, a python.Args) (result any, err error) {
	st := m.st
	err = st.inScope(m.scope, func() error {
		if err := m.code.bind(st, a); err != nil {
			return m.code.pos.At(err)
		}
		result, err = st.capture(m.code.body.run)
		return err
	})
	return result, err
}

// bind sets the parameters in the scope of a call.
func (c *macroCode) bind(st *rendering, a python.Args) error {
	names := c.signature.names
	if err := st.Spend(len(names) + len(a.Names)); err != nil {
		return err
	}
	extra := a.Positional[min(len(names), len(a.Positional)):]
	if len(extra) > 0 && c.uses&syntax.UsesVarargs == 0 {
		return fault.Errorf(fault.ErrType, "%s takes at most %d arguments, got %d", c.title(), len(names),
			len(a.Positional))
	}
	given, err := c.named(st, a)
	if err != nil {
		return err
	}
	if err := c.bindSpecial(st, extra, given); err != nil {
		return err
	}
	// All of them first: a default sees the parameters, and not what is outside under their names.
	for i, n := range names {
		v, ok := given.parameter(i, a)
		if !ok {
			v = &python.Undefined{Kind: fault.ErrUndefined,
				Why: "parameter " + python.Quoted(n) + " was not provided", At: c.pos}
		}
		if err := st.set(n, v); err != nil {
			return err
		}
	}
	return c.bindDefaults(st, a, given)
}

// bindDefaults sets the parameters that were not given and have a default.
func (c *macroCode) bindDefaults(st *rendering, a python.Args, given namedArguments) error {
	first := len(c.signature.names) - len(c.signature.defaults)
	for i, e := range c.signature.defaults {
		if _, ok := given.parameter(first+i, a); ok {
			continue
		}
		v, err := e.eval(st)
		if err != nil {
			return err
		}
		if err := st.set(c.signature.names[first+i], v); err != nil {
			return err
		}
	}
	return nil
}

// title names the macro in errors.
func (c *macroCode) title() string {
	if c.name == "" {
		return "the call block"
	}
	return "macro " + python.Quoted(c.name)
}

// namedArguments are the keyword arguments of a call, by what becomes of them.
type namedArguments struct {
	positions map[int]int  // of a parameter, to that of the argument
	kwargs    *python.Dict // what no parameter is named as, if the macro takes that
	caller    any
}

// parameter returns what parameter i was given.
func (g *namedArguments) parameter(i int, a python.Args) (any, bool) {
	if i < len(a.Positional) {
		return a.Positional[i], true
	}
	at, ok := g.positions[i]
	if !ok {
		return nil, false
	}
	return a.Values[at], true
}

func (c *macroCode) named(st *rendering, a python.Args) (namedArguments, error) {
	var given namedArguments
	for i, n := range a.Names {
		if err := st.Scan(len(n)); err != nil {
			return given, err
		}
		switch position, ok := c.signature.positions[n]; {
		case ok && position < len(a.Positional):
			return given, fault.Errorf(fault.ErrType, "%s got the argument %s twice", c.title(),
				python.Quoted(n))
		case ok:
			if given.positions == nil {
				given.positions = map[int]int{}
			}
			given.positions[position] = i
		case n == "caller" && c.uses&syntax.UsesCaller != 0:
			given.caller = a.Values[i]
		case c.uses&syntax.UsesKwargs == 0:
			return given, fault.Errorf(fault.ErrType, "%s has no parameter of that name", c.title())
		default:
			if given.kwargs == nil {
				given.kwargs = python.NewDict()
			}
			if err := given.kwargs.Set(&st.State, n, a.Values[i]); err != nil {
				return given, err
			}
		}
	}
	return given, nil
}

// bindSpecial sets the special names that the macro uses.
func (c *macroCode) bindSpecial(st *rendering, extra []any, given namedArguments) error {
	if c.uses&syntax.UsesVarargs != 0 {
		if err := st.set("varargs", &python.Tuple{Items: extra}); err != nil {
			return err
		}
	}
	if c.uses&syntax.UsesKwargs != 0 {
		kwargs := given.kwargs
		if kwargs == nil {
			kwargs = python.NewDict()
		}
		if err := st.set("kwargs", kwargs); err != nil {
			return err
		}
	}
	if c.uses&syntax.UsesCaller == 0 {
		return nil
	}
	if given.caller == nil {
		given.caller = &python.Undefined{Kind: fault.ErrUndefined,
			Why: "no caller: the macro was not called by a call block", At: c.pos}
	}
	return st.set("caller", given.caller)
}

func (m *macro) Attribute(st *python.State, name string) (any, bool, error) {
	switch name {
	case "name":
		if m.code.name == "" {
			return nil, true, nil
		}
		return m.code.name, true, nil
	case "arguments":
		if err := st.AllocValues(2 * len(m.code.signature.names)); err != nil {
			return nil, false, err
		}
		names := &python.Tuple{}
		for _, n := range m.code.signature.names {
			names.Items = append(names.Items, n)
		}
		return names, true, nil
	case "catch_varargs":
		return m.code.uses&syntax.UsesVarargs != 0, true, nil
	case "catch_kwargs":
		return m.code.uses&syntax.UsesKwargs != 0, true, nil
	case "caller":
		return m.code.uses&syntax.UsesCaller != 0, true, nil
	}
	return nil, false, nil
}

// blockTag is {% block name %}…{% endblock %}. Without inheritance it is its body, run with the
// variables of the top level only, unless it is scoped.
type blockTag struct {
	name     string
	scoped   bool
	required bool
	pos      fault.Pos
	body     body
}

func compileBlock(t *tagSource) (statement, error) {
	s := &blockTag{name: t.expectName(), pos: t.tagArguments.pos}
	s.scoped = t.skipName("scoped")
	s.required = t.skipName("required")
	if t.isOp("-") {
		t.fail(fault.ErrSyntax, t.tok().Pos, "the name of a block cannot have a hyphen")
	}
	if err := t.done(); err != nil {
		return nil, err
	}
	var err error
	s.body, err = t.lastBody()
	return s, err
}

func (s *blockTag) run(out *output) error {
	if s.required {
		return s.pos.Errorf(fault.ErrForbidden,
			"a required block needs inheritance, which is not available")
	}
	parent := out.st.root
	if s.scoped {
		parent = out.st.scope
	}
	return out.st.inScope(parent, func() error { return s.body.run(out) })
}
