package builtin

import (
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// allFilters collects the tables of the families.
func allFilters() map[string]*python.Filter {
	all := map[string]*python.Filter{}
	for _, family := range [][]python.Filter{textFilters(), htmlFilters(), numberFilters(),
		sequenceFilters(), orderFilters(), selectFilters()} {
		for _, f := range family {
			f.Signature = python.NewParamSpec("the filter "+python.Quoted(f.Name), f.Params)
			f.Keeps = keepsEscapes(f.Name)
			all[f.Name] = &f
		}
	}
	return all
}

// keepsEscapes reports whether a filter has Keeps. Of one that is missing here, a block is escaped
// twice; of one that is here and should not be, it is not escaped.
func keepsEscapes(name string) bool {
	switch name {
	case "batch", "capitalize", "center", "count", "e", "escape", "first", "forceescape", "format",
		"indent", "join", "last", "length", "list", "lower", "random", "replace", "reverse", "safe",
		"slice", "sort", "string", "title", "trim", "truncate", "unique", "upper", "wordcount", "wordwrap":
		return true
	}
	return false
}

// textFilter makes a filter of a function from text to text. Markup stays markup.
func textFilter(f func(string) string) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, in any, _ python.Params) (any, error) {
		s, safe, err := st.Text(in)
		if err != nil {
			return nil, err
		}
		s, err = mapText(st, s, f)
		return python.TextOf(s, safe), err
	}
}

// mapText is f(s), where f looks at each character. What f makes of a piece may not depend on what
// is on the other side of white space.
func mapText(st *python.State, s string, f func(string) string) (string, error) {
	if err := st.Classify(s); err != nil {
		return "", err
	}
	if err := st.Alloc(len(s)); err != nil {
		return "", err
	}
	if !python.IsASCII(s) { // which may need more than a table
		if err := st.Spend(stepsOfWord); err != nil {
			return "", err
		}
	}
	if len(s) <= python.PieceSize {
		return f(s), nil
	}
	var b []byte
	for s != "" {
		if err := st.Check(); err != nil {
			return "", err
		}
		n := len(python.Piece(s))
		if end := strings.IndexFunc(s[n:], python.IsSpace); end >= 0 {
			n += end
		} else {
			n = len(s)
		}
		if n > python.InOneGo*python.PieceSize { // a long word
			if err := st.Classify(s[:n]); err != nil {
				return "", err
			}
		}
		p := f(s[:n])
		b = append(python.WithRoom(b, len(p)), p...)
		s = s[n:]
	}
	return string(b), nil
}
