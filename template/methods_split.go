package template

import (
	"math"
	"slices"
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// parts collects the parts of a text, each asked for before it is made.
type parts struct {
	st    *state
	safe  safety
	items []any
	err   error
}

// add takes a part, and reports whether there is room for more.
func (p *parts) add(s string) bool {
	if p.err = p.st.step(); p.err != nil {
		return false
	}
	if p.err = p.st.alloc(2 * bytesPerValue); p.err != nil {
		return false
	}
	p.items = append(p.items, textOf(s, p.safe))
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
	return &list{items: p.items}, nil
}

func splitLinesMethod(st *state, of any, p params) (any, error) {
	s, keepEnds := stringOf(of), p.truth(0, false)
	if err := st.read(s); err != nil {
		return nil, err
	}
	out := parts{st: st, safe: safetyOf(of)}
	for s != "" {
		line, rest, _ := cutLine(s)
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
func splitMethod(right bool) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		limit, err := p.integer(1, -1)
		if err != nil {
			return nil, err
		}
		if limit < 0 {
			limit = math.MaxInt64
		}
		s := stringOf(of)
		out := parts{st: st, safe: safetyOf(of)}
		if p.get(0, nil) == nil {
			if err := st.read(s); err != nil {
				return nil, err
			}
			out.splitSpace(s, limit, right)
			return out.list(right)
		}
		sep, err := p.str(0, "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, fault.Errorf(fault.ErrType, "the separator is empty")
		}
		if err := st.search(s, sep); err != nil {
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
	for s = trim(s, isSpace); s != ""; s = trim(s, isSpace) {
		i := index(s, isSpace)
		if limit == 0 || i < 0 {
			p.add(s)
			return
		}
		limit--
		part, rest := s[:i], s[i:]
		if right {
			_, n := splitRune(s[i:])
			part, rest = s[i+n:], s[:i]
		}
		if !p.add(part) {
			return
		}
		s = rest
	}
}

func partition(index func(s, sep string) int, atEnd bool) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		sep, err := p.str(0, "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, fault.Errorf(fault.ErrType, "the separator is empty")
		}
		s, safe := stringOf(of), safetyOf(of)
		if err := st.search(s, sep); err != nil {
			return nil, err
		}
		parts := [3]string{s, "", ""}
		if i := index(s, sep); i >= 0 {
			parts = [3]string{s[:i], sep, s[i+len(sep):]}
		} else if atEnd {
			parts = [3]string{"", "", s}
		}
		return &tuple{items: []any{textOf(parts[0], safe), textOf(parts[1], safe), textOf(parts[2], safe)}}, nil
	}
}
