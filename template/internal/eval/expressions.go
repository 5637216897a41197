package eval

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// An expr is a compiled expression. It is immutable, and evaluated by many renders at once.
type expr interface {
	eval(st *rendering) (any, error)
	base() *node
}

// node is what every expression has.
type node struct {
	fault.Pos
	height int // above its deepest operand
}

func (n *node) base() *node { return n }

type constant struct {
	node
	value any
}

func (e *constant) eval(st *rendering) (any, error) { return e.value, st.Step() }

// name is a variable: of a block, of the data, or global.
type name struct {
	node
	name      string
	undefined *python.Undefined
}

func newName(n node, text string) *name {
	return &name{n, text, &python.Undefined{Kind: fault.ErrUndefined,
		Why: python.Quoted(text) + " is undefined", At: n.Pos}}
}

func (e *name) eval(st *rendering) (any, error) {
	if err := st.Step(); err != nil {
		return nil, err
	}
	if v, ok, err := st.lookup(e.name); ok || err != nil {
		return v, err
	}
	// The envelope has a field of that name: where an event lacks it, the field is undefined and
	// not a function.
	if g, ok := st.env.Globals[e.name]; ok && e.name != "namespace" {
		return g, nil
	}
	return e.undefined, nil
}

// callee is eval for a name that is about to be called: a global function is found even behind data
// that cannot be called.
func (e *name) callee(st *rendering) (any, error) {
	v, err := e.eval(st)
	if err != nil || python.IsCallable(v) {
		return v, err
	}
	if g, ok := st.env.Globals[e.name]; ok {
		return g, nil
	}
	return v, nil
}

// attribute is x.name: an attribute or method first, then a key.
type attribute struct {
	node
	object expr
	name   string
}

func (e *attribute) eval(st *rendering) (any, error) {
	object, err := e.object.eval(st)
	if err != nil {
		return nil, err
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	v, err := st.Attribute(object, e.name)
	if err != nil {
		return nil, e.At(err)
	}
	return v, nil
}

// item is x[key]: a key or index first, then an attribute.
type item struct {
	node
	object, key expr
}

func (e *item) eval(st *rendering) (any, error) {
	object, err := e.object.eval(st)
	if err != nil {
		return nil, err
	}
	key, err := e.key.eval(st)
	if err != nil {
		return nil, err
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	v, err := st.Item(object, key)
	if err != nil {
		return nil, e.At(err)
	}
	if u, ok := v.(*python.Undefined); ok && u.Why == "" {
		if c, ok := e.key.(*constant); ok { // text of the template, not of the data
			v = &python.Undefined{Kind: fault.ErrUndefined,
				Why: python.TypeName(object) + " has no element " + python.ShortRepr(c.value), At: e.Pos}
		}
	}
	return v, nil
}

// slice is x[low:high:step].
type slice struct {
	node
	object expr
	bounds [3]expr // nil where left out
}

func (e *slice) eval(st *rendering) (any, error) {
	object, err := e.object.eval(st)
	if err != nil {
		return nil, err
	}
	var bounds [3]any
	for i, b := range e.bounds {
		if b != nil {
			if bounds[i], err = b.eval(st); err != nil {
				return nil, err
			}
		}
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	v, err := st.Slice(object, bounds)
	return v, e.At(err)
}

// sequence is a list or tuple literal.
type sequence struct {
	node
	items []expr
	tuple bool
}

func (e *sequence) eval(st *rendering) (any, error) {
	if err := st.AllocValues(len(e.items) + 1); err != nil {
		return nil, e.At(err)
	}
	items, err := evalAll(st, e.items)
	if err != nil {
		return nil, err
	}
	if e.tuple {
		return &python.Tuple{Items: items}, nil
	}
	return &python.List{Items: items}, nil
}

func evalAll(st *rendering, exprs []expr) ([]any, error) {
	if len(exprs) == 0 {
		return nil, nil
	}
	if err := st.Spend(len(exprs)); err != nil {
		return nil, err
	}
	values := make([]any, len(exprs))
	for i, e := range exprs {
		var err error
		if values[i], err = e.eval(st); err != nil {
			return nil, err
		}
	}
	return values, nil
}

type dictLiteral struct {
	node
	keys, values []expr
}

func (e *dictLiteral) eval(st *rendering) (any, error) {
	d := python.NewDict()
	for i := range e.keys {
		k, err := e.keys[i].eval(st)
		if err != nil {
			return nil, err
		}
		v, err := e.values[i].eval(st)
		if err != nil {
			return nil, err
		}
		if err := d.Set(&st.State, k, v); err != nil {
			return nil, e.At(err)
		}
	}
	return d, st.Step()
}

// conditional is yes if test else no.
type conditional struct {
	node
	test, yes, no expr // no may be nil
}

func (e *conditional) eval(st *rendering) (any, error) {
	if err := st.Step(); err != nil {
		return nil, err
	}
	ok, err := evalTruth(st, e.test)
	switch {
	case err != nil:
		return nil, err
	case ok:
		return e.yes.eval(st)
	case e.no != nil:
		return e.no.eval(st)
	}
	return &python.Undefined{Kind: fault.ErrUndefined,
		Why: "the inline if has no else and its condition is false", At: e.Pos}, nil
}

func evalTruth(st *rendering, e expr) (bool, error) {
	v, err := e.eval(st)
	if err != nil {
		return false, err
	}
	return python.Truth(v), nil
}
