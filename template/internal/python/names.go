package python

// Names are all names that templates can use: the tables of filters, tests, methods and globals.
// They never change once a template has been compiled.
type Names struct {
	Filters map[string]*Filter
	Tests   map[string]*Test
	Methods MethodTables
	Globals map[string]any
	JSON    JSONStyle // of tojson
}

// A Filter is what x|name(…) calls.
type Filter struct {
	Name      string
	Params    string // see ParamSpec
	Run       func(st *State, in any, p Params) (any, error)
	Signature ParamSpec
	// Keeps says that escaped text stays escaped: what the filter makes of text is made of its
	// characters, in no other coding, and of the arguments.
	Keeps bool
}

// A Test is what x is name(…) calls.
type Test struct {
	Name      string
	Params    string // see ParamSpec
	Run       func(st *State, v any, p Params) (bool, error)
	Signature ParamSpec
}

// A Function is a global that templates call.
type Function struct {
	Name      string
	Params    string // see ParamSpec
	Run       func(st *State, p Params) (any, error)
	Signature ParamSpec
}

// Call calls the function.
func (f *Function) Call(st *State, a Args) (any, error) {
	p, err := f.Signature.Bind(a)
	if err != nil {
		return nil, err
	}
	return f.Run(st, p)
}
