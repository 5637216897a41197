package template

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// textMethod makes a method of a function from text to text. Markup stays markup.
func textMethod(name string, f func(string) string) method {
	return method{name: name, run: textFilter(f)}
}

func textMethods() []method {
	return []method{
		textMethod("capitalize", capitalize),
		textMethod("casefold", casefold),
		{name: "center", params: "width fillchar?", run: padMethod(padCenter)},
		{name: "count", params: "sub start? end?", run: countText},
		{name: "endswith", params: "suffix start? end?", run: affix(strings.HasSuffix)},
		{name: "expandtabs", params: "tabsize?", run: expandTabs},
		{name: "find", params: "sub start? end?", run: find(strings.Index, false)},
		{name: "format", params: "*", run: formatMethod},
		{name: "format_map", params: "mapping", run: formatMap},
		{name: "index", params: "sub start? end?", run: find(strings.Index, true)},
		{name: "join", params: "iterable", run: joinMethod},
		{name: "ljust", params: "width fillchar?", run: padMethod(padRight)},
		textMethod("lower", lower),
		{name: "lstrip", params: "chars?", run: stripMethod(true, false)},
		{name: "partition", params: "sep", run: partition(strings.Index, false)},
		{name: "removeprefix", params: "prefix", run: removeAffix(strings.TrimPrefix)},
		{name: "removesuffix", params: "suffix", run: removeAffix(strings.TrimSuffix)},
		{name: "replace", params: "old new count?", run: replaceMethod},
		{name: "rfind", params: "sub start? end?", run: find(strings.LastIndex, false)},
		{name: "rindex", params: "sub start? end?", run: find(strings.LastIndex, true)},
		{name: "rjust", params: "width fillchar?", run: padMethod(padLeft)},
		{name: "rpartition", params: "sep", run: partition(strings.LastIndex, true)},
		{name: "rsplit", params: "sep? maxsplit?", run: splitMethod(true)},
		{name: "rstrip", params: "chars?", run: stripMethod(false, true)},
		{name: "split", params: "sep? maxsplit?", run: splitMethod(false)},
		{name: "splitlines", params: "keepends?", run: splitLinesMethod},
		{name: "startswith", params: "prefix start? end?", run: affix(strings.HasPrefix)},
		{name: "strip", params: "chars?", run: stripMethod(true, true)},
		textMethod("swapcase", swapcase),
		textMethod("title", title),
		textMethod("upper", upper),
		{name: "zfill", params: "width", run: zfill},
	}
}

// escapedArgument is a text argument; to a method of markup it comes escaped.
func escapedArgument(st *state, of any, p params, i int, otherwise string) (string, error) {
	s, err := p.str(i, otherwise)
	if err != nil || safetyOf(of) == notSafe || !p.has(i) {
		return s, err
	}
	m, err := st.escape(p.values[i])
	return m.text, err
}

func padMethod(where padding) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		width, err := p.integer(0, 0)
		if err != nil {
			return nil, err
		}
		fill, err := escapedArgument(st, of, p, 1, " ")
		if err != nil {
			return nil, err
		}
		if n, err := st.runes(fill); err != nil {
			return nil, err
		} else if n != 1 {
			return nil, fault.Errorf(fault.ErrType, "the fill must be one character")
		}
		s, err := st.pad(stringOf(of), width, fill, where)
		return textOf(s, safetyOf(of)), err
	}
}

func zfill(st *state, of any, p params) (any, error) {
	width, err := p.integer(0, 0)
	if err != nil {
		return nil, err
	}
	s, sign := stringOf(of), ""
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		s, sign = s[1:], s[:1]
	}
	s, err = st.pad(s, width-int64(len(sign)), "0", padLeft)
	return textOf(sign+s, safetyOf(of)), err
}

// window is the part of a string between the arguments start and end, and where it begins in
// characters.
func window(st *state, s string, p params) (part string, offset int64, ok bool, err error) {
	if !p.has(1) && !p.has(2) {
		return s, 0, true, nil
	}
	if err := st.read(s); err != nil {
		return "", 0, false, err
	}
	length := int64(utf8.RuneCountInString(s))
	bound := func(i int, otherwise int64) (int64, error) {
		if p.get(i, nil) == nil {
			return otherwise, nil
		}
		n, err := p.integer(i, otherwise)
		if n < 0 {
			n = max(0, n+length)
		}
		return n, err
	}
	start, err := bound(1, 0)
	if err != nil {
		return "", 0, false, err
	}
	end, err := bound(2, length)
	if err != nil {
		return "", 0, false, err
	}
	end = min(end, length)
	if start > end {
		return "", 0, false, nil
	}
	low := runeOffset(s, int(start))
	high := low + runeOffset(s[low:], int(end-start))
	return s[low:high], start, true, nil
}

func find(index func(s, sub string) int, must bool) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		sub, err := p.str(0, "")
		if err != nil {
			return nil, err
		}
		part, offset, ok, err := window(st, stringOf(of), p)
		if err != nil {
			return nil, err
		}
		if err := st.scan(perCharacter * (len(part) + len(sub))); err != nil {
			return nil, err
		}
		i := -1
		if ok {
			i = index(part, sub)
		}
		if i >= 0 {
			return offset + int64(utf8.RuneCountInString(part[:i])), nil
		}
		if must {
			return nil, fault.Errorf(fault.ErrType, "the text does not occur")
		}
		return int64(-1), nil
	}
}

func countText(st *state, of any, p params) (any, error) {
	sub, err := p.str(0, "")
	if err != nil {
		return nil, err
	}
	part, _, ok, err := window(st, stringOf(of), p)
	if err != nil || !ok {
		return int64(0), err
	}
	if err := st.search(part, sub); err != nil {
		return nil, err
	}
	return int64(strings.Count(part, sub)), nil
}

// affix is startswith or endswith, of one text or any of a tuple.
func affix(has func(s, affix string) bool) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		part, _, ok, err := window(st, stringOf(of), p)
		if err != nil {
			return nil, err
		}
		candidates := []any{p.values[0]}
		if t, isTuple := p.values[0].(*tuple); isTuple {
			candidates = t.items
		}
		for _, c := range candidates {
			s, isText := asString(c)
			if !isText {
				if u, isUndefined := c.(*undefined); isUndefined {
					return nil, u.fail()
				}
				return nil, fault.Errorf(fault.ErrType, "%s needs text, not %s", p.owner, typeName(c))
			}
			if err := st.spend(1 + min(len(s), len(part))/bytesPerStep); err != nil {
				return nil, err
			}
			if ok && has(part, s) {
				return true, nil
			}
		}
		return false, nil
	}
}

func stripMethod(left, right bool) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		s, err := strip(st, stringOf(of), p, 0, left, right)
		return textOf(s, safetyOf(of)), err
	}
}

func removeAffix(trim func(s, affix string) string) func(*state, any, params) (any, error) {
	return func(st *state, of any, p params) (any, error) {
		s, err := p.str(0, "")
		if err != nil {
			return nil, err
		}
		if err := st.scan(len(s)); err != nil {
			return nil, err
		}
		return textOf(trim(stringOf(of), s), safetyOf(of)), nil
	}
}

func replaceMethod(st *state, of any, p params) (any, error) {
	oldText, err := p.str(0, "")
	if err != nil {
		return nil, err
	}
	newText, err := escapedArgument(st, of, p, 1, "")
	if err != nil {
		return nil, err
	}
	count, err := p.integer(2, -1)
	if err != nil {
		return nil, err
	}
	s, err := replaceText(st, stringOf(of), oldText, newText, count)
	return textOf(s, safetyOf(of)), err
}

func expandTabs(st *state, of any, p params) (any, error) {
	size, err := p.integer(0, 8)
	if err != nil {
		return nil, err
	}
	s := stringOf(of)
	size = max(size, 0)
	if err := st.read(s); err != nil {
		return nil, err
	}
	if err := st.allocTimes(int(min(size, 1<<30)), int64(strings.Count(s, "\t"))); err != nil {
		return nil, err
	}
	if err := st.alloc(len(s)); err != nil {
		return nil, err
	}
	var b strings.Builder
	column := int64(0)
	for _, r := range s {
		switch r {
		case '\t':
			if size > 0 {
				n := size - column%size
				b.WriteString(strings.Repeat(" ", int(n)))
				column += n
			}
		case '\n', '\r':
			b.WriteRune(r)
			column = 0
		default:
			b.WriteRune(r)
			column++
		}
	}
	return textOf(b.String(), safetyOf(of)), nil
}

func joinMethod(st *state, of any, p params) (any, error) {
	safe := safetyOf(of)
	separator := stringOf(of)
	var b []byte
	first := true
	err := st.each(p.values[0], func(v any) error {
		s, ok := asString(v)
		if !ok && safe == notSafe {
			return fault.Errorf(fault.ErrType, "join needs texts, not %s", typeName(v))
		}
		var err error
		if !first {
			if b, err = st.appendCopy(b, separator); err != nil {
				return err
			}
		}
		first = false
		if safe == notSafe {
			b, err = st.appendCopy(b, s)
		} else {
			b, err = st.appendEscaped(b, v)
		}
		return err
	})
	return textOf(string(b), filled(safe)), err
}

func formatMethod(st *state, of any, p params) (any, error) {
	f := braceFormatter{st: st, safe: safetyOf(of) != notSafe, args: p.raw}
	s, err := f.format(stringOf(of), 1)
	return textOf(s, filled(safetyOf(of))), err
}

func formatMap(st *state, of any, p params) (any, error) {
	d, ok := st.wrap(p.values[0]).(*dict)
	if !ok {
		return nil, fault.Errorf(fault.ErrType, "format_map needs a mapping, not %s", typeName(p.values[0]))
	}
	f := braceFormatter{st: st, safe: safetyOf(of) != notSafe, named: d}
	s, err := f.format(stringOf(of), 1)
	return textOf(s, filled(safetyOf(of))), err
}

// textPredicates are the methods that ask what a text consists of.
func textPredicates() []method {
	predicate := func(name string, f func(string) bool) method {
		return method{name: name, run: func(st *state, of any, _ params) (any, error) {
			s := stringOf(of)
			for range inOneGo {
				if err := st.classify(s); err != nil {
					return nil, err
				}
			}
			return f(s), nil
		}}
	}
	return []method{
		predicate("isalnum", all(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })),
		predicate("isalpha", all(unicode.IsLetter)),
		predicate("isascii", isASCII),
		predicate("isdecimal", all(unicode.IsDigit)),
		predicate("isdigit", all(func(r rune) bool { return unicode.IsDigit(r) || isSuperscript(r) })),
		predicate("isidentifier", isIdentifier),
		predicate("islower", isLowerText),
		predicate("isnumeric", all(unicode.IsNumber)),
		predicate("isprintable", func(s string) bool { return s == "" || all(unicode.IsPrint)(s) }),
		predicate("isspace", all(isSpace)),
		predicate("istitle", isTitleText),
		predicate("isupper", isUpperText),
	}
}

// all makes a predicate on text of one on characters; it does not hold for the empty text.
func all(f func(rune) bool) func(string) bool {
	return func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0
	}
}

// isSuperscript lists digits that are no decimals.
func isSuperscript(r rune) bool {
	return r == 0xb2 || r == 0xb3 || r == 0xb9 || r == 0x2070 || r >= 0x2074 && r <= 0x2079 || r >= 0x2080 && r <= 0x2089
}

func isIdentifier(s string) bool {
	r, _ := splitRune(s)
	return s != "" && !unicode.IsNumber(r) && identifierLength(s) == len(s)
}

func isLowerText(s string) bool {
	cased := false
	for _, r := range s {
		if unicode.IsUpper(r) || unicode.IsTitle(r) {
			return false
		}
		cased = cased || isLower(r)
	}
	return cased
}

func isUpperText(s string) bool {
	cased := false
	for _, r := range s {
		if isLower(r) || unicode.IsTitle(r) {
			return false
		}
		cased = cased || unicode.IsUpper(r)
	}
	return cased
}

// isTitleText: upper case only at the start of words, lower case only inside.
func isTitleText(s string) bool {
	cased, inside := false, false
	for _, r := range s {
		switch {
		case unicode.IsUpper(r) || unicode.IsTitle(r):
			if inside {
				return false
			}
			cased, inside = true, true
		case isLower(r):
			if !inside {
				return false
			}
			cased = true
		default:
			inside = false
		}
	}
	return cased
}
