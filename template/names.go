package template

// names are all names that templates can use: the tables of filters, tests, methods and globals. They never change
// once a template has been compiled.
type names struct {
	filters map[string]*filter
	tests   map[string]*test
	methods methodTables
	globals map[string]any
	json    jsonStyle // of tojson
}

// A filter is what x|name(…) calls.
type filter struct {
	name      string
	params    string // see paramSpec
	run       func(st *state, in any, p params) (any, error)
	signature paramSpec
}

// A test is what x is name(…) calls.
type test struct {
	name      string
	params    string // see paramSpec
	run       func(st *state, v any, p params) (bool, error)
	signature paramSpec
}

// A function is a global that templates call.
type function struct {
	name      string
	params    string // see paramSpec
	run       func(st *state, p params) (any, error)
	signature paramSpec
}

func (f *function) call(st *state, a args) (any, error) {
	p, err := f.signature.bind(a)
	if err != nil {
		return nil, err
	}
	return f.run(st, p)
}
