package template

import (
	"regexp"
	"slices"
	"strings"
)

// What urlize takes for a link. The expressions are Go's, which need time in proportion to the text.
var (
	linkPattern = regexp.MustCompile(`(?i)^(?:` +
		`(?:https?://|www\.)(?:[\pL\pN_%-]+\.)*(?:[a-z]{2,63}|xn--[\pL\pN_%]{2,59})` +
		`|(?:[\pL\pN_%-]{2,63}\.)+(?:com|net|int|edu|gov|org|info|mil)` +
		`|https?://(?:\d{1,3}(?:\.\d{1,3}){3}|\[(?:[\da-f]{0,4}:){2}(?:[\da-f]{0,4}:?){1,6}\])` +
		`)(?::\d{1,5})?(?:[/?#]\S*)?$`)
	mailPattern   = regexp.MustCompile(`^\S+@[\pL\pN_][\pL\pN_.-]*\.[\pL\pN_]+$`)
	schemePattern = regexp.MustCompile(`^[\pL\pN_.+-]{2,}:/{0,2}$`)
)

// urlize makes links of the addresses in a text.
func urlize(st *state, in any, p params) (any, error) {
	escaped, err := st.escape(in)
	if err != nil {
		return nil, err
	}
	l, err := newLinker(st, p)
	if err != nil {
		return nil, err
	}
	s := escaped.text
	st.spend(2 * len(s))
	var b []byte
	for s != "" {
		end := strings.IndexFunc(s, isSpace)
		if end < 0 {
			end = len(s)
		}
		word := l.word(s[:end])
		if err := st.alloc(len(word)); err != nil {
			return nil, err
		}
		b = append(b, word...)
		s = s[end:]
		spaces := len(s) - len(strings.TrimLeftFunc(s, isSpace))
		b = append(b, s[:spaces]...)
		s = s[spaces:]
	}
	return textOf(string(b), st.autoSafety()), nil
}

type linker struct {
	trim       int64 // -1 for none
	attributes string
	schemes    []string
}

func newLinker(st *state, p params) (*linker, error) {
	l := &linker{trim: -1}
	var err error
	if p.get(0, nil) != nil {
		if l.trim, err = p.integer(0, -1); err != nil {
			return nil, err
		}
	}
	rel := []string{"noopener"}
	if p.truth(1, false) {
		rel = append(rel, "nofollow")
	}
	if p.get(3, nil) != nil {
		extra, err := p.str(3, "")
		if err != nil {
			return nil, err
		}
		rel = append(rel, strings.FieldsFunc(extra, isSpace)...)
	}
	slices.Sort(rel)
	l.attributes = ` rel="` + string(appendHTML(nil, strings.Join(slices.Compact(rel), " "))) + `"`
	if p.get(2, nil) != nil {
		target, err := p.str(2, "")
		if err != nil {
			return nil, err
		}
		if target != "" {
			l.attributes += ` target="` + string(appendHTML(nil, target)) + `"`
		}
	}
	if p.get(4, nil) == nil {
		return l, nil
	}
	return l, st.each(p.values[4], func(v any) error {
		s, ok := asString(v)
		if !ok || !schemePattern.MatchString(s) {
			return errorf(ErrType, "an extra scheme of urlize is not the beginning of an address")
		}
		l.schemes = append(l.schemes, s)
		return nil
	})
}

func (l *linker) link(address, shown string) string {
	return `<a href="` + address + `"` + l.attributes + `>` + shown + `</a>`
}

func (l *linker) shorten(s string) string {
	if l.trim >= 0 {
		if cut := runeOffset(s, int(min(l.trim, 1<<30))); cut < len(s) {
			return s[:cut] + "..."
		}
	}
	return s
}

// trimAny takes affixes away as long as there are any.
func trimAny(s string, trim func(s, affix string) string, affixes ...string) string {
	for before := -1; len(s) != before; {
		before = len(s)
		for _, affix := range affixes {
			s = trim(s, affix)
		}
	}
	return s
}

// word makes a link of one word, without the brackets and full stops around it.
func (l *linker) word(word string) string {
	if !strings.ContainsAny(word, ".:@") {
		return word
	}
	middle := trimAny(word, strings.TrimPrefix, "(", "<", "&lt;")
	head := word[:len(word)-len(middle)]
	whole := middle
	middle = trimAny(middle, strings.TrimSuffix, ")", ">", ".", ",", "&gt;")
	tail := whole[len(middle):]
	for _, pair := range [...][2]string{{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}} {
		opened := strings.Count(middle, pair[0])
		if opened <= strings.Count(middle, pair[1]) {
			continue
		}
		end := 0
		for n := min(opened, strings.Count(tail, pair[1])); n > 0; n-- {
			end += strings.Index(tail[end:], pair[1]) + len(pair[1])
		}
		middle, tail = middle+tail[:end], tail[end:]
	}
	switch {
	case linkPattern.MatchString(middle):
		address := middle
		if !strings.HasPrefix(middle, "https://") && !strings.HasPrefix(middle, "http://") {
			address = "https://" + middle
		}
		middle = l.link(address, l.shorten(middle))
	case strings.HasPrefix(middle, "mailto:") && mailPattern.MatchString(middle[len("mailto:"):]):
		middle = `<a href="` + middle + `">` + middle[len("mailto:"):] + `</a>`
	case strings.Contains(middle, "@") && !strings.HasPrefix(middle, "www.") && !strings.HasPrefix(middle, "@") &&
		!strings.Contains(middle, ":") && mailPattern.MatchString(middle):
		middle = `<a href="mailto:` + middle + `">` + middle + `</a>`
	default:
		for _, scheme := range l.schemes {
			if middle != scheme && strings.HasPrefix(middle, scheme) {
				middle = l.link(middle, middle)
			}
		}
	}
	return head + middle + tail
}
