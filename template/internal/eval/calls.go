package eval

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

func (a *arguments) eval(st *rendering) (python.Args, error) {
	var out python.Args
	var err error
	if out.Positional, err = evalAll(st, a.positional); err != nil {
		return out, err
	}
	out.Names = a.names
	if out.Values, err = evalAll(st, a.values); err != nil {
		return out, err
	}
	if a.spread != nil {
		v, err := a.spread.eval(st)
		if err != nil {
			return out, err
		}
		items, err := st.Collect(v)
		if err != nil {
			return out, err
		}
		out.Positional = append(out.Positional, items...)
	}
	if a.spreadDict != nil {
		return out, a.evalSpreadDict(st, &out)
	}
	return out, nil
}

func (a *arguments) evalSpreadDict(st *rendering, out *python.Args) error {
	v, err := a.spreadDict.eval(st)
	if err != nil {
		return err
	}
	d, ok := st.Wrap(v).(*python.Dict)
	if !ok {
		return fault.Errorf(fault.ErrType, "what follows ** must be a mapping, not %s",
			python.TypeName(v))
	}
	if err := st.AllocTimes(2*python.BytesPerTuple, int64(len(a.names)+d.Len())); err != nil {
		return err
	}
	given := make(map[string]bool, len(a.names))
	for _, n := range a.names {
		given[n] = true
	}
	names := append(make([]string, 0, len(a.names)+d.Len()), a.names...)
	for i, k := range d.Keys {
		s, ok := k.(string)
		if !ok {
			return fault.Errorf(fault.ErrType, "keywords must be strings")
		}
		if err := st.Scan(len(s)); err != nil {
			return err
		}
		if given[s] {
			return fault.Errorf(fault.ErrType, "keyword argument %q given twice", s)
		}
		names = append(names, s)
		out.Values = append(out.Values, d.Values[i])
	}
	out.Names = names
	return nil
}

// constant evaluates arguments that are all literals, once at compile time. ok is false if they are
// not.
func (a *arguments) constant() (out python.Args, ok bool) {
	if a.spread != nil || a.spreadDict != nil {
		return out, false
	}
	for _, e := range a.positional {
		c, ok := e.(*constant)
		if !ok {
			return out, false
		}
		out.Positional = append(out.Positional, c.value)
	}
	out.Names = a.names
	for _, e := range a.values {
		c, ok := e.(*constant)
		if !ok {
			return out, false
		}
		out.Values = append(out.Values, c.value)
	}
	return out, true
}

// call is f(…).
type call struct {
	node
	function  expr
	arguments arguments
}

func (e *call) eval(st *rendering) (any, error) {
	if err := st.Step(); err != nil {
		return nil, err
	}
	if err := st.EnterCall(); err != nil {
		return nil, e.At(err)
	}
	v, err := e.run(st)
	st.LeaveCall()
	if err != nil {
		return nil, e.At(err)
	}
	return v, nil
}

func (e *call) run(st *rendering) (any, error) {
	var f any
	var err error
	switch function := e.function.(type) {
	case *attribute: // a method: no need to make a value of it first
		object, err := function.object.eval(st)
		if err != nil {
			return nil, err
		}
		if m, ok := st.Method(object, function.name); ok {
			a, err := e.arguments.eval(st)
			if err != nil {
				return nil, err
			}
			return m.Call(&st.State, object, a)
		}
		if f, err = st.Attribute(object, function.name); err != nil {
			return nil, function.At(err)
		}
	case *name:
		f, err = function.callee(st)
	default:
		f, err = function.eval(st)
	}
	if err != nil {
		return nil, err
	}
	a, err := e.arguments.eval(st)
	if err != nil {
		return nil, err
	}
	return st.Call(f, a)
}

// bring reports whether a text may be among the given arguments that does not stand in the template
// and is not escaped.
func (a *arguments) bring(given python.Args) bool {
	return bring(a.positional, given.Positional) || bring(a.values, given.Values)
}

func bring(exprs []expr, values []any) bool {
	for i, v := range values {
		if i < len(exprs) {
			if _, ok := exprs[i].(*constant); ok {
				continue
			}
		}
		switch v.(type) {
		case nil, bool, int64, float64, python.BigInt, python.Markup, *python.Undefined:
		default:
			return true
		}
	}
	return false
}

// boundArguments are the arguments for a signature. Literals are bound once, at
// compile time.
type boundArguments struct {
	arguments arguments
	bound     python.Params // the arguments, if all are literals
	constant  bool
}

func bindArguments(signature *python.ParamSpec, a arguments) boundArguments {
	b := boundArguments{arguments: a}
	if fixed, ok := a.constant(); ok {
		bound, err := signature.Bind(fixed)
		if err == nil { // a mistake shows when the call runs, as in Jinja2
			b.bound, b.constant = bound, true
			b.bound.Literal = true
		}
	}
	return b
}

// eval returns the arguments of one run. A mistake in binding them gets the
// call's place.
func (b *boundArguments) eval(
	st *rendering, signature *python.ParamSpec, call fault.Pos,
) (python.Params, error) {
	if b.constant {
		return b.bound, nil
	}
	a, err := b.arguments.eval(st)
	if err != nil {
		return python.Params{}, err
	}
	bound, err := signature.Bind(a)
	return bound, call.At(err)
}

// filterCall is x|f(…).
type filterCall struct {
	node
	input     expr
	filter    *python.Filter
	arguments boundArguments
	block     bool // of a filter tag or a set block
}

func (p *parser) newFilter(n node, input expr, f *python.Filter, a arguments) expr {
	e := &filterCall{node: n, input: input, filter: f}
	if f != nil {
		e.arguments = bindArguments(&f.Signature, a)
	}
	return e
}

func (e *filterCall) eval(st *rendering) (any, error) {
	if err := st.EnterCall(); err != nil {
		return nil, e.At(err)
	}
	v, err := e.run(st)
	st.LeaveCall()
	return v, err
}

func (e *filterCall) run(st *rendering) (any, error) {
	var in any
	var err error
	if e.input == nil {
		in = st.collected
	} else if in, err = e.input.eval(st); err != nil {
		return nil, err
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	bound, err := e.arguments.eval(st, &e.filter.Signature, e.Pos)
	if err != nil {
		return nil, err
	}
	if e.block && (!e.filter.Keeps || e.arguments.arguments.bring(bound.Raw)) {
		st.foreign = true
	}
	v, err := e.filter.Run(&st.State, in, bound)
	if err != nil {
		return nil, e.At(err)
	}
	if g, ok := v.(*python.Generator); ok && g.At == (fault.Pos{}) {
		g.At = e.Pos
	}
	return v, nil
}

// testCall is x is t(…), or x is not t(…).
type testCall struct {
	node
	input     expr
	test      *python.Test
	arguments boundArguments
	negated   bool
}

func (p *parser) newTest(n node, input expr, t *python.Test, a arguments, negated bool) expr {
	e := &testCall{node: n, input: input, test: t, negated: negated}
	if t != nil {
		e.arguments = bindArguments(&t.Signature, a)
	}
	return e
}

func (e *testCall) eval(st *rendering) (any, error) {
	if err := st.EnterCall(); err != nil {
		return nil, e.At(err)
	}
	v, err := e.run(st)
	st.LeaveCall()
	return v, err
}

func (e *testCall) run(st *rendering) (any, error) {
	in, err := e.input.eval(st)
	if err != nil {
		return nil, err
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	bound, err := e.arguments.eval(st, &e.test.Signature, e.Pos)
	if err != nil {
		return nil, err
	}
	ok, err := e.test.Run(&st.State, in, bound)
	if err != nil {
		return nil, e.At(err)
	}
	return ok != e.negated, nil
}
