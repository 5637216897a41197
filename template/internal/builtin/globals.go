package builtin

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// allGlobals is the table of global functions.
func allGlobals() map[string]any {
	all := map[string]any{}
	for _, f := range []python.Function{
		{Name: "cycler", Params: "*", Run: newCycler},
		{Name: "dict", Params: "*", Run: dictGlobal},
		{Name: "joiner", Params: "sep?", Run: newJoiner},
		{Name: "namespace", Params: "*", Run: newNamespace},
		{Name: "range", Params: "start stop? step?", Run: rangeGlobal},
	} {
		f.Signature = python.NewParamSpec(f.Name+"()", f.Params)
		all[f.Name] = &f
	}
	return all
}

func rangeGlobal(st *python.State, p python.Params) (any, error) {
	var bounds [3]int64
	for i := range bounds {
		n, err := p.Integer(i, 1)
		if err != nil {
			return nil, err
		}
		bounds[i] = n
	}
	r := &python.Range{Start: bounds[0], Step: bounds[2]}
	stop := bounds[1]
	if !p.Has(1) {
		r.Start, stop = 0, bounds[0]
	}
	r.Stop = stop
	if r.Step == 0 {
		return nil, fault.Errorf(fault.ErrType, "the step of range() cannot be zero")
	}
	// In unsigned arithmetic the distance between any two integers fits.
	distance, step := uint64(stop)-uint64(r.Start), python.Magnitude(r.Step)
	if r.Step < 0 {
		distance = -distance
	}
	if stop == r.Start || (stop > r.Start) != (r.Step > 0) {
		return r, nil
	}
	n := (distance-1)/step + 1
	if n > uint64(st.Limits.Range) {
		return nil, fault.Errorf(fault.ErrRangeTooLarge, "the limit is %d", st.Limits.Range)
	}
	r.Len = int64(n)
	return r, nil
}

func dictGlobal(st *python.State, p python.Params) (any, error) {
	d := python.NewDict()
	return d, fill(st, d, p.Raw)
}

// fill adds what dict() and update() take: a mapping or pairs, and keyword arguments.
func fill(st *python.State, d *python.Dict, a python.Args) error {
	if len(a.Positional) > 1 {
		return fault.Errorf(fault.ErrType, "expected at most one argument without a name, got %d",
			len(a.Positional))
	}
	for _, from := range a.Positional {
		if u, ok := from.(*python.Undefined); ok {
			return u.Fail()
		}
		if source, ok := st.Wrap(from).(*python.Dict); ok {
			for i, k := range source.Keys {
				if err := d.Set(st, k, source.Values[i]); err != nil {
					return err
				}
			}
			continue
		}
		err := st.Each(from, func(pair any) error {
			kv, err := st.Collect(pair)
			if err != nil {
				return err
			}
			if len(kv) != 2 {
				return fault.Errorf(fault.ErrType, "expected pairs")
			}
			return d.Set(st, kv[0], kv[1])
		})
		if err != nil {
			return err
		}
	}
	for i, n := range a.Names {
		if err := d.Set(st, n, a.Values[i]); err != nil {
			return err
		}
	}
	return nil
}

var (
	_ python.Attributed  = (*cycler)(nil)
	_ python.Attributed  = (*Namespace)(nil)
	_ python.Callable    = (*joiner)(nil)
	_ python.Methodical  = (*cycler)(nil)
	_ python.Represented = (*Namespace)(nil)
	_ python.Typed       = (*Namespace)(nil)
)

// A Namespace holds variables that can be assigned to from inside loops.
type Namespace struct{ Attributes *python.Dict }

func newNamespace(st *python.State, p python.Params) (any, error) {
	ns := &Namespace{python.NewDict()}
	return ns, fill(st, ns.Attributes, p.Raw)
}

// TypeName is the name of its type in Python.
func (ns *Namespace) TypeName() string { return "Namespace" }

// AppendRepr appends its repr().
func (ns *Namespace) AppendRepr(st *python.State, b []byte, depth int) ([]byte, error) {
	b, err := st.AppendDict(append(b, "<Namespace "...), ns.Attributes, depth)
	return append(b, '>'), err
}

// Attribute finds a variable.
func (ns *Namespace) Attribute(st *python.State, name string) (any, bool, error) {
	return ns.Attributes.Get(st, name)
}

// A cycler goes round its items.
type cycler struct {
	items []any
	next  int
}

func newCycler(_ *python.State, p python.Params) (any, error) {
	if len(p.Raw.Positional) == 0 {
		return nil, fault.Errorf(fault.ErrType, "cycler() needs at least one item")
	}
	return &cycler{items: p.Raw.Positional}, nil
}

func (c *cycler) Methods(tables *python.MethodTables) map[string]*python.Method {
	return tables.Cycler
}

func (c *cycler) Attribute(_ *python.State, name string) (any, bool, error) {
	if name == "current" {
		return c.items[c.next], true, nil
	}
	return nil, false, nil
}

func cyclerMethods() []python.Method {
	return []python.Method{
		{Name: "next", Run: func(_ *python.State, of any, _ python.Params) (any, error) {
			c := of.(*cycler)
			v := c.items[c.next]
			c.next = (c.next + 1) % len(c.items)
			return v, nil
		}},
		{Name: "reset", Run: func(_ *python.State, of any, _ python.Params) (any, error) {
			of.(*cycler).next = 0
			return nil, nil
		}},
	}
}

// A joiner returns nothing when it is called first, and its separator from then on.
type joiner struct {
	separator any
	used      bool
}

func newJoiner(_ *python.State, p python.Params) (any, error) {
	return &joiner{separator: p.Get(0, ", ")}, nil
}

func (j *joiner) Call(*python.State, python.Args) (any, error) {
	if !j.used {
		j.used = true
		return "", nil
	}
	return j.separator, nil
}
