package builtin

import (
	"math"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// parts collects the parts of a text, each asked for before it is made.
type parts struct {
	st    *python.State
	safe  python.Safety
	items []any
	err   error
}

// add takes a part, and reports whether there is room for more.
func (p *parts) add(s string) bool {
	if p.err = p.st.Step(); p.err != nil {
		return false
	}
	if p.err = p.st.Alloc(2 * python.BytesPerValue); p.err != nil {
		return false
	}
	p.items = append(p.items, python.TextOf(s, p.safe))
	return true
}

// list is the result; with reversed, the parts were found from the end.
func (p *parts) list(reversed bool) (any, error) {
	if p.err != nil {
		return nil, p.err
	}
	if reversed {
		slices.Reverse(p.items)
	}
	return &python.List{Items: p.items}, nil
}

func splitLinesMethod(st *python.State, of any, p python.Params) (any, error) {
	s, keepEnds := python.StringOf(of), p.Truth(0, false)
	if err := st.Read(s); err != nil {
		return nil, err
	}
	out := parts{st: st, safe: python.SafetyOf(of)}
	for s != "" {
		line, rest, _ := python.CutLine(s)
		if keepEnds {
			line = s[:len(s)-len(rest)]
		}
		if !out.add(line) {
			break
		}
		s = rest
	}
	return out.list(false)
}

// splitMethod is split, or rsplit from the right.
func splitMethod(right bool) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		limit, err := p.Integer(1, -1)
		if err != nil {
			return nil, err
		}
		if limit < 0 {
			limit = math.MaxInt64
		}
		s := python.StringOf(of)
		out := parts{st: st, safe: python.SafetyOf(of)}
		if p.Get(0, nil) == nil {
			if err := st.Read(s); err != nil {
				return nil, err
			}
			out.splitSpace(s, limit, right)
			return out.list(right)
		}
		sep, err := p.String(0, "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, fault.Errorf(fault.ErrType, "the separator is empty")
		}
		if err := st.Search(s, sep); err != nil {
			return nil, err
		}
		out.split(s, sep, limit, right)
		return out.list(right)
	}
}

func (p *parts) split(s, sep string, limit int64, right bool) {
	for ; limit > 0; limit-- {
		var i int
		if right {
			i = strings.LastIndex(s, sep)
		} else {
			i = strings.Index(s, sep)
		}
		if i < 0 {
			break
		}
		before, after := s[:i], s[i+len(sep):]
		if right {
			before, after = after, before
		}
		if !p.add(before) {
			return
		}
		s = after
	}
	p.add(s)
}

// splitSpace splits at runs of white space, at most limit times. White space at the ends goes,
// except at the far end of what is left over when the limit is reached.
func (p *parts) splitSpace(s string, limit int64, right bool) {
	trim, index := strings.TrimLeftFunc, strings.IndexFunc
	if right {
		trim, index = strings.TrimRightFunc, strings.LastIndexFunc
	}
	for s = trim(s, python.IsSpace); s != ""; s = trim(s, python.IsSpace) {
		i := index(s, python.IsSpace)
		if limit == 0 || i < 0 {
			p.add(s)
			return
		}
		limit--
		part, rest := s[:i], s[i:]
		if right {
			_, n := python.SplitRune(s[i:])
			part, rest = s[i+n:], s[:i]
		}
		if !p.add(part) {
			return
		}
		s = rest
	}
}

func partition(
	index func(s, sep string) int, atEnd bool,
) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		sep, err := p.String(0, "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, fault.Errorf(fault.ErrType, "the separator is empty")
		}
		s, safe := python.StringOf(of), python.SafetyOf(of)
		if err := st.Search(s, sep); err != nil {
			return nil, err
		}
		parts := [3]string{s, "", ""}
		if i := index(s, sep); i >= 0 {
			parts = [3]string{s[:i], sep, s[i+len(sep):]}
		} else if atEnd {
			parts = [3]string{"", "", s}
		}
		return &python.Tuple{Items: []any{python.TextOf(parts[0], safe), python.TextOf(parts[1], safe),
			python.TextOf(parts[2], safe)}}, nil
	}
}
