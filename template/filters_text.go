package template

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

func textFilters() []filter {
	return []filter{
		{name: "capitalize", run: textFilter(capitalize)},
		{name: "center", params: "width?", run: center},
		{name: "format", params: "*", run: format},
		{name: "indent", params: "width? first? blank?", run: indent},
		{name: "lower", run: textFilter(lower)},
		{name: "pprint", run: pprint},
		{name: "replace", params: "old new count?", run: replace},
		{name: "string", run: toText},
		{name: "title", run: titleFilter},
		{name: "trim", params: "chars?", run: trim},
		{name: "truncate", params: "length? killwords? end? leeway?", run: truncate},
		{name: "upper", run: textFilter(upper)},
		{name: "wordcount", run: wordcount},
		{name: "wordwrap", params: "width? break_long_words? wrapstring? break_on_hyphens?", run: wordwrap},
	}
}

func toText(st *state, in any, _ params) (any, error) {
	s, safe, err := st.text(in)
	return textOf(s, safe), err
}

func pprint(st *state, in any, _ params) (any, error) {
	b, err := st.appendRepr(nil, in, 0)
	return string(b), err
}

func center(st *state, in any, p params) (any, error) {
	s, safe, err := st.text(in)
	if err != nil {
		return nil, err
	}
	width, err := p.integer(0, 80)
	if err != nil {
		return nil, err
	}
	s, err = st.pad(s, width, " ", padCenter)
	return textOf(s, safe), err
}

func format(st *state, in any, p params) (any, error) {
	s, safe, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if len(p.raw.names) == 0 {
		return st.percentFormat(s, safe, &tuple{items: p.raw.positional})
	}
	if len(p.raw.positional) > 0 {
		return nil, fault.Errorf(fault.ErrType, "format takes positional or keyword arguments, not both")
	}
	named := newDict()
	for i, n := range p.raw.names {
		if err := named.set(st, n, p.raw.values[i]); err != nil {
			return nil, err
		}
	}
	return st.percentFormat(s, safe, named)
}

func indent(st *state, in any, p params) (any, error) {
	s, ok := asString(in)
	if !ok {
		if u, isUndefined := in.(*undefined); isUndefined {
			return nil, u.fail()
		}
		return nil, fault.Errorf(fault.ErrType, "indent works on text, not on %s", typeName(in))
	}
	safe := safetyOf(in)
	indention, ok := asString(p.get(0, int64(4)))
	if !ok {
		width, err := p.integer(0, 4)
		if err != nil {
			return nil, err
		}
		if indention, err = st.pad("", width, " ", padLeft); err != nil {
			return nil, err
		}
	}
	first, blank := p.truth(1, false), p.truth(2, false)
	b, err := indentLines(st, s, indention, first, blank)
	return textOf(string(b), safe), err
}

func indentLines(st *state, s, indention string, first, blank bool) ([]byte, error) {
	if err := st.read(s); err != nil {
		return nil, err
	}
	s = strings.TrimSuffix(s, "\r") // Jinja2 adds a line end before it splits, and both are one
	var b []byte
	for i := 0; ; i++ {
		line, rest, more := cutLine(s)
		if err := st.alloc(len(line) + 1); err != nil {
			return nil, err
		}
		if err := st.step(); err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, '\n')
		}
		if i == 0 && first || i > 0 && (blank || line != "") {
			var err error
			if b, err = st.appendCopy(b, indention); err != nil {
				return nil, err
			}
		}
		b = append(withRoom(b, len(line)), line...)
		if !more {
			return b, nil
		}
		s = rest
	}
}

func replace(st *state, in any, p params) (any, error) {
	s, safe, err := st.text(in)
	if err != nil {
		return nil, err
	}
	oldText, oldSafe, err := st.text(p.values[0])
	if err != nil {
		return nil, err
	}
	newText, newSafe, err := st.text(p.values[1])
	if err != nil {
		return nil, err
	}
	count := int64(-1)
	if p.get(2, nil) != nil {
		if count, err = p.integer(2, -1); err != nil {
			return nil, err
		}
	}
	if !st.autoescape {
		safe = notSafe
	} else if safe == notSafe && (oldSafe != notSafe || newSafe != notSafe) {
		m, err := st.escape(textOf(s, safe))
		if err != nil {
			return nil, err
		}
		s, safe = m.text, m.safety
	}
	if safe != notSafe && newSafe == notSafe {
		m, err := st.escape(newText)
		if err != nil {
			return nil, err
		}
		newText = m.text
		if safe.isJSON() && !insideJSON(newText) {
			safe = safeText
		}
	}
	s, err = replaceText(st, s, oldText, newText, count)
	return textOf(s, safe), err
}

// replaceText replaces up to count times; all, if count is negative.
func replaceText(st *state, s, oldText, newText string, count int64) (string, error) {
	if err := st.search(s, oldText); err != nil {
		return "", err
	}
	n := int64(strings.Count(s, oldText))
	if count >= 0 {
		n = min(n, count)
	}
	if n == 0 {
		return s, nil
	}
	if err := st.allocTimes(len(newText), n); err != nil {
		return "", err
	}
	if err := st.alloc(len(s)); err != nil {
		return "", err
	}
	if err := st.spend(int(n)); err != nil {
		return "", err
	}
	return strings.Replace(s, oldText, newText, int(n)), nil
}

func trim(st *state, in any, p params) (any, error) {
	s, safe, err := st.text(in)
	if err != nil {
		return nil, err
	}
	s, err = strip(st, s, p, 0, true, true)
	return textOf(s, safe), err
}

// strip removes white space, or the characters of argument i, from the ends of s.
func strip(st *state, s string, p params, i int, left, right bool) (string, error) {
	matches := isSpace
	if p.get(i, nil) != nil {
		chars, err := p.str(i, "")
		if err != nil {
			return "", err
		}
		if matches, err = oneOf(st, chars); err != nil {
			return "", err
		}
		if err := st.scan(inOneGo * perConversion * len(s)); err != nil { // a look-up each
			return "", err
		}
	} else if err := st.read(s); err != nil {
		return "", err
	}
	if left {
		s = strings.TrimLeftFunc(s, matches)
	}
	if right {
		s = strings.TrimRightFunc(s, matches)
	}
	return s, nil
}

// oneOf is a predicate that holds for the characters of a text.
func oneOf(st *state, chars string) (func(rune) bool, error) {
	if err := st.spend(len(chars)); err != nil {
		return nil, err
	}
	if err := st.allocTimes(bytesPerValue, int64(len(chars))); err != nil {
		return nil, err
	}
	set := make(map[rune]bool, min(len(chars), pieceSize))
	for _, r := range chars {
		set[r] = true
	}
	return func(r rune) bool { return set[r] }, nil
}

func truncate(st *state, in any, p params) (any, error) {
	length, err := p.integer(0, 255)
	if err != nil {
		return nil, err
	}
	end, err := p.str(2, "...")
	if err != nil {
		return nil, err
	}
	leeway := int64(5)
	if p.get(3, nil) != nil {
		if leeway, err = p.integer(3, 5); err != nil {
			return nil, err
		}
	}
	runes, err := st.runes(end)
	if err != nil {
		return nil, err
	}
	endLength := int64(runes)
	if length < endLength || leeway < 0 {
		return nil, fault.Errorf(fault.ErrType, "truncate needs a length of at least %d and a leeway of at least 0", endLength)
	}
	n, err := st.length(in)
	if err != nil || int64(n)-leeway <= length {
		return in, err
	}
	s, ok := asString(in)
	if !ok {
		return nil, fault.Errorf(fault.ErrType, "truncate works on text, not on %s", typeName(in))
	}
	safe := safetyOf(in)
	if err := st.read(s); err != nil {
		return nil, err
	}
	s = s[:runeOffset(s, int(length-endLength))]
	if !p.truth(1, false) {
		if i := strings.LastIndexByte(s, ' '); i >= 0 {
			s = s[:i]
		}
	}
	return st.add(textOf(s, safe), p.get(2, end))
}

func wordcount(st *state, in any, _ params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if err := st.classify(s); err != nil {
		return nil, err
	}
	words := int64(0)
	inside := false
	for s != "" {
		if err := st.check(); err != nil {
			return nil, err
		}
		p := piece(s)
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

func titleFilter(st *state, in any, _ params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	s, err = titleWords(st, s)
	return s, err // never markup, as in Jinja2
}

// titleWords is Jinja's title: words begin after white space, hyphens and opening brackets.
func titleWords(st *state, s string) (string, error) {
	if err := st.classify(s); err != nil {
		return "", err
	}
	if err := st.alloc(len(s)); err != nil {
		return "", err
	}
	separator := func(r rune) bool { return isSpace(r) || strings.ContainsRune("-({[<", r) }
	var b []byte
	for s != "" {
		if err := st.step(); err != nil {
			return "", err
		}
		end := strings.IndexFunc(s, separator)
		if end == 0 {
			_, n := splitRune(s)
			b = append(b, s[:n]...)
			s = s[n:]
			continue
		}
		if end < 0 {
			end = len(s)
		}
		_, n := splitRune(s)
		if s[0] >= utf8.RuneSelf || end > n && !isASCII(s[n:end]) { // which may need more than a table
			if err := st.spend(stepsOfWord); err != nil {
				return "", err
			}
		}
		b = append(append(b, upper(s[:n])...), lower(s[n:end])...)
		s = s[end:]
	}
	return string(b), nil
}

// stepsOfWord is what it costs to begin with a word whose upper case may be several characters.
const stepsOfWord = 8
