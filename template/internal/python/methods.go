package python

// A Method is what x.name(…) calls.
type Method struct {
	Name      string
	Params    string // see ParamSpec
	Run       func(st *State, of any, p Params) (any, error)
	Signature ParamSpec
}

// MethodTables are the methods by the type that has them.
type MethodTables struct{ Text, List, Tuple, Dict, Loop, Cycler map[string]*Method }

// MethodTable collects the methods of a type.
func MethodTable(families ...[]Method) map[string]*Method {
	table := map[string]*Method{}
	for _, family := range families {
		for _, m := range family {
			m.Signature = NewParamSpec(m.Name+"()", m.Params)
			table[m.Name] = &m
		}
	}
	return table
}

// Method finds a method of a value.
func (st *State) Method(of any, name string) (*Method, bool) {
	var table map[string]*Method
	switch of.(type) {
	case string, Markup:
		table = st.Names.Methods.Text
	case map[string]any, *Dict:
		table = st.Names.Methods.Dict
	case []any, *List:
		table = st.Names.Methods.List
	case *Tuple, *Range:
		table = st.Names.Methods.Tuple
	default:
		if own, ok := of.(Methodical); ok {
			table = own.Methods(&st.Names.Methods)
		}
	}
	m, ok := table[name]
	return m, ok
}

// Call calls the method of a value.
func (m *Method) Call(st *State, of any, a Args) (any, error) {
	p, err := m.Signature.Bind(a)
	if err != nil {
		return nil, err
	}
	return m.Run(st, of, p)
}

// BoundMethod is a method with its value, before it is called.
type BoundMethod struct {
	Method *Method
	Of     any
}

// Call calls the method of its value.
func (b *BoundMethod) Call(st *State, a Args) (any, error) { return b.Method.Call(st, b.Of, a) }
