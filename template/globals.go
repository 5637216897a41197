package template

import "github.com/mixpeek/webhooks-go/template/internal/fault"

// allGlobals is the table of global functions.
func allGlobals() map[string]any {
	all := map[string]any{}
	for _, f := range []function{
		{name: "cycler", params: "*", run: newCycler},
		{name: "dict", params: "*", run: dictGlobal},
		{name: "joiner", params: "sep?", run: newJoiner},
		{name: "namespace", params: "*", run: newNamespace},
		{name: "range", params: "start stop? step?", run: rangeGlobal},
	} {
		f.signature = newParamSpec(f.name+"()", f.params)
		all[f.name] = &f
	}
	return all
}

func rangeGlobal(st *state, p params) (any, error) {
	var bounds [3]int64
	for i := range bounds {
		n, err := p.integer(i, 1)
		if err != nil {
			return nil, err
		}
		bounds[i] = n
	}
	r := &rangeValue{start: bounds[0], step: bounds[2]}
	stop := bounds[1]
	if !p.has(1) {
		r.start, stop = 0, bounds[0]
	}
	r.stop = stop
	if r.step == 0 {
		return nil, fault.Errorf(fault.ErrType, "the step of range() cannot be zero")
	}
	// In unsigned arithmetic the distance between any two integers fits.
	distance, step := uint64(stop)-uint64(r.start), magnitude(r.step)
	if r.step < 0 {
		distance = -distance
	}
	if stop == r.start || (stop > r.start) != (r.step > 0) {
		return r, nil
	}
	n := (distance-1)/step + 1
	if n > uint64(st.limits.Range) {
		return nil, fault.Errorf(fault.ErrRangeTooLarge, "the limit is %d", st.limits.Range)
	}
	r.n = int64(n)
	return r, nil
}

func dictGlobal(st *state, p params) (any, error) {
	d := newDict()
	return d, fill(st, d, p.raw)
}

// fill adds what dict() and update() take: a mapping or pairs, and keyword arguments.
func fill(st *state, d *dict, a args) error {
	if len(a.positional) > 1 {
		return fault.Errorf(fault.ErrType, "expected at most one argument without a name, got %d", len(a.positional))
	}
	for _, from := range a.positional {
		if u, ok := from.(*undefined); ok {
			return u.fail()
		}
		if source, ok := st.wrap(from).(*dict); ok {
			for i, k := range source.keys {
				if err := d.set(st, k, source.values[i]); err != nil {
					return err
				}
			}
			continue
		}
		err := st.each(from, func(pair any) error {
			kv, err := st.collect(pair)
			if err != nil {
				return err
			}
			if len(kv) != 2 {
				return fault.Errorf(fault.ErrType, "expected pairs")
			}
			return d.set(st, kv[0], kv[1])
		})
		if err != nil {
			return err
		}
	}
	for i, n := range a.names {
		if err := d.set(st, n, a.values[i]); err != nil {
			return err
		}
	}
	return nil
}

var (
	_ attributed  = (*cycler)(nil)
	_ attributed  = (*namespace)(nil)
	_ callable    = (*joiner)(nil)
	_ methodical  = (*cycler)(nil)
	_ represented = (*namespace)(nil)
	_ typed       = (*namespace)(nil)
)

// A namespace holds variables that can be assigned to from inside loops.
type namespace struct{ attributes *dict }

func newNamespace(st *state, p params) (any, error) {
	ns := &namespace{newDict()}
	return ns, fill(st, ns.attributes, p.raw)
}

func (ns *namespace) typeName() string { return "Namespace" }

func (ns *namespace) appendRepr(st *state, b []byte, depth int) ([]byte, error) {
	b, err := st.appendDict(append(b, "<Namespace "...), ns.attributes, depth)
	return append(b, '>'), err
}

func (ns *namespace) attribute(st *state, name string) (any, bool, error) {
	return ns.attributes.get(st, name)
}

// A cycler goes round its items.
type cycler struct {
	items []any
	next  int
}

func newCycler(_ *state, p params) (any, error) {
	if len(p.raw.positional) == 0 {
		return nil, fault.Errorf(fault.ErrType, "cycler() needs at least one item")
	}
	return &cycler{items: p.raw.positional}, nil
}

func (c *cycler) methods(tables *methodTables) map[string]*method { return tables.cycler }

func (c *cycler) attribute(_ *state, name string) (any, bool, error) {
	if name == "current" {
		return c.items[c.next], true, nil
	}
	return nil, false, nil
}

func cyclerMethods() []method {
	return []method{
		{name: "next", run: func(_ *state, of any, _ params) (any, error) {
			c := of.(*cycler)
			v := c.items[c.next]
			c.next = (c.next + 1) % len(c.items)
			return v, nil
		}},
		{name: "reset", run: func(_ *state, of any, _ params) (any, error) {
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

func newJoiner(_ *state, p params) (any, error) {
	return &joiner{separator: p.get(0, ", ")}, nil
}

func (j *joiner) call(*state, args) (any, error) {
	if !j.used {
		j.used = true
		return "", nil
	}
	return j.separator, nil
}
