package builtin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

func textFilters() []python.Filter {
	return []python.Filter{
		{Name: "capitalize", Run: textFilter(python.Capitalize)},
		{Name: "center", Params: "width?", Run: center},
		{Name: "format", Params: "*", Run: format},
		{Name: "indent", Params: "width? first? blank?", Run: indent},
		{Name: "lower", Run: textFilter(python.Lower)},
		{Name: "pprint", Run: pprint},
		{Name: "replace", Params: "old new count?", Run: replace},
		{Name: "string", Run: toText},
		{Name: "title", Run: titleFilter},
		{Name: "trim", Params: "chars?", Run: trim},
		{Name: "truncate", Params: "length? killwords? end? leeway?", Run: truncate},
		{Name: "upper", Run: textFilter(python.Upper)},
		{Name: "wordcount", Run: wordcount},
		{Name: "wordwrap", Params: "width? break_long_words? wrapstring? break_on_hyphens?",
			Run: wordwrap},
	}
}

func toText(st *python.State, in any, _ python.Params) (any, error) {
	if m, ok := in.(python.Markup); ok {
		return m, nil
	}
	s, _, err := st.Text(in)
	return s, err
}

func pprint(st *python.State, in any, _ python.Params) (any, error) {
	b, err := st.AppendRepr(nil, in, 0)
	return string(b), err
}

func center(st *python.State, in any, p python.Params) (any, error) {
	s, safe, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	width, err := p.Integer(0, 80)
	if err != nil {
		return nil, err
	}
	s, err = st.Pad(s, width, " ", python.PadCenter)
	return python.TextOf(s, safe), err
}

func format(st *python.State, in any, p python.Params) (any, error) {
	s, safe, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if len(p.Raw.Names) == 0 {
		return st.PercentFormat(s, safe, &python.Tuple{Items: p.Raw.Positional})
	}
	if len(p.Raw.Positional) > 0 {
		return nil, fault.Errorf(fault.ErrType, "format takes positional or keyword arguments, not both")
	}
	named := python.NewDict()
	for i, n := range p.Raw.Names {
		if err := named.Set(st, n, p.Raw.Values[i]); err != nil {
			return nil, err
		}
	}
	return st.PercentFormat(s, safe, named)
}

func indent(st *python.State, in any, p python.Params) (any, error) {
	s, ok := python.AsString(in)
	if !ok {
		if u, isUndefined := in.(*python.Undefined); isUndefined {
			return nil, u.Fail()
		}
		return nil, fault.Errorf(fault.ErrType, "indent works on text, not on %s", python.TypeName(in))
	}
	safe := python.SafetyOf(in)
	indention, ok := python.AsString(p.Get(0, int64(4)))
	if !ok {
		width, err := p.Integer(0, 4)
		if err != nil {
			return nil, err
		}
		if indention, err = st.Pad("", width, " ", python.PadLeft); err != nil {
			return nil, err
		}
	}
	if safe != python.NotSafe && !p.Literal && strings.Trim(indention, " \t") != "" {
		m, err := st.Escape(p.Values[0])
		if err != nil {
			return nil, err
		}
		if indention = m.Text; safe.IsJSON() {
			safe = python.Filled(safe)
		}
	}
	first, blank := p.Truth(1, false), p.Truth(2, false)
	b, err := indentLines(st, s, indention, first, blank)
	return python.TextOf(string(b), safe), err
}

func indentLines(st *python.State, s, indention string, first, blank bool) ([]byte, error) {
	if err := st.Read(s); err != nil {
		return nil, err
	}
	s = strings.TrimSuffix(s, "\r") // Jinja2 adds a line end before it splits, and both are one
	var b []byte
	for i := 0; ; i++ {
		line, rest, more := python.CutLine(s)
		if err := st.Alloc(len(line) + 1); err != nil {
			return nil, err
		}
		if err := st.Step(); err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, '\n')
		}
		if i == 0 && first || i > 0 && (blank || line != "") {
			var err error
			if b, err = st.AppendCopy(b, indention); err != nil {
				return nil, err
			}
		}
		b = append(python.WithRoom(b, len(line)), line...)
		if !more {
			return b, nil
		}
		s = rest
	}
}

func replace(st *python.State, in any, p python.Params) (any, error) {
	s, safe, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	oldText, oldSafe, err := st.Text(p.Values[0])
	if err != nil {
		return nil, err
	}
	newText, newSafe, err := st.Text(p.Values[1])
	if err != nil {
		return nil, err
	}
	count := int64(-1)
	if p.Get(2, nil) != nil {
		if count, err = p.Integer(2, -1); err != nil {
			return nil, err
		}
	}
	if !st.Autoescape {
		safe = python.NotSafe
	} else if safe == python.NotSafe && (oldSafe != python.NotSafe || newSafe != python.NotSafe) {
		m, err := st.Escape(python.TextOf(s, safe))
		if err != nil {
			return nil, err
		}
		s, safe = m.Text, m.Safety
	}
	if safe != python.NotSafe && newSafe == python.NotSafe {
		m, err := st.Escape(newText)
		if err != nil {
			return nil, err
		}
		newText = m.Text
	}
	return replaceText(st, s, safe, oldText, newText, newSafe, count)
}

// replaceText replaces up to count times; all, if count is negative. The new text is escaped if s is
// safe.
func replaceText(
	st *python.State, s string, safe python.Safety, oldText, newText string, newSafe python.Safety,
	count int64,
) (any, error) {
	if err := st.Search(s, oldText); err != nil {
		return nil, err
	}
	n := int64(strings.Count(s, oldText))
	if count >= 0 {
		n = min(n, count)
	}
	if n == 0 {
		return python.TextOf(s, safe), nil
	}
	if err := st.AllocTimes(len(newText), n); err != nil {
		return nil, err
	}
	if err := st.Alloc(len(s)); err != nil {
		return nil, err
	}
	if err := st.Spend(int(n)); err != nil {
		return nil, err
	}
	return st.Replace(s, safe, oldText, newText, newSafe, int(n))
}

func trim(st *python.State, in any, p python.Params) (any, error) {
	s, safe, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	v, err := strip(st, s, safe, p, true, true)
	if m, ok := in.(python.Markup); ok && err == nil && m.JSON != "" && p.Get(0, nil) == nil {
		return python.Markup{Text: python.StringOf(v), Safety: safe,
			JSON: strings.Trim(m.JSON, " \t\r\n")}, st.Read(m.JSON)
	}
	return v, err
}

// strip removes white space, or the characters of argument 0, from the ends of s.
func strip(
	st *python.State, s string, safe python.Safety, p python.Params, left, right bool,
) (any, error) {
	matches := python.IsSpace
	if p.Get(0, nil) != nil {
		chars, err := p.String(0, "")
		if err != nil {
			return nil, err
		}
		if matches, err = oneOf(st, chars); err != nil {
			return nil, err
		}
		if err := st.Scan(python.InOneGo * python.PerConversion * len(s)); err != nil { // a look-up each
			return nil, err
		}
	} else if err := st.Read(s); err != nil {
		return nil, err
	}
	low, high := 0, len(s)
	if left {
		low = high - len(strings.TrimLeftFunc(s, matches))
	}
	if right {
		high = low + len(strings.TrimRightFunc(s[low:], matches))
	}
	parts, err := st.Parts(s, safe)
	if err != nil {
		return nil, err
	}
	return parts.Part(low, high), nil
}

// oneOf is a predicate that holds for the characters of a text.
func oneOf(st *python.State, chars string) (func(rune) bool, error) {
	if err := st.Spend(len(chars)); err != nil {
		return nil, err
	}
	if err := st.AllocTimes(python.BytesPerValue, int64(len(chars))); err != nil {
		return nil, err
	}
	set := make(map[rune]bool, min(len(chars), python.PieceSize))
	for _, r := range chars {
		set[r] = true
	}
	return func(r rune) bool { return set[r] }, nil
}

func truncate(st *python.State, in any, p python.Params) (any, error) {
	length, err := p.Integer(0, 255)
	if err != nil {
		return nil, err
	}
	end, err := p.String(2, "...")
	if err != nil {
		return nil, err
	}
	leeway := int64(5)
	if p.Get(3, nil) != nil {
		if leeway, err = p.Integer(3, 5); err != nil {
			return nil, err
		}
	}
	runes, err := st.Runes(end)
	if err != nil {
		return nil, err
	}
	endLength := int64(runes)
	if length < endLength || leeway < 0 {
		return nil, fault.Errorf(fault.ErrType,
			"truncate needs a length of at least %d and a leeway of at least 0", endLength)
	}
	n, err := st.Length(in)
	if err != nil || int64(n)-leeway <= length {
		return in, err
	}
	s, ok := python.AsString(in)
	if !ok {
		return nil, fault.Errorf(fault.ErrType, "truncate works on text, not on %s", python.TypeName(in))
	}
	safe := python.SafetyOf(in)
	if err := st.Read(s); err != nil {
		return nil, err
	}
	high := python.RuneOffset(s, int(length-endLength))
	if !p.Truth(1, false) {
		if i := strings.LastIndexByte(s[:high], ' '); i >= 0 {
			high = i
		}
	}
	parts, err := st.Parts(s, safe)
	if err != nil {
		return nil, err
	}
	return st.Add(parts.Part(0, high), p.Get(2, end))
}

func wordcount(st *python.State, in any, _ python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if err := st.Classify(s); err != nil {
		return nil, err
	}
	words := int64(0)
	inside := false
	for s != "" {
		if err := st.Check(); err != nil {
			return nil, err
		}
		p := python.Piece(s)
		for _, r := range p {
			word := isWord(r)
			if word && !inside {
				words++
			}
			inside = word
		}
		s = s[len(p):]
	}
	return words, nil
}

// isWord is \w of Python's regular expressions.
func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

func titleFilter(st *python.State, in any, _ python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	s, err = titleWords(st, s)
	return s, err // never markup, as in Jinja2
}

// titleWords is Jinja's title: words begin after white space, hyphens and opening brackets.
func titleWords(st *python.State, s string) (string, error) {
	if err := st.Classify(s); err != nil {
		return "", err
	}
	if err := st.Alloc(len(s)); err != nil {
		return "", err
	}
	separator := func(r rune) bool { return python.IsSpace(r) || strings.ContainsRune("-({[<", r) }
	var b []byte
	for s != "" {
		if err := st.Step(); err != nil {
			return "", err
		}
		end := strings.IndexFunc(s, separator)
		if end == 0 {
			_, n := python.SplitRune(s)
			b = append(b, s[:n]...)
			s = s[n:]
			continue
		}
		if end < 0 {
			end = len(s)
		}
		_, n := python.SplitRune(s)
		if s[0] >= utf8.RuneSelf || end > n &&
			!python.IsASCII(s[n:end]) { // which may need more than a table
			if err := st.Spend(stepsOfWord); err != nil {
				return "", err
			}
		}
		b = append(append(b, python.Upper(s[:n])...), python.Lower(s[n:end])...)
		s = s[end:]
	}
	return string(b), nil
}

// stepsOfWord is what it costs to begin with a word whose upper case may be several characters.
const stepsOfWord = 8
