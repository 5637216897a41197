package template

import (
	"slices"
	"strings"
)

// texts makes a list of strings, or of markup if safe.
func (st *state) texts(parts []string, safe safety) (any, error) {
	if err := st.allocValues(2 * len(parts)); err != nil {
		return nil, err
	}
	l := &list{items: make([]any, len(parts))}
	for i, part := range parts {
		l.items[i] = textOf(part, safe)
	}
	return l, nil
}

func splitLinesMethod(st *state, of any, p params) (any, error) {
	s := stringOf(of)
	st.spend(len(s) / 8)
	return st.texts(splitLines(s, p.truth(0, false)), safetyOf(of))
}

// splitMethod is split, or rsplit from the right.
func splitMethod(right bool) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		limit, err := p.integer(1, -1)
		if err != nil {
			return nil, err
		}
		if limit < 0 {
			limit = 1 << 30
		}
		s := stringOf(of)
		st.spend(len(s) / 8)
		var parts []string
		if p.get(0, nil) == nil {
			parts = splitSpace(s, int(min(limit, 1<<30)), right)
			return st.texts(parts, safetyOf(of))
		}
		sep, err := p.str(0, "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, errorf(ErrType, "the separator is empty")
		}
		if right {
			parts = splitRight(s, sep, int(min(limit, 1<<30)))
		} else {
			parts = strings.SplitN(s, sep, int(min(limit, 1<<30))+1)
		}
		return st.texts(parts, safetyOf(of))
	}
}

func splitRight(s, sep string, limit int) []string {
	var parts []string
	for ; limit > 0; limit-- {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		parts = append(parts, s[i+len(sep):])
		s = s[:i]
	}
	parts = append(parts, s)
	slices.Reverse(parts)
	return parts
}

// splitSpace splits at runs of white space, at most limit times. White space at the ends goes, except at the far end of
// what is left over when the limit is reached.
func splitSpace(s string, limit int, right bool) []string {
	var parts []string
	if !right {
		for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
			i := strings.IndexFunc(s, isSpace)
			if len(parts) == limit || i < 0 {
				return append(parts, s)
			}
			parts = append(parts, s[:i])
			s = s[i:]
		}
		return parts
	}
	for s = strings.TrimRightFunc(s, isSpace); s != ""; s = strings.TrimRightFunc(s, isSpace) {
		i := strings.LastIndexFunc(s, isSpace)
		if len(parts) == limit || i < 0 {
			parts = append(parts, s)
			break
		}
		_, n := splitRune(s[i:])
		parts = append(parts, s[i+n:])
		s = s[:i]
	}
	slices.Reverse(parts)
	return parts
}

func partition(index func(s, sep string) int, atEnd bool) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		sep, err := p.str(0, "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, errorf(ErrType, "the separator is empty")
		}
		s, safe := stringOf(of), safetyOf(of)
		st.scan(len(s))
		parts := [3]string{s, "", ""}
		if i := index(s, sep); i >= 0 {
			parts = [3]string{s[:i], sep, s[i+len(sep):]}
		} else if atEnd {
			parts = [3]string{"", "", s}
		}
		return &tuple{items: []any{textOf(parts[0], safe), textOf(parts[1], safe), textOf(parts[2], safe)}}, nil
	}
}
