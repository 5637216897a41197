package template

// A filter is what x|name(…) calls.
type filter struct {
	name      string
	params    string // see paramSpec
	run       func(st *state, in any, p params) (any, error)
	signature paramSpec
}

// allFilters collects the tables of the families.
func allFilters() map[string]*filter {
	all := map[string]*filter{}
	for _, family := range [][]filter{textFilters(), htmlFilters(), numberFilters(), sequenceFilters(), orderFilters(), selectFilters()} {
		for _, f := range family {
			f.signature = newParamSpec("the filter "+quoted(f.name), f.params)
			all[f.name] = &f
		}
	}
	return all
}

// textFilter makes a filter of a function from text to text. Markup stays markup.
func textFilter(f func(string) string) func(*state, any, params) (any, error) {
	return func(st *state, in any, _ params) (any, error) {
		s, safe, err := st.text(in)
		if err != nil {
			return nil, err
		}
		st.scan(perConversion * len(s))
		if err := st.alloc(len(s)); err != nil {
			return nil, err
		}
		if err := st.step(); err != nil {
			return nil, err
		}
		return textOf(f(s), safe), nil
	}
}
