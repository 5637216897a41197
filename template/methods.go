package template

// A method is what x.name(…) calls.
type method struct {
	name      string
	params    string // see paramSpec
	run       func(st *state, of any, p params) (any, error)
	signature paramSpec
}

// methodTables are the methods by the type that has them.
type methodTables struct{ text, list, tuple, dict, loop, cycler map[string]*method }

func methodTable(families ...[]method) map[string]*method {
	table := map[string]*method{}
	for _, family := range families {
		for _, m := range family {
			m.signature = newParamSpec(m.name+"()", m.params)
			table[m.name] = &m
		}
	}
	return table
}

// method finds a method of a value.
func (st *state) method(of any, name string) (*method, bool) {
	var table map[string]*method
	switch of.(type) {
	case string, markup:
		table = st.names.methods.text
	case map[string]any, *dict:
		table = st.names.methods.dict
	case []any, *list:
		table = st.names.methods.list
	case *tuple, *rangeValue:
		table = st.names.methods.tuple
	default:
		if own, ok := of.(methodical); ok {
			table = own.methods(&st.names.methods)
		}
	}
	m, ok := table[name]
	return m, ok
}

func (m *method) call(st *state, of any, a args) (any, error) {
	p, err := m.signature.bind(a)
	if err != nil {
		return nil, err
	}
	return m.run(st, of, p)
}

// boundMethod is a method with its value, before it is called.
type boundMethod struct {
	method *method
	of     any
}

func (b *boundMethod) call(st *state, a args) (any, error) { return b.method.call(st, b.of, a) }
