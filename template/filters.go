package template

import "strings"

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
		s, err = mapText(st, s, f)
		return textOf(s, safe), err
	}
}

// mapText is f(s), where f looks at each character. What f makes of a piece may not depend on what
// is on the other side of white space.
func mapText(st *state, s string, f func(string) string) (string, error) {
	if err := st.classify(s); err != nil {
		return "", err
	}
	if err := st.alloc(len(s)); err != nil {
		return "", err
	}
	if len(s) <= pieceSize {
		return f(s), nil
	}
	var b []byte
	for s != "" {
		if err := st.check(); err != nil {
			return "", err
		}
		n := len(piece(s))
		if end := strings.IndexFunc(s[n:], isSpace); end >= 0 {
			n += end
		} else {
			n = len(s)
		}
		if n > inOneGo*pieceSize { // a long word
			if err := st.classify(s[:n]); err != nil {
				return "", err
			}
		}
		p := f(s[:n])
		b = append(withRoom(b, len(p)), p...)
		s = s[n:]
	}
	return string(b), nil
}
