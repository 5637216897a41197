package builtin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// textMethod makes a method of a function from text to text. Markup stays markup.
func textMethod(name string, f func(string) string) python.Method {
	return python.Method{Name: name, Run: textFilter(f)}
}

func textMethods() []python.Method {
	return []python.Method{
		textMethod("capitalize", python.Capitalize),
		textMethod("casefold", python.Casefold),
		{Name: "center", Params: "width fillchar?", Run: padMethod(python.PadCenter)},
		{Name: "count", Params: "sub start? end?", Run: countText},
		{Name: "endswith", Params: "suffix start? end?", Run: affix(strings.HasSuffix)},
		{Name: "expandtabs", Params: "tabsize?", Run: expandTabs},
		{Name: "find", Params: "sub start? end?", Run: find(strings.Index, false)},
		{Name: "format", Params: "*", Run: formatMethod},
		{Name: "format_map", Params: "mapping", Run: formatMap},
		{Name: "index", Params: "sub start? end?", Run: find(strings.Index, true)},
		{Name: "join", Params: "iterable", Run: joinMethod},
		{Name: "ljust", Params: "width fillchar?", Run: padMethod(python.PadRight)},
		textMethod("lower", python.Lower),
		{Name: "lstrip", Params: "chars?", Run: stripMethod(true, false)},
		{Name: "partition", Params: "sep", Run: partition(strings.Index, false)},
		{Name: "removeprefix", Params: "prefix", Run: removeAffix(strings.TrimPrefix, false)},
		{Name: "removesuffix", Params: "suffix", Run: removeAffix(strings.TrimSuffix, true)},
		{Name: "replace", Params: "old new count?", Run: replaceMethod},
		{Name: "rfind", Params: "sub start? end?", Run: find(strings.LastIndex, false)},
		{Name: "rindex", Params: "sub start? end?", Run: find(strings.LastIndex, true)},
		{Name: "rjust", Params: "width fillchar?", Run: padMethod(python.PadLeft)},
		{Name: "rpartition", Params: "sep", Run: partition(strings.LastIndex, true)},
		{Name: "rsplit", Params: "sep? maxsplit?", Run: splitMethod(true)},
		{Name: "rstrip", Params: "chars?", Run: stripMethod(false, true)},
		{Name: "split", Params: "sep? maxsplit?", Run: splitMethod(false)},
		{Name: "splitlines", Params: "keepends?", Run: splitLinesMethod},
		{Name: "startswith", Params: "prefix start? end?", Run: affix(strings.HasPrefix)},
		{Name: "strip", Params: "chars?", Run: stripMethod(true, true)},
		textMethod("swapcase", python.Swapcase),
		textMethod("title", python.Title),
		textMethod("upper", python.Upper),
		{Name: "zfill", Params: "width", Run: zfill},
	}
}

// escapedArgument is a text argument; to a method of markup it comes escaped.
func escapedArgument(
	st *python.State, of any, p python.Params, i int, otherwise string,
) (string, error) {
	s, err := p.String(i, otherwise)
	if err != nil || python.SafetyOf(of) == python.NotSafe || !p.Has(i) {
		return s, err
	}
	m, err := st.Escape(p.Values[i])
	return m.Text, err
}

func padMethod(where python.Padding) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		width, err := p.Integer(0, 0)
		if err != nil {
			return nil, err
		}
		fill, err := escapedArgument(st, of, p, 1, " ")
		if err != nil {
			return nil, err
		}
		if n, err := st.Runes(fill); err != nil {
			return nil, err
		} else if n != 1 {
			return nil, fault.Errorf(fault.ErrType, "the fill must be one character")
		}
		safe := python.SafetyOf(of)
		if safe.IsJSON() && !python.IsJSONGap(fill) {
			safe = python.Filled(safe)
		}
		s, err := st.Pad(python.StringOf(of), width, fill, where)
		return python.TextOf(s, safe), err
	}
}

func zfill(st *python.State, of any, p python.Params) (any, error) {
	width, err := p.Integer(0, 0)
	if err != nil {
		return nil, err
	}
	s, sign := python.StringOf(of), ""
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		s, sign = s[1:], s[:1]
	}
	s, err = st.Pad(s, width-int64(len(sign)), "0", python.PadLeft)
	return python.TextOf(sign+s, python.SafetyOf(of)), err
}

// window is the part of a string between the arguments start and end, and where it begins in
// characters.
func window(
	st *python.State, s string, p python.Params,
) (part string, offset int64, ok bool, err error) {
	if !p.Has(1) && !p.Has(2) {
		return s, 0, true, nil
	}
	if err := st.Read(s); err != nil {
		return "", 0, false, err
	}
	length := int64(utf8.RuneCountInString(s))
	bound := func(i int, otherwise int64) (int64, error) {
		if p.Get(i, nil) == nil {
			return otherwise, nil
		}
		n, err := p.Integer(i, otherwise)
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
	low := python.RuneOffset(s, int(start))
	high := low + python.RuneOffset(s[low:], int(end-start))
	return s[low:high], start, true, nil
}

func find(
	index func(s, sub string) int, must bool,
) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		sub, err := p.String(0, "")
		if err != nil {
			return nil, err
		}
		part, offset, ok, err := window(st, python.StringOf(of), p)
		if err != nil {
			return nil, err
		}
		if err := st.Scan(python.PerCharacter * (len(part) + len(sub))); err != nil {
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

func countText(st *python.State, of any, p python.Params) (any, error) {
	sub, err := p.String(0, "")
	if err != nil {
		return nil, err
	}
	part, _, ok, err := window(st, python.StringOf(of), p)
	if err != nil || !ok {
		return int64(0), err
	}
	if err := st.Search(part, sub); err != nil {
		return nil, err
	}
	return int64(strings.Count(part, sub)), nil
}

// affix is startswith or endswith, of one text or any of a tuple.
func affix(has func(s, affix string) bool) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		part, _, ok, err := window(st, python.StringOf(of), p)
		if err != nil {
			return nil, err
		}
		candidates := []any{p.Values[0]}
		if t, isTuple := p.Values[0].(*python.Tuple); isTuple {
			candidates = t.Items
		}
		for _, c := range candidates {
			s, isText := python.AsString(c)
			if !isText {
				if u, isUndefined := c.(*python.Undefined); isUndefined {
					return nil, u.Fail()
				}
				return nil, fault.Errorf(fault.ErrType, "%s needs text, not %s", p.Owner, python.TypeName(c))
			}
			if err := st.Spend(1 + min(len(s), len(part))/python.BytesPerStep); err != nil {
				return nil, err
			}
			if ok && has(part, s) {
				return true, nil
			}
		}
		return false, nil
	}
}

func stripMethod(left, right bool) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		return strip(st, python.StringOf(of), python.SafetyOf(of), p, left, right)
	}
}

func removeAffix(
	trim func(s, affix string) string, atEnd bool,
) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, of any, p python.Params) (any, error) {
		s, err := p.String(0, "")
		if err != nil {
			return nil, err
		}
		if err := st.Scan(len(s)); err != nil {
			return nil, err
		}
		text := python.StringOf(of)
		parts, err := st.Parts(text, python.SafetyOf(of))
		if err != nil {
			return nil, err
		}
		n := len(text) - len(trim(text, s))
		if atEnd {
			return parts.Part(0, len(text)-n), nil
		}
		return parts.Part(n, len(text)), nil
	}
}

func replaceMethod(st *python.State, of any, p python.Params) (any, error) {
	oldText, err := p.String(0, "")
	if err != nil {
		return nil, err
	}
	newText, err := escapedArgument(st, of, p, 1, "")
	if err != nil {
		return nil, err
	}
	count, err := p.Integer(2, -1)
	if err != nil {
		return nil, err
	}
	return replaceText(st, python.StringOf(of), python.SafetyOf(of), oldText, newText,
		python.SafetyOf(p.Values[1]), count)
}

func expandTabs(st *python.State, of any, p python.Params) (any, error) {
	size, err := p.Integer(0, 8)
	if err != nil {
		return nil, err
	}
	s := python.StringOf(of)
	size = max(size, 0)
	if err := st.Read(s); err != nil {
		return nil, err
	}
	if err := st.AllocTimes(int(min(size, 1<<30)), int64(strings.Count(s, "\t"))); err != nil {
		return nil, err
	}
	if err := st.Alloc(len(s)); err != nil {
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
	return python.TextOf(b.String(), python.SafetyOf(of)), nil
}

func joinMethod(st *python.State, of any, p python.Params) (any, error) {
	safe := python.SafetyOf(of)
	separator := python.StringOf(of)
	var b []byte
	filler := st.NewFiller()
	first := true
	err := st.Each(p.Values[0], func(v any) error {
		s, ok := python.AsString(v)
		if !ok && safe == python.NotSafe {
			return fault.Errorf(fault.ErrType, "join needs texts, not %s", python.TypeName(v))
		}
		var err error
		if !first {
			if safe == python.NotSafe {
				b, err = st.AppendCopy(b, separator)
			} else {
				b, err = filler.AppendText(b, separator, safe)
			}
			if err != nil {
				return err
			}
		}
		first = false
		if safe == python.NotSafe {
			b, err = st.AppendCopy(b, s)
		} else {
			b, err = filler.Fill(b, v)
		}
		return err
	})
	return python.TextOf(string(b), python.Filled(safe)), err
}

func formatMethod(st *python.State, of any, p python.Params) (any, error) {
	f := python.BraceFormatter{State: st, Safe: python.SafetyOf(of) != python.NotSafe, Args: p.Raw}
	s, err := f.Format(python.StringOf(of), 1)
	return python.TextOf(s, python.Filled(python.SafetyOf(of))), err
}

func formatMap(st *python.State, of any, p python.Params) (any, error) {
	d, ok := st.Wrap(p.Values[0]).(*python.Dict)
	if !ok {
		return nil, fault.Errorf(fault.ErrType, "format_map needs a mapping, not %s",
			python.TypeName(p.Values[0]))
	}
	f := python.BraceFormatter{State: st, Safe: python.SafetyOf(of) != python.NotSafe, Named: d}
	s, err := f.Format(python.StringOf(of), 1)
	return python.TextOf(s, python.Filled(python.SafetyOf(of))), err
}

// textPredicates are the methods that ask what a text consists of.
func textPredicates() []python.Method {
	predicate := func(name string, f func(string) bool) python.Method {
		return python.Method{Name: name,
			Run: func(st *python.State, of any, _ python.Params) (any, error) {
				s := python.StringOf(of)
				for range python.InOneGo {
					if err := st.Classify(s); err != nil {
						return nil, err
					}
				}
				return f(s), nil
			}}
	}
	return []python.Method{
		predicate("isalnum", all(func(r rune) bool {
			return unicode.IsLetter(r) ||
				unicode.IsNumber(r)
		})),
		predicate("isalpha", all(unicode.IsLetter)),
		predicate("isascii", python.IsASCII),
		predicate("isdecimal", all(unicode.IsDigit)),
		predicate("isdigit", all(func(r rune) bool { return unicode.IsDigit(r) || isSuperscript(r) })),
		predicate("isidentifier", isIdentifier),
		predicate("islower", isLowerText),
		predicate("isnumeric", all(unicode.IsNumber)),
		predicate("isprintable", func(s string) bool { return s == "" || all(unicode.IsPrint)(s) }),
		predicate("isspace", all(python.IsSpace)),
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
	return r == 0xb2 || r == 0xb3 || r == 0xb9 || r == 0x2070 || r >= 0x2074 && r <= 0x2079 ||
		r >= 0x2080 && r <= 0x2089
}

func isIdentifier(s string) bool {
	r, _ := python.SplitRune(s)
	return s != "" && !unicode.IsNumber(r) && python.IdentifierLength(s) == len(s)
}

func isLowerText(s string) bool {
	cased := false
	for _, r := range s {
		if unicode.IsUpper(r) || unicode.IsTitle(r) {
			return false
		}
		cased = cased || python.IsLower(r)
	}
	return cased
}

func isUpperText(s string) bool {
	cased := false
	for _, r := range s {
		if python.IsLower(r) || unicode.IsTitle(r) {
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
		case python.IsLower(r):
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
